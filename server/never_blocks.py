"""The mark of a method that may be answered inline; see engine.py, which need not be there."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def never_blocks(method: F) -> F:
    """Mark a servicer's method as one that waits for nothing but its messages."""
    method.never_blocks = True  # type: ignore[attr-defined]
    return method
