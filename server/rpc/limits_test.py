"""The limits, with sequences of calls that are admitted, answered and released."""

from typing import cast
from unittest import mock

import pytest

from server.rpc.call import CallScope
from server.rpc.errors import CallError
from server.rpc.limits import Limit


def _call() -> CallScope:
    return cast("CallScope", mock.Mock(spec=CallScope))


@pytest.mark.parametrize("maximum", [1, 5])
def test_answered_calls_do_not_count_as_in_flight(maximum: int) -> None:
    limit: Limit[CallScope] = Limit(maximum, max_deadline=3600)
    for _round in range(2):
        for call in [_call() for _ in range(maximum)]:
            limit.admit(call)
            limit.mark_answered(call)
    limit.admit(_call())


def test_calls_over_the_maximum_in_flight_are_refused() -> None:
    limit: Limit[CallScope] = Limit(2, max_deadline=3600)
    first = _call()
    limit.admit(first)
    limit.admit(_call())
    with pytest.raises(CallError, match="2 calls are in flight"):
        limit.admit(_call())
    limit.release(first)
    limit.admit(_call())


def test_undelivered_responses_have_a_maximum() -> None:
    limit: Limit[CallScope] = Limit(1, max_deadline=3600)
    answered = [_call() for _ in range(12)]
    for call in answered:
        limit.admit(call)
        limit.mark_answered(call)
    with pytest.raises(CallError, match="12 responses are not yet delivered"):
        limit.admit(_call())
    limit.release(answered[0])
    limit.admit(_call())


def test_waiting_until_empty_returns_the_calls_that_are_not_released() -> None:
    limit: Limit[CallScope] = Limit(5, max_deadline=3600)
    in_flight, answered, released = _call(), _call(), _call()
    for call in (in_flight, answered, released):
        limit.admit(call)
    limit.mark_answered(answered)
    limit.release(released)
    assert set(limit.wait_until_empty(0)) == {in_flight, answered}
