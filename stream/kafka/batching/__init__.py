"""The loop's side of reading: what was handed over waits in lanes until a batch takes it."""
