"""histopair: histology images, unpaired text, and what the one can teach about the other."""

__version__ = "0.1.0"
