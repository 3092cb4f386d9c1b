"""ionscape: the landscape an ion sees, from crystal to cell interface."""

__version__ = "0.1.0"
