"""One tree of errors.

FreshrankError
  UsageError             a wrong argument or input: exit status 2, before any work
    ConfigError          the configuration cannot be used: refuses to start
  SourceError            the source cannot go on
    NoUsableEventError   every record that came was bad
    GapError             records that were not read yet are gone
  KafkaError             Kafka cannot be used with these settings
  JournalError           what the wall clock decided cannot be written down or read
  SinkError              an output cannot be written
  CheckpointError        refuses to resume; an older checkpoint stays untouched
  ReproductionError      what a notice was computed from is gone, or is not what it was

A bad event is no exception: it becomes a `DeadLetter` and the stream goes on.
Every message says where, what came, what was expected and what to do.
"""


class FreshrankError(Exception):
    """Any failure that freshrank explains to its user."""

    exit_status = 1


class UsageError(FreshrankError):
    """A wrong argument or an input that cannot be used, found before any work."""

    exit_status = 2


class ConfigError(UsageError):
    """The configuration cannot be used."""


class SourceError(FreshrankError):
    """The source cannot go on; what was read so far stays valid."""


class NoUsableEventError(SourceError):
    """Records came, and not one of them was an event."""


class GapError(SourceError):
    """Records that were not read yet are gone."""


class KafkaError(FreshrankError):
    """Kafka cannot be used with these settings; the message names the one at fault."""


class JournalError(FreshrankError):
    """What the wall clock decided cannot be written down, or cannot be read again."""


class SinkError(FreshrankError):
    """An output cannot be written."""


class CheckpointError(FreshrankError):
    """A checkpoint cannot be written or loaded; older ones stay untouched."""


class ReproductionError(FreshrankError):
    """What a notice was computed from is gone, or is not what it was."""
