"""Tests of length-prefixed messages: reading, compression and size limits."""

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nggrpc.errors import StatusError
from nggrpc.messages import ENCODINGS, Message, Reader, decoded, encoded, prefix

MAX_BYTES = 1000
MESSAGES = st.lists(st.binary(max_size=MAX_BYTES), max_size=5)


def _on_the_wire(data: bytes, encoding: str = "identity") -> bytes:
    flag, content = encoded(data, encoding)
    return prefix(flag, len(content)) + content


def _read(body: bytes, cuts: list[int], encoding: str) -> list[bytes]:
    reader = Reader(2 * MAX_BYTES)
    messages: list[Message] = []
    previous = 0
    for cut in [*sorted(min(cut, len(body)) for cut in cuts), len(body)]:
        messages += reader.read(body[previous:cut])
        previous = cut
    assert reader.is_at_boundary
    return [decoded(message, encoding, MAX_BYTES) for message in messages]


@given(MESSAGES, st.lists(st.integers(0, 3000), max_size=10), st.sampled_from(ENCODINGS))
def test_messages_are_read_as_sent_for_any_split_of_their_bytes(
    messages: list[bytes], cuts: list[int], encoding: str
) -> None:
    assert _read(b"".join(_on_the_wire(message, encoding) for message in messages), cuts, encoding) == messages


@given(st.binary(max_size=100), st.integers(1, 104))
def test_an_incomplete_message_is_not_returned(message: bytes, length: int) -> None:
    reader = Reader(MAX_BYTES)
    part = _on_the_wire(message)[: min(length, len(message) + 4)]
    assert reader.read(part) == []
    assert not reader.is_at_boundary


@pytest.mark.parametrize("encoding", ["deflate", "gzip"])
def test_a_compressed_message_larger_than_the_limit_is_resource_exhausted(encoding: str) -> None:
    message = encoded(bytes(MAX_BYTES + 1), encoding)
    with pytest.raises(StatusError, match="1001 bytes or more; this server accepts up to 1000") as refused:
        decoded(message, encoding, MAX_BYTES)
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_length_beyond_the_limit_is_refused_before_the_message_arrives() -> None:
    with pytest.raises(StatusError, match="4294967295 bytes or more; this server accepts up to 1000"):
        Reader(MAX_BYTES).read(b"\0\xff\xff\xff\xff")


@pytest.mark.parametrize(
    ("message", "encoding", "expected"),
    [
        ((2, b""), "identity", "flag 2"),
        ((1, b""), "identity", "no grpc-encoding"),
        ((1, b"xy"), "gzip", "not valid gzip"),
        ((1, b""), "deflate", "not exactly one complete deflate stream"),
        ((1, encoded(b"x" * 100, "gzip")[1][:12]), "gzip", "not exactly one complete gzip stream"),
        ((1, encoded(b"x" * 100, "gzip")[1] + b"more"), "gzip", "not exactly one complete gzip stream"),
    ],
)
def test_an_invalid_message_is_an_internal_error(message: Message, encoding: str, expected: str) -> None:
    with pytest.raises(StatusError, match=expected) as refused:
        decoded(message, encoding, MAX_BYTES)
    assert refused.value.code is grpc.StatusCode.INTERNAL
