"""What an operator asks: health, and which services there are."""

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
    """Print the health of SERVICE, by default of the whole server; exit with 1 if it is not SERVING."""
    with caller.channel() as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its published types leave the methods out
        response = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=caller.timeout)
    caller.show(response, health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))
    if response.status != health_pb2.HealthCheckResponse.SERVING:
        raise click.exceptions.Exit(1)


@click.command("list")
@click.pass_obj
def list_services(caller: Caller) -> None:
    """Print the services and their methods, as the server tells them by reflection."""
    with caller.channel() as channel:
        database = ProtoReflectionDescriptorDatabase(grpc.intercept_channel(channel, _Timeout(caller.timeout)))
        for name in sorted(database.get_services()):
            file = database.FindFileContainingSymbol(name)
            [service] = [each for each in file.service if each.name == name.rpartition(".")[2]]
            service.name = name  # with its package
            caller.show(service, "\n".join([name, *map(_signature, service.method)]))


class _Timeout(grpc.StreamStreamClientInterceptor):
    """Gives every call a deadline, for a library that sets none."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:  # noqa: ANN401
        """Make the call with its deadline."""
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
