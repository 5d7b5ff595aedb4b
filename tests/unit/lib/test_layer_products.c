/* SPDX-License-Identifier: Apache-2.0 */
/* Products of layers against a server that answers what it is told. */
#include "layers.h"

#include "tests/lib/fault.h"

/* ---- cases: products --------------------------------------------------------------- */

CASE(forwards, "forward and as_linear return y in the shape of the reply")
{
    struct fixture f = {.client = NULL};
    struct trit_array y = TRIT_ARRAY_INIT;
    struct trit_forward forward = {.size = sizeof(forward), .y = &y};
    struct trit_array logits = TRIT_ARRAY_INIT;
    struct fake_request request;

    reply_tensor(&f.replies[0], 15, 2, (uint64_t[]){1, OUT}, OUT);
    reply_tensor(&f.replies[1], 1, 2, (uint64_t[]){1, OUT}, OUT);
    start(&f);
    CHECK_EQ(trit_layer_forward(f.client, "l", &x, NULL, &forward, &f.error), TRIT_OK);
    CHECK_EQ(y.dtype, TRIT_F32);
    CHECK_EQ(y.rank, 2);
    CHECK_EQ(y.shape[0], 1);
    CHECK_EQ(y.shape[1], OUT);
    CHECK_EQ(y.bytes, 8);
    CHECK_MEM(y.data, values, 8);
    CHECK(!forward.has_error);
    trit_array_free(&y);
    CHECK(!y.data);
    CHECK_EQ(trit_layer_as_linear(f.client, "l", &x, NULL, &logits, &f.error), TRIT_OK);
    CHECK_MEM(logits.data, values, 8);
    trit_array_free(&logits);
    CHECK_STR(path_of(&f, 0, &request), "/trit.v1.Layers/Forward");
    CHECK_STR(path_of(&f, 1, &request), "/trit.v1.Layers/AsLinear");
    stop(&f);
}

CASE(reports_errors, "forward returns the errors that were requested")
{
    struct trit_forward_options options = {.size = sizeof(options),
                                           .activations = TRIT_ACTIVATIONS_INT8,
                                           .report_error = true};
    struct fixture f = {.client = NULL};
    struct trit_array y = TRIT_ARRAY_INIT;
    struct trit_forward forward = {.size = sizeof(forward), .y = &y};
    uint8_t bytes[512];
    size_t at = encode_layer_errors(0.5f, 0.25f, bytes, sizeof(bytes));

    at += put_tensor(bytes + at, 15, 2, (uint64_t[]){1, OUT}, OUT);
    fake_reply_message(&f.replies[0], bytes, at, NULL, 0);
    reply_tensor(&f.replies[1], 15, 2, (uint64_t[]){1, OUT}, OUT);
    start(&f);
    CHECK_EQ(trit_layer_forward(f.client, "l", &x, &options, &forward, &f.error),
             TRIT_OK);
    CHECK(forward.has_error && forward.max_error == 0.5f);
    CHECK(forward.relative_error == 0.25f);
    trit_array_free(&y);
    CHECK_EQ(trit_layer_forward(f.client, "l", &x, &options, &forward, &f.error),
             TRIT_INTERNAL);
    CHECK_STR(f.error.message, "the reply lacks errors");
    CHECK(!y.data);
    stop(&f);
}

CASE(embeds, "embed sends packed ids and returns a row for each")
{
    static const uint32_t ids[] = {1, 300};
    struct fixture f = {.client = NULL};
    struct trit_array rows = TRIT_ARRAY_INIT;
    struct fake_request request;

    reply_tensor(&f.replies[0], 1, 2, (uint64_t[]){2, IN}, 6);
    start(&f);
    CHECK_EQ(trit_layer_embed(f.client, "l", ids, 2, NULL, &rows, &f.error), TRIT_OK);
    CHECK_EQ(rows.shape[1], IN);
    CHECK_MEM(rows.data, values, sizeof(values));
    trit_array_free(&rows);
    CHECK(fake_request(f.server, 0, &request));
    CHECK(memmem(request.body, request.body_bytes, "\x12\x03\x01\xac\x02", 5));
    CHECK_EQ(trit_layer_embed(f.client, "l", ids, 1, NULL, &rows, &f.error),
             TRIT_INTERNAL); /* two rows for one id */
    CHECK(!rows.data);
    stop(&f);
}

