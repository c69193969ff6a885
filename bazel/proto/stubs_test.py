"""Tests of the stubs that py_grpc_library generates from calculator.proto."""

import importlib
import os
from pathlib import Path

import calculator_pb2
import calculator_pb2_grpc
import grpc
import pytest
from google.protobuf import descriptor_pb2


def _proto() -> descriptor_pb2.FileDescriptorProto:
    """Return calculator.proto as parsed by protoc, without the stubs."""
    files = descriptor_pb2.FileDescriptorSet()
    files.ParseFromString(Path(os.environ["DESCRIPTOR_SET"]).read_bytes())
    file: descriptor_pb2.FileDescriptorProto = files.file[0]
    return file


def test_the_stub_has_the_messages_of_the_proto() -> None:
    assert calculator_pb2.DESCRIPTOR.name == "calculator.proto"
    stub = descriptor_pb2.FileDescriptorProto()
    calculator_pb2.DESCRIPTOR.CopyToProto(stub)
    proto = _proto()
    assert [message.name for message in proto.message_type] == ["BinaryOperation", "CalculationResult"]
    assert stub.message_type == proto.message_type
    assert stub.enum_type == proto.enum_type


def test_every_method_of_the_proto_is_in_stub_and_servicer() -> None:
    [service] = _proto().service
    with grpc.insecure_channel("localhost:1") as channel:
        stub = calculator_pb2_grpc.CalculatorStub(channel)
    for method in service.method:
        assert hasattr(stub, method.name)
        assert hasattr(calculator_pb2_grpc.CalculatorServicer, method.name)


@pytest.mark.parametrize("module", ["calculator_pb2", "calculator_pb2_grpc"])
def test_every_module_has_a_type_stub(module: str) -> None:
    source = importlib.import_module(module).__file__
    assert source
    assert "class " in Path(source).with_suffix(".pyi").read_text(encoding="utf-8")


def test_stubs_and_runtime_have_the_same_version() -> None:
    assert grpc.__version__ == calculator_pb2_grpc.GRPC_GENERATED_VERSION
