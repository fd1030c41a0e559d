"""The version of the bridge, by itself, so that every layer may tell it."""

__version__ = "0.2.0"
