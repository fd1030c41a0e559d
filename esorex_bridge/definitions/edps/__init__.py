"""EDPS workflow packages as values: what they say, the jobs that they make of files, and their parameter sets."""
