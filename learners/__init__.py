"""Everything that learns: the transformer, its fine-tuner, and the simple methods beside it."""
