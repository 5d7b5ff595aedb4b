/* SPDX-License-Identifier: Apache-2.0 */
/* How a call answers: slices lent to its stream. */
#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "base/clock.h"
#include "base/limits.h"
#include "grpc/call.h"

static const struct h2_header content_type = {"content-type", "application/grpc", 12, 16};

void call_write(struct call *call, struct h2_slice *slice)
{
    if (!call->responded) {
        call->responded = true;
        h2_respond(call->stream, 200, &content_type, 1);
    }
    call->active_ns = clock_monotonic_ns();
    h2_write(call->stream, slice);
}

struct piece {
    struct account *account;
    struct h2_slice slice;
    uint8_t bytes[];
};

static void piece_release(struct h2_slice *slice)
{
    struct piece *piece = LIST_OWNER(slice, struct piece, slice);

    account_free(piece->account, piece);
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
    piece->account = call->account;
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

int call_write_message(struct call *call, const void *bytes, size_t count)
{
    struct piece *piece = piece_create(call, GRPC_PREFIX_BYTES + count);

    if (!piece)
        return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "no memory for the reply");
    frame_prefix(piece->bytes, (uint32_t)count);
    if (count > 0)
        memcpy(piece->bytes + GRPC_PREFIX_BYTES, bytes, count);
    call_write(call, &piece->slice);
    return 0;
}
