"""Pages for the browser: the report of a data root, in one file or served on 127.0.0.1."""
