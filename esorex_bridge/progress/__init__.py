"""What a user sees while something goes on: lines and bars on stderr, the same for commands, Python and actors."""
