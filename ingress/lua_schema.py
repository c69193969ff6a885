"""Writes the methods and fields of protos as Lua tables, for json_gateway.lua: lua_schema.py DESCRIPTOR_SET.

`methods` has the request type and whether the response is a stream, by path. `fields` has the names of fields by
message type, in both spellings of JSON; the value is the type of a nested message, or "".
https://protobuf.dev/programming-guides/json/
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet


def _messages(package: str, messages: list[DescriptorProto]) -> Iterator[tuple[str, DescriptorProto]]:
    for message in messages:
        name = f"{package}.{message.name}".lstrip(".")
        yield name, message
        yield from _messages(name, list(message.nested_type))


def _fields(message: DescriptorProto) -> dict[str, str]:
    types = {}
    for field in message.field:
        is_message = field.type == FieldDescriptorProto.TYPE_MESSAGE
        types[field.name] = types[field.json_name] = field.type_name[1:] if is_message else ""
    return types


def tables(descriptors: FileDescriptorSet) -> Iterator[str]:
    """Yield the lines of the Lua tables."""
    yield "local methods = {"
    for file in descriptors.file:
        for service in file.service:
            name = f"{file.package}.{service.name}".lstrip(".")
            for method in service.method:
                streams = str(method.server_streaming).lower()
                yield f'  ["/{name}/{method.name}"] = {{request = "{method.input_type[1:]}", streams = {streams}}},'
    yield "}"
    yield "local fields = {"
    for file in descriptors.file:
        if file.package == "google.protobuf":
            continue  # the JSON of these types is special, such as that of Timestamp
        for name, message in _messages(file.package, list(file.message_type)):
            if message.options.map_entry:
                continue  # the keys of a map are not fields
            entries = ", ".join(f'["{field}"] = "{type_}"' for field, type_ in _fields(message).items())
            yield f'  ["{name}"] = {{{entries}}},'
    yield "}"


if __name__ == "__main__":
    print("\n".join(tables(FileDescriptorSet.FromString(Path(sys.argv[1]).read_bytes()))))
