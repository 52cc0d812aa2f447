"""Settings that cannot be used: the daemon ends soon, and names the one at fault."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from deploy.kafka.local_kafka import Listener, LocalKafka
from tests.brokers import admin_of, create_topic, kafka_jars
from tests.daemons import Daemon, live_settings

PASSWORD = "correct-horse-battery-staple"
PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
# From when the folder is open until it ends.
NOTICED_S = 15.0
N_AT_ONCE = 3

# The first test waits until all of them have ended.
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Scene:
    """What settings may point at."""

    folder: Path
    broker: LocalKafka
    other_service: str

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Those of a daemon that nothing is wrong with."""
        topics = changes.pop("topics", ["readable"])
        bootstrap = changes.pop("bootstrap", self.broker.bootstrap)
        return live_settings(bootstrap, topics, champion="popularity", shadows=[], **changes)

    def settings_of_reader(self, topic: str = "readable", **changes: Any) -> dict[str, Any]:
        """Those of somebody who has to say who they are."""
        settings = self.settings(topics=[topic], **changes)
        settings["source"]["kafka"]["connection"] = self.connection_of_reader("password")
        return settings

    def connection_of_reader(self, password_file: str) -> dict[str, Any]:
        return {
            "bootstrap": self.broker.address("NAMED"),
            "security": "SASL_PLAINTEXT",
            "sasl": {
                "mechanism": "PLAIN",
                "username": "reader",
                "password_file": str(self.folder / password_file),
            },
        }

    def outputs(self, output: str, topic: str, **connection: Any) -> dict[str, Any]:
        return {"outputs": {"kafka": {output: topic, **connection}}}


@dataclass(frozen=True)
class Refusal:
    """Settings, how the daemon ends with them, and what it says."""

    settings: Callable[[Scene], Mapping[str, Any]]
    exit_status: int
    told: tuple[str, ...]


REFUSALS = {
    "no source": Refusal(
        lambda scene: {key: one for key, one in scene.settings().items() if key != "source"},
        2,
        ("source.kafka is not set",),
    ),
    "bootstrap without a port": Refusal(
        lambda scene: scene.settings(bootstrap="localhost"),
        2,
        ("source.kafka.connection.bootstrap: ", "the port is missing"),
    ),
    "bootstrap at an unknown host": Refusal(
        lambda scene: scene.settings(bootstrap=f"{unknown_host()}:9092"),
        1,
        ("source.kafka.connection.bootstrap: nobody knows the host of kafka",),
    ),
    "bootstrap at something else": Refusal(
        lambda scene: scene.settings(bootstrap=scene.other_service),
        1,
        ("source.kafka.connection.bootstrap: what answers at", "is not Kafka"),
    ),
    "unknown topic": Refusal(
        lambda scene: scene.settings(topics=["readable", "readible"]),
        1,
        ("source.kafka.topics: there is no topic readible", "did you mean readable?"),
    ),
    "wrong password": Refusal(
        lambda scene: (
            scene.settings_of_reader()
            | {
                "source": {
                    "kafka": {
                        "connection": scene.connection_of_reader("wrong"),
                        "topics": ["readable"],
                    }
                }
            }
        ),
        1,
        ("source.kafka.connection.sasl: ", "does not let user reader in"),
    ),
    "topic that may not be seen": Refusal(
        lambda scene: scene.settings_of_reader("hidden"),
        1,
        ("no permission on hidden", "let user reader use it", "source.kafka.connection.sasl"),
    ),
    "topic that may not be read": Refusal(
        lambda scene: scene.settings_of_reader("visible"),
        1,
        ("no permission on visible", "let user reader use it", "source.kafka.connection.sasl"),
    ),
    "unknown output topic": Refusal(
        lambda scene: scene.settings(**scene.outputs("metrics", "nowhere")),
        1,
        ("outputs.kafka.metrics: topic nowhere cannot be written: ", "no such topic"),
    ),
    "unknown topic for incidents": Refusal(
        lambda scene: scene.settings(**scene.outputs("incidents", "nowhere")),
        1,
        ("outputs.kafka.incidents: topic nowhere cannot be written: ", "no such topic"),
    ),
    "output topic that may not be written": Refusal(
        lambda scene: scene.settings_of_reader(**scene.outputs("alerts", "visible")),
        1,
        ("outputs.kafka.alerts: topic visible cannot be written: no permission on visible",),
    ),
    "wrong password for outputs": Refusal(
        lambda scene: scene.settings(
            **scene.outputs("alerts", "writable", connection=scene.connection_of_reader("wrong"))
        ),
        1,
        ("outputs.kafka.alerts: topic writable", "outputs.kafka.connection.sasl: "),
    ),
    "port that is taken": Refusal(
        lambda scene: scene.settings(server={"port": int(scene.other_service.rpartition(":")[2])}),
        2,
        ("server.port: ", "Address already in use"),
    ),
}


