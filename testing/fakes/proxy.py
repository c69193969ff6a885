"""A proxy that forwards every host name to one local server, so that a test can call services by their public names."""

import socket
import threading
from http import HTTPStatus

from testing.fakes.loopback_server import LoopbackServer, QuietHandler


class Proxy(LoopbackServer):
    """An HTTP CONNECT proxy, for gRPC's variable `grpc_proxy`.

    Attributes:
        port: the local port to which it forwards all connections.
        destinations: the requested destinations, HOST:PORT, in order.
    """

    def __init__(self, port: int) -> None:
        """Bind a port."""
        super().__init__(_Handler)
        self.port = port
        self.destinations: list[str] = []


class _Handler(QuietHandler):
    server: Proxy

    def do_CONNECT(self) -> None:
        self.server.destinations.append(self.path)
        with socket.create_connection(("127.0.0.1", self.server.port)) as server:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            back = threading.Thread(target=_copy, args=(server, self.connection))
            back.start()
            _copy(self.connection, server)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy data until the source is closed, then close the target for writing."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()
