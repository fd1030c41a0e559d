"""Synthetic nights of the instruments."""
