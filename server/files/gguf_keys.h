/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values of a GGUF header, in the bytes that the file has. Keys must be distinct,
 * which the caller makes sure of. Where memory runs out, `lost` is set, and later calls do
 * nothing; so a caller asks once, at the end. */
#ifndef FILES_GGUF_KEYS_H
#define FILES_GGUF_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gguf_keys {
    uint8_t *bytes; /* owned */
    size_t size, capacity;
    uint64_t count; /* of keys */
    bool lost;
};

void gguf_keys_fini(struct gguf_keys *keys); /* harmless on a zeroed one */

void gguf_keys_u32(struct gguf_keys *keys, const char *key, uint32_t value);
void gguf_keys_f32(struct gguf_keys *keys, const char *key, float value);
void gguf_keys_bool(struct gguf_keys *keys, const char *key, bool value);
void gguf_keys_string(struct gguf_keys *keys, const char *key, const char *value);

/* Arrays. The strings of an array follow its key, `count` calls of gguf_keys_text. */
void gguf_keys_f32s(struct gguf_keys *keys, const char *key, const float *values,
                    size_t count);
void gguf_keys_i32s(struct gguf_keys *keys, const char *key, const int32_t *values,
                    size_t count);
void gguf_keys_strings(struct gguf_keys *keys, const char *key, size_t count);
void gguf_keys_text(struct gguf_keys *keys, const char *text, size_t bytes);

/* Parts of a header that are no keys: bytes as they are, and little-endian numbers of at
 * most 8 bytes. */
void gguf_put(struct gguf_keys *keys, const void *bytes, size_t count);
void gguf_put_number(struct gguf_keys *keys, uint64_t number, size_t bytes);

struct failure;
struct tensor_entry;

/* Can a GGUF file hold the tensor? INVALID_ARGUMENT says why not, without its name. */
int gguf_check_entry(const struct tensor_entry *entry, struct failure *failure);

#endif
