/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Forward. Behind a Unix socket x and y go through memory that the daemon shares: through
 * buffers of the caller (trit/buffer.h), and where the caller's memory is no such buffer, through
 * a ring (shared.h), where that is faster than the socket. A daemon that does not know Forward's
 * regions misses the bytes of x, and gets them. */
#include <string.h>

#include "client/lib/layer.h"
#include "client/lib/tensor.h"

enum {
    FORWARD_RING_BYTES_MIN = 64 << 10, /* of x; below, the socket is as fast */
    FORWARD_PLACE_ALIGNMENT = 4096,    /* of y in the ring */
};

struct forwarding {
    struct call call;
    const struct trit_tensor *x;
    struct wire_layer_forward request; /* without `reply` */
    struct wire_tensor expected;       /* shape 0: the axis that the layer determines */
    struct trit_forward forward;       /* y is the caller's */
    void *out;                         /* the caller's memory for y, or NULL */
    uint64_t out_bytes;
    struct arrival y;
    bool sends_bytes; /* the daemon seems to know no regions of Forward */
    /* of an attempt */
    struct buffer_use use;
    struct ring *ring;        /* NULL: it uses none */
    struct wire_region reply; /* where the daemon may write y */
    uint8_t *reply_bytes;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
};

/* ---- memory that the daemon shares --------------------------------------------------- */

static struct wire_region ring_region(const struct ring *ring, uint64_t offset,
                                      uint64_t bytes)
{
    struct wire_region region = {
        .present = true, .is_id = true, .offset = offset, .bytes = bytes};

    memcpy(region.buffer, ring->id, sizeof(region.buffer));
    return region;
}

/* What is in no buffer of the caller goes through a ring. y gets what x leaves of it. */
static void use_ring(struct forwarding *f, struct wire_tensor *x)
{
    const uint64_t bytes = x->region.present ? 0 : f->x->bytes;
    const uint64_t at = (bytes + FORWARD_PLACE_ALIGNMENT - 1) / FORWARD_PLACE_ALIGNMENT *
                        FORWARD_PLACE_ALIGNMENT;

    if ((x->region.present && f->reply.present) || f->x->bytes < FORWARD_RING_BYTES_MIN ||
        bytes > RING_BYTES - FORWARD_PLACE_ALIGNMENT)
        return;
    f->ring = shared_take(&f->call.client->shared, f->call.deadline_ns);
    if (!f->ring)
        return;
    if (bytes > 0) {
        memcpy(f->ring->bytes, f->x->data, (size_t)bytes);
        x->region = ring_region(f->ring, 0, bytes);
    }
    if (!f->reply.present && at < RING_BYTES) {
        f->reply = ring_region(f->ring, at, RING_BYTES - at);
        f->reply_bytes = f->ring->bytes + at;
    }
}

/* A result over x comes through the socket, or the ring: an attempt that fails must leave x as it
 * is. */
static bool out_is_apart(const struct forwarding *f)
{
    const uintptr_t out = (uintptr_t)f->out, x = (uintptr_t)f->x->data;

    return f->out && (out >= x + f->x->bytes || x >= out + f->out_bytes);
}

static int find_memory(struct forwarding *f, struct wire_tensor *x,
                       struct failure *failure)
{
    sink_rewind(&f->y.sink);
    f->ring = NULL;
    f->reply = (struct wire_region){.present = false};
    buffer_use_init(&f->use, &f->call.client->buffers);
    if (f->sends_bytes || atomic_load(&f->call.client->forward_sends_bytes))
        return 0;
    if (buffer_use_request(&f->use, "x", f->x->data, f->x->bytes, &x->region, failure) <
        0)
        return -1;
    if (out_is_apart(f) && buffer_use_reply(&f->use, "options.out", f->out, f->out_bytes,
                                            &f->reply, failure) < 0)
        return -1;
    f->reply_bytes = f->out;
    use_ring(f, x);
    return 0;
}

/* y is in memory: has the sink account for it, and takes it out of a ring. */
static int take_region(struct forwarding *f, const struct wire_region *region,
                       struct failure *failure)
{
    const struct wire_region *given = &f->reply;

    if (!given->present || !region->is_id || region->offset != given->offset ||
        region->bytes > given->bytes ||
        memcmp(region->buffer, given->buffer, sizeof(region->buffer)) != 0)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "the reply names memory that the request did not give");
    if (sink_begin(&f->y.sink, region->bytes, failure) < 0)
        return -1;
    if (f->reply_bytes != f->out)
        return sink_write(&f->y.sink, f->reply_bytes, (size_t)region->bytes, failure);
    f->y.sink.filled = region->bytes;
    return 0;
}

/* ---- the call -------------------------------------------------------------------------- */

