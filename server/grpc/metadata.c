/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/metadata.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/account.h"
#include "proto/base64.h"

enum { FIELD_OVERHEAD = 32 }; /* RFC 9113, 6.5.2 */

const char *header_value(const struct request_headers *headers, const char *name)
{
    const size_t length = strlen(name);

    for (size_t i = 0; i < headers->count; i++) {
        const struct h2_header *field = &headers->fields[i];

        if (field->name_len == length && memcmp(field->name, name, length) == 0)
            return field->value;
    }
    return NULL;
}

static bool is_printable(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return false;
    return true;
}

bool metadata_is_text(const char *value)
{
    return is_printable(value, strlen(value));
}

static bool is_binary(const char *name)
{
    size_t length = strlen(name);

    return length > 4 && strcmp(name + length - 4, "-bin") == 0;
}

const char *metadata_text(const struct request_headers *headers, const char *name)
{
    const char *value = header_value(headers, name);

    return value && metadata_is_text(value) ? value : NULL;
}

ptrdiff_t metadata_binary(const struct request_headers *headers, const char *name,
                          uint8_t *out, size_t capacity)
{
    const char *value = header_value(headers, name);

    assert(is_binary(name));
    return value ? base64_decode(value, strcspn(value, ","), out, capacity) : -1;
}

/* The value as it goes on the wire, on the heap. */
static char *wire_value(struct account *account, const char *name, const void *value,
                        size_t count, size_t *length)
{
    bool binary = is_binary(name);
    char *text;

    *length = binary ? base64_chars(count) : count;
    text = account_alloc(account, *length + 1);
    if (!text)
        return NULL;
    if (binary)
        base64_encode(value, count, text);
    else if (count > 0)
        memcpy(text, value, count);
    text[*length] = '\0';
    return text;
}

int metadata_add(struct metadata **out, struct account *account,
                 enum metadata_place place, const char *name, const void *value,
                 size_t count, struct failure *failure)
{
    struct metadata *metadata = *out;
    size_t name_length = strlen(name), length, bytes;
    char *text;

    assert(is_binary(name) || is_printable(value, count));
    if (!metadata)
        metadata = *out = account_calloc(account, 1, sizeof(*metadata));
    if (!metadata || count > METADATA_BYTES_MAX ||
        metadata->counts[place] == METADATA_FIELDS_MAX)
        goto refused;
    text = wire_value(account, name, value, count, &length);
    if (!text)
        goto refused;
    bytes = name_length + length + FIELD_OVERHEAD;
    if (bytes > METADATA_BYTES_MAX - metadata->bytes) {
        account_free(account, text);
        goto refused;
    }
    metadata->bytes += bytes;
    metadata->fields[place][metadata->counts[place]++] = (struct h2_header){
        .name = name, .value = text, .name_len = name_length, .value_len = length};
    return 0;

refused:
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "the reply's metadata exceed %d fields, %d bytes, or memory",
                METADATA_FIELDS_MAX, METADATA_BYTES_MAX);
}

void metadata_free(struct account *account, struct metadata *metadata)
{
    if (!metadata)
        return;
    for (size_t place = 0; place < METADATA_PLACES; place++)
        for (size_t i = 0; i < metadata->counts[place]; i++)
            account_free(account, (char *)(uintptr_t)metadata->fields[place][i].value);
    account_free(account, metadata);
}
