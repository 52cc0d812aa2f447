"""Getting to a cluster: how it is reached, and why not."""
