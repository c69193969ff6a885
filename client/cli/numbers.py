"""Numbers as text: parsed like the clients in other languages do, and printed."""

import math
import re

_LARGEST = "1.7976931348623157e308"
# float() accepts more, such as 1_000 and digits of other scripts.
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_SPACE = " \t\n\v\f\r"
_SPECIAL = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)


def parse_number(text: str) -> float:
    """Parse a 64-bit number: decimal, `inf` or `nan`.

    Raises:
        ValueError: the text is not a number, or is too large; the message says which.
    """
    stripped = text.strip(_SPACE)
    if not (_DECIMAL.fullmatch(stripped) or _SPECIAL.fullmatch(stripped)):
        raise ValueError(f"'{text}' is not a number")
    number = float(stripped)
    if math.isinf(number) and not _SPECIAL.fullmatch(stripped):
        raise ValueError(f"'{text}' is out of range: the largest number is {_LARGEST}")
    return number


def format_number(value: float) -> str:
    """Format a number with the fewest digits that identify it, without a trailing `.0`."""
    return repr(value).removesuffix(".0")
