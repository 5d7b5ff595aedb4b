/* SPDX-License-Identifier: Apache-2.0 */
/* Forward in memory that the daemon shares: what the request names, and what is done when the
 * daemon does not know it. A server plays the daemon, a thread its memory socket. */
#include "layers.h"

#include <stdlib.h>

#include "client/lib/client.h"
#include "tests/lib/memory_server.h"

enum { LONG = 1 << 15 }; /* columns of x, so that it goes through a ring */

struct near {
    struct fixture f;
    struct memory_server memory;
    char details[FAKE_DETAILS_BYTES];
    float *x;
    struct trit_tensor tensor;
    struct trit_array y;
    struct trit_forward forward;
    struct trit_forward_options options;
};

static void refuse(struct near *n, size_t request, enum trit_status status,
                   const char *text, const char *field)
{
    /* So that the reply after it is used. */
    fake_reply_raw(&n->f.replies[request], values, 1);
    fake_details(status, field, n->details);
    n->f.acts[request] = (struct fake_act){
        .deed = FAKE_FAIL, .status = text, .message = "no", .details = n->details};
}

/* A client whose calls go to the server, and whose memory is shared with the thread. */
static void near_start(struct near *n)
{
    start(&n->f);
    memory_server_start(&n->memory, TRIT_OK);
    shared_fini(&n->f.client->shared);
    shared_init(&n->f.client->shared, &n->memory.address);
    buffers_fini(&n->f.client->buffers);
    buffers_init(&n->f.client->buffers, &n->memory.address);
    n->x = calloc(LONG, sizeof(float));
    CHECK(n->x);
    n->tensor = (struct trit_tensor){.size = sizeof(n->tensor),
                                     .dtype = TRIT_F32,
                                     .rank = 2,
                                     .shape = {1, LONG},
                                     .data = n->x,
                                     .bytes = LONG * sizeof(float)};
    n->y = (struct trit_array)TRIT_ARRAY_INIT;
    n->forward = (struct trit_forward)TRIT_FORWARD_INIT;
    n->forward.y = &n->y;
    n->options = (struct trit_forward_options)TRIT_FORWARD_OPTIONS_INIT;
}

static void near_stop(struct near *n)
{
    trit_array_free(&n->y);
    free(n->x);
    stop(&n->f);
    memory_server_stop(&n->memory);
}

static enum trit_status call(struct near *n)
{
    return trit_layer_forward(n->f.client, "l", &n->tensor, &n->options, &n->forward,
                              &n->f.error);
}

static uint64_t sent(struct near *n, size_t request)
{
    struct fake_request known;

    CHECK(fake_request(n->f.server, request, &known));
    return known.body_bytes;
}

/* A reply whose y is a region of `bytes` bytes of the buffer with that id. */
static void reply_region(struct near *n, uint8_t id, uint64_t offset, uint64_t bytes)
{
    struct wire_tensor y = {
        .dtype = TRIT_F32,
        .rank = 2,
        .shape = {1, OUT},
        .region = {.present = true, .is_id = true, .offset = offset, .bytes = bytes}};
    uint8_t message[256];

    y.region.buffer[0] = id;
    fake_reply_message(&n->f.replies[0], message,
                       encode_layer_tensor(15, &y, 0, message, sizeof(message)), NULL, 0);
}

CASE(ring, "a large x goes through a ring, and y comes out of it")
{
    struct near n = {.memory = {.keeps = false}};

    reply_region(&n, 1, LONG * sizeof(float), OUT * sizeof(float));
    near_start(&n);
    CHECK_EQ(call(&n), TRIT_OK);
    CHECK_EQ(n.y.bytes, OUT * sizeof(float));
    CHECK(n.y.data && sent(&n, 0) < 256);
    CHECK_EQ(n.memory.registered, 1);
    n.tensor.shape[1] = 16; /* too small for it to be worth while */
    n.tensor.bytes = 64;
    trit_array_free(&n.y);
    CHECK_EQ(call(&n), TRIT_INTERNAL);
    CHECK_STR(n.f.error.message, "the reply names memory that the request did not give");
    CHECK(sent(&n, 1) > 64);
    near_stop(&n);
}

