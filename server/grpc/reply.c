/* SPDX-License-Identifier: Apache-2.0 */
/* How a call answers: slices lent to its stream. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "base/clock.h"
#include "base/limits.h"
#include "grpc/call.h"

enum {
    /* Below this a compressed message saves no packet worth the 20 us that it costs. */
    COMPRESSED_BYTES_MIN = 2048,
    /* How much larger than its message a compressed one can be that is forced: the
     * headers of gzip, and 5 bytes for each 16 KiB that are only copied. */
    COMPRESSED_SLACK = 1024,
};

/* ---- headers -------------------------------------------------------------------- */

static void add_field(struct h2_header *fields, size_t *count, const char *name,
                      const char *value)
{
    fields[(*count)++] = (struct h2_header){.name = name,
                                            .value = value,
                                            .name_len = strlen(name),
                                            .value_len = strlen(value)};
}

/* Most answers have no other field. */
static const struct h2_header type_field = {"content-type", "application/grpc", 12, 16};

static void respond(struct call *call)
{
    struct h2_header fields[2 + METADATA_FIELDS_MAX];
    const struct metadata *metadata = call->metadata;
    size_t count = 0;

    call->responded = true;
    if (!metadata && !call->coding_sent) {
        h2_respond_fixed(call->stream, 200, &type_field, 1);
        return;
    }
    fields[count++] = type_field;
    if (call->coding_sent)
        add_field(fields, &count, "grpc-encoding", coding_name(call->reply_coding));
    for (size_t i = 0; metadata && i < metadata->counts[METADATA_HEADERS]; i++)
        fields[count++] = metadata->fields[METADATA_HEADERS][i];
    h2_respond(call->stream, 200, fields, count);
}

void call_respond(struct call *call)
{
    if (!call->responded && call->state != CALL_ENDED && call->state != CALL_CLOSED)
        respond(call);
}

void call_write(struct call *call, struct h2_slice *slice)
{
    if (!call->responded)
        respond(call);
    call->active_ns = clock_tick_ns();
    h2_write(call->stream, slice);
}

bool call_writable(struct call *call)
{
    if (!call->stream || h2_stream_queued(call->stream) < REPLY_QUEUE_BYTES_MAX)
        return true;
    call->awaits_writable = true;
    return false;
}

int call_add_metadata(struct call *call, enum metadata_place place, const char *name,
                      const void *value, size_t count)
{
    assert(place == METADATA_TRAILERS || !call->responded);
    return metadata_add(&call->metadata, call->account, place, name, value, count,
                        &call->failure);
}

/* ---- copies ---------------------------------------------------------------------- */

struct piece {
    struct h2_slice slice;
    struct call *call; /* it lives until its stream is closed */
    uint8_t bytes[];
};

static void piece_release(struct h2_slice *slice)
{
    struct piece *piece = LIST_OWNER(slice, struct piece, slice);
    struct call *call = piece->call;

    account_free(call->account, piece);
    if (call->awaits_writable)
        call_resume_soon(call);
}

/* The answer to a call that was admitted: a small one may use the last of the budget. */
static struct piece *piece_create(struct call *call, size_t count)
{
    const size_t bytes = sizeof(struct piece) + count;
    struct piece *piece = count <= ENVELOPE_BYTES_MAX
                              ? account_alloc_last(call->account, bytes)
                              : account_alloc(call->account, bytes);

    if (!piece)
        return NULL;
    piece->call = call;
    piece->slice = (struct h2_slice){
        .bytes = piece->bytes, .count = count, .release = piece_release};
    return piece;
}

int call_write_copy(struct call *call, const void *bytes, size_t count)
{
    struct piece *piece = piece_create(call, count);

    if (!piece)
        return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "no memory for the reply");
    memcpy(piece->bytes, bytes, count);
    call_write(call, &piece->slice);
    return 0;
}

/* ---- messages --------------------------------------------------------------------- */

static bool wants_compression(const struct call *call, size_t count)
{
    if (call->reply_coding == CODING_IDENTITY || (call->responded && !call->coding_sent))
        return false;
    switch (call->compress) {
    case COMPRESS_AUTO:
        return count >= COMPRESSED_BYTES_MIN;
    case COMPRESS_NEVER:
        return false;
    case COMPRESS_ALWAYS:
        return true;
    }
    return false;
}

/* Replaces the message in `piece` by its compressed form. Unless it is forced, only one
 * that is smaller. */
static void compress_piece(struct call *call, struct piece *piece, const void *bytes,
                           size_t count)
{
    size_t slack = call->compress == COMPRESS_ALWAYS ? COMPRESSED_SLACK : 0;
    size_t used = compress_bytes(call->reply_coding, call->account, bytes, count,
                                 piece->bytes + GRPC_PREFIX_BYTES, count + slack);

    if (used == 0)
        return;
    frame_prefix(piece->bytes, (uint32_t)used);
    piece->bytes[0] = 1;
    piece->slice.count = GRPC_PREFIX_BYTES + used;
}

int call_write_message(struct call *call, const void *bytes, size_t count)
{
    bool compress = wants_compression(call, count);
    struct piece *piece =
        piece_create(call, GRPC_PREFIX_BYTES + count + (compress ? COMPRESSED_SLACK : 0));

    if (!piece)
        return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "no memory for the reply");
    piece->slice.count = GRPC_PREFIX_BYTES + count;
    piece->bytes[0] = 0;
    if (compress)
        compress_piece(call, piece, bytes, count);
    if (piece->bytes[0] == 0) {
        frame_prefix(piece->bytes, (uint32_t)count);
        if (count > 0)
            memcpy(piece->bytes + GRPC_PREFIX_BYTES, bytes, count);
    }
    /* A stream's later messages may be compressed although the first one is not. */
    if (!call->responded)
        call->coding_sent = call->reply_coding != CODING_IDENTITY &&
                            (piece->bytes[0] == 1 || call->method->writable);
    call_write(call, &piece->slice);
    if (call->method->streaming && call->state == CALL_RECEIVING && !call_writable(call))
        call->throttle |= THROTTLE_REPLY;
    return 0;
}
