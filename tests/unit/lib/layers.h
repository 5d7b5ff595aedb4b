/* SPDX-License-Identifier: Apache-2.0 */
/* A client of Layers and a server that answers what it is told. */
#ifndef TESTS_LIB_LAYERS_H
#define TESTS_LIB_LAYERS_H

#include <stdio.h>
#include <string.h>

#include <trit.h>

#include "proto/codec/layers.h"
#include "tests/lib/check.h"
#include "tests/lib/fake_reply.h"
#include "tests/lib/fake_server.h"

enum { REPLIES = 3, OUT = 2, IN = 3 };

struct fixture {
    struct fake_reply replies[REPLIES];
    struct fake_act acts[REPLIES];
    struct fake_server *server;
    struct trit_client *client;
    struct trit_error error;
};

static const float values[6] = {1, -2, 3, -4, 5, -6};
static const struct trit_tensor x = {.size = sizeof(x),
                                     .dtype = TRIT_F32,
                                     .rank = 2,
                                     .shape = {1, IN},
                                     .data = values,
                                     .bytes = 12};
static const struct trit_tensor weight = {.size = sizeof(weight),
                                          .dtype = TRIT_F32,
                                          .rank = 2,
                                          .shape = {OUT, IN},
                                          .data = values,
                                          .bytes = 24};
static const struct trit_tensor two = {.size = sizeof(two),
                                       .dtype = TRIT_F32,
                                       .rank = 1,
                                       .shape = {OUT},
                                       .data = values,
                                       .bytes = 8};
static const struct trit_layer_spec spec = {.size = sizeof(spec),
                                            .name = "l",
                                            .in_features = IN,
                                            .out_features = OUT,
                                            .bias = true};

/* The n-th reply answers the n-th request; the last one all that follow. */
static inline void start(struct fixture *f)
{
    struct trit_connect_options options = {
        .size = sizeof(options), .timeout_ms = 20000, .stream_bytes_min = 32};
    size_t count = 0;

    f->error = (struct trit_error)TRIT_ERROR_INIT;
    while (count < REPLIES && (count == 0 || f->replies[count].count > 0)) {
        f->acts[count].body = f->replies[count].bytes;
        f->acts[count].body_bytes = f->replies[count].count;
        count++;
    }
    f->server = fake_start(f->acts, count);
    options.address = fake_address(f->server);
    CHECK_EQ(trit_connect(&f->client, &options, &f->error), TRIT_OK);
}

static inline void stop(struct fixture *f)
{
    trit_close(f->client);
    fake_stop(f->server);
    for (size_t i = 0; i < REPLIES; i++)
        fake_reply_free(&f->replies[i]);
}

static inline struct wire_layer_spec wire_spec(const char *name)
{
    struct wire_layer_spec wire = {
        .in_features = IN, .out_features = OUT, .bias = true, .group_size = 128};

    snprintf(wire.name, sizeof(wire.name), "%s", name);
    return wire;
}

static inline void reply_made(struct fake_reply *reply)
{
    struct wire_layer_spec wire = wire_spec("l");
    uint8_t bytes[LAYER_SPEC_BYTES_MAX];

    fake_reply_message(reply, bytes, encode_layer_spec(&wire, bytes, sizeof(bytes)), NULL,
                       0);
}

/* Appends a tensor of floats as field `number`. */
static inline size_t put_tensor(uint8_t *out, uint32_t number, uint32_t rank,
                                const uint64_t *shape, size_t count)
{
    struct wire_tensor tensor = {.dtype = TRIT_F32, .rank = rank};
    size_t at;

    memcpy(tensor.shape, shape, rank * sizeof(*shape));
    at = encode_layer_tensor(number, &tensor, count * sizeof(float), out, 256);
    memcpy(out + at, values, count * sizeof(float));
    return at + count * sizeof(float);
}

/* Forward answers in field 15, AsLinear and Embed in field 1. */
static inline void reply_tensor(struct fake_reply *reply, uint32_t number, uint32_t rank,
                                const uint64_t *shape, size_t count)
{
    uint8_t bytes[512];

    fake_reply_message(reply, bytes, put_tensor(bytes, number, rank, shape, count), NULL,
                       0);
}

static inline const char *path_of(struct fixture *f, size_t n,
                                  struct fake_request *request)
{
    CHECK(fake_request(f->server, n, request));
    return request->path;
}

#endif
