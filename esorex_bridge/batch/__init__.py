"""Batches: many datasets at once, each distinct step made once, on this machine or on a cluster."""
