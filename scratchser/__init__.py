"""A speech emotion recognition paper from scratch, every kernel written by hand."""

__version__ = "0.1.0"
