"""What may be done about alerts, and how often: the parts of the reactor."""
