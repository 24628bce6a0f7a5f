"""Who has what? Identity reports that one can run, watch, cancel, download and prove."""

__version__ = "0.1.0"
