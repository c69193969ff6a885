"""The services of all servers whose handlers are functions: our own servicers, and an echo of bytes."""

import functools
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc
from calculator.v1 import calculator_pb2_grpc
from routeguide import route_guide_pb2_grpc

import nggrpc
from server.services.calculator_v1 import CalculatorServicer
from server.services.route_guide import RouteGuideServicer

POOL_THREADS = 10
"""The size of the thread pool, as in Google's tutorial."""

ECHO_SERVICE = "benchmarks.Echo"
SLEEP_SECONDS = 0.001


@nggrpc.never_blocks
def echo(request: bytes, _context: grpc.ServicerContext) -> bytes:
    """Return the request."""
    return request


def sleep(request: bytes, _context: grpc.ServicerContext) -> bytes:
    """Return the request after a millisecond, like a handler that waits for a database."""
    time.sleep(SLEEP_SECONDS)
    return request


class Unmarked:
    """A servicer with the methods of another one, without the mark @never_blocks.

    Args:
        servicer: the other servicer.
    """

    def __init__(self, servicer: object) -> None:
        """Keep the servicer."""
        self._servicer = servicer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method of the servicer, without its attributes and so without its mark."""
        return functools.partial(getattr(self._servicer, name))


def serve(server: grpc.Server, *, is_marked: bool = True) -> None:
    """Serve all services on any free port, until killed.

    Args:
        server: a server without services that has not been started.
        is_marked: whether the methods are marked @never_blocks; only nggrpc uses the mark.
    """
    calculator: Any = CalculatorServicer() if is_marked else Unmarked(CalculatorServicer())
    guide: Any = RouteGuideServicer() if is_marked else Unmarked(RouteGuideServicer())
    calculator_pb2_grpc.add_CalculatorServicer_to_server(calculator, server)
    route_guide_pb2_grpc.add_RouteGuideServicer_to_server(guide, server)
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo if is_marked else functools.partial(echo)),
        "Sleep": grpc.unary_unary_rpc_method_handler(sleep),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(ECHO_SERVICE, handlers),))
    server.add_registered_method_handlers(ECHO_SERVICE, handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"Listening on 127.0.0.1:{port}", file=sys.stderr, flush=True)
    server.wait_for_termination()
