"""Messages onto topics, each once, in order."""
