"""Our own servicers for servers whose handlers are coroutines: the same work, with an await for each message."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from server.services.calculator_v1 import CalculatorServicer
from server.services.route_guide import RouteGuideServicer

_CALCULATOR, _GUIDE = CalculatorServicer(), RouteGuideServicer()


def calculate(request: Any) -> Any:  # noqa: ANN401 - each server has its own message classes
    """Answer a unary call."""
    return _CALCULATOR.Calculate(request, None)  # type: ignore[arg-type] # the method does not use its context


def list_features(request: Any) -> Iterator[Any]:  # noqa: ANN401
    """Answer a server streaming call."""
    return _GUIDE.ListFeatures(request, None)  # type: ignore[arg-type]


async def aggregate(requests: AsyncIterator[Any]) -> Any:  # noqa: ANN401
    """Answer a client streaming call."""
    return _CALCULATOR.Aggregate(iter([request async for request in requests]), None)  # type: ignore[arg-type]


def conversation() -> Callable[[Any], Any]:
    """Return a function that answers each message of a bidirectional streaming call."""
    waiting = deque[Any]()
    answers = _CALCULATOR.Converse(iter(waiting.popleft, None), None)  # type: ignore[arg-type]

    def answer(request: Any) -> Any:  # noqa: ANN401
        waiting.append(request)
        return next(answers)

    return answer
