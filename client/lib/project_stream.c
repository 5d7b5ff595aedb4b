/* SPDX-License-Identifier: Apache-2.0 */
/* Sends a part of a tensor, often all of it, on one stream: start, then chunks. The
 * reply is chunks of scales and data, and at last the report. The offset and checksum
 * of each chunk are checked, and its bytes go to their place in the outputs. The
 * reply arrives while the upload runs. */
#include "client/lib/project_stream.h"

#include <inttypes.h>
#include <stdlib.h>

#include "client/lib/chunks.h"
#include "client/lib/reply.h"

struct part {
    struct projecting *project;
    struct exchange exchange;
    struct wire_project start;
    struct slots slots;
    struct chunks chunks;
    bool started, has_report;
    struct sink data, scales;
    struct reply reply;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
};

/* ---- request --------------------------------------------------------------------------- */

static int part_next(void *owner, struct outgoing *message, struct failure *failure)
{
    struct part *part = owner;
    const struct packing_request *pack = part->project->pack;
    size_t count;

    if (part->started) {
        const int result = chunks_next(&part->chunks, message, failure);

        message->last = chunks_done(&part->chunks);
        return result;
    }
    part->start.replies_in_memory = part->slots.ring;
    count = pack ? encode_pack_start(&pack->wire, pack->scale_bytes, part->head,
                                     sizeof(part->head))
                 : encode_project_start(&part->start, part->head, sizeof(part->head));
    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the request's head is too large");
    outgoing_head(message, part->head, count);
    if (pack)
        outgoing_payload(message, pack->scales, pack->scale_bytes);
    part->started = true;
    return 0;
}

/* ---- reply ------------------------------------------------------------------------- */

static int part_message(void *owner, uint32_t length, struct failure *failure)
{
    struct part *part = owner;

    return reply_message(&part->reply, length, failure);
}

static int part_bytes(void *owner, const uint8_t *bytes, size_t count,
                      struct failure *failure)
{
    struct part *part = owner;

    return reply_bytes(&part->reply, bytes, count, failure);
}

/* Takes the chunk's bytes out of shared memory. */
static int region_take(struct part *part, const struct wire_region *region,
                       struct failure *failure)
{
    const uint8_t *bytes = slots_bytes(&part->slots, region, failure);

    return bytes ? sink_write(&part->data, bytes, (size_t)region->bytes, failure) : -1;
}

/* The chunk's bytes are already in place, or in shared memory: checks that they belong
 * there. */
static int chunk_check(struct part *part, const struct scan_part *fields,
                       const struct piece *piece, struct failure *failure)
{
    char why[CODEC_ERROR_BYTES];
    struct wire_chunk chunk;

    if (fields->seen == 0)
        return 0;
    if (decode_chunk(fields, &chunk, why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    if (chunk.offset != piece->start)
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "a chunk of the reply is at offset %" PRIu64 " where %" PRIu64
                    " is next",
                    chunk.offset, piece->start);
    if (chunk.has_crc32c && chunk.crc32c != piece->crc32c)
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "the reply's chunk at offset %" PRIu64
                    " has crc32c %08x, its bytes %08x",
                    chunk.offset, chunk.crc32c, piece->crc32c);
    return chunk.region.present ? region_take(part, &chunk.region, failure) : 0;
}

