"""Method lookup: handlers by path, through interceptors, and the marks of handlers."""

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
    """Mark a servicer's method that waits only for messages of its call, so that it may run on the I/O thread.

    A marked method that waits for anything else, or computes for more than a few milliseconds, delays all other calls.
    It must not use its request iterator or its context in another thread.

    An interceptor that wraps a marked method, and does not block itself, must mark its wrapper, too.
    """
    setattr(method, _NEVER_BLOCKS, True)
    return method


def is_never_blocking(method: Callable[..., Any]) -> bool:
    """Return whether a method is marked @never_blocks."""
    return getattr(method, _NEVER_BLOCKS, False)


def once_per_method(intercept_service: F) -> F:
    """Mark an interceptor's `intercept_service` that reads only the method of a call.

    If all interceptors of a server are marked, they are called once per registered method rather than once per call,
    with empty `invocation_metadata`.
    """
    setattr(intercept_service, _ONCE_PER_METHOD, True)
    return intercept_service


def behavior(handler: Handler) -> Callable[..., Any]:
    """Return the servicer's method of a handler, whether it is unary or streaming."""
    behaviors = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return next(behavior for behavior in behaviors if behavior)


@dataclass(frozen=True)
class HandlerCallDetails(grpc.HandlerCallDetails):
    """The details of a call for interceptors and generic handlers.

    Attributes:
        method: the path, such as "/package.Service/Method".
        invocation_metadata: the metadata of the request.
    """

    method: str
    invocation_metadata: Metadata


class Method:
    """A handler, with its attributes in the form that calls use.

    Attributes:
        behavior: the servicer's method, wrapped by interceptors.
        deserialize: the function that parses a request; None to pass bytes unchanged.
        serialize: the function that serializes a response; None to pass bytes unchanged.
        request_streaming: whether a client may send any number of requests.
        response_streaming: whether the handler may send any number of responses.
        never_blocks: whether the handler may run on the I/O thread.
        takes_callback: whether the handler sends responses through a callback, as grpcio's health servicer does.
        pool: the thread pool that the handler requires; None for the server's pool.
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
        """Read the attributes of a handler."""
        self.behavior = behavior(handler)
        self.deserialize = handler.request_deserializer
        self.serialize = handler.response_serializer
        self.request_streaming: bool = handler.request_streaming
        self.response_streaming: bool = handler.response_streaming
        self.never_blocks = is_never_blocking(self.behavior)
        # grpcio defines the two experimental attributes; its health servicer sets them.
        self.takes_callback: bool = handler.response_streaming and getattr(
            self.behavior, "experimental_non_blocking", False
        )
        pool = getattr(self.behavior, "experimental_thread_pool", None)
        self.pool = pool if isinstance(pool, futures.ThreadPoolExecutor) else None


class Methods:
    """The methods of a server.

    Args:
        interceptors: called in this order, each with the next one as its continuation.
    """

    def __init__(self, interceptors: Sequence[grpc.ServerInterceptor]) -> None:
        """Start without methods."""
        self._registered: dict[str, Handler] = {}
        self._generic: list[grpc.GenericRpcHandler] = []
        self._pipeline: Callable[[grpc.HandlerCallDetails], Handler | None] = self._find
        for interceptor in reversed(interceptors):
            self._pipeline = functools.partial(interceptor.intercept_service, self._pipeline)
        self._is_once_per_method = all(
            getattr(interceptor.intercept_service, _ONCE_PER_METHOD, False) for interceptor in interceptors
        )
        self._cached: dict[str, Method] = {}

    def register(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Register the methods of a service, by name."""
        self._registered.update({f"/{service}/{name}": handler for name, handler in handlers.items()})

    def add_generic(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Add generic handlers, which are asked for methods that are not registered."""
        self._generic += handlers

    def find(self, head: RequestHead) -> Method | None:
        """Return the method of a call, or None if the server does not implement it."""
        cached = self._cached.get(head.path)
        if cached:
            return cached
        handler = self._pipeline(HandlerCallDetails(head.path, () if self._is_once_per_method else head.metadata))
        if not handler:
            return None
        method = Method(handler)
        if self._is_once_per_method and head.path in self._registered:
            self._cached[head.path] = method
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
