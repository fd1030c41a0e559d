"""What runs in the fenced child process: Python's standard library and nothing else, because nothing else is there."""
