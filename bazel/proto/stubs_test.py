"""What py_grpc_library makes of calculator.proto."""

import importlib
import os
from pathlib import Path

import calculator_pb2
import calculator_pb2_grpc
import grpc
import pytest
from google.protobuf import descriptor_pb2


def _contract() -> descriptor_pb2.FileDescriptorProto:
    """The contract as protoc itself reads it, without the stubs."""
    files = descriptor_pb2.FileDescriptorSet()
    files.ParseFromString(Path(os.environ["DESCRIPTOR_SET"]).read_bytes())
    file: descriptor_pb2.FileDescriptorProto = files.file[0]
    return file


def test_the_messages_are_those_of_the_contract() -> None:
    assert calculator_pb2.DESCRIPTOR.name == "calculator.proto"
    stub = descriptor_pb2.FileDescriptorProto()
    calculator_pb2.DESCRIPTOR.CopyToProto(stub)
    contract = _contract()
    assert [message.name for message in contract.message_type] == ["BinaryOperation", "CalculationResult"]
    assert stub.message_type == contract.message_type
    assert stub.enum_type == contract.enum_type


def test_every_method_of_the_contract_is_in_stub_and_servicer() -> None:
    [service] = _contract().service
    with grpc.insecure_channel("localhost:1") as channel:
        stub = calculator_pb2_grpc.CalculatorStub(channel)
    for method in service.method:
        assert hasattr(stub, method.name)
        assert hasattr(calculator_pb2_grpc.CalculatorServicer, method.name)


@pytest.mark.parametrize("module", ["calculator_pb2", "calculator_pb2_grpc"])
def test_every_module_has_its_types_beside_it(module: str) -> None:
    source = importlib.import_module(module).__file__
    assert source
    assert "class " in Path(source).with_suffix(".pyi").read_text(encoding="utf-8")


def test_stubs_and_runtime_are_of_one_release() -> None:
    assert grpc.__version__ == calculator_pb2_grpc.GRPC_GENERATED_VERSION
