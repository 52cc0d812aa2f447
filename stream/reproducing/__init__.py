"""A notice is computed once more, from the checkpoint and the records behind it."""