static int forward_decode(void *result, const struct scan *reply, struct failure *failure)
{
    struct forwarding *f = result;
    struct trit_forward *forward = &f->forward;
    const struct scan_part *y = &reply->parts[PART_TENSOR];
    char why[CODEC_ERROR_BYTES];
    struct wire_tensor tensor;

    if (decode_tensor(y, &tensor, why) == 0 && tensor.region.present &&
        take_region(f, &tensor.region, failure) < 0)
        return -1;
    if (arrival_decode(&f->y, y, &f->expected, failure) < 0)
        return -1;
    if (decode_layer_errors(&reply->parts[PART_ROOT], &forward->has_error,
                            &forward->max_error, &forward->relative_error, why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    if (forward->has_error != f->request.report_error)
        return fail(failure, TRIT_INTERNAL, NULL, "the reply %s errors",
                    forward->has_error ? "brings" : "lacks");
    return 0;
}

/* Whether the call may have failed only because of the memory that it named; then it is made again
 * without. A NaN in x is refused as x.data, too: only if the bytes are taken is the daemon an old
 * one. */
static bool memory_refused(struct forwarding *f, bool x_in_memory,
                           const struct failure *failure)
{
    if (x_in_memory && failure->status == TRIT_INVALID_ARGUMENT &&
        strcmp(failure->field, "x.data") == 0) {
        f->sends_bytes = true;
        return true;
    }
    if (!f->ring || failure->status != TRIT_FAILED_PRECONDITION ||
        !region_field(failure->field))
        return false;
    shared_forget(&f->call.client->shared);
    return true;
}

/* 1: the daemon does not know the memory. */
static int forward_attempt(void *call, struct failure *failure)
{
    struct forwarding *f = call;
    struct unary unary = {.decode = forward_decode, .result = f};
    struct wire_layer_forward request = f->request;
    struct wire_tensor x = tensor_wire(f->x);
    uint64_t sent;
    size_t count;
    bool again;
    int rc;

    if (find_memory(f, &x, failure) < 0)
        return -1;
    request.reply = f->reply;
    sent = x.region.present ? 0 : f->x->bytes;
    count = encode_layer_forward(&request, &x, sent, f->head, sizeof(f->head));
    outgoing_head(&unary.request, f->head, count);
    outgoing_payload(&unary.request, f->x->data, sent);
    unary.request.shared = f->x->bytes - sent;
    reply_init(&unary.reply, scan_layer_tensor, f->call.client->message_bytes_max,
               &f->y.sink, NULL);
    rc = count > 0
             ? unary_run(&unary, "/trit.v1.Layers/Forward", &f->call, failure)
             : fail(failure, TRIT_INTERNAL, NULL, "the request's head is too large");
    again = rc < 0 && memory_refused(f, x.region.present, failure);
    shared_put(&f->call.client->shared, f->ring, unary.settled);
    return buffer_use_end(&f->use, unary.settled, failure) || again ? 1 : rc;
}

static int forward_prepare(struct forwarding *f, const char *name,
                           const struct trit_forward_options *o, struct failure *failure)
{
    struct extent extent;

    if (name_take("name", name, f->request.name, failure) < 0 ||
        tensor_check("x", f->x, &extent, failure) < 0)
        return -1;
    f->request.activations = (uint32_t)o->activations;
    f->request.report_error = o->report_error;
    f->expected = tensor_wire(f->x);
    f->expected.shape[f->x->rank - 1] = 0;
    f->out = o->out;
    f->out_bytes = o->out_bytes;
    if (f->out)
        output_init_room(&f->y.output, "y", f->out, f->out_bytes);
    return 0;
}

/* The caller's array for y, in *y. */
static int forward_check(const struct trit_forward *forward, struct trit_array **y,
                         struct failure *failure)
{
    struct trit_forward in;

    if (sized_read(&sized_forward, "forward", forward, &in, failure) < 0 ||
        sized_check(&sized_array, "forward.y", in.y, failure) < 0)
        return -1;
    *y = in.y;
    return 0;
}

enum trit_status trit_layer_forward(struct trit_client *client, const char *name,
                                    const struct trit_tensor *x,
                                    const struct trit_forward_options *options,
                                    struct trit_forward *forward,
                                    struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_forward_options o;
    struct trit_tensor taken;
    struct forwarding f = {.x = &taken};

    if (client_check(client, error, &failure) < 0 ||
        sized_take_optional(&sized_forward_options, "options", options, &o, &failure) <
            0 ||
        tensor_take("x", x, &taken, &failure) < 0 ||
        forward_check(forward, &f.forward.y, &failure) < 0 ||
        call_init(&f.call, client, "options.call", o.call, taken.bytes, &failure) < 0)
        return client_answer(&failure, error);
    arrival_init(&f.y, "y");
    if (forward_prepare(&f, name, &o, &failure) == 0 &&
        buffer_attempts(forward_attempt, &f, &failure) == 0) {
        if (f.sends_bytes)
            atomic_store(&client->forward_sends_bytes, true);
        if (f.out)
            output_fini(&f.y.output); /* the caller has y's data already */
        arrival_give(&f.y, f.forward.y);
        sized_give(&sized_forward, forward, &f.forward);
    }
    arrival_fini(&f.y);
    return client_answer(&failure, error);
}
