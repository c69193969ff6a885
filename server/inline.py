"""What surrounds a call that is answered inline: the same as interceptor.py has for all others."""

import logging
import time
from typing import TYPE_CHECKING, Any

from server import logs
from server.call import Call
from server.engine import Ended, InlineContext
from server.errors import CalculatorError
from server.interceptor import CallInterceptor

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

_LOGGER = logging.getLogger(__name__)
_LONGEST_SECONDS = 0.1


class InlineCalls:
    """The calls of one unary method: limits, errors made statuses, a line in the access log.

    Args:
        calls: those of all methods.
        method: its path.
        handler: what answers it, and never blocks.
    """

    def __init__(self, calls: CallInterceptor, method: str, handler: "grpc.RpcMethodHandler[Any, Any]") -> None:
        """Begin with none."""
        self._method = method
        self._handler = handler
        self._behavior: Callable[[Any, Any], Any] = handler.unary_unary  # type: ignore[assignment] # it is there
        self._calls = calls

    def begin(self, context: InlineContext) -> None:
        """See engine.Inline."""
        context.call = call = Call(self._method, self._handler, context)  # type: ignore[arg-type] # all it needs of one
        self._calls.enter(call)
        try:
            self._calls.limit(self._method).enter(context.time_remaining(), call.expire)
            call.is_limited = True
        except CalculatorError as error:
            call.fail(error)

    def answer(self, context: InlineContext, message: bytes | None) -> bytes:
        """See engine.Inline."""
        call: Call = context.call
        began = time.perf_counter()
        try:
            request = call.receive(iter(() if message is None else (message,)))
            if not call.trace:
                return call.serialized(self._behavior(request, context))
            with logs.within(call.trace):
                return call.serialized(self._behavior(request, context))
        except Ended:
            raise
        except Exception as error:  # noqa: BLE001 - whatever happens, the caller gets a status
            call.fail(error)
        finally:
            taken = time.perf_counter() - began
            if taken > _LONGEST_SECONDS:
                _LOGGER.warning(
                    "%s kept all other calls waiting for %.1f s: it is not to be inline", self._method, taken
                )

    def over(self, context: InlineContext) -> None:
        """See engine.Inline."""
        call: Call = context.call
        if call.is_limited:
            self._calls.limit(self._method).leave(call.expire)
        self._calls.leave(call)
        call.log()
