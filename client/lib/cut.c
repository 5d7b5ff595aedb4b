/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/cut.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/limits.h"
#include "kernels/kernels.h"

enum { PLANES = 4 };

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        const uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* Columns that may stand alone: whole groups and whole blocks. */
static uint64_t unit_of(const struct encoding_layout *layout, uint32_t group_size)
{
    const uint64_t block = layout->interleaved ? 1 : layout->block_elements;
    const uint64_t group = layout->scales == SCALES_TENSOR ? 1
                           : group_size                    ? group_size
                                                           : GROUP_SIZE_DEFAULT;

    return block / gcd(block, group) * group;
}

void cut_init(struct cut *cut, enum trit_encoding encoding, uint32_t group_size,
              const struct extent *extent, uint64_t element_bytes, uint64_t bytes_max)
{
    const struct encoding_layout *layout = encoding_layout(encoding);
    const uint64_t unit = unit_of(layout, group_size);
    const bool flat = layout->scales == SCALES_TENSOR && !layout->interleaved;
    uint64_t run_max;

    *cut = (struct cut){.planes = layout->interleaved ? PLANES : 1};
    cut->rows = flat ? 1 : extent->rows / cut->planes;
    cut->columns = flat ? extent->elements : extent->columns;
    run_max = bytes_max / (element_bytes * cut->planes);
    if (run_max >= cut->columns) {
        cut->piece_rows = run_max / cut->columns;
        cut->piece_columns = cut->columns;
    } else {
        cut->piece_rows = 1;
        cut->piece_columns = run_max > unit ? run_max / unit * unit : unit;
        if (cut->piece_columns > cut->columns)
            cut->piece_columns = cut->columns;
    }
    if (cut->piece_rows > cut->rows)
        cut->piece_rows = cut->rows;
    cut->pieces = (cut->rows + cut->piece_rows - 1) / cut->piece_rows *
                  ((cut->columns + cut->piece_columns - 1) / cut->piece_columns);
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

struct cut_part cut_part(const struct cut *cut, uint64_t number)
{
    const uint64_t across = (cut->columns + cut->piece_columns - 1) / cut->piece_columns;
    struct cut_part part = {.row = number / across * cut->piece_rows,
                            .column = number % across * cut->piece_columns};

    part.rows = at_most(cut->piece_rows, cut->rows - part.row);
    part.columns = at_most(cut->piece_columns, cut->columns - part.column);
    part.from = part.row * cut->columns + part.column;
    part.count = part.rows * part.columns;
    return part;
}

/* Says which elements the daemon's answer is about, if it was one. */
static void name_elements(const struct cut_call *calls, uint32_t count,
                          struct failure *failure)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct cut_part *part = &calls[i].part;

        if (!calls[i].exchange.has_status || calls[i].exchange.grpc_status == TRIT_OK)
            continue;
        fail_context(failure, "elements %" PRIu64 " to %" PRIu64, part->from,
                     part->from + part->count - 1);
        return;
    }
}

/* Makes `count` calls at once. */
static int run_some(const struct cut_ops *ops, void *owner, const struct call *call,
                    struct cut_call *calls, uint32_t count, struct failure *failure)
{
    struct exchange *exchanges[CONNECTIONS_MAX] = {NULL};
    int rc;

    for (uint32_t i = 0; i < count; i++) {
        ops->begin(owner, &calls[i]);
        unary_init(&calls[i].unary, ops->path, &calls[i].exchange);
        exchanges[i] = &calls[i].exchange;
    }
    rc = call_run(call, exchanges, count, failure);
    if (rc < 0)
        name_elements(calls, count, failure);
    for (uint32_t i = 0; i < count; i++) {
        if (rc == 0 && ops->end)
            ops->end(owner, &calls[i]);
        reply_fini(&calls[i].unary.reply);
        output_fini(&calls[i].output);
    }
    return rc;
}

int cut_run(const struct cut *cut, const struct cut_ops *ops, void *owner,
            const struct call *call, struct failure *failure)
{
    const uint32_t lanes = (uint32_t)at_most(call->client->connections, cut->pieces);
    struct cut_call *calls = calloc(lanes, sizeof(*calls));
    struct call some = *call;
    uint32_t count;
    int rc = 0;

    if (!calls)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a call");
    for (uint64_t first = 0; first < cut->pieces && rc == 0; first += count) {
        count = (uint32_t)at_most(lanes, cut->pieces - first);
        for (uint32_t i = 0; i < count; i++)
            calls[i] = (struct cut_call){.part = cut_part(cut, first + i)};
        rc = run_some(ops, owner, &some, calls, count, failure);
        for (uint32_t i = 0; i < count; i++)
            some.bytes_before += calls[i].exchange.payload_bytes;
    }
    free(calls);
    return rc;
}
