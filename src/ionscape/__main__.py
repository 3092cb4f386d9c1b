"""``python -m ionscape``."""

from ionscape.cli.main import entry

entry()
