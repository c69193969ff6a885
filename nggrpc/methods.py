"""Methods: which handler a path has, and what there is to know of a handler."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import grpc

from nggrpc.headers import Metadata, RequestHead

F = TypeVar("F", bound=Callable[..., Any])

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_NEVER_BLOCKS = "never_blocks"
_ONCE_PER_METHOD = "once_per_method"


def never_blocks(method: F) -> F:
    """Mark a servicer's method as one that waits for nothing but its messages, so it may run on the I/O thread.

    A method that waits for anything else, or computes for more than some milliseconds, delays all other calls. It must
    use its requests and its context in its own thread alone.

    An interceptor that wraps a marked method, and does not block itself, has to mark its wrapper, too.
    """
    setattr(method, _NEVER_BLOCKS, True)
    return method


def is_never_blocking(method: Callable[..., Any]) -> bool:
    """Return whether a method is marked @never_blocks."""
    return getattr(method, _NEVER_BLOCKS, False)


def once_per_method(intercept_service: F) -> F:
    """Mark an interceptor's `intercept_service` as one that reads nothing of a call but its method.

    If all interceptors of a server are marked, it is called once per registered method rather than once per call, with
    empty `invocation_metadata`.
    """
    setattr(intercept_service, _ONCE_PER_METHOD, True)
    return intercept_service


def behavior(handler: Handler) -> Callable[..., Any]:
    """Return the servicer's method of a handler, whichever kind it is."""
    behaviors = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return next(behavior for behavior in behaviors if behavior)


@dataclass(frozen=True)
class HandlerCallDetails(grpc.HandlerCallDetails):
    """What an interceptor or a generic handler is told of a call.

    Attributes:
        method: its path.
        invocation_metadata: its metadata.
    """

    method: str
    invocation_metadata: Metadata


class Method:
    """A handler as calls use it.

    Attributes:
        behavior: the servicer's method, wrapped by interceptors.
        deserialize: makes a request of bytes; None for bytes.
        serialize: makes bytes of a response; None for bytes.
        request_streaming: whether a client may send any number of requests.
        response_streaming: whether the handler may send any number of responses.
        never_blocks: whether it may run on the I/O thread.
        takes_callback: whether it sends responses by a callback, as grpcio's health servicer does.
        pool: the thread pool that it asks for, if any.
    """

    __slots__ = (
        "behavior",
        "deserialize",
        "never_blocks",
        "pool",
        "request_streaming",
        "response_streaming",
        "serialize",
        "takes_callback",
    )

    def __init__(self, handler: Handler) -> None:
        """Read all of it once."""
        self.behavior = behavior(handler)
        self.deserialize = handler.request_deserializer
        self.serialize = handler.response_serializer
        self.request_streaming: bool = handler.request_streaming
        self.response_streaming: bool = handler.response_streaming
        self.never_blocks = is_never_blocking(self.behavior)
        # The two experimental attributes are grpcio's; its health servicer has them.
        self.takes_callback: bool = handler.response_streaming and getattr(
            self.behavior, "experimental_non_blocking", False
        )
        pool = getattr(self.behavior, "experimental_thread_pool", None)
        self.pool = pool if isinstance(pool, futures.ThreadPoolExecutor) else None


class Methods:
    """All methods of a server.

    Args:
        interceptors: called in this order, each with the next one as its continuation.
    """

    def __init__(self, interceptors: Sequence[grpc.ServerInterceptor]) -> None:
        """Have no methods yet."""
        self._registered: dict[str, Handler] = {}
        self._generic: list[grpc.GenericRpcHandler] = []
        self._pipeline: Callable[[grpc.HandlerCallDetails], Handler | None] = self._find
        for interceptor in reversed(interceptors):
            self._pipeline = functools.partial(interceptor.intercept_service, self._pipeline)
        self._once = all(
            getattr(interceptor.intercept_service, _ONCE_PER_METHOD, False) for interceptor in interceptors
        )
        self._known: dict[str, Method] = {}

    def register(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Add the methods of a service, by name."""
        self._registered.update({f"/{service}/{name}": handler for name, handler in handlers.items()})

    def add_generic(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Add handlers that are asked for methods that are not registered."""
        self._generic += handlers

    def find(self, head: RequestHead) -> Method | None:
        """Return the method of a call, or None if the server does not have it."""
        known = self._known.get(head.path)
        if known:
            return known
        handler = self._pipeline(HandlerCallDetails(head.path, () if self._once else head.metadata))
        if not handler:
            return None
        method = Method(handler)
        if self._once and head.path in self._registered:
            self._known[head.path] = method
        return method

    def _find(self, details: grpc.HandlerCallDetails) -> "Handler | None":
        registered = self._registered.get(details.method)
        if registered:
            return registered
        for generic in self._generic:
            handler: Handler | None = generic.service(details)
            if handler:
                return handler
        return None
