/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed messages: the codings that grpc-encoding names, by zlib. Each message is
 * compressed on its own. The only file of the server that includes zlib is
 * compression.c. */
#ifndef GRPC_COMPRESSION_H
#define GRPC_COMPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For grpc-accept-encoding. */
#define CODINGS_SUPPORTED "identity,gzip,deflate"

struct account;

enum coding {
    CODING_IDENTITY,
    CODING_GZIP,    /* RFC 1952 */
    CODING_DEFLATE, /* RFC 1950, as in HTTP */
    CODING_UNKNOWN,
};

/* For grpc-encoding. */
const char *coding_name(enum coding coding);
enum coding coding_parse(const char *name);

/* The coding for a reply to a client that sent `accepted` (grpc-accept-encoding; may be
 * NULL): gzip before deflate, else identity. */
enum coding coding_choose(const char *accepted);

/* Decompresses one message after another, in pieces. zlib allocates some 40 KiB for
 * it, whatever a peer declares; they are charged to `account`. */
struct inflater;

/* NULL: no memory. `coding` is gzip or deflate. */
struct inflater *inflater_create(enum coding coding, struct account *account);
void inflater_destroy(struct inflater *inflater); /* NULL is harmless */

/* A message begins. */
void inflater_begin(struct inflater *inflater);

/* Takes bytes from *bytes and writes up to `capacity` bytes to `out`; *produced says how
 * many. Call it until all bytes are taken and inflater_pending is false. -1: the bytes
 * are not valid, or memory ran out. */
int inflater_step(struct inflater *inflater, const uint8_t **bytes, size_t *count,
                  uint8_t *out, size_t capacity, size_t *produced);

/* The last step filled `out`, so there may be more. */
bool inflater_pending(const struct inflater *inflater);

/* The message's compressed data is complete. */
bool inflater_done(const struct inflater *inflater);

/* Compresses at once. Returns the number of bytes; 0: they exceed `capacity`, or memory
 * ran out. */
size_t compress_bytes(enum coding coding, struct account *account, const void *bytes,
                      size_t count, uint8_t *out, size_t capacity);

#endif
