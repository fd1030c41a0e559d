"""Carrying out a plan: keys, decisions, EsoRex, the store."""
