"""The commands of the command line; heavy imports wait until a command runs."""
