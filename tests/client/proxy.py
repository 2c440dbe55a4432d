"""A way to the server that breaks when it is told to: real sockets, cut at the worst moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self
from urllib.parse import urlsplit


class CuttingProxy:
    """Passes bytes between callers and `target`.

    `swallow_answers(n)` lets the next n requests reach the server and cuts the line when their answer comes: the
    caller cannot know what became of them. `cut()` breaks every open connection.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.swallowed = 0
        self.answered = 0
        self._to_swallow = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # A closed listener does not wake the thread that waits on it.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def swallow_answers(self, count: int) -> None:
        with self._lock:
            self._to_swallow = count

    def cut(self) -> None:
        with self._lock:
            for each in self._open:
                _end(each)
            self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        address = urlsplit(self.target)
        assert address.hostname is not None
        assert address.port is not None
        try:
            server = socket.create_connection((address.hostname, address.port), timeout=5)
        except OSError:
            _end(caller)
            caller.close()
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {caller, server}
        up = threading.Thread(target=self._pass, args=(caller, server, False), daemon=True)
        up.start()
        self._pass(server, caller, True)
        up.join()
        with self._lock:
            self._open -= {caller, server}
        caller.close()
        server.close()

    def _pass(self, source: socket.socket, drain: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if answers and self._swallows():
                    break
                drain.sendall(chunk)
                self.answered += answers
        _end(source)
        _end(drain)

    def _swallows(self) -> bool:
        with self._lock:
            if not self._to_swallow:
                return False
            self._to_swallow -= 1
            self.swallowed += 1
            return True


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
