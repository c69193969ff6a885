"""Tests of the tutorial's API: the same bytes on the wire, and 32-bit arithmetic."""

import json
import math
import struct
from collections.abc import Callable
from fractions import Fraction

import calculator_pb2
import calculator_pb2_grpc
import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testing import programs, timeouts

Calculate = Callable[[calculator_pb2.BinaryOperation], calculator_pb2.CalculationResult]

float32s = st.floats(width=32)
# All examples of a test may share one channel.
on_one_channel = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
def calculate(channel: grpc.Channel) -> Calculate:
    stub = calculator_pb2_grpc.CalculatorStub(channel)
    return lambda request: stub.Calculate(request, timeout=timeouts.SECONDS)


def test_the_tutorials_own_command_adds_2_and_3(server: programs.Server) -> None:
    command = ["--plaintext", "-proto", "calculator.proto", "-d"]
    request = '{"first_operand": 2.0, "second_operand": 3.0, "operation": "ADD"}'
    finished = programs.run(
        [programs.grpcurl(), *command, request, server.address, "Calculator.Calculate"], folder="proto"
    )
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == {"result": 5}


def test_request_and_response_have_the_tutorials_bytes(channel: grpc.Channel) -> None:
    # 2 - 3: tags 0d and 15 before little-endian floats, 18 before the operation. The answer: -1.
    request = bytes.fromhex("0d 00 00 00 40  15 00 00 40 40  18 01")
    assert programs.call(channel, "/Calculator/Calculate", request) == bytes.fromhex("0d 00 00 80 bf")


def test_an_empty_request_adds_zero_to_zero(channel: grpc.Channel) -> None:
    assert programs.call(channel, "/Calculator/Calculate", b"") == b""


def _nearest_float32(exact: Fraction) -> float:
    """Round an exact value to 32 bits by IEEE 754: to nearest, ties to even; to infinity from 2^128 - 2^103."""
    if abs(exact) >= 2**128 - 2**103:
        return math.copysign(math.inf, exact)
    largest = 0x7F7F_FFFF
    [bits] = struct.unpack("<I", struct.pack("<f", abs(float(exact))))
    near = {min(max(bits + step, 0), largest) for step in (-1, 0, 1)}

    def distance(candidate: int) -> tuple[Fraction, bool]:
        [value] = struct.unpack("<f", struct.pack("<I", candidate))
        return abs(Fraction(value) - abs(exact)), bool(candidate % 2)

    [value] = struct.unpack("<f", struct.pack("<I", min(near, key=distance)))
    return math.copysign(value, exact)


@on_one_channel
@given(first=float32s, second=float32s, operation=st.sampled_from([calculator_pb2.ADD, calculator_pb2.SUBTRACT]))
def test_the_result_is_the_exact_one_rounded_once_to_32_bits(
    calculate: Calculate, first: float, second: float, operation: calculator_pb2.Operation
) -> None:
    request = calculator_pb2.BinaryOperation(first_operand=first, second_operand=second, operation=operation)
    result = calculate(request).result
    if operation == calculator_pb2.SUBTRACT:
        second = -second
    if math.isfinite(first) and math.isfinite(second):
        assert result == _nearest_float32(Fraction(first) + Fraction(second))
    else:
        assert result == first + second or (math.isnan(result) and math.isnan(first + second))


def test_a_sum_too_large_is_infinity(calculate: Calculate) -> None:
    assert calculate(calculator_pb2.BinaryOperation(first_operand=3e38, second_operand=3e38)).result == math.inf


def _varint(number: int) -> bytes:
    number %= 2**64
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


@pytest.mark.parametrize("number", [2, 7, -1, 2**31 - 1])
def test_an_unknown_operation_is_refused_with_its_number(channel: grpc.Channel, number: int) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        programs.call(channel, "/Calculator/Calculate", b"\x18" + _varint(number))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == f"operation {number} is unknown; accepted: ADD (0), SUBTRACT (1)"


def test_a_malformed_message_is_refused_and_the_next_call_is_answered(
    channel: grpc.Channel, calculate: Calculate
) -> None:
    for malformed in (b"\x0d\x00", b"\xff" * 20, b"\x0a\x05ab"):
        with pytest.raises(grpc.RpcError) as refused:
            programs.call(channel, "/Calculator/Calculate", malformed)
        assert refused.value.code() == grpc.StatusCode.INTERNAL
    assert calculate(calculator_pb2.BinaryOperation(first_operand=2, second_operand=3)).result == 5


@pytest.mark.parametrize("method", ["/Calculator/Multiply", "/calculator.Calculator/Calculate", "/Nobody/Home"])
def test_an_unknown_method_is_unimplemented(channel: grpc.Channel, method: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        programs.call(channel, method, b"")
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
