"""Plans: a dataset and a workflow definition become ordered steps."""
