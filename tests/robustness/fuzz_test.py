"""Fuzz tests: whatever bytes and messages a method gets, the call ends with a documented status and without a crash."""

from collections.abc import Iterator
from functools import cache
from itertools import islice

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from testing import programs, service_list, timeouts

DOCUMENTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.NOT_FOUND,  # from Health, for an unknown service
}

# This call ends only when its caller cancels it.
ENDLESS = "/grpc.health.v1.Health/Watch"

_SCALARS: dict[int, st.SearchStrategy[object]] = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    # Text that is almost an expression, or far too long for one, gets further than random text.
    FieldDescriptor.CPPTYPE_STRING: st.text()
    | st.lists(st.sampled_from([*"0123456789.eE+-*/%^(), ", "pi", "sqrt(", "max("])).map("".join)
    | st.just("1+" * 999 + "1"),
}


def _values(field: FieldDescriptor) -> st.SearchStrategy[object]:
    """Return a strategy for one value of a field."""
    if field.message_type:
        return messages(field.message_type)
    if field.enum_type:
        # An enum field may hold a number that the proto does not name.
        return st.sampled_from(sorted(field.enum_type.values_by_number)) | st.integers(-9, 99)
    return st.binary() if field.type == FieldDescriptor.TYPE_BYTES else _SCALARS[field.cpp_type]


@cache
def messages(descriptor: Descriptor) -> st.SearchStrategy[Message]:
    """Return a strategy for messages of a type, with any of its fields set to any value."""
    fields = {
        field.name: st.lists(_values(field), max_size=20) if field.is_repeated else _values(field)
        for field in descriptor.fields
    }
    return st.fixed_dictionaries({}, optional=fields).map(lambda values: GetMessageClass(descriptor)(**values))


def _requests(method: MethodDescriptor) -> st.SearchStrategy[list[bytes]]:
    """Return a strategy for the requests of a call: whole messages, truncated messages, and random bytes."""
    whole = messages(method.input_type).map(lambda message: message.SerializeToString())
    cut = st.builds(lambda request, end: request[:end], whole, st.integers(0, 50))
    return st.lists(whole | cut | st.binary(), min_size=1, max_size=8 if method.client_streaming else 1)


def _is_message(method: MethodDescriptor, request: bytes) -> bool:
    try:
        GetMessageClass(method.input_type).FromString(request)
    except DecodeError:
        return False
    return True


def _status(channel: grpc.Channel, method: MethodDescriptor, requests: list[bytes]) -> grpc.StatusCode:
    """Make a call, wait for its end, and return its status."""
    path = service_list.path(method)
    multi_callable: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
    call = multi_callable(iter(requests), timeout=timeouts.SECONDS)
    try:
        responses = list(islice(call, 1 if path == ENDLESS else None))
    except grpc.RpcError as error:
        return error.code()
    if path == ENDLESS:
        call.cancel()
        return grpc.StatusCode.OK
    assert method.server_streaming or len(responses) == 1
    return call.code()


@pytest.fixture(scope="module")
def served_methods() -> Iterator[tuple[grpc.Channel, list[MethodDescriptor]]]:
    """A channel to a server, and the server's methods. At the end, no crash must have been logged."""
    with programs.serving() as server, grpc.insecure_channel(server.address) as channel:
        yield channel, service_list.methods(channel)
        with pytest.raises(grpc.RpcError):
            programs.call(channel, "/the/last", b"")
        server.wait_for_log("/the/last")  # so all earlier lines have been written
        assert not [line for line in server.log if "crashed" in line or "Traceback" in line]


def _expected(method: MethodDescriptor, requests: list[bytes]) -> set[grpc.StatusCode]:
    """Return the statuses with which the call may end."""
    if all(_is_message(method, request) for request in requests):
        return DOCUMENTED
    # The server may end a stream before it reaches the malformed message.
    return {grpc.StatusCode.INTERNAL} | (DOCUMENTED if method.client_streaming else set())


@settings(max_examples=600)
@given(data=st.data())
def test_every_call_ends_with_a_documented_status(
    served_methods: tuple[grpc.Channel, list[MethodDescriptor]], data: st.DataObject
) -> None:
    channel, methods = served_methods
    method = data.draw(st.sampled_from(methods), label="method")
    requests = data.draw(_requests(method), label="requests")
    assert _status(channel, method, requests) in _expected(method, requests), service_list.path(method)
