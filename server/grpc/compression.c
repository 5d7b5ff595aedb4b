/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/compression.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "base/account.h"

static const char *const names[] = {
    [CODING_IDENTITY] = "identity",
    [CODING_GZIP] = "gzip",
    [CODING_DEFLATE] = "deflate",
};

const char *coding_name(enum coding coding)
{
    return names[coding];
}

static enum coding parse(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
            return (enum coding)i;
    return CODING_UNKNOWN;
}

enum coding coding_parse(const char *name)
{
    return parse(name, strlen(name));
}

enum coding coding_choose(const char *accepted)
{
    enum coding chosen = CODING_IDENTITY;

    while (accepted && *accepted) {
        size_t length;
        enum coding coding;

        accepted += strspn(accepted, " \t,");
        length = strcspn(accepted, " \t,");
        coding = parse(accepted, length);
        if (coding == CODING_GZIP)
            return coding;
        if (coding == CODING_DEFLATE)
            chosen = coding;
        accepted += length;
    }
    return chosen;
}

/* zlib's windowBits: 16 more means the gzip format. */
static int window_bits(enum coding coding)
{
    return coding == CODING_GZIP ? MAX_WBITS + 16 : MAX_WBITS;
}

/* What zlib allocates is charged to the connection's account. */
static void *zlib_alloc(void *account, unsigned count, unsigned bytes)
{
    return account_calloc(account, count, bytes);
}

static void zlib_free(void *account, void *memory)
{
    account_free(account, memory);
}

/* ---- requests ------------------------------------------------------------------- */

struct inflater {
    struct account *account;
    z_stream stream;
    enum coding coding;
    bool pending, done;
};

struct inflater *inflater_create(enum coding coding, struct account *account)
{
    struct inflater *inflater = account_calloc(account, 1, sizeof(*inflater));

    if (!inflater)
        return NULL;
    inflater->coding = coding;
    inflater->account = inflater->stream.opaque = account;
    inflater->stream.zalloc = zlib_alloc;
    inflater->stream.zfree = zlib_free;
    if (inflateInit2(&inflater->stream, window_bits(coding)) != Z_OK) {
        account_free(account, inflater);
        return NULL;
    }
    return inflater;
}

void inflater_destroy(struct inflater *inflater)
{
    if (!inflater)
        return;
    inflateEnd(&inflater->stream);
    account_free(inflater->account, inflater);
}

void inflater_begin(struct inflater *inflater)
{
    inflateReset(&inflater->stream);
    inflater->pending = inflater->done = false;
}

int inflater_step(struct inflater *inflater, const uint8_t **bytes, size_t *count,
                  uint8_t *out, size_t capacity, size_t *produced)
{
    z_stream *stream = &inflater->stream;
    unsigned given = *count < UINT_MAX ? (unsigned)*count : UINT_MAX;
    int code;

    *produced = 0;
    if (inflater->done) { /* a gzip file may have several members */
        if (given == 0)
            return 0;
        if (inflater->coding != CODING_GZIP)
            return -1;
        inflateReset(stream);
        inflater->done = false;
    }
    stream->next_in = (Bytef *)(uintptr_t)*bytes; /* zlib only reads it */
    stream->avail_in = given;
    stream->next_out = out;
    stream->avail_out = (unsigned)capacity;
    code = inflate(stream, Z_NO_FLUSH);
    *bytes += given - stream->avail_in;
    *count -= given - stream->avail_in;
    *produced = capacity - stream->avail_out;
    inflater->done = code == Z_STREAM_END;
    inflater->pending = !inflater->done && stream->avail_out == 0;
    /* Z_BUF_ERROR: there was nothing to do, which is no error. */
    return code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR ? 0 : -1;
}

bool inflater_pending(const struct inflater *inflater)
{
    return inflater->pending;
}

bool inflater_done(const struct inflater *inflater)
{
    return inflater->done;
}

/* ---- replies -------------------------------------------------------------------- */

enum {
    /* A small window and little memory: replies are some KiB, and setting up zlib costs
     * more than compressing them. */
    REPLY_WINDOW_BITS = 13,
    REPLY_MEMORY_LEVEL = 6,
};

size_t compress_bytes(enum coding coding, struct account *account, const void *bytes,
                      size_t count, uint8_t *out, size_t capacity)
{
    z_stream stream = {.zalloc = zlib_alloc, .zfree = zlib_free, .opaque = account};
    int bits = window_bits(coding) - MAX_WBITS + REPLY_WINDOW_BITS;
    size_t used = 0;

    if (count > UINT_MAX || capacity > UINT_MAX ||
        deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, bits, REPLY_MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    stream.next_in = (Bytef *)(uintptr_t)bytes; /* zlib only reads it */
    stream.avail_in = (unsigned)count;
    stream.next_out = out;
    stream.avail_out = (unsigned)capacity;
    if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
        used = capacity - stream.avail_out;
    deflateEnd(&stream);
    return used;
}
