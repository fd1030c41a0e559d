"""Words by which users speak of EDPS workflow packages; what reads options loads no more than these."""

from __future__ import annotations

PREFIX = "edps:"
"""Begins the name of a workflow that is a package of EDPS."""

PREFERENCES = ("raw_per_quality_level", "master_per_quality_level", "raw", "master")
"""Which of raws and masters is tried first, at each association rule or with all rules."""
