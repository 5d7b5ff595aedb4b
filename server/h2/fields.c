/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/fields.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

void header_block_fini(struct header_block *block, struct recycler *recycler)
{
    recycler_free(recycler, block->fields);
    recycler_free(recycler, block->text);
    block->fields = NULL;
    block->text = NULL;
    block->count = block->capacity = block->text_used = block->text_capacity = 0;
}

static bool has_room(const struct header_block *block, size_t text_bytes)
{
    return block->count < block->capacity &&
           block->text_used + text_bytes <= block->text_capacity;
}

static int reserve(struct header_block *block, struct recycler *recycler,
                   size_t text_bytes)
{
    struct h2_header *fields = recycler_grow(recycler, block->fields, &block->capacity,
                                             block->count + 1, sizeof(*fields));
    char *text;

    if (!fields)
        return -1;
    block->fields = fields;
    text = recycler_grow(recycler, block->text, &block->text_capacity,
                         block->text_used + text_bytes, 1);
    if (!text)
        return -1;
    block->text = text;
    return 0;
}

static void append(struct header_block *block, const uint8_t *bytes, size_t count)
{
    memcpy(block->text + block->text_used, bytes, count);
    block->text[block->text_used + count] = '\0';
    block->text_used += count + 1;
}

bool header_block_too_large(const struct header_block *block)
{
    return block->seen > HEADER_FIELDS_MAX || block->bytes_seen > HEADER_BYTES_MAX;
}

int header_block_add(struct header_block *block, struct recycler *recycler,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len)
{
    block->seen++;
    block->bytes_seen += name_len + value_len + HEADER_FIELD_OVERHEAD;
    if (header_block_too_large(block))
        return 0;
    if (!has_room(block, name_len + value_len + 2) &&
        reserve(block, recycler, name_len + value_len + 2) < 0)
        return -1;
    block->fields[block->count++] =
        (struct h2_header){.name_len = name_len, .value_len = value_len};
    append(block, name, name_len);
    append(block, value, value_len);
    return 0;
}

void header_block_seal(struct header_block *block)
{
    const char *text = block->text;

    for (size_t i = 0; i < block->count; i++) {
        struct h2_header *field = &block->fields[i];

        field->name = text;
        field->value = text + field->name_len + 1;
        text = field->value + field->value_len + 1;
    }
}

void fields_point(nghttp2_nv *nv, const struct h2_header *fields, size_t count,
                  bool fixed)
{
    const uint8_t flags =
        fixed ? NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE
              : NGHTTP2_NV_FLAG_NONE;

    assert(count <= RESPONSE_FIELDS_MAX);
    for (size_t i = 0; i < count; i++)
        nv[i] = (nghttp2_nv){
            .name = (uint8_t *)(uintptr_t)fields[i].name, /* nghttp2 only reads it */
            .namelen = fields[i].name_len,
            .value = (uint8_t *)(uintptr_t)fields[i].value,
            .valuelen = fields[i].value_len,
            .flags = flags,
        };
}

static uint8_t *copy_text(uint8_t **text, const char *bytes, size_t count)
{
    uint8_t *at = *text;

    memcpy(at, bytes, count);
    *text += count;
    return at;
}

struct fields *fields_copy(const struct h2_header *fields, size_t count,
                           struct recycler *recycler)
{
    size_t bytes = sizeof(struct fields) + count * sizeof(nghttp2_nv);
    struct fields *copy;
    uint8_t *text;

    assert(count <= RESPONSE_FIELDS_MAX);
    for (size_t i = 0; i < count; i++)
        bytes += fields[i].name_len + fields[i].value_len;
    copy = recycler_alloc(recycler, bytes);
    if (!copy)
        return NULL;
    copy->count = count;
    text = (uint8_t *)&copy->nv[count];
    for (size_t i = 0; i < count; i++)
        copy->nv[i] = (nghttp2_nv){
            .name = copy_text(&text, fields[i].name, fields[i].name_len),
            .namelen = fields[i].name_len,
            .value = copy_text(&text, fields[i].value, fields[i].value_len),
            .valuelen = fields[i].value_len,
        };
    return copy;
}
