"""Kafka: where clicks come from, and where records may go."""
