"""Who is told of alerts and incidents, over HTTP."""
