"""A sink that keeps its records in memory."""


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
