"""A TCP relay that a test can freeze: connections stay open, but carry nothing."""

import selectors
import socket
import threading
from typing import Self


class Relay:
    """Forwards connections to a server on this machine. The object is a context manager.

    Args:
        port: the port of the server.

    Attributes:
        port: the port of the relay.
        connections: the number of connections so far.
    """

    def __init__(self, port: int) -> None:
        """Listen on a free port."""
        self._server_port = port
        self._listener = socket.create_server(("localhost", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._peers: dict[socket.socket, socket.socket] = {}
        self._wakeup, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        self._frozen: set[socket.socket] = set()
        self._has_frozen = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        """Start to forward."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self._waker.close()
        self._thread.join()
        for each in (self._listener, self._wakeup, *self._peers):
            each.close()
        self._selector.close()

    def freeze(self) -> None:
        """Forward nothing more on the connections that exist. New connections work."""
        self._has_frozen.clear()
        self._waker.send(b"!")
        self._has_frozen.wait()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wakeup:
                    if not self._wakeup.recv(1):
                        return
                    self._freeze()
                elif key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._peers:  # not closed by an earlier event
                    self._forward(key.fileobj)

    def _freeze(self) -> None:
        for each in self._peers:
            if each not in self._frozen:
                self._selector.unregister(each)
        self._frozen.update(self._peers)
        self._has_frozen.set()

    def _accept(self) -> None:
        self.connections += 1
        client, _ = self._listener.accept()
        server = socket.create_connection(("localhost", self._server_port))
        for one, other in ((client, server), (server, client)):
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _forward(self, source: socket.socket) -> None:
        try:
            data = source.recv(65536)
            if data:
                self._peers[source].sendall(data)
                return
        except OSError:
            pass
        for each in (source, self._peers[source]):  # one side has closed the connection
            self._selector.unregister(each)
            each.close()
        del self._peers[self._peers.pop(source)]
