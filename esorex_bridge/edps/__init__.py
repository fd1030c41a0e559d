"""EDPS workflow packages: read and planned in a fenced child process, and turned into plans of our own."""
