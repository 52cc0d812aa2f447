"""A process that writes records to a topic and saves its state now and then, to be killed.

It says when it begins to write: whoever kills it need not wait for its imports.

python -m tests.stream.kafka.sink_writer BOOTSTRAP TOPIC FOLDER N_RECORDS SEED
"""

import hashlib
import random
import sys
import time
from pathlib import Path

import msgspec

from stream.durable import write_durably
from stream.kafka.cluster.connection import ConnectionConfig
from stream.kafka.sink import KafkaSink, SinkLimits
from stream.kafka.writing.messages import Destination
from stream.kafka.writing.sending import Patience

RUN_ID = "0f3b7c"


def record_of(number):
    """The same record at each call: what a loop comes to does not depend on its crashes."""
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return {"seq": number // 3, "name": f"m{number % 3}", "value": digest * (1 + number % 5)}


def main(bootstrap, topic, folder, n_records, seed):
    state_path, begun_path = folder / "state", folder / "begun"
    is_resumed = begun_path.exists()
    begun_path.touch()
    sink = KafkaSink(
        Destination(topic, "metrics", RUN_ID, ConnectionConfig(bootstrap=bootstrap)),
        report=[].append,
        is_resumed=is_resumed,
        limits=SinkLimits(max_pending=300, close_s=30.0, patience=Patience(settle_s=0.2)),
    )
    first = 0
    if state_path.exists():
        saved = msgspec.msgpack.decode(state_path.read_bytes())
        sink.load_state_dict(saved["sink"])
        first = saved["next"]
    draws = random.Random(f"{seed} {first}")
    sys.stdout.write("writing\n")
    sys.stdout.flush()
    for number in range(first, n_records):
        sink.write(record_of(number))
        if draws.random() < 0.01:
            save(sink, number + 1, state_path)
        time.sleep(draws.random() * 0.001)
    save(sink, n_records, state_path)
    sink.close()
    assert sink.n_pending == 0


def save(sink, next_number, path):
    sink.flush()
    write_durably(path, msgspec.msgpack.encode({"sink": sink.state_dict(), "next": next_number}))


if __name__ == "__main__":
    bootstrap, topic, folder, n_records, seed = sys.argv[1:]
    main(bootstrap, topic, Path(folder), int(n_records), int(seed))
