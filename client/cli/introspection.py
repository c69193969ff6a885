"""Commands for operators: the health of the server, and its services."""

from typing import Any

import click
import grpc
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from client.cli.commands import Caller, Text


@click.command()
@click.argument("service", type=Text(), default="")
@click.pass_obj
def health(caller: Caller, service: str) -> None:
    """Print the health of SERVICE, by default of the whole server; exit with status 1 if it is not SERVING."""
    with caller.channel() as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its type stubs lack the methods
        response = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=caller.timeout)
    caller.show(response, health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))
    if response.status != health_pb2.HealthCheckResponse.SERVING:
        raise click.exceptions.Exit(1)


@click.command("list")
@click.pass_obj
def list_services(caller: Caller) -> None:
    """Print the services and methods that the server reports through reflection."""
    with caller.channel() as channel:
        database = ProtoReflectionDescriptorDatabase(grpc.intercept_channel(channel, _Timeout(caller.timeout)))
        for name in sorted(database.get_services()):
            file = database.FindFileContainingSymbol(name)
            [service] = [each for each in file.service if each.name == name.rpartition(".")[2]]
            service.name = name  # the full name, with the package
            caller.show(service, "\n".join([name, *map(_signature, service.method)]))


class _Timeout(grpc.StreamStreamClientInterceptor):
    """An interceptor that sets the deadline of every call, since the reflection library does not."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:  # noqa: ANN401
        """Make the call with the deadline."""
        return continuation(client_call_details._replace(timeout=self._seconds), request_iterator)


def _signature(method: descriptor_pb2.MethodDescriptorProto) -> str:
    request, response = (
        ("stream " if streams else "") + type_name.rpartition(".")[2]
        for streams, type_name in (
            (method.client_streaming, method.input_type),
            (method.server_streaming, method.output_type),
        )
    )
    return f"  {method.name}({request}) returns ({response})"
