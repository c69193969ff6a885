"""The methods of a server, found by reflection, so that a new service is tested without changing a test."""

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from testing import timeouts


def methods(channel: grpc.Channel) -> list[MethodDescriptor]:
    """Return all methods of a server, by reflection."""
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    return [method for name in database.get_services() for method in pool.FindServiceByName(name).methods]


def path(method: MethodDescriptor) -> str:
    """Return the path of a method, /SERVICE/METHOD."""
    return f"/{method.containing_service.full_name}/{method.name}"


def status(
    channel: grpc.Channel, method: MethodDescriptor, metadata: tuple[tuple[str, str], ...] = ()
) -> grpc.StatusCode:
    """Call a method with an empty message.

    Returns:
        The status of the call, or OK once the first response has arrived.
    """
    kind = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }[method.client_streaming, method.server_streaming]
    request = iter([b""]) if method.client_streaming else b""
    try:
        answer = kind(path(method))(request, metadata=metadata, timeout=timeouts.SECONDS)  # type: ignore[operator]
        if method.server_streaming:
            next(answer)
    except grpc.RpcError as error:
        return error.code()
    except StopIteration:
        pass
    return grpc.StatusCode.OK