def unknown_host() -> str:
    """A name that is surely unknown; without a name service only what is no name is so."""
    try:
        socket.getaddrinfo("kafka.invalid", 9092)
    except socket.gaierror as err:
        if err.errno == socket.EAI_NONAME:
            return "kafka.invalid"
    return "kafka..invalid"


@contextmanager
def another_service() -> Iterator[str]:
    """Something that is not Kafka, at this address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1 << 10)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A broker with a way in for everybody and one for `reader`, who may do this and that."""
    folder = tmp_path_factory.mktemp("scene")
    (folder / "password").write_text(PASSWORD)
    (folder / "wrong").write_text("wrong")
    properties = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "listener.name.named.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.named.plain.sasl.jaas.config": f'{PLAIN_LOGIN} user_reader="{PASSWORD}";',
    }
    broker = LocalKafka(
        folder / "kafka",
        kafka_jars(),
        listeners=[Listener("NAMED", "SASL_PLAINTEXT")],
        properties=properties,
    )
    broker.start()
    allowed = {
        "readable": ACLOperation.READ,
        "writable": ACLOperation.WRITE,
        "visible": ACLOperation.DESCRIBE,
        "hidden": None,
    }
    for name in allowed:
        create_topic(broker.bootstrap, name)
    acls = [
        ACL("User:reader", "*", operation, ACLPermissionType.ALLOW, resource)
        for name, operation in allowed.items()
        if operation is not None
        for resource in [ResourcePattern(ResourceType.TOPIC, name)]
    ]
    with admin_of(broker.bootstrap) as admin:
        admin.create_acls(acls)
    with another_service() as address:
        yield Scene(folder, broker, address)
    broker.stop()


@pytest.fixture(scope="module")
def ended(scene: Scene) -> dict[str, Daemon]:
    """A daemon for each refusal, some at once; all have ended."""
    daemons = {
        kind: Daemon(refusal.settings(scene), scene.folder / kind.replace(" ", "-"))
        for kind, refusal in REFUSALS.items()
    }
    waiting = list(daemons.values())
    while waiting:
        now, waiting = waiting[:N_AT_ONCE], waiting[N_AT_ONCE:]
        try:
            for daemon in now:
                daemon.start()
            for daemon in now:
                daemon.wait()
        finally:
            for daemon in now:
                daemon.kill()
    return daemons


@pytest.mark.parametrize("kind", REFUSALS)
def test_settings_that_cannot_be_used_are_refused_by_name_and_soon(ended, kind):
    refusal, daemon = REFUSALS[kind], ended[kind]
    assert daemon.exit_status == refusal.exit_status
    told = daemon.lines()[-1]["event"]
    assert [part for part in refusal.told if part not in told] == []
    assert daemon.said("Traceback") == []
    assert PASSWORD not in daemon.log_file.read_text()
    times = [datetime.fromisoformat(line["ts"]) for line in daemon.lines() if "ts" in line]
    if times:
        assert (times[-1] - times[0]).total_seconds() < NOTICED_S


def test_nothing_is_wrong_with_the_settings_that_these_differ_from(scene):
    settings = scene.settings_of_reader(
        **scene.outputs("alerts", "writable", connection={"bootstrap": scene.broker.bootstrap})
    )
    with Daemon(settings, scene.folder / "usable") as daemon:
        daemon.wait_until(daemon.is_ready)
        daemon.sigterm()
        assert daemon.wait() == 0