static int part_end(void *owner, struct failure *failure)
{
    struct part *part = owner;
    const struct scan_part *parts = part->reply.scan.parts;
    char why[CODEC_ERROR_BYTES];
    bool has_report = false;

    if (reply_end(&part->reply, failure) < 0 ||
        chunk_check(part, &parts[PART_CHUNK], &part->reply.data, failure) < 0 ||
        chunk_check(part, &parts[PART_REFERENCE], &part->reply.scales, failure) < 0 ||
        slots_reply(&part->slots, &parts[PART_ROOT], failure) < 0)
        return -1;
    if (decode_stream_report(&parts[PART_ROOT], &has_report, &part->project->report,
                             why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    part->has_report |= has_report;
    return 0;
}

static int part_finish(void *owner, struct failure *failure)
{
    struct part *part = owner;

    if (!part->has_report && part->start.report != TRIT_REPORT_NONE)
        return fail(failure, TRIT_INTERNAL, NULL, "the reply lacks its report");
    return sink_whole(&part->data, failure) < 0 || sink_whole(&part->scales, failure) < 0
               ? -1
               : 0;
}

static void part_rewind(void *owner)
{
    struct part *part = owner;

    part->started = part->has_report = false;
    part->chunks.sent = 0;
    slots_rewind(&part->slots);
    reply_rewind(&part->reply);
}

/* The scales are memory of libtrit. */
static bool part_may_rewind(const void *owner)
{
    const struct part *part = owner;
    const struct trit_tensor *tensor = part->project->tensor;
    const struct packing_request *pack = part->project->pack;

    return sink_may_rewind(&part->data, tensor->data, tensor->data ? tensor->bytes : 0) &&
           (!pack || sink_may_rewind(&part->data, pack->scales, pack->scale_bytes));
}

/* ---- parts ---------------------------------------------------------------------- */

/* Rows [first, end) of the tensor. Every row needs the same number of bytes of an
 * output. */
static void part_init(struct part *part, struct projecting *project, uint64_t first,
                      uint64_t end)
{
    static const struct exchange_ops ops = {
        .next = part_next,
        .message = part_message,
        .bytes = part_bytes,
        .end = part_end,
        .finish = part_finish,
        .rewind = part_rewind,
        .may_rewind = part_may_rewind,
    };
    const struct trit_tensor *tensor = project->tensor;
    uint64_t rows = project->extent.rows, row_bytes = tensor->bytes / rows;
    const bool all = end - first == rows;
    uint64_t data_row = project->data.size / rows,
             scales_row = project->scales.size / rows;

    part->project = project;
    part->start = project->request;
    if (!all) {
        part->start.tensor.rank = 2;
        part->start.tensor.shape[0] = end - first;
        part->start.tensor.shape[1] = project->extent.columns;
    }
    chunks_init(&part->chunks, tensor, first * row_bytes,
                all ? tensor->bytes : (end - first) * row_bytes, false, &part->slots);
    part->chunks.find = project->find;
    if (!project->pack &&
        !encoding_streams((enum trit_encoding)project->request.encoding))
        chunks_repeat(&part->chunks); /* the first time is for the scale */
    /* With one scale the bytes are not the same for every row. */
    part->data = (struct sink){&project->data, first * data_row,
                               all ? project->data.size : (end - first) * data_row, 0};
    part->scales =
        (struct sink){&project->scales, first * scales_row,
                      all ? project->scales.size : (end - first) * scales_row, 0};
    reply_init(&part->reply, scan_stream_reply, project->call.client->message_bytes_max,
               &part->data, &part->scales);
    part->reply.checksums = true;
    exchange_init(&part->exchange,
                  project->pack ? "/trit.v1.Ternary/PackStream"
                                : "/trit.v1.Ternary/ProjectStream",
                  &ops, part);
}

/* Whether the call failed only because the daemon does not know the shared memory, before
 * it gave any result. */
static bool memory_unknown(const struct part *parts, uint32_t count,
                           const struct failure *failure)
{
    bool unknown = false;

    for (uint32_t i = 0; i < count; i++) {
        unknown |= slots_unknown(&parts[i].slots, failure);
        if (parts[i].data.filled > 0 || parts[i].scales.filled > 0)
            return false;
    }
    return unknown;
}

int project_stream(struct projecting *project, uint32_t count, struct failure *failure)
{
    struct part *parts = calloc(count, sizeof(*parts));
    struct exchange *exchanges[CONNECTIONS_MAX] = {NULL};
    uint64_t rows = project->extent.rows;
    bool again;
    int rc;

    if (!parts)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a call");
    for (uint32_t i = 0; i < count; i++) {
        uint64_t each = rows / count, odd = rows % count;

        slots_init(&parts[i].slots, &project->call.client->shared,
                   project->call.deadline_ns);
        part_init(&parts[i], project, i * each + (i < odd ? i : odd),
                  (i + 1) * each + (i + 1 < odd ? i + 1 : odd));
        exchanges[i] = &parts[i].exchange;
    }
    rc = call_run(&project->call, exchanges, count, failure);
    again = rc < 0 && memory_unknown(parts, count, failure);
    for (uint32_t i = 0; i < count; i++) {
        reply_fini(&parts[i].reply);
        chunks_fini(&parts[i].chunks);
        slots_fini(&parts[i].slots, rc == 0);
    }
    free(parts);
    if (!again)
        return rc;
    shared_forget(&project->call.client->shared);
    *failure = (struct failure){.status = TRIT_OK};
    return project_stream(project, count, failure);
}
