/* SPDX-License-Identifier: Apache-2.0 */
/* Reads safetensors that we ship under tests/data: names are looked
 * up as text in the header. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

struct golden {
    char *header; /* NUL-terminated */
    uint8_t *data;
};

struct golden_tensor {
    const void *data; /* NULL: not in the file */
    size_t elements, columns;
};

static inline struct golden golden_open(const char *path)
{
    FILE *file = fopen(path, "rb");
    CHECK(file);
    uint64_t header_bytes;
    CHECK(fread(&header_bytes, sizeof(header_bytes), 1, file) == 1);
    fseek(file, 0, SEEK_END);
    const size_t data_bytes = (size_t)ftell(file) - 8 - header_bytes;
    fseek(file, 8, SEEK_SET);
    struct golden golden = {calloc(1, header_bytes + 1), malloc(data_bytes)};
    CHECK(golden.header && golden.data);
    CHECK(fread(golden.header, header_bytes, 1, file) == 1);
    CHECK(fread(golden.data, data_bytes, 1, file) == 1);
    fclose(file);
    return golden;
}

static inline void golden_close(struct golden *golden)
{
    free(golden->header);
    free(golden->data);
}

static inline struct golden_tensor golden_find(const struct golden *golden,
                                               const char *name, const char *suffix)
{
    char key[128];
    snprintf(key, sizeof(key), "\"%s.%s\":", name, suffix);
    struct golden_tensor tensor = {NULL, 1, 1};
    const char *at = strstr(golden->header, key);
    if (!at)
        return tensor;
    at = strchr(at, '[');
    while (*at != ']') {
        char *end;
        tensor.columns = strtoull(at + 1, &end, 10);
        tensor.elements *= tensor.columns;
        at = end;
    }
    at = strchr(at, '[');
    tensor.data = golden->data + strtoull(at + 1, NULL, 10);
    return tensor;
}

/* The next case's name after *at (start with golden->header); false at the end. */
static inline bool golden_next(const char **at, char name[64])
{
    const char *found = strstr(*at, ".input\":");
    if (!found)
        return false;
    const char *begin = found;
    while (begin[-1] != '"')
        begin--;
    snprintf(name, 64, "%.*s", (int)(found - begin), begin);
    *at = found + 1;
    return true;
}

#endif
