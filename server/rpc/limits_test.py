"""The limit, as a sequence of calls that enter, are answered and leave."""

from typing import cast
from unittest import mock

import pytest

from server.rpc.call import Call
from server.rpc.errors import CallError
from server.rpc.limits import Limit


def _call() -> Call:
    return cast("Call", mock.Mock(spec=Call))


@pytest.mark.parametrize("maximum", [1, 5])
def test_a_client_that_has_read_all_responses_may_start_as_many_calls_before_the_server_knows(maximum: int) -> None:
    limit: Limit[Call] = Limit(maximum, max_deadline=3600)
    for _round in range(2):
        for call in [_call() for _ in range(maximum)]:
            limit.admit(call)
            limit.mark_answered(call)
    limit.admit(_call())


def test_no_more_calls_are_in_flight_than_the_maximum() -> None:
    limit: Limit[Call] = Limit(2, max_deadline=3600)
    first = _call()
    limit.admit(first)
    limit.admit(_call())
    with pytest.raises(CallError, match="2 calls are in flight"):
        limit.admit(_call())
    limit.release(first)
    limit.admit(_call())


def test_responses_that_are_not_delivered_have_a_maximum() -> None:
    limit: Limit[Call] = Limit(1, max_deadline=3600)
    answered = [_call() for _ in range(12)]
    for call in answered:
        limit.admit(call)
        limit.mark_answered(call)
    with pytest.raises(CallError, match="12 responses are not yet delivered"):
        limit.admit(_call())
    limit.release(answered[0])
    limit.admit(_call())


def test_waiting_for_the_end_returns_the_calls_that_have_not_left() -> None:
    limit: Limit[Call] = Limit(5, max_deadline=3600)
    in_flight, answered, left = _call(), _call(), _call()
    for call in (in_flight, answered, left):
        limit.admit(call)
    limit.mark_answered(answered)
    limit.release(left)
    assert set(limit.wait_until_empty(0)) == {in_flight, answered}
