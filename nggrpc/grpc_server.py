"""The server: an implementation of `grpc.Server` with an event loop and libnghttp2."""

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

# The memory limit, for all calls together, of requests that no handler has taken and of large unread responses.
_MAX_HELD_BYTES = 256 * 1024 * 1024


def server(  # noqa: PLR0913 - the parameters of grpc.server, and on_idle
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
        thread_pool: the thread pool for handlers that are not marked @never_blocks.
        handlers: generic handlers; more may be added before the server starts.
        interceptors: the interceptors, in the order in which they are called.
        options: the options, as pairs of a name and a value; see `nggrpc.options`.
        maximum_concurrent_rpcs: the maximum number of concurrent calls; further ones fail with RESOURCE_EXHAUSTED.
        on_idle: called on the I/O thread when there is nothing else to do, such as to write a log in batches.

    Raises:
        ValueError: an option is not supported or has an invalid value.
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
        """Create a server without ports, which is not started."""
        self.options = server_options.read(options)
        self._methods = Methods(interceptors)
        self._methods.add_generic(handlers)
        self._max_calls = maximum_concurrent_rpcs
        self._on_idle = on_idle
        self._loop = Loop(on_idle)
        self._runners = Runners(thread_pool, self._loop.post)
        self._sockets: list[socket.socket] = []
        self._listeners: list[Listener] = []
        self._transports: set[Transport] = set()
        self._calls = 0
        self._max_connections = min(self.options.max_connections, listeners.max_connections())
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._stopped = threading.Event()
        # Used by connections: see Host.
        self.held_bytes = 0
        self.max_held_bytes = max(_MAX_HELD_BYTES, 8 * self.options.max_message_bytes)
        self.timers = self._loop.timers
        self.post = self._loop.post
        self.start_handler = self._runners.start

    # The methods of grpc.Server, for any thread.

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Add generic handlers, which are asked for methods that are not registered."""
        self._methods.add_generic(generic_rpc_handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Handler]) -> None:
        """Register the methods of a service; called by generated code."""
        self._methods.register(service_name, method_handlers)

    def add_insecure_port(self, address: str) -> int:
        """Bind an address (see `listeners.bind`), and return its port.

        Raises:
            RuntimeError: the address cannot be bound.
        """
        bound = listeners.bind(address, reuse_port=self.options.reuse_port)
        self._sockets += bound
        return listeners.port_of(bound[0])

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """Raise an error, since nggrpc does not support TLS.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("nggrpc does not support TLS; use a TLS proxy, as on Cloud Run, or grpc.server")

    def start(self) -> None:
        """Start to serve in the I/O thread.

        Raises:
            ValueError: the server has already been started.
        """
        if self._thread:
            raise ValueError("the server has already been started")
        for bound in self._sockets:
            self._listeners.append(Listener(self._loop, bound, self._accept, self._may_accept))
        self._thread = threading.Thread(target=self._run, name="nggrpc", daemon=True)
        self._thread.start()

    def stop(self, grace: float | None) -> threading.Event:
        """Stop gracefully: accept no new calls, and end the calls in flight after a grace period.

        Args:
            grace: the grace period in seconds; None to end the calls at once.

        Returns:
            An event that is set when the server has stopped.
        """
        if self._thread:
            self._loop.post(self._stop, grace or 0)
        else:
            for bound in self._sockets:
                bound.close()
            self._stopped.set()
        return self._stopped

    def wait_for_termination(self, timeout: float | None = None) -> bool:
        """Wait until the server has stopped, or for `timeout` seconds; return whether the timeout expired."""
        return not self._stopped.wait(timeout)

    # Used by connections, on the I/O thread: see Host.

    def admit(self, head: RequestHead) -> Method:
        """Count a new call as in flight, and return its method.

        Raises:
            StatusError: the method is not implemented, or the limit of concurrent calls is reached.
        """
        method = self._methods.find(head)
        if not method:
            raise StatusError(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        if self._max_calls is not None and self._calls >= self._max_calls:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
        self._calls += 1
        return method

    def release_call(self) -> None:
        """Count a call as no longer in flight."""
        self._calls -= 1

    # The I/O thread.

    def _run(self) -> None:
        # When a thread ends, greenlet would free objects that the garbage collector may be freeing at the same time.
        greenlet.enable_optional_cleanup(False)  # type: ignore[attr-defined] # noqa: FBT003
        try:
            self._loop.run()
        except Exception:
            _LOGGER.exception("the I/O thread failed")
        finally:
            if self._on_idle:
                self._loop.run_logged(self._on_idle)
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
        self._is_stopping = True  # from now on, the end of the last connection stops the loop
        for transport in tuple(self._transports):
            transport.shut_down()
        if not self._transports:
            self._loop.stop()

    def _abort_connections(self) -> None:
        for transport in tuple(self._transports):
            self._loop.run_logged(transport.abort, "the server is stopping")