/* Replies that are not what the request implies. */
CASE(refuses_other_products,
     "a product whose shape or size differs from what the request implies is refused")
{
    static const struct {
        uint32_t rank;
        uint64_t shape[3];
        size_t count;
        enum trit_status status;
    } wrong[] = {
        {1, {OUT}, OUT, TRIT_INTERNAL},               /* a rank is missing */
        {2, {2, OUT}, 2 * OUT, TRIT_INTERNAL},        /* other rows than x */
        {2, {1, 0}, 0, TRIT_INTERNAL},                /* nothing */
        {2, {1, OUT}, OUT - 1, TRIT_DATA_LOSS},       /* fewer bytes */
        {2, {1, UINT64_MAX / 2}, OUT, TRIT_INTERNAL}, /* an overflow */
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct fixture f = {.client = NULL};
        struct trit_array y = TRIT_ARRAY_INIT;
        struct trit_forward forward = {.size = sizeof(forward), .y = &y};

        reply_tensor(&f.replies[0], 15, wrong[i].rank, wrong[i].shape, wrong[i].count);
        start(&f);
        CHECK_EQ(trit_layer_forward(f.client, "l", &x, NULL, &forward, &f.error),
                 wrong[i].status);
        CHECK(!y.data);
        stop(&f);
    }
}

CASE(twice, "a result that the reply contains twice is refused")
{
    struct fixture f = {.client = NULL};
    struct trit_array y = TRIT_ARRAY_INIT;
    struct trit_forward forward = {.size = sizeof(forward), .y = &y};
    uint8_t bytes[512];
    size_t at = put_tensor(bytes, 15, 2, (uint64_t[]){1, OUT}, OUT);

    at += put_tensor(bytes + at, 15, 2, (uint64_t[]){1, OUT}, OUT);
    fake_reply_message(&f.replies[0], bytes, at, NULL, 0);
    start(&f);
    CHECK_EQ(trit_layer_forward(f.client, "l", &x, NULL, &forward, &f.error),
             TRIT_INTERNAL);
    CHECK_STR(f.error.message, "the reply holds y twice");
    stop(&f);
}

CASE(goes_backward, "backward returns two gradients, or three if the layer has a bias")
{
    struct trit_tensor gradient = {.size = sizeof(gradient),
                                   .dtype = TRIT_F32,
                                   .rank = 2,
                                   .shape = {1, OUT},
                                   .data = values,
                                   .bytes = 8};
    struct trit_array input = TRIT_ARRAY_INIT, weights = TRIT_ARRAY_INIT,
                      bias = TRIT_ARRAY_INIT;
    struct trit_gradients g = {
        .size = sizeof(g), .input = &input, .weight = &weights, .bias = &bias};
    struct fixture f = {.client = NULL};
    uint8_t bytes[512];
    size_t at = put_tensor(bytes, 1, 2, (uint64_t[]){1, IN}, IN);

    at += put_tensor(bytes + at, 2, 2, (uint64_t[]){OUT, IN}, 6);
    fake_reply_message(&f.replies[0], bytes, at, NULL, 0);
    at += put_tensor(bytes + at, 3, 1, (uint64_t[]){OUT}, OUT);
    fake_reply_message(&f.replies[1], bytes, at, NULL, 0);
    start(&f);
    CHECK_EQ(trit_layer_backward(f.client, "l", &x, &gradient, NULL, &g, &f.error),
             TRIT_OK);
    CHECK_EQ(input.bytes, 12);
    CHECK_EQ(weights.shape[0], OUT);
    CHECK_MEM(weights.data, values, 24);
    CHECK(!bias.data);
    trit_gradients_free(&g);
    CHECK_EQ(trit_layer_backward(f.client, "l", &x, &gradient, NULL, &g, &f.error),
             TRIT_OK);
    CHECK_EQ(bias.rank, 1);
    CHECK_MEM(bias.data, values, 8);
    trit_gradients_free(&g);
    trit_gradients_free(NULL);
    stop(&f);
}

/* ---- cases: memory ----------------------------------------------------------------- */

/* The nth allocation of a session fails, for every n that there is. */
CASE(lacks_memory, "whichever allocation fails, the call fails cleanly")
{
    static const uint32_t id = 1;
    struct fixture f = {.client = NULL};
    struct trit_connect_options options = {.size = sizeof(options), .timeout_ms = 20000};
    bool faulted = true;

    reply_tensor(&f.replies[0], 1, 2, (uint64_t[]){1, OUT}, OUT);
    start(&f);
    options.address = fake_address(f.server);
    for (uint64_t n = 1; faulted; n++) {
        struct trit_array rows = TRIT_ARRAY_INIT;
        struct trit_client *client = NULL;
        enum trit_status status;

        CHECK(n < 1000);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        status = trit_connect(&client, &options, NULL);
        if (status == TRIT_OK)
            status = trit_layer_embed(client, "l", &id, 1, NULL, &rows, NULL);
        trit_close(client);
        faulted = fault_disarm();
        CHECK((rows.data != NULL) == (status == TRIT_OK));
        CHECK(faulted || status == TRIT_OK);
        trit_array_free(&rows);
    }
    stop(&f);
}
