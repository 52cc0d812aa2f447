"""Public click logs, turned into freshrank events."""
