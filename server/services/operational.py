"""The operational services of the server: health checks, and reflection in both versions."""

from collections.abc import Iterable, Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

_REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"
_ALPHA, _STABLE = "v1alpha", "v1"


class HealthServicer(health.HealthServicer):
    """grpcio's health servicer, which does not implement `List` yet.

    Args:
        services: the full names of the services whose status is SERVING at first.
    """

    def __init__(self, services: Iterable[str]) -> None:
        """Set the status of the server as a whole, and of each service."""
        # In non-blocking mode, a watch whose client does not read would hold the servicer's lock.
        super().__init__(experimental_non_blocking=False)
        self._services = ["", *services]
        for name in self._services:
            self.set(name, health_pb2.HealthCheckResponse.SERVING)

    # The published types of grpcio-health-checking do not have `List` yet.
    def List(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        """Return the status of every service by its full name; that of the server as a whole has the name ""."""
        checks = {name: health_pb2.HealthCheckRequest(service=name) for name in self._services}
        statuses = {name: self.Check(check, context) for name, check in checks.items()}
        return health_pb2.HealthListResponse(statuses=statuses)  # type: ignore[attr-defined]


def add_to(server: grpc.Server, names: Sequence[str]) -> HealthServicer:
    """Add health checks and reflection to a server.

    Args:
        server: the server.
        names: the full names of its other services.

    Returns:
        The health servicer, whose statuses are SERVING.
    """
    # Some of Google's probes ask for the service name grpc.health.v1.Health, so its status is set, too.
    health_servicer = HealthServicer([*names, health.SERVICE_NAME])
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflections = (reflection.SERVICE_NAME, _REFLECTION_V1)
    # reflection.enable_server_reflection would import asyncio to check whether this is an asyncio server.
    servicer = reflection.ReflectionServicer([*names, health.SERVICE_NAME, *reflections])
    _describe_v1()
    # Both versions have the same messages on the wire, so one servicer serves both.
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in reflections:
        handlers = {"ServerReflectionInfo": handler}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
        server.add_registered_method_handlers(name, handlers)
    return health_servicer


def _describe_v1() -> None:
    """Register grpc/reflection/v1/reflection.proto, which differs from v1alpha only in the names of types.

    https://github.com/grpc/grpc-proto/blob/master/grpc/reflection/v1/reflection.proto
    """
    file = FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    file.name = f"grpc/reflection/{_STABLE}/reflection.proto"
    file.package = file.package.replace(_ALPHA, _STABLE)
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(_ALPHA, _STABLE)
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace(_ALPHA, _STABLE)
            method.output_type = method.output_type.replace(_ALPHA, _STABLE)
    descriptor_pool.Default().Add(file)
