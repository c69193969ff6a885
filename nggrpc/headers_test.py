"""Tests of headers: timeouts, metadata and statuses, parsed and encoded."""

import base64
from urllib.parse import unquote

import grpc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nggrpc import headers
from nggrpc.errors import StatusError
from nggrpc.headers import HttpError, RequestHead

MAX_BYTES = 16_384
VALID = {
    b":method": b"POST",
    b":scheme": b"http",
    b":path": b"/Test/Method",
    b"te": b"trailers",
    b"content-type": b"application/grpc",
}
KEYS = st.from_regex(r"x[0-9a-z_.-]{0,20}", fullmatch=True).filter(lambda key: not key.endswith("-bin"))
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30).map(str.strip)
PAIRS = st.one_of(
    st.tuples(KEYS, VALUES),
    st.tuples(KEYS.map(lambda key: f"{key}-bin"), st.binary(max_size=30)),
)


def parse(changes: dict[bytes, bytes | None], *more: tuple[bytes, bytes]) -> RequestHead:
    """Parse valid request headers with some changes; None removes a header."""
    fields = [(name, value) for name, value in (VALID | changes).items() if value is not None]
    return headers.parse((*fields, *more), MAX_BYTES)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"1H", 3600),
        (b"2M", 120),
        (b"3S", 3),
        (b"4m", 0.004),
        (b"5u", 0.000_005),
        (b"6n", 0.000_000_006),
        (b"99999999H", 99_999_999 * 3600),
        (b"0S", 0),
    ],
)
def test_a_timeout_is_parsed_in_each_unit(text: bytes, seconds: float) -> None:
    assert parse({b"grpc-timeout": text}).timeout == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("text", [b"", b"1", b"S", b"123456789S", b"1s", b"-1S", b"1.5S", b" 1S", b"1S ", b"\xb2S"])
def test_an_invalid_timeout_is_refused(text: bytes) -> None:
    with pytest.raises(StatusError, match="accepted: 1 to 8 digits") as refused:
        parse({b"grpc-timeout": text})
    assert refused.value.code is grpc.StatusCode.INTERNAL


def test_the_timeout_is_none_without_a_header() -> None:
    assert parse({}).timeout is None


@given(st.lists(PAIRS, max_size=5))
def test_encoded_metadata_is_parsed_to_the_same_pairs_in_order(pairs: list[tuple[str, str | bytes]]) -> None:
    assert list(parse({}, *headers.encoded(pairs)).metadata) == pairs


@given(st.lists(st.binary(max_size=10), min_size=1, max_size=4), st.booleans())
def test_binary_values_may_be_padded_and_joined_by_commas(values: list[bytes], is_padded: bool) -> None:  # noqa: FBT001
    parts = [base64.b64encode(value) if is_padded else base64.b64encode(value).rstrip(b"=") for value in values]
    metadata = parse({}, (b"x-bin", b", ".join(parts))).metadata
    assert [value for _, value in metadata] == values


@pytest.mark.parametrize("value", [b"!", b"A", b"AA=A", b"\xff"])
def test_a_binary_value_that_is_not_base64_is_refused(value: bytes) -> None:
    with pytest.raises(StatusError, match="is not base64"):
        parse({}, (b"x-bin", value))


@pytest.mark.parametrize("value", [b"\xc3\xbc", b"\x7f", b"a\tb"])
def test_a_value_that_is_not_printable_ascii_is_refused(value: bytes) -> None:
    with pytest.raises(StatusError, match="is not printable ASCII"):
        parse({}, (b"x", value))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("X", "x"),
        ("x y", "x"),
        ("", "x"),
        ("grpc-status", "0"),
        ("connection", "close"),
        ("te", "trailers"),
        ("content-length", "1"),
        ("x", "ü"),
        ("x", "a\nb"),
        ("x-bin", "text"),
    ],
)
def test_metadata_that_cannot_be_sent_is_an_error_that_names_the_key(key: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"metadata (key )?'{key}'"):
        headers.encoded([(key, value)])


def test_error_details_may_be_sent_although_their_key_begins_with_grpc() -> None:
    assert headers.encoded([("grpc-status-details-bin", b"\0")]) == [(b"grpc-status-details-bin", b"AA")]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({b":method": b"GET"}, b"405"),
        ({b":scheme": b"file"}, b"400"),
        ({b"content-type": b"text/html"}, b"415"),
        ({b"content-type": b"application/grpc-web"}, b"415"),
        ({b"content-type": None}, b"415"),
    ],
)
def test_a_request_other_than_grpc_is_an_http_error(changes: dict[bytes, bytes | None], status: bytes) -> None:
    with pytest.raises(HttpError) as refused:
        parse(changes)
    assert refused.value.status == status


@pytest.mark.parametrize("value", [b"application/grpc", b"application/grpc+proto", b"application/grpc;charset=utf-8"])
def test_a_content_type_may_have_a_suffix_or_parameters(value: bytes) -> None:
    assert parse({b"content-type": value}).path == "/Test/Method"


@pytest.mark.parametrize("value", [None, b"gzip"])
def test_a_request_without_te_is_refused(value: bytes | None) -> None:
    with pytest.raises(StatusError, match="te: trailers"):
        parse({b"te": value})


def test_a_duplicate_header_that_grpc_allows_only_once_is_refused() -> None:
    with pytest.raises(StatusError, match="sent more than once: grpc-timeout"):
        parse({b"grpc-timeout": b"1S"}, (b"grpc-timeout", b"2S"))


def test_an_unknown_encoding_is_unimplemented_and_the_error_lists_the_supported_ones() -> None:
    with pytest.raises(StatusError, match="'snappy' is not supported; accepted: identity, deflate, gzip") as refused:
        parse({b"grpc-encoding": b"snappy"})
    assert refused.value.code is grpc.StatusCode.UNIMPLEMENTED
    assert refused.value.headers == ((b"grpc-accept-encoding", b"identity, deflate, gzip"),)


def test_too_many_comma_separated_values_are_refused() -> None:
    with pytest.raises(StatusError, match="more than 200 values") as refused:
        parse({}, (b"x-bin", b"," * 1000))
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_status_quotes_only_the_beginning_of_client_input() -> None:
    with pytest.raises(StatusError) as refused:
        parse({b"grpc-encoding": b"x" * 10_000})
    assert len(refused.value.details) < 200


def test_metadata_beyond_the_limit_is_resource_exhausted() -> None:
    with pytest.raises(StatusError, match="more than 16384 bytes") as refused:
        parse({}, (b"x", b"x" * MAX_BYTES))
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


@given(st.text(max_size=30))
@example("with a space at the end ")
def test_details_are_percent_encoded_printable_ascii(details: str) -> None:
    encoded = dict(headers.trailers(grpc.StatusCode.UNKNOWN, details, ())).get(b"grpc-message", b"")
    assert all(0x20 <= byte <= 0x7E for byte in encoded)
    assert encoded == encoded.strip()
    assert unquote(encoded.decode()) == details.encode(errors="replace").decode()


def test_each_status_code_is_sent_as_its_number() -> None:
    numbers = {code: dict(headers.trailers(code, "", ()))[b"grpc-status"] for code in grpc.StatusCode}
    assert numbers == {code: str(code.value[0]).encode() for code in grpc.StatusCode}
