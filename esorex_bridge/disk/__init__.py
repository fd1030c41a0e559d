"""What a file looks like, what its bytes are, and how one is written whole."""
