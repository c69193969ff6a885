"""`grpc.Server` on an event loop over libnghttp2."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent import futures
from typing import Any

import greenlet
import grpc

from nggrpc import listeners
from nggrpc import options as server_options
from nggrpc.errors import StatusError
from nggrpc.headers import RequestHead
from nggrpc.listeners import Listener
from nggrpc.loop import Loop
from nggrpc.methods import Handler, Method, Methods
from nggrpc.runners import Runners
from nggrpc.transport import Transport

_LOGGER = logging.getLogger(__name__)

# How much memory all calls may hold for requests that no handler has taken, and for large responses that were not read.
_MAX_HELD_BYTES = 256 * 1024 * 1024


def server(  # noqa: PLR0913 - those of grpc.server, and one
    thread_pool: futures.ThreadPoolExecutor,
    handlers: Iterable[grpc.GenericRpcHandler] = (),
    interceptors: Sequence[grpc.ServerInterceptor] = (),
    options: Iterable[tuple[str, Any]] = (),
    maximum_concurrent_rpcs: int | None = None,
    *,
    on_idle: Callable[[], None] | None = None,
) -> grpc.Server:
    """Create a server, as `grpc.server` does.

    Args:
        thread_pool: runs the handlers that are not marked @never_blocks.
        handlers: generic handlers; more may be added before the server starts.
        interceptors: called in this order.
        options: see `nggrpc.options`; another one is an error.
        maximum_concurrent_rpcs: how many calls there may be at once; one more is refused with RESOURCE_EXHAUSTED.
        on_idle: is called in the I/O thread when there is nothing else to do, such as to write a log in batches.

    Raises:
        ValueError: an option is unknown, or has a value that is not accepted.
    """
    return Server(thread_pool, handlers, interceptors, options, maximum_concurrent_rpcs, on_idle)


class Server(grpc.Server):
    """A server with one I/O thread; see `server`."""

    def __init__(  # noqa: PLR0913, PLR0917 - see server()
        self,
        thread_pool: futures.ThreadPoolExecutor,
        handlers: Iterable[grpc.GenericRpcHandler],
        interceptors: Sequence[grpc.ServerInterceptor],
        options: Iterable[tuple[str, Any]],
        maximum_concurrent_rpcs: int | None,
        on_idle: Callable[[], None] | None,
    ) -> None:
        """Have no port yet, and do not serve."""
        self.options = server_options.read(options)
        self._methods = Methods(interceptors)
        self._methods.add_generic(handlers)
        self._maximum = maximum_concurrent_rpcs
        self._on_idle = on_idle
        self._loop = Loop(on_idle)
        self._runners = Runners(thread_pool, self._loop.post)
        self._bound: list[socket.socket] = []
        self._listeners: list[Listener] = []
        self._transports: set[Transport] = set()
        self._calls = 0
        self._max_connections = min(self.options.max_connections, listeners.max_connections())
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._stopped = threading.Event()
        # What connections use.
        self.held_bytes = 0
        self.max_held_bytes = max(_MAX_HELD_BYTES, 8 * self.options.max_message_bytes)
        self.timers = self._loop.timers
        self.post = self._loop.post
        self.start_handler = self._runners.start

    # grpc.Server, for any thread.

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Add handlers that are asked for the methods that are not registered."""
        self._methods.add_generic(generic_rpc_handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Handler]) -> None:
        """Add the methods of a service; generated code calls this."""
        self._methods.register(service_name, method_handlers)

    def add_insecure_port(self, address: str) -> int:
        """Bind an address, see `listeners.bind`, and return its port.

        Raises:
            RuntimeError: it cannot be bound.
        """
        bound = listeners.bind(address, reuse_port=self.options.reuse_port)
        self._bound += bound
        return listeners.port_of(bound[0])

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """Refuse: there is no TLS here.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("nggrpc has no TLS; let a proxy end it, as Cloud Run does, or use grpc.server")

    def start(self) -> None:
        """Start to serve, in a thread.

        Raises:
            ValueError: it was started before.
        """
        if self._thread:
            raise ValueError("the server was started before")
        for bound in self._bound:
            self._listeners.append(Listener(self._loop, bound, self._accept, self._may_accept))
        self._thread = threading.Thread(target=self._run, name="nggrpc", daemon=True)
        self._thread.start()

    def stop(self, grace: float | None) -> threading.Event:
        """Stop: accept no more calls, and end those in flight after some seconds.

        Args:
            grace: how long, in seconds; None to end them at once.

        Returns:
            An event that is set when all has ended.
        """
        if self._thread:
            self._loop.post(self._stop, grace or 0)
        else:
            for bound in self._bound:
                bound.close()
            self._stopped.set()
        return self._stopped

    def wait_for_termination(self, timeout: float | None = None) -> bool:
        """Wait until the server has stopped, for some seconds at most; return whether that was too short."""
        return not self._stopped.wait(timeout)

    # What connections use, on the I/O thread.

    def admit(self, head: RequestHead) -> Method:
        """Count one more call, and return its method.

        Raises:
            StatusError: there is no such method, or there are as many calls as there may be.
        """
        method = self._methods.find(head)
        if not method:
            raise StatusError(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        if self._maximum is not None and self._calls >= self._maximum:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
        self._calls += 1
        return method

    def release_call(self) -> None:
        """Count one call less."""
        self._calls -= 1

    # The I/O thread.

    def _run(self) -> None:
        # When a thread ends, greenlet would free objects that the garbage collector may be freeing at that time.
        greenlet.enable_optional_cleanup(False)  # type: ignore[attr-defined] # noqa: FBT003
        try:
            self._loop.run()
        except Exception:
            _LOGGER.exception("the I/O thread failed")
        finally:
            if self._on_idle:
                self._loop.call(self._on_idle)
            self._runners.close()
            self._stopped.set()

    def _accept(self, connected: socket.socket, peer: str) -> None:
        transport = Transport(self._loop, self, connected, peer, self._forget)
        if transport.is_open:
            self._transports.add(transport)

    def _may_accept(self) -> bool:
        return len(self._transports) < self._max_connections

    def _forget(self, transport: Transport) -> None:
        self._transports.discard(transport)
        if self._is_stopping and not self._transports:
            self._loop.stop()

    def _stop(self, grace: float) -> None:
        self._loop.timers.add(time.monotonic() + grace, self._abort_connections)
        if self._is_stopping:
            return
        for listener in self._listeners:
            listener.close()
        self._is_stopping = True  # from now on, the loop ends with the last connection
        for transport in tuple(self._transports):
            transport.shut_down()
        if not self._transports:
            self._loop.stop()

    def _abort_connections(self) -> None:
        for transport in tuple(self._transports):
            self._loop.call(transport.abort, "the server is stopping")
