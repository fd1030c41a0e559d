"""Datasets: the science files to be processed together, with the tree of actions that calibrate them."""
