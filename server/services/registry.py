"""The list of services: add a new one to `SERVICES`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import calculator_pb2
import calculator_pb2_grpc
import grpc
from calculator.v1 import calculator_pb2 as v1_pb2
from calculator.v1 import calculator_pb2_grpc as v1_pb2_grpc
from google.protobuf.descriptor import FileDescriptor
from routeguide import route_guide_pb2, route_guide_pb2_grpc

from server.services.calculator_v1 import CalculatorServicer
from server.services.route_guide import RouteGuideServicer
from server.services.tutorial import TutorialServicer


class Service(NamedTuple):
    """A service that the server provides.

    Attributes:
        file: the descriptor of the .proto file.
        add: the generated function that adds a servicer to a server.
        servicer: the class of the servicer.
    """

    file: FileDescriptor
    add: Callable[[Any, grpc.Server], None]
    servicer: type


SERVICES = (
    Service(calculator_pb2.DESCRIPTOR, calculator_pb2_grpc.add_CalculatorServicer_to_server, TutorialServicer),
    Service(v1_pb2.DESCRIPTOR, v1_pb2_grpc.add_CalculatorServicer_to_server, CalculatorServicer),
    Service(route_guide_pb2.DESCRIPTOR, route_guide_pb2_grpc.add_RouteGuideServicer_to_server, RouteGuideServicer),
)


def add_to(server: grpc.Server) -> list[str]:
    """Add all services to a server, and return their full names."""
    for service in SERVICES:
        service.add(service.servicer(), server)
    return [found.full_name for service in SERVICES for found in service.file.services_by_name.values()]
