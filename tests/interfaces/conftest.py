"""Beside the tests of this room: the crystals they share."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
