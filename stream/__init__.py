"""Everything that moves events: sources, the loop, checkpoints, sinks, the command line."""
