"""ESO Reflex's formats, read and written: bookkeeping, folders of executions, checksums, datasets."""
