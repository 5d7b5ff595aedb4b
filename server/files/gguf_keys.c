/* SPDX-License-Identifier: Apache-2.0 */
#include "files/gguf_keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* Numbers of the types of values. */
enum {
    VALUE_U32 = 4,
    VALUE_I32 = 5,
    VALUE_F32 = 6,
    VALUE_BOOL = 7,
    VALUE_STRING = 8,
    VALUE_ARRAY = 9,
};

void gguf_keys_fini(struct gguf_keys *keys)
{
    free(keys->bytes);
    *keys = (struct gguf_keys){.bytes = NULL};
}

void gguf_put(struct gguf_keys *keys, const void *bytes, size_t count)
{
    uint8_t *grown = keys->lost ? NULL
                                : array_grow(keys->bytes, &keys->capacity,
                                             keys->size + count, sizeof(*grown));

    if (!grown) {
        keys->lost = true;
        return;
    }
    keys->bytes = grown;
    memcpy(grown + keys->size, bytes, count);
    keys->size += count;
}

void gguf_put_number(struct gguf_keys *keys, uint64_t number, size_t bytes)
{
    uint8_t little[sizeof(number)];

    for (size_t i = 0; i < bytes; i++)
        little[i] = (uint8_t)(number >> 8 * i);
    gguf_put(keys, little, bytes);
}

static void put_f32(struct gguf_keys *keys, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    gguf_put_number(keys, bits, sizeof(bits));
}

void gguf_keys_text(struct gguf_keys *keys, const char *text, size_t bytes)
{
    gguf_put_number(keys, bytes, sizeof(uint64_t));
    gguf_put(keys, text, bytes);
}

static void put_key(struct gguf_keys *keys, const char *key, uint32_t type)
{
    gguf_keys_text(keys, key, strlen(key));
    gguf_put_number(keys, type, sizeof(type));
    keys->count++;
}

static void put_array(struct gguf_keys *keys, const char *key, uint32_t type,
                      size_t count)
{
    put_key(keys, key, VALUE_ARRAY);
    gguf_put_number(keys, type, sizeof(type));
    gguf_put_number(keys, count, sizeof(uint64_t));
}

void gguf_keys_u32(struct gguf_keys *keys, const char *key, uint32_t value)
{
    put_key(keys, key, VALUE_U32);
    gguf_put_number(keys, value, sizeof(value));
}

void gguf_keys_f32(struct gguf_keys *keys, const char *key, float value)
{
    put_key(keys, key, VALUE_F32);
    put_f32(keys, value);
}

void gguf_keys_bool(struct gguf_keys *keys, const char *key, bool value)
{
    put_key(keys, key, VALUE_BOOL);
    gguf_put_number(keys, value, 1);
}

void gguf_keys_string(struct gguf_keys *keys, const char *key, const char *value)
{
    put_key(keys, key, VALUE_STRING);
    gguf_keys_text(keys, value, strlen(value));
}

void gguf_keys_f32s(struct gguf_keys *keys, const char *key, const float *values,
                    size_t count)
{
    put_array(keys, key, VALUE_F32, count);
    for (size_t i = 0; i < count; i++)
        put_f32(keys, values[i]);
}

void gguf_keys_i32s(struct gguf_keys *keys, const char *key, const int32_t *values,
                    size_t count)
{
    put_array(keys, key, VALUE_I32, count);
    for (size_t i = 0; i < count; i++)
        gguf_put_number(keys, (uint32_t)values[i], sizeof(values[i]));
}

void gguf_keys_strings(struct gguf_keys *keys, const char *key, size_t count)
{
    put_array(keys, key, VALUE_STRING, count);
}
