/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/fields.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

struct field_buffers {
    nghttp2_rcbuf *name, *value;
};

bool fields_too_large(const struct fields_seen *seen)
{
    return seen->count > HEADER_FIELDS_MAX || seen->bytes > HEADER_BYTES_MAX;
}

/* Keeps the first `count` fields. */
static void cut(struct header_block *block, size_t count)
{
    block->passed &= count == block->kept;
    for (size_t i = count; i < block->kept; i++) {
        nghttp2_rcbuf_decref(block->buffers[i].name);
        nghttp2_rcbuf_decref(block->buffers[i].value);
    }
    block->kept = count;
}

void header_block_fini(struct header_block *block, struct recycler *recycler)
{
    cut(block, 0);
    recycler_free(recycler, block->fields);
    recycler_free(recycler, block->buffers);
    *block = (struct header_block){.count = 0};
}

void header_block_begin(struct header_block *block)
{
    block->count = 0;
}

struct rules_result header_block_check(struct header_block *block)
{
    struct rules_result found = {RULES_KEPT, 0, block->content_length};

    cut(block, block->count);
    if (block->passed)
        return found;
    found = rules_check(block->fields, block->count);
    block->passed = found.fault == RULES_KEPT;
    block->content_length = found.content_length;
    return found;
}

void header_block_end(struct header_block *block, struct recycler *recycler)
{
    size_t bytes = 0;

    cut(block, block->count);
    for (size_t i = 0; i < block->kept; i++)
        bytes += block->fields[i].name_len + block->fields[i].value_len;
    if (!recycler_keeps() || block->kept > KEPT_FIELDS_MAX || bytes > KEPT_BYTES_MAX)
        header_block_fini(block, recycler);
}

static int reserve(struct header_block *block, struct recycler *recycler)
{
    const size_t needed = block->count + 1;
    struct h2_header *fields;
    struct field_buffers *buffers;

    if (needed <= block->fields_capacity && needed <= block->buffers_capacity)
        return 0;
    fields = recycler_grow(recycler, block->fields, &block->fields_capacity, needed,
                           sizeof(*fields));
    if (!fields)
        return -1;
    block->fields = fields;
    buffers = recycler_grow(recycler, block->buffers, &block->buffers_capacity, needed,
                            sizeof(*buffers));
    if (!buffers)
        return -1;
    block->buffers = buffers;
    return 0;
}

static bool is_text(const char *text, size_t length, nghttp2_rcbuf *buffer)
{
    const nghttp2_vec found = nghttp2_rcbuf_get_buf(buffer);

    return length == found.len && memcmp(text, found.base, length) == 0;
}

/* Whether the next field is that of the request before: it has its buffers, or their text. */
static bool repeats(const struct header_block *block, nghttp2_rcbuf *name,
                    nghttp2_rcbuf *value)
{
    const struct h2_header *field = &block->fields[block->count];
    const struct field_buffers *buffers = &block->buffers[block->count];

    return block->count < block->kept &&
           (buffers->name == name || is_text(field->name, field->name_len, name)) &&
           (buffers->value == value || is_text(field->value, field->value_len, value));
}

static bool count_field(struct fields_seen *seen, size_t name_len, size_t value_len)
{
    seen->count++;
    seen->bytes += name_len + value_len + HEADER_FIELD_OVERHEAD;
    return !fields_too_large(seen);
}

int header_block_add(struct header_block *block, struct recycler *recycler,
                     struct fields_seen *seen, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    nghttp2_vec name_text, value_text;

    if (repeats(block, name, value)) {
        const struct h2_header *field = &block->fields[block->count];

        block->count += count_field(seen, field->name_len, field->value_len);
        return 0;
    }
    name_text = nghttp2_rcbuf_get_buf(name);
    value_text = nghttp2_rcbuf_get_buf(value);
    if (!count_field(seen, name_text.len, value_text.len))
        return 0;
    cut(block, block->count);
    block->passed = false;
    if (reserve(block, recycler) < 0)
        return -1;
    nghttp2_rcbuf_incref(name);
    nghttp2_rcbuf_incref(value);
    block->buffers[block->count] = (struct field_buffers){name, value};
    block->fields[block->count++] = (struct h2_header){.name = (char *)name_text.base,
                                                       .name_len = name_text.len,
                                                       .value = (char *)value_text.base,
                                                       .value_len = value_text.len};
    block->kept = block->count;
    return 0;
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
