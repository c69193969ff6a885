"""Expressions such as 2*(3+4)^2: parsed by precedence climbing, evaluated one operation at a time."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from server.domain.arithmetic import Operation, calculate, format_number
from server.domain.errors import MalformedExpressionError, ResultOverflowError, TooLongError

MAX_LENGTH = 1000
"""The maximum length of an expression, in characters."""

MAX_DEPTH = 50
"""The maximum nesting depth of parentheses, powers and signs."""


@dataclass(frozen=True)
class Step:
    """One operation that was carried out, and the expression that remains after it."""

    operation: Operation
    first: float
    second: float
    result: float
    remaining: str


@dataclass
class _Node:
    """A number, the negation of one operand, or an operation on two operands. Evaluation turns each into a number."""

    operands: tuple["_Node", ...] = ()
    operation: Operation = Operation.SUBTRACT
    value: float = 0

    def become(self, value: float) -> None:
        self.operands = ()
        self.value = value


# The precedence of a sign is between those of * and ^, so that -2^2 is -(2^2) and 2^-1 is 1/2.
_PRECEDENCE = {
    Operation.ADD: 1,
    Operation.SUBTRACT: 1,
    Operation.MULTIPLY: 2,
    Operation.DIVIDE: 2,
    Operation.REMAINDER: 2,
    Operation.POWER: 4,
}
_SIGN_PRECEDENCE = 3
_ATOM_PRECEDENCE = 5

# The signs that people paste from documents, too: multiplication sign, dot operator, division sign, minus sign.
_MINUS = ("-", "\u2212")
_SIGNS = {operation.value: operation for operation in Operation} | {
    "\u00d7": Operation.MULTIPLY,
    "\u22c5": Operation.MULTIPLY,
    "\u00f7": Operation.DIVIDE,
    "\u2212": Operation.SUBTRACT,
}
# ASCII whitespace, and the spaces of documents, such as thin and no-break spaces.
_SPACE = re.compile(r"[ \t\r\n\u00a0\u2000-\u200a\u202f\u205f\u3000]*")
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class _Parser:
    """Parses one expression from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._skip_space()

    def parse(self) -> _Node:
        node = self._expression(lowest=1, depth=0)
        if self._position < len(self._text):
            found = self._next()
            hint = "no parenthesis is open" if found == ")" else f"an operator is expected, not {found!r}"
            raise self._error(hint)
        return node

    def _expression(self, lowest: int, depth: int) -> _Node:
        """Parse operators with a precedence of at least `lowest`, and their operands."""
        first = self._operand(depth)
        while (operation := _SIGNS.get(self._next())) and _PRECEDENCE[operation] >= lowest:
            self._advance(1)
            # The right operand contains operators of higher precedence. For powers, which are right-associative, it
            # also contains those of the same precedence.
            tighter = _PRECEDENCE[operation] + (operation is not Operation.POWER)
            second = self._expression(tighter, depth + (operation is Operation.POWER))
            first = _Node((first, second), operation)
        return first

    def _operand(self, depth: int) -> _Node:
        if depth > MAX_DEPTH:
            raise TooLongError(f"the expression nests deeper than {MAX_DEPTH}", field="expression")
        if self._next() in _MINUS:
            self._advance(1)
            return _Node((self._expression(_SIGN_PRECEDENCE, depth + 1),))
        if self._next() == "+":
            self._advance(1)
            return self._expression(_SIGN_PRECEDENCE, depth + 1)
        if self._next() == "(":
            opened = self._position
            self._advance(1)
            node = self._expression(lowest=1, depth=depth + 1)
            if self._next() != ")":
                found = f"{self._next()!r}" if self._next() else "the end"
                raise self._error(f"the parenthesis of position {opened + 1} is not closed before {found}")
            self._advance(1)
            return node
        return self._number()

    def _number(self) -> _Node:
        match = _NUMBER.match(self._text, self._position)
        if not match:
            found = repr(self._next()) if self._next() else "the end"
            raise self._error(f"a number, a parenthesis or a sign is expected, not {found}")
        value = float(match[0])
        if math.isinf(value):
            raise ResultOverflowError(f"{match[0]} is beyond the largest number", field="expression")
        self._advance(len(match[0]))
        return _Node(value=value)

    def _next(self) -> str:
        return self._text[self._position : self._position + 1]

    def _advance(self, characters: int) -> None:
        self._position += characters
        self._skip_space()

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._position)
        self._position = match.end() if match else self._position

    def _error(self, message: str) -> MalformedExpressionError:
        return MalformedExpressionError(message, self._position + 1)


def evaluate(text: str) -> Iterator[Step | float]:
    """Evaluate an expression.

    Yields:
        Each operation as a Step, from the inside out and from left to right; then the value. Nothing is yielded if the
        expression is malformed.

    Raises:
        MalformedExpressionError: the text is not an expression.
        TooLongError: the expression is longer than MAX_LENGTH or nests deeper than MAX_DEPTH.
        CalculatorError: an operation has no result; see `calculate`.
    """
    if len(text) > MAX_LENGTH:
        raise TooLongError(f"the expression has {len(text)} characters; accepted: {MAX_LENGTH}", field="expression")
    root = _Parser(text).parse()
    for node in _inside_out(root):
        values = [operand.value for operand in node.operands]
        if len(values) == 1:
            node.become(-values[0])
        else:
            first, second = values
            node.become(calculate(node.operation, first, second))
            yield Step(node.operation, first, second, node.value, _render(root))
    yield root.value


def _inside_out(root: _Node) -> list[_Node]:
    """Return the nodes to evaluate in order: operands before their operation, left before right."""
    order: list[_Node] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.operands:
            order.append(node)
            waiting.extend(node.operands)
    return order[::-1]


def _precedence(node: _Node) -> int:
    if len(node.operands) == 1 or (not node.operands and math.copysign(1, node.value) < 0):
        return _SIGN_PRECEDENCE
    return _PRECEDENCE[node.operation] if node.operands else _ATOM_PRECEDENCE


def _parts(node: _Node) -> "list[str | tuple[_Node, int]]":
    """Split a node into texts and operands, each operand with the minimum precedence that needs no parentheses."""
    if not node.operands:
        return [format_number(node.value)]
    if len(node.operands) == 1:
        return ["-", (node.operands[0], _SIGN_PRECEDENCE)]
    first, second = node.operands
    precedence = _PRECEDENCE[node.operation]
    is_power = node.operation is Operation.POWER
    # A negative right operand always has parentheses: 3-(-2).
    right = max(precedence + (not is_power), _SIGN_PRECEDENCE + 1)
    return [(first, precedence + is_power), node.operation.value, (second, right)]


def _render(root: _Node) -> str:
    """Format an expression with the fewest parentheses. Not recursive, since a long sum is a deep tree."""
    text = ""
    waiting: list[str | tuple[_Node, int]] = [(root, 0)]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            text += part
            continue
        node, lowest = part
        parts = _parts(node)
        waiting.extend(reversed(parts if _precedence(node) >= lowest else ["(", *parts, ")"]))
    return text
