"""Exact count, sum, mean, variance and range of a stream of numbers in constant memory; each result is rounded once."""

import math
from collections.abc import Iterable
from fractions import Fraction

from server.domain.errors import NotFiniteError, ResultOverflowError

# Every finite number is a whole multiple of 2^-1074, and every square of one a whole multiple of 2^-2148.
_SCALE_BITS = 1074


class Aggregation:
    """The statistics of the numbers so far.

    Sums are stored as multiples of the smallest positive number, so they are exact in any order of the numbers. Their
    size is at most about 2100 and 4200 bits, regardless of the count.

    Attributes:
        count: the count of the numbers.
        minimum: the smallest number; infinity before the first.
        maximum: the largest number; minus infinity before the first.
    """

    def __init__(self) -> None:
        """Start with no numbers."""
        self.count = 0
        self.minimum = math.inf
        self.maximum = -math.inf
        self._sum = 0
        self._sum_of_squares = 0

    def add(self, numbers: Iterable[float]) -> None:
        """Add numbers.

        Raises:
            NotFiniteError: a number is infinite or NaN. The message has its position in the stream, from 1.
        """
        for number in numbers:
            if not math.isfinite(number):
                raise NotFiniteError(f"number {self.count + 1} is {number}; accepted: finite numbers", field="numbers")
            numerator, denominator = number.as_integer_ratio()
            units = numerator << (_SCALE_BITS + 1 - denominator.bit_length())
            self._sum += units
            self._sum_of_squares += units * units
            self.count += 1
            self.minimum = min(self.minimum, number)
            self.maximum = max(self.maximum, number)

    def sum(self) -> float:
        """Return the exact sum, rounded once.

        Raises:
            ResultOverflowError: the sum is beyond the largest number.
        """
        return _rounded("the sum", Fraction(self._sum, 2**_SCALE_BITS))

    def mean(self) -> float:
        """Return the exact mean, rounded once. There must be at least one number."""
        return _rounded("the mean", Fraction(self._sum, self.count * 2**_SCALE_BITS))

    def variance(self) -> float:
        """Return the exact population variance, rounded once. There must be at least one number.

        Raises:
            ResultOverflowError: the variance is beyond the largest number.
        """
        squares = self.count * self._sum_of_squares - self._sum * self._sum
        return _rounded("the variance", Fraction(squares, (self.count * 2**_SCALE_BITS) ** 2))


def _rounded(name: str, value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ResultOverflowError(f"{name} is beyond the largest number, 1.7976931348623157e308") from None
