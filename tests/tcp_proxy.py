"""A network that fails on cue: stands between a client and a server on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import struct
import threading
from collections.abc import Coroutine

from deploy.kafka.local_kafka import free_ports

HOST = "127.0.0.1"
CHUNK_BYTES = 16_384
# What is under way in one direction; with more the reader waits, as with a full window.
MAX_CHUNKS = 256
# Linger for no time: the connection ends with a reset, and what was under way is lost.
NO_LINGER = struct.pack("ii", 1, 0)


class TcpProxy:
    """Passes connections on to a server, and makes them slow or breaks them when told.

    A broker must tell its clients to use the proxy: `Listener(..., advertised_port=proxy.port)`.
    What is told holds for open connections too, and until told otherwise. Use it in a `with`.

    Parameters
    ----------
    target : str
        `host:port` of the server; may be given later, to `forward_to`.

    Attributes
    ----------
    port : int
        Where clients connect; it stays the same.
    n_accepted : int
        Connections since it was made.
    """

    def __init__(self, target: str = "") -> None:
        self.port = next(free_ports())
        self.n_accepted = 0
        self._target = target
        self._delay_s = 0.0
        self._bytes_per_s = math.inf
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy")
        self._thread.start()
        self.accept()

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self.port}"

    def forward_to(self, target: str) -> None:
        """Pass new connections on to another `host:port`."""
        self._target = target

    def delay(self, delay_ms: float) -> None:
        """Let every byte, in both directions, arrive so much later."""
        self._delay_s = delay_ms / 1000

    def limit(self, bytes_per_s: float) -> None:
        """Pass on so much at most, per connection and direction."""
        self._bytes_per_s = bytes_per_s

    def hold(self) -> None:
        """Pass nothing on; connections stay open."""
        self._call(self._set_flowing(False))

    def release(self) -> None:
        """Pass on again, and first what came meanwhile."""
        self._call(self._set_flowing(True))

    def reset(self) -> None:
        """End every connection with a TCP reset; new ones are accepted."""
        self._call(self._reset())

    def refuse(self) -> None:
        """Reset every connection and refuse new ones."""
        self._call(self._refuse())

    def accept(self) -> None:
        """Accept connections again."""
        self._call(self._accept())

    def heal(self) -> None:
        """Undo whatever was told."""
        self.delay(0)
        self.limit(math.inf)
        self.release()
        self.accept()

    def close(self) -> None:
        """Reset what is open, and end."""
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, order: Coroutine[object, object, None]) -> None:
        """Carry out an order on the loop's thread."""
        asyncio.run_coroutine_threadsafe(order, self._loop).result(timeout=30)

    async def _set_flowing(self, is_flowing: bool) -> None:
        if is_flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _accept(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, HOST, self.port)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _reset(self) -> None:
        ending = set(self._connections)
        for connection in ending:
            connection.cancel()
        if ending:
            await asyncio.wait(ending)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_accepted += 1
        connection = asyncio.ensure_future(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: to its orderly end, or to a reset of both sides."""
        ends = [writer]
        host, _, port = self._target.rpartition(":")
        with contextlib.suppress(OSError):
            try:
                far_reader, far_writer = await asyncio.open_connection(host, int(port))
                ends.append(far_writer)
                await _first_of(
                    self._pass_on(reader, far_writer), self._pass_on(far_reader, writer)
                )
                for end in ends:
                    end.close()
                    await end.wait_closed()
            finally:
                for end in ends:
                    _cut(end)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, until it has no more to say."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_CHUNKS)
        await _first_of(self._receive(reader, under_way), self._send(under_way, writer))

    async def _receive(
        self, reader: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        data = b"-"
        while data:
            data = await reader.read(CHUNK_BYTES)
            await under_way.put((self._loop.time() + self._delay_s, data))
        await under_way.join()

    async def _send(
        self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            due_s, data = await under_way.get()
            await asyncio.sleep(due_s - self._loop.time())
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(len(data) / self._bytes_per_s)
            under_way.task_done()


async def _first_of(*work: Coroutine[object, object, None]) -> None:
    """Wait until one of them ends, end the others, and raise what it raised."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _cut(end: asyncio.StreamWriter) -> None:
    """Reset one side, if it is still open."""
    with contextlib.suppress(OSError):
        end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    end.transport.abort()
