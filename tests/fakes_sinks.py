"""Sinks that keep their records in memory."""


class ListSink:
    """Records go to `durable` at each flush; it outlives the sink as a disk would."""

    def __init__(self, durable):
        self.durable = durable
        self._pending = []
        self._flushed = 0
        self._is_begun = False

    def write(self, record):
        self._pending.append(dict(record))

    def flush(self):
        if not self._is_begun:
            del self.durable[self._flushed :]
            self._is_begun = True
        self.durable += self._pending
        self._pending = []
        self._flushed = len(self.durable)

    def close(self):
        self.flush()

    def state_dict(self):
        return {"schema_version": 1, "records": self._flushed}

    def load_state_dict(self, state):
        self._flushed = state["records"]


class LateSink:
    """Records go to `topic` when others follow them: until then the state holds them.

    Nothing is ever taken back from `topic`, which outlives the sink: what a crashed run left there
    beyond its state is not put there again.
    """

    def __init__(self, topic):
        self.topic = topic
        self._pending = []
        self._next = 0

    def write(self, record):
        self._pending.append(dict(record))
        self._next += 1
        self._send(self._pending[:-1])

    def flush(self):
        pass

    def close(self):
        self._send(self._pending)

    def state_dict(self):
        return {"schema_version": 1, "next": self._next, "pending": list(self._pending)}

    def load_state_dict(self, state):
        self._next = state["next"]
        self._pending = list(state["pending"])

    def _send(self, records):
        first = self._next - len(self._pending)
        for number, record in enumerate(records, first):
            if number == len(self.topic):
                self.topic.append(record)
        del self._pending[: len(records)]
