"""The version of the bridge, by itself, so that every layer may tell it."""

__version__ = "0.2.0"

PROJECT_URL = "https://esorex-bridge.invalid"
"""Where to find the project: what services are told of who asks."""
