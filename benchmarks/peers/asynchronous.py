"""Our own servicers, for servers whose handlers are coroutines: the same work, an await around each message."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from server.services.calculator_v1 import CalculatorServicer
from server.services.route_guide import RouteGuideServicer

_CALCULATOR, _GUIDE = CalculatorServicer(), RouteGuideServicer()


def calculate(request: Any) -> Any:  # noqa: ANN401 - messages of whatever make
    """Answer a unary call."""
    return _CALCULATOR.Calculate(request, None)  # type: ignore[arg-type] # it asks nothing of a context


def list_features(request: Any) -> Iterator[Any]:  # noqa: ANN401
    """Answer with a stream."""
    return _GUIDE.ListFeatures(request, None)  # type: ignore[arg-type]


async def aggregate(requests: AsyncIterator[Any]) -> Any:  # noqa: ANN401
    """Answer a stream."""
    return _CALCULATOR.Aggregate(iter([request async for request in requests]), None)  # type: ignore[arg-type]


def conversation() -> Callable[[Any], Any]:
    """Return what answers each message of a stream."""
    waiting = deque[Any]()
    answers = _CALCULATOR.Converse(iter(waiting.popleft, None), None)  # type: ignore[arg-type]

    def answer(request: Any) -> Any:  # noqa: ANN401
        waiting.append(request)
        return next(answers)

    return answer
