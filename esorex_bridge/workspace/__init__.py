"""Where things lie under a data root: folders, locks, what a folder holds."""
