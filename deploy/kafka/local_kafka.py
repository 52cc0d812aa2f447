"""One node of Apache Kafka on this machine, for trying things out and for tests.

    python deploy/kafka/local_kafka.py [--port 9092] [--data build/kafka/data] [--topic events:4]

It needs Java 17 or later, the jars of `deploy/kafka/pom.xml` (`make kafka-jars`) and no package of
Python. It listens on 127.0.0.1, without a password.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

HOST = "127.0.0.1"
SETTINGS = Path(__file__).with_name("server.properties")
# Below the ports that Linux gives to whoever connects: a client that knocks while the broker is
# down would sometimes get the broker's own port, and keep it from coming back.
FREE_PORTS = range(20_000, 32_000)
# A test broker starts often and lives for seconds: with the first compiler alone it starts in two
# thirds of the time.
JAVA_OPTIONS = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
LOG_LINES_SHOWN = 12

# The part of Kafka's protocol that is spoken here: "are you there?" and "make this topic".
CREATE_TOPICS = (19, 4)
API_VERSIONS = (18, 0)
TOPIC_EXISTS = 36


class LocalKafkaError(Exception):
    """The node cannot start, or does not do what it was asked; the message says what to do."""


@dataclass(frozen=True)
class Listener:
    """One more address that the node listens on, beside its plain one.

    Parameters
    ----------
    name : str
        Capital letters. Its properties begin with `listener.name.` and this, in small letters.
    protocol : str
        PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
    port : int
        0 for a free one.
    advertised_port : int
        The port that the node tells its clients to use, such as a proxy's; 0 for its own.
    """

    name: str
    protocol: str = "PLAINTEXT"
    port: int = 0
    advertised_port: int = 0


class LocalKafka:
    """One node, broker and controller in one, as a child of this process.

    Its ports stay the same over a restart, and so does what it holds; `log` is the file of what it
    says. Where the system can (Linux), the node ends with the thread that started it.

    Parameters
    ----------
    folder : Path
        Settings, log and data; made if missing. One node at a time.
    jars : Path
        The jars of Kafka and what it needs.
    port : int
        The plain listener's; 0 for a free one.
    listeners : sequence of Listener
        Further addresses.
    properties : mapping
        Further server properties; they win over those chosen here.
    """

    def __init__(
        self,
        folder: Path,
        jars: Path,
        *,
        port: int = 0,
        listeners: Sequence[Listener] = (),
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.log = folder / "kafka.log"
        self._data = folder / "data"
        self._jars = jars
        self._listeners = (Listener("LOCAL", port=port), Listener("CONTROLLER"), *listeners)
        free = free_ports()
        self._ports = {one.name: one.port or next(free) for one in self._listeners}
        self._properties = dict(properties or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Where clients connect: `host:port` of the plain listener."""
        return self.address("LOCAL")

    def address(self, listener: str) -> str:
        """`host:port` of a listener, by name."""
        return f"{HOST}:{self._ports[listener]}"

    @property
    def pid(self) -> int:
        """The JVM's."""
        return self._running().pid

    def start(self, wait_s: float = 60.0) -> None:
        """Start the node and wait until it answers.

        Raises
        ------
        LocalKafkaError
            If Java or the jars are missing, a port or the folder is taken, or the node died or did
            not answer in time.
        """
        if self._process is not None:
            raise ValueError("the node is running already")
        java = _java()
        if not any(self._jars.glob("kafka_2.13-*.jar")):
            raise LocalKafkaError(
                f"{self._jars} holds no jars of Kafka: run `make kafka-jars` (Maven fetches them)"
            )
        if taken := [str(port) for port in self._ports.values() if _is_taken(port)]:
            raise LocalKafkaError(
                f"port {taken[0]} of {HOST} is taken by another program, perhaps a Kafka that runs"
                " already: stop it, or choose another with --port"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("ab") as lock, self.log.open("ab") as log:
            self._take(lock)
            settings = self.folder / "server.properties"
            settings.write_text(self._settings())
            command = [*java, "-cp", f"{self._jars.resolve()}/*"]
            if not (self._data / "meta.properties").is_file():
                self._format(command, settings)
            self._process = subprocess.Popen(
                [*_ends_with_parent(), *command, "kafka.Kafka", str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The lock is the node's: held until its end, whatever becomes of this process.
                pass_fds=[lock.fileno()],
                # Ctrl-C in a terminal goes to a whole group: the node is stopped by us, in order.
                start_new_session=True,
            )
        self._wait_until_it_answers(wait_s)

    def create_topic(self, name: str, n_partitions: int) -> None:
        """Make a topic of one replica, unless there is one of this name."""
        topic = _text(name) + struct.pack(">ihii", n_partitions, 1, 0, 0)
        body = struct.pack(">i", 1) + topic + struct.pack(">i?", 30_000, False)
        reply = _ask(self._ports["LOCAL"], CREATE_TOPICS, body, timeout_s=35.0)
        # The reply: throttle time, number of topics, length of the name, the name, the error.
        at = struct.calcsize(">iih") + len(name.encode())
        (error,) = struct.unpack_from(">h", reply, at)
        if error not in (0, TOPIC_EXISTS):
            raise LocalKafkaError(f"the topic {name!r} was refused: Kafka's error {error}")

    def stop(self, wait_s: float = 30.0) -> None:
        """End the node in order; by force after `wait_s`. Nothing happens if it does not run."""
        if self._process is None:
            return
        self.unpause()
        self._process.terminate()
        try:
            self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the node at once (SIGKILL). What it acknowledged stays, in the system's memory."""
        self._running().kill()
        self._running().wait()
        self._process = None

    def restart(self) -> None:
        """Start the node again, in order if it still runs; same ports, same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stop its clock (SIGSTOP): connections stay, nothing is answered."""
        self._running().send_signal(signal.SIGSTOP)

    def unpause(self) -> None:
        """Let a paused node go on."""
        self._running().send_signal(signal.SIGCONT)

    def wait(self) -> None:
        """Wait until the node dies by itself, and raise `LocalKafkaError` with its last words."""
        status = self._running().wait()
        self._process = None
        raise LocalKafkaError(f"Kafka ended by itself, with status {status}{self._last_words()}")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ValueError("the node does not run: start() it")
        return self._process

    def _take(self, lock: BinaryIO) -> None:
        """Be the folder's only node: Kafka's own lock comes after two have written to one log."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise LocalKafkaError(
                f"another Kafka uses {self.folder}: stop it, or choose another folder with --data"
            ) from err

    def _settings(self) -> str:
        """The server properties; of two lines for one key the later counts."""
        shown = [
            (one.name, one.advertised_port or self._ports[one.name]) for one in self._listeners
        ]
        protocols = ",".join(f"{one.name}:{one.protocol}" for one in self._listeners)
        own = {
            "controller.quorum.voters": f"1@{self.address('CONTROLLER')}",
            "listeners": _joined(self._ports.items()),
            "advertised.listeners": _joined(one for one in shown if one[0] != "CONTROLLER"),
            "listener.security.protocol.map": protocols,
            "log.dirs": str(self._data.resolve()),
        }
        rows = [f"{key}={value}\n" for key, value in (own | self._properties).items()]
        return "".join([SETTINGS.read_text(), "\n", *rows])

    def _format(self, command: list[str], settings: Path) -> None:
        """Give the folder its identity, once, with Kafka's own tool."""
        identity = f"--cluster-id={secrets.token_urlsafe(16)}"
        tool = [*command, "kafka.tools.StorageTool", "format", identity, "-c", str(settings)]
        done = subprocess.run(tool, capture_output=True, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()
            raise LocalKafkaError(f"Kafka could not format {self._data}:\n{said}")

    def _wait_until_it_answers(self, wait_s: float) -> None:
        process = self._running()
        deadline_s = time.monotonic() + wait_s
        while not _answers(self._ports["LOCAL"]):
            if process.poll() is not None:
                self.wait()
            if time.monotonic() > deadline_s:
                self.kill()
                raise LocalKafkaError(f"no answer within {wait_s:.0f} s{self._last_words()}")
            time.sleep(0.05)

    def _last_words(self) -> str:
        """The end of the log, for a message."""
        lines = self.log.read_text(errors="replace").splitlines()
        told = [f"  {line}" for line in lines if not line.startswith("\tat ")]
        return "\n".join([f"; the end of {self.log}:", *told[-LOG_LINES_SHOWN:]])


def _joined(ports: Iterable[tuple[str, int]]) -> str:
    return ",".join(f"{name}://{HOST}:{port}" for name, port in ports)


def free_ports() -> Iterator[int]:
    """Ports that nobody listens on now, each once."""
    for port in secrets.SystemRandom().sample(FREE_PORTS, len(FREE_PORTS)):
        if not _is_taken(port):
            yield port


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # As Java does: connections of an earlier node that linger are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def _java() -> list[str]:
    """The command for a JVM, quick to start and quiet."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        where = f"JAVA_HOME, {home}," if home else "PATH"
        raise LocalKafkaError(
            f"there is no Java in {where}: Kafka needs version 17 or later"
            " (Debian and Ubuntu: apt-get install default-jre-headless)"
        )
    return [java, *JAVA_OPTIONS, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]


def _ends_with_parent() -> list[str]:
    """What ends the node when this process is killed; nothing where it cannot be had."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _answers(port: int) -> bool:
    """Whether a broker is ready for requests."""
    try:
        reply = _ask(port, API_VERSIONS, b"", timeout_s=1.0)
    except OSError:
        return False
    return reply[:2] == b"\0\0"


def _ask(port: int, api: tuple[int, int], body: bytes, timeout_s: float) -> bytes:
    """Send one request, and return the answer without its header."""
    request = struct.pack(">hhi", *api, 0) + _text("local-kafka") + body
    with socket.create_connection((HOST, port), timeout_s) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as replies:
            size = replies.read(4)
            if len(size) < 4:
                raise ConnectionError("the connection was closed before the answer")
            return replies.read(int.from_bytes(size, "big"))[4:]


def _text(text: str) -> bytes:
    """A string as Kafka writes it: its length first."""
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def main(argv: Sequence[str] | None = None) -> int:
    """Run a node in the foreground until Ctrl-C or SIGTERM."""
    asked = _parsed(argv)
    kafka = LocalKafka(asked.data, asked.jars, port=asked.port)
    # Both signals raise KeyboardInterrupt, wherever the program is.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _say(f"Starting Kafka; data and log are in {asked.data} ...")
        kafka.start()
        for name, n_partitions in asked.topic:
            kafka.create_topic(name, n_partitions)
        topics = ", ".join(f"{name} ({n} partitions)" for name, n in asked.topic)
        _say(f"Kafka listens on {kafka.bootstrap}." + (f" Topics: {topics}." if topics else ""))
        _say("Ctrl-C stops it; what it holds is there again at the next start.")
        kafka.wait()
    except KeyboardInterrupt:
        _say("Stopping Kafka ...")
    except (LocalKafkaError, OSError) as err:
        sys.stderr.write(f"{err}\n")
        return 1
    finally:
        # The rest takes a second, and half an end helps nobody.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        kafka.stop()
    _say("Stopped.")
    return 0


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    build = Path(__file__).resolve().parents[2] / "build" / "kafka"
    parser = argparse.ArgumentParser(
        description="One node of Apache Kafka on 127.0.0.1, until Ctrl-C.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=9092, help="where clients connect")
    parser.add_argument("--data", type=Path, default=build / "data", help="data, settings and log")
    parser.add_argument("--jars", type=Path, default=build / "lib", help="the jars of Kafka")
    parser.add_argument(
        "--topic",
        type=_topic,
        action="append",
        default=[],
        metavar="NAME:PARTITIONS",
        help="a topic to make if it is not there; may be given several times",
    )
    return parser.parse_args(argv)


def _topic(text: str) -> tuple[str, int]:
    name, _, n_partitions = text.partition(":")
    if not name or not (n_partitions.isdecimal() and int(n_partitions)):
        raise argparse.ArgumentTypeError(f"{text!r} is no topic: write it as events:4")
    return name, int(n_partitions)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
