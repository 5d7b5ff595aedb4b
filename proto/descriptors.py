# SPDX-License-Identifier: Apache-2.0
"""Writes descriptors.c (descriptors.h): the descriptors of .proto files and a table of
their symbols.

    protoc ... --include_imports --descriptor_set_out=SET FILES
    python3 descriptors.py SET > descriptors.c
"""
import sys

from google.protobuf import descriptor_pb2


def of_enum(scope, enum):
    yield f"{scope}.{enum.name}"
    for value in enum.value:  # a value belongs to the scope of its enum
        yield f"{scope}.{value.name}"


def of_message(scope, message):
    name = f"{scope}.{message.name}"
    yield name
    for part in [*message.field, *message.oneof_decl]:
        yield f"{name}.{part.name}"
    for enum in message.enum_type:
        yield from of_enum(name, enum)
    for nested in message.nested_type:
        yield from of_message(name, nested)


def symbols(file):
    for message in file.message_type:
        yield from of_message(file.package, message)
    for enum in file.enum_type:
        yield from of_enum(file.package, enum)
    for service in file.service:
        yield f"{file.package}.{service.name}"
        for method in service.method:
            yield f"{file.package}.{service.name}.{method.name}"


def hex_lines(data):
    for at in range(0, len(data), 20):
        yield "    " + "".join(f"0x{byte:02x}," for byte in data[at:at + 20])


def main(path):
    with open(path, "rb") as stream:
        files = descriptor_pb2.FileDescriptorSet.FromString(stream.read()).file
    index = {file.name: number for number, file in enumerate(files)}
    print('#include "proto/descriptors.h"\n')
    for number, file in enumerate(files):
        print(f"static const uint8_t file_{number}[] = {{")
        print("\n".join(hex_lines(file.SerializeToString(deterministic=True))))
        print("};")
        imports = ", ".join(str(index[name]) for name in file.dependency)
        print(f"static const uint16_t imports_{number}[] = {{{imports or 0}}};\n")
    print("const struct proto_file proto_files[] = {")
    for number, file in enumerate(files):
        print(f'    {{"{file.name}", file_{number}, sizeof(file_{number}), imports_{number},'
              f" {len(file.dependency)}}},")
    print(f"}};\nconst size_t proto_file_count = {len(files)};\n")
    rows = sorted((symbol.encode(), index[file.name]) for file in files
                  for symbol in symbols(file))
    print("const struct proto_symbol proto_symbols[] = {")
    for symbol, number in rows:
        print(f'    {{"{symbol.decode()}", {number}}},')
    print(f"}};\nconst size_t proto_symbol_count = {len(rows)};")


if __name__ == "__main__":
    main(sys.argv[1])
