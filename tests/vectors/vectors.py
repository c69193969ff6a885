"""Reads the test vectors and makes their calls in Python. See README.md."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import calculator_pb2
import grpc
from calculator.v1 import calculator_pb2 as v1_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import (
    error_details_pb2,  # noqa: F401 - registers the types of error details with protobuf
    status_pb2,
)
from routeguide import route_guide_pb2

from testing import timeouts

FILES = sorted(Path("tests/vectors").glob("*.json"))
_PROTOS = (calculator_pb2, v1_pb2, route_guide_pb2)
_STATUS = "grpc-status-details-bin"
_SERVICES = {service.full_name: service for proto in _PROTOS for service in proto.DESCRIPTOR.services_by_name.values()}


METHODS = {method.full_name: method for service in _SERVICES.values() for method in service.methods}
"""All methods of all protos, by full name."""


class Vector(NamedTuple):
    """A test vector: one call.

    Attributes:
        method: the method that is called.
        name: what the vector tests, in a few words.
        requests: the requests, as in the file.
        responses: the expected responses, as in the file.
        status: the expected status, as in the file.
    """

    method: MethodDescriptor
    name: str
    requests: list[dict[str, Any]]
    responses: list[dict[str, Any]]
    status: dict[str, Any]


def vectors(file: Path) -> Iterator[Vector]:
    """Yield the vectors of a file."""
    content = json.loads(file.read_text(encoding="utf-8"))
    service, _, name = content["method"].partition("/")
    method = _SERVICES[service].methods_by_name[name]
    for vector in content["vectors"]:
        yield Vector(method, **vector)


def described(message: Message) -> dict[str, Any]:
    """Return a message in the format of a vector."""
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return {"message": fields, "wire": message.SerializeToString(deterministic=True).hex()}


def request(vector: Vector, message: dict[str, Any]) -> Message:
    """Parse a request from its JSON."""
    return json_format.ParseDict(message, GetMessageClass(vector.method.input_type)())


def call(channel: grpc.Channel, vector: Vector) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Make the call of a vector; return the responses and the status in the format of a vector."""
    method = vector.method
    # stream_stream can call methods of every kind, since all kinds are alike on the wire.
    multi_callable: grpc.StreamStreamMultiCallable[Message, Message] = channel.stream_stream(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(deterministic=True),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    responses: list[dict[str, Any]] = []
    requests = [request(vector, each["message"]) for each in vector.requests]
    try:
        for response in multi_callable(iter(requests), timeout=timeouts.SECONDS):
            responses.append(described(response))  # noqa: PERF401 - an error may follow some responses
    except grpc.RpcError as error:
        return responses, _status(error)
    return responses, {"code": "OK"}


def _status(error: grpc.RpcError) -> dict[str, Any]:
    summary = {"code": error.code().name, "message": error.details()}
    wire = next((each.value for each in error.trailing_metadata() or () if each.key == _STATUS), None)
    if not isinstance(wire, bytes):
        return summary
    details = json_format.MessageToDict(status_pb2.Status.FromString(wire), preserving_proto_field_name=True)["details"]
    return summary | {"details": details, "wire": wire.hex()}
