"""Aggregations, which are exact for all numbers in any order."""

import math
import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.aggregation import Aggregation
from server.domain.errors import NotFiniteError, ResultOverflowError

numbers = st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e150, max_value=1e150), min_size=1)


def _of(values: list[float]) -> Aggregation:
    aggregation = Aggregation()
    aggregation.add(values)
    return aggregation


@given(numbers)
def test_sum_mean_and_variance_are_exact_and_rounded_once(values: list[float]) -> None:
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    aggregation = _of(values)
    assert aggregation.sum() == math.fsum(values) == float(sum(exact))
    assert aggregation.mean() == float(mean)
    assert aggregation.variance() == float(sum((value - mean) ** 2 for value in exact) / len(exact))


@given(numbers)
def test_results_do_not_depend_on_order_or_batches(values: list[float]) -> None:
    one_by_one = Aggregation()
    for value in sorted(values):
        one_by_one.add([value])
    at_once = _of(values)
    for name in ("sum", "mean", "variance"):
        assert getattr(one_by_one, name)() == getattr(at_once, name)()
    assert (one_by_one.count, one_by_one.minimum, one_by_one.maximum) == (len(values), min(values), max(values))


def test_small_numbers_are_not_lost_next_to_large_ones() -> None:
    aggregation = _of([1e300, 1, 5e-324, -1e300])
    assert aggregation.sum() == 1


def test_a_small_variance_around_a_large_mean_is_exact() -> None:
    values = [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]
    assert _of(values).variance() == 22.5 == statistics.pvariance(values)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_number_that_is_not_finite_is_rejected_with_its_position(value: float) -> None:
    aggregation = _of([1, 2])
    with pytest.raises(NotFiniteError, match="number 3 is"):
        aggregation.add([value])


def test_a_sum_that_is_too_large_is_an_error_but_its_mean_is_not() -> None:
    aggregation = _of([1.7e308, 1.7e308])
    assert aggregation.mean() == 1.7e308
    assert aggregation.variance() == 0
    with pytest.raises(ResultOverflowError, match="the sum is beyond"):
        aggregation.sum()
