/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors of the .proto files, for the reflection service. descriptors.py
 * generates the tables when the daemon is built. */
#ifndef PROTO_DESCRIPTORS_H
#define PROTO_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

struct proto_file {
    const char *name;     /* "trit/v1/tensor.proto" */
    const uint8_t *bytes; /* a FileDescriptorProto */
    size_t count;
    const uint16_t *imports; /* indices in proto_files */
    size_t import_count;
};

struct proto_symbol {
    const char *name; /* "trit.v1.Tensor.data" */
    uint16_t file;    /* index in proto_files */
};

extern const struct proto_file proto_files[]; /* a file follows all that it imports */
extern const size_t proto_file_count;
extern const struct proto_symbol proto_symbols[]; /* sorted by name */
extern const size_t proto_symbol_count;

#endif
