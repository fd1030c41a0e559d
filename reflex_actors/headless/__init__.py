"""Runs Reflex workflow files without Kepler, Java or a display."""
