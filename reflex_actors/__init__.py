"""Thin actors that offer the bridge to ESO Reflex."""
