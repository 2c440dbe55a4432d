"""The least that can answer: counts heads, sends the same bytes. What a generator reaches on it is its own ceiling.

`python -m benchmarks.peer PORT`. No parsing, no framework: raw sockets under epoll.
"""

from __future__ import annotations

import select
import socket
import sys

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
_READ_BYTES = 65536


def serve(port: int) -> None:
    """Answer until the process is ended. A request is taken to arrive whole."""
    listener = socket.create_server(("127.0.0.1", port), backlog=2048)
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    peers: dict[int, socket.socket] = {}
    while True:
        for number, _ in epoll.poll():
            if number == listener.fileno():
                peer, _ = listener.accept()
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peers[peer.fileno()] = peer
                epoll.register(peer, select.EPOLLIN)
            elif not _answer(peers[number]):
                epoll.unregister(number)
                peers.pop(number).close()


def _answer(peer: socket.socket) -> bool:
    """Answer what has arrived; False when the other side has gone."""
    try:
        heads = peer.recv(_READ_BYTES).count(b"\r\n\r\n")
        if heads:
            peer.send(_ANSWER * heads)
    except OSError:
        return False
    return bool(heads)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