CASE(lies, "a region that the request did not give, or too long a one, is refused")
{
    const struct {
        uint8_t id;
        uint64_t offset, bytes;
    } lies[] = {{2, LONG * sizeof(float), 8},
                {1, 0, 8},
                {1, LONG * sizeof(float), RING_BYTES},
                {1, LONG * sizeof(float), 4}};

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct near n = {.memory = {.keeps = false}};

        reply_region(&n, lies[i].id, lies[i].offset, lies[i].bytes);
        near_start(&n);
        CHECK_EQ(call(&n), i < 3 ? TRIT_INTERNAL : TRIT_DATA_LOSS);
        CHECK(!n.y.data);
        near_stop(&n);
    }
}

CASE(buffers, "x and y in a buffer are named where they lie, and y needs no copy")
{
    struct near n = {.memory = {.keeps = false}};
    struct trit_buffer *buffer = NULL;
    float *out;

    reply_region(&n, 1, LONG * sizeof(float), OUT * sizeof(float));
    near_start(&n);
    CHECK_EQ(trit_buffer_create(n.f.client, 2 * LONG * sizeof(float), &buffer, NULL),
             TRIT_OK);
    n.tensor.data = trit_buffer_data(buffer);
    out = (float *)trit_buffer_data(buffer) + LONG;
    out[1] = 5; /* as the daemon would write it */
    n.options.out = out;
    n.options.out_bytes = OUT * sizeof(float);
    CHECK_EQ(call(&n), TRIT_OK);
    CHECK(!n.y.data && n.y.bytes == OUT * sizeof(float) && out[1] == 5);
    CHECK(sent(&n, 0) < 256);
    CHECK_EQ(n.memory.registered, 1); /* no ring */
    trit_buffer_free(buffer);
    near_stop(&n);
}

CASE(out, "y goes to the caller's memory, unless that is too small")
{
    struct near n = {.memory = {.keeps = false}};
    float out[OUT];

    reply_tensor(&n.f.replies[0], 15, 2, (uint64_t[]){1, OUT}, OUT);
    near_start(&n);
    n.options.out = out;
    n.options.out_bytes = sizeof(out);
    CHECK_EQ(call(&n), TRIT_OK);
    CHECK(!n.y.data);
    CHECK_MEM(out, values, sizeof(out));
    n.options.out_bytes--;
    CHECK_EQ(call(&n), TRIT_INVALID_ARGUMENT);
    CHECK_STR(n.f.error.field, "options.out");
    near_stop(&n);
}

CASE(old, "a daemon that misses the bytes of x gets them, and gets no region again")
{
    struct near n = {.memory = {.keeps = false}};

    reply_tensor(&n.f.replies[1], 15, 2, (uint64_t[]){1, OUT}, OUT);
    refuse(&n, 0, TRIT_INVALID_ARGUMENT, "3", "x.data");
    near_start(&n);
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ(call(&n), TRIT_OK);
        CHECK_MEM(n.y.data, values, OUT * sizeof(float));
        trit_array_free(&n.y);
        CHECK(sent(&n, i + 1) > LONG * sizeof(float));
    }
    CHECK(sent(&n, 0) < 256);
    CHECK_EQ(n.memory.registered, 1);
    near_stop(&n);
}

CASE(refused, "a daemon that refuses the bytes of x, too, gets regions again")
{
    struct near n = {.memory = {.keeps = false}};

    reply_tensor(&n.f.replies[2], 15, 2, (uint64_t[]){1, OUT}, OUT);
    refuse(&n, 0, TRIT_INVALID_ARGUMENT, "3", "x.data");
    refuse(&n, 1, TRIT_INVALID_ARGUMENT, "3", "x.data");
    near_start(&n);
    CHECK_EQ(call(&n), TRIT_INVALID_ARGUMENT);
    CHECK_STR(n.f.error.field, "x.data");
    CHECK_EQ(call(&n), TRIT_OK);
    CHECK_MEM(n.y.data, values, OUT * sizeof(float));
    CHECK(sent(&n, 0) < 256 && sent(&n, 1) > LONG * sizeof(float) && sent(&n, 2) < 256);
    near_stop(&n);
}

CASE(unknown, "a daemon that does not know the ring gets the bytes")
{
    struct near n = {.memory = {.keeps = false}};

    reply_tensor(&n.f.replies[1], 15, 2, (uint64_t[]){1, OUT}, OUT);
    refuse(&n, 0, TRIT_FAILED_PRECONDITION, "9", "x.region");
    near_start(&n);
    CHECK_EQ(call(&n), TRIT_OK);
    CHECK_MEM(n.y.data, values, OUT * sizeof(float));
    CHECK(sent(&n, 0) < 256 && sent(&n, 1) > LONG * sizeof(float));
    near_stop(&n);
}
