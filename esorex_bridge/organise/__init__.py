"""The DataOrganiser: files on disk and rules become datasets; gaps, breakpoints and choices."""
