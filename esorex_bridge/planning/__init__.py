"""Datasets and plans of a data root: by definitions, or by a workflow package of EDPS."""
