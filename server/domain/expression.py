"""Expressions such as 2*sqrt(3+4)^2: parsed by precedence climbing, evaluated one operation or function at a time."""

import math
import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass

from server.domain.arithmetic import Operation, calculate, format_number
from server.domain.errors import CalculatorError, MalformedExpressionError, ResultOverflowError, TooLongError
from server.domain.functions import FUNCTIONS, Function, apply

MAX_LENGTH = 1000
"""The maximum length of an expression, in characters."""

MAX_DEPTH = 50
"""The maximum nesting depth of parentheses, functions, powers and signs."""

MAX_STEPS = 500
"""The maximum number of steps. Each formats the whole remaining expression, so the time grows with their square."""


@dataclass(frozen=True)
class Step:
    """One operation or function that was carried out, and the expression that remains after it.

    Attributes:
        operation: what was carried out. A constant is a function without operands.
        operands: the two operands of the operation, or the arguments of the function.
        result: the result.
        remaining: the expression in which the result replaces the operation.
    """

    operation: Operation | Function
    operands: tuple[float, ...]
    result: float
    remaining: str


@dataclass
class _Node:
    """An operation or function with its operands, or a number. Evaluation turns each into a number."""

    operation: Operation | Function | None = None
    operands: tuple["_Node", ...] = ()
    value: float = 0

    def become(self, value: float) -> None:
        self.operation = None
        self.operands = ()
        self.value = value


_NEGATION = Function("-", operator.neg)

# The precedence of a sign is between those of * and ^, so that -2^2 is -(2^2) and 2^-1 is 1/2.
_SIGN_PRECEDENCE = 3
_ATOM_PRECEDENCE = 5
_PRECEDENCE: dict[Operation | Function | None, int] = {
    Operation.ADD: 1,
    Operation.SUBTRACT: 1,
    Operation.MULTIPLY: 2,
    Operation.DIVIDE: 2,
    Operation.REMAINDER: 2,
    _NEGATION: _SIGN_PRECEDENCE,
    Operation.POWER: 4,
}

