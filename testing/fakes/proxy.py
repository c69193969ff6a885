"""A proxy that leads to a server on this machine, by whatever name: so services of the internet can be called."""

import socket
import threading
from http import HTTPStatus

from testing.fakes.loopback_server import LoopbackServer, QuietHandler


class Proxy(LoopbackServer):
    """A proxy, for gRPC's variable `grpc_proxy`.

    Attributes:
        port: where it leads.
        asked: the names that it was asked for, HOST:PORT.
    """

    def __init__(self, port: int) -> None:
        """Take a port."""
        super().__init__(_Handler)
        self.port = port
        self.asked: list[str] = []


class _Handler(QuietHandler):
    server: Proxy

    def do_CONNECT(self) -> None:
        self.server.asked.append(self.path)
        with socket.create_connection(("127.0.0.1", self.server.port)) as server:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            back = threading.Thread(target=_copy, args=(server, self.connection))
            back.start()
            _copy(self.connection, server)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Pass on all that comes, and its end."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()
