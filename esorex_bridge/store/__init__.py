"""The store: what was made, of what, and the digests of files."""