# The signs that people paste from documents, too: multiplication sign, dot operator, division sign, minus sign.
_MINUS = ("-", "\u2212")
_OPERATORS = {operation.value: operation for operation in Operation} | {
    "\u00d7": Operation.MULTIPLY,
    "\u22c5": Operation.MULTIPLY,
    "\u00f7": Operation.DIVIDE,
    "\u2212": Operation.SUBTRACT,
}
# ASCII whitespace, and the spaces of documents, such as thin and no-break spaces.
_SPACE = re.compile(r"[ \t\r\n\u00a0\u2000-\u200a\u202f\u205f\u3000]*")
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Errors quote a name, so a longer one is cut. All functions have shorter names.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,19}|\u03c0")
_ALIASES = {"\u03c0": "pi"}


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
            raise self._error(self._misplaced() or hint)
        return node

    def _expression(self, lowest: int, depth: int) -> _Node:
        """Parse operators with a precedence of at least `lowest`, and their operands."""
        first = self._operand(depth)
        while (operation := _OPERATORS.get(self._next())) and _PRECEDENCE[operation] >= lowest:
            self._advance(1)
            # The right operand contains operators of higher precedence. For powers, which are right-associative, it
            # also contains those of the same precedence.
            tighter = _PRECEDENCE[operation] + (operation is not Operation.POWER)
            second = self._expression(tighter, depth + (operation is Operation.POWER))
            first = _Node(operation, (first, second))
        return first

    def _operand(self, depth: int) -> _Node:
        if depth > MAX_DEPTH:
            raise TooLongError(f"the expression nests deeper than {MAX_DEPTH}", field="expression")
        if self._next() in _MINUS:
            self._advance(1)
            return _Node(_NEGATION, (self._expression(_SIGN_PRECEDENCE, depth + 1),))
        if self._next() == "+":
            self._advance(1)
            return self._expression(_SIGN_PRECEDENCE, depth + 1)
        if self._next() == "(":
            opened = self._open()
            node = self._expression(lowest=1, depth=depth + 1)
            self._close(opened)
            return node
        if name := self._name():
            return self._named(name, depth)
        return self._number()

    def _named(self, name: str, depth: int) -> _Node:
        """Parse a constant, or a function and its arguments."""
        start = self._position
        function = FUNCTIONS.get(_ALIASES.get(name, name))
        if not function:
            raise self._error(f"one of the names {', '.join(FUNCTIONS)} is expected, not {name!r}")
        self._advance(len(name))
        if function.arguments == 0:
            return _Node(function)
        if self._next() != "(":
            raise self._error(f"a parenthesis is expected after {name}, not {self._found()}")
        opened = self._open()
        arguments = self._arguments(depth + 1)
        self._close(opened)
        if len(arguments) != function.arguments and (function.arguments or not arguments):
            self._position = start
            expected = "1 argument is" if function.arguments else "1 or more arguments are"
            raise self._error(f"{expected} expected, not {len(arguments)}, by {name}")
        return _Node(function, tuple(arguments))

    def _arguments(self, depth: int) -> list[_Node]:
        if self._next() == ")":
            return []
        arguments = [self._expression(lowest=1, depth=depth)]
        while self._next() == ",":
            self._advance(1)
            arguments.append(self._expression(lowest=1, depth=depth))
        return arguments

    def _open(self) -> int:
        """Skip an opening parenthesis; return its position, from 0."""
        opened = self._position
        self._advance(1)
        return opened

    def _close(self, opened: int) -> None:
        if self._next() != ")":
            hint = f"the parenthesis of position {opened + 1} is not closed before {self._found()}"
            raise self._error(self._misplaced() or hint)
        self._advance(1)

    def _misplaced(self) -> str:
        """Explain what cannot follow an operand here, but can in other notations: 2pi, 2(3+4) and 1,5."""
        if self._name() or self._next() == "(":
            return f"an operator, such as *, is expected before {self._found()}"
        if self._next() == ",":
            return "an operator or a decimal point is expected, not ','"
        return ""

    def _number(self) -> _Node:
        match = _NUMBER.match(self._text, self._position)
        if not match:
            raise self._error(f"a number, a name, a parenthesis or a sign is expected, not {self._found()}")
        value = float(match[0])
        if math.isinf(value):
            raise ResultOverflowError(f"{match[0]} is beyond the largest number", field="expression")
        self._advance(len(match[0]))
        return _Node(value=value)

    def _next(self) -> str:
        return self._text[self._position : self._position + 1]

    def _name(self) -> str:
        match = _NAME.match(self._text, self._position)
        return match[0] if match else ""

    def _found(self) -> str:
        """Describe the next symbol in an error."""
        found = self._name() or self._next()
        return repr(found) if found else "the end"

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
        Each operation, function and constant as a Step, from the inside out and from left to right; then the value.
        Nothing is yielded if the expression is malformed.

    Raises:
        MalformedExpressionError: the text is not an expression.
        TooLongError: the expression exceeds MAX_LENGTH, MAX_DEPTH or MAX_STEPS.
        CalculatorError: an operation or a function has no result; see `calculate` and `apply`.
    """
    if len(text) > MAX_LENGTH:
        raise TooLongError(f"the expression has {len(text)} characters; accepted: {MAX_LENGTH}", field="expression")
    root = _Parser(text).parse()
    order = _inside_out(root)
    steps = sum(operation is not _NEGATION for operation, _ in order)
    if steps > MAX_STEPS:
        raise TooLongError(f"the expression needs {steps} steps; accepted: {MAX_STEPS}", field="expression")
    for operation, node in order:
        operands = tuple(operand.value for operand in node.operands)
        node.become(_carried_out(operation, operands))
        if operation is not _NEGATION:
            yield Step(operation, operands, node.value, _render(root))
    yield root.value


def _carried_out(operation: Operation | Function, operands: tuple[float, ...]) -> float:
    """Return the result of an operation or a function. Its errors name the field with the expression."""
    try:
        return apply(operation, operands) if isinstance(operation, Function) else calculate(operation, *operands)
    except CalculatorError as error:
        error.field = "expression"
        raise


def _inside_out(root: _Node) -> list[tuple[Operation | Function, _Node]]:
    """Return the operations to evaluate, with their nodes: operands before their operation, left before right."""
    order = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.operation:
            order.append((node.operation, node))
            waiting.extend(node.operands)
    return order[::-1]


def _precedence(node: _Node) -> int:
    if not node.operation and math.copysign(1, node.value) < 0:
        return _SIGN_PRECEDENCE
    return _PRECEDENCE.get(node.operation, _ATOM_PRECEDENCE)


def _argument_parts(arguments: tuple[_Node, ...]) -> "list[str | tuple[_Node, int]]":
    if not arguments:
        return []
    first, *others = arguments
    return ["(", (first, 0), *(part for argument in others for part in (",", (argument, 0))), ")"]


def _parts(node: _Node) -> "list[str | tuple[_Node, int]]":
    """Split a node into texts and operands, each operand with the minimum precedence that needs no parentheses."""
    if not node.operation:
        return [format_number(node.value)]
    if node.operation is _NEGATION:
        return ["-", (node.operands[0], _SIGN_PRECEDENCE)]
    if isinstance(node.operation, Function):
        return [node.operation.name, *_argument_parts(node.operands)]
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
