"""Keys of steps, and the decision what is reused."""
