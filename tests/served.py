"""What a server serves, as it says itself: whatever is added to it is tested like the rest."""

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def methods(channel: grpc.Channel) -> list[MethodDescriptor]:
    """Ask a server for all its methods, by reflection."""
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    return [method for name in database.get_services() for method in pool.FindServiceByName(name).methods]


def path(method: MethodDescriptor) -> str:
    """Return the path by which a method is called."""
    return f"/{method.containing_service.full_name}/{method.name}"
