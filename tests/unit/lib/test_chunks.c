/* SPDX-License-Identifier: Apache-2.0 */
/* A tensor cut into chunks. */
#include "client/lib/chunks.h"

#include <stdlib.h>
#include <string.h>

#include "proto/codec/codec.h"
#include "tests/lib/check.h"

/* ---- fixture: a tensor in pieces -------------------------------------------------------- */

enum { PIECES = 6, SHORT = 60 << 10, CHUNK = UPLOAD_CHUNK_BYTES };
static const uint64_t pieces[PIECES] = {
    CHUNK, 2 * CHUNK + 100, SHORT, SHORT, 3 * CHUNK / 2, 100,
};

struct source {
    uint8_t *bytes;
    uint64_t count;
    uint64_t read; /* bytes that were copied */
};

static int source_read(void *arg, uint64_t offset, void *memory, uint64_t count)
{
    struct source *source = arg;

    memcpy(memory, source->bytes + offset, count);
    source->read += count;
    return 0;
}

/* The fourth piece has to be read. */
static const uint8_t *source_find(void *arg, uint64_t offset, uint64_t *together)
{
    const struct source *source = arg;
    uint64_t end = 0;
    size_t i = 0;

    while (end + pieces[i] <= offset)
        end += pieces[i++];
    *together = end + pieces[i] - offset;
    return i == 3 ? NULL : source->bytes + offset;
}

static void prepare(struct source *source)
{
    *source = (struct source){.count = 0};
    for (size_t i = 0; i < PIECES; i++)
        source->count += pieces[i];
    source->bytes = malloc(source->count);
    CHECK(source->bytes);
    for (uint64_t i = 0; i < source->count; i++)
        source->bytes[i] = (uint8_t)(i * 7 + (i >> 8));
}

/* The chunks have all bytes in order. */
static void take_all(struct chunks *chunks, const struct source *source)
{
    struct failure failure = {.status = TRIT_OK};
    uint64_t at = 0;

    while (!chunks_done(chunks)) {
        struct outgoing message = {.count = 0};

        CHECK_EQ(chunks_next(chunks, &message, &failure), 0);
        CHECK_EQ(message.count, 2);
        const struct iovec data = message.slices[1];
        CHECK(data.iov_len > 0 && data.iov_len <= CHUNK);
        CHECK(at + data.iov_len <= source->count);
        CHECK_MEM((const uint8_t *)data.iov_base, source->bytes + at, data.iov_len);
        at += data.iov_len;
    }
    CHECK_EQ(at, source->count);
}

/* Cuts a new source into chunks. `find` may be NULL. */
static void cut(struct source *source, chunks_find find)
{
    struct chunks chunks;

    prepare(source);
    const struct trit_tensor tensor = {
        .size = sizeof(tensor), .read = source_read, .read_arg = source};
    chunks_init(&chunks, &tensor, 0, source->count, false, NULL);
    chunks.find = find;
    take_all(&chunks, source);
    chunks_fini(&chunks);
    free(source->bytes);
}

/* ---- cases ------------------------------------------------------------------------------ */

CASE(borrowed, "chunks borrow long pieces where they lie, and copy only short ones")
{
    struct source source;

    cut(&source, source_find);
    CHECK_EQ(source.read, CHUNK);
}

CASE(copied, "without a function that finds the bytes, chunks are copied")
{
    struct source source;

    cut(&source, NULL);
    CHECK_EQ(source.read, source.count);
}
