"""Two configurations on one stream: what may differ, the pass over it, and what came out."""
