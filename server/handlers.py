"""What there is to know of a method's handler, whichever engine calls it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import grpc

F = TypeVar("F", bound=Callable[..., Any])


def never_blocks(method: F) -> F:
    """Mark a servicer's method as one that waits for nothing but its messages, for engine.py."""
    method.never_blocks = True  # type: ignore[attr-defined]
    return method


def behavior(handler: "grpc.RpcMethodHandler[Any, Any]") -> Callable[..., Any]:
    """Return the servicer's method, of whatever kind it is."""
    behaviors = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return next(behavior for behavior in behaviors if behavior)
