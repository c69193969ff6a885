"""Tests of numbers on the command line: which texts are numbers, and how numbers are printed."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cli.numbers import format_number, parse_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("+1", 1),
        ("-1.", -1),
        (".5", 0.5),
        ("1e3", 1000),
        ("1E-3", 0.001),
        (" 2 ", 2),
        ("-Infinity", -math.inf),
    ],
)
def test_a_decimal_number_or_an_infinity_is_parsed(text: str, number: float) -> None:
    assert parse_number(text) == number


def test_nan_is_parsed() -> None:
    assert math.isnan(parse_number("NaN"))


@pytest.mark.parametrize(
    "text", ["", "two", "1_000", "\u0663", "\uff11", "0x10", "1,5", "1e", "nano", "\ufeff1", "1\u00a0"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^'{text}' is not a number$"):
        parse_number(text)


@pytest.mark.parametrize("text", ["1e400", "-1e309"])
def test_a_number_that_is_too_large_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is out of range: the largest number is"):
        parse_number(text)


@given(st.floats(allow_nan=False))
def test_a_printed_number_is_parsed_to_the_same_number(number: float) -> None:
    assert struct.pack("d", parse_number(format_number(number))) == struct.pack("d", number)
