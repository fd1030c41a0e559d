"""Workflow files of ESO Reflex (MoML): as values, as text, made from workflow definitions, and checked."""
