"""The contracts of the services, for who has to read messages on their way."""

import calculator_pb2
from calculator.v1 import calculator_pb2 as v1_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2
from routeguide import route_guide_pb2

_SERVED: tuple[FileDescriptor, ...] = (
    calculator_pb2.DESCRIPTOR,
    v1_pb2.DESCRIPTOR,
    route_guide_pb2.DESCRIPTOR,
)
_ERRORS: tuple[FileDescriptor, ...] = (status_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR)

SERVICES = [service.full_name for file in _SERVED for service in file.services_by_name.values()]
"""What they are called."""


def _with_imports(file: FileDescriptor) -> list[FileDescriptor]:
    return [each for imported in file.dependencies for each in _with_imports(imported)] + [file]


def descriptors() -> bytes:
    """Return them as a FileDescriptorSet, those of rich errors included, each after what it imports."""
    files = dict.fromkeys(each for file in (*_SERVED, *_ERRORS) for each in _with_imports(file))
    described = FileDescriptorSet()
    for file in files:
        file.CopyToProto(described.file.add())
    return described.SerializeToString()
