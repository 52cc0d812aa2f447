"""What waits for its answer, and how the two meet."""
