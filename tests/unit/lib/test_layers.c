/* SPDX-License-Identifier: Apache-2.0 */
/* Layers made, got, listed and verified, against a server that answers what it is
 * told. Products: test_layer_products.c. */
#include "layers.h"

/* ---- cases: making ----------------------------------------------------------------- */

CASE(creates,
     "create returns the spec with its defaults; a name without a NUL is refused")
{
    struct fixture f = {.client = NULL};
    struct trit_layer_spec made = {.size = sizeof(made), .in_features = 0},
                           endless = spec;
    struct fake_request request;

    reply_made(&f.replies[0]);
    start(&f);
    CHECK_EQ(trit_layer_create(f.client, &spec, 7, NULL, &made, &f.error), TRIT_OK);
    CHECK_STR(made.name, "l");
    CHECK_EQ(made.group_size, 128);
    CHECK_EQ(made.in_features, IN);
    CHECK(made.bias);
    CHECK_EQ(trit_layer_create(f.client, &spec, 7, NULL, NULL, NULL), TRIT_OK);
    CHECK_STR(path_of(&f, 0, &request), "/trit.v1.Layers/Create");
    memset(endless.name, 'n', sizeof(endless.name));
    CHECK_EQ(trit_layer_create(f.client, &endless, 7, NULL, &made, &f.error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(f.error.field, "spec.name");
    CHECK(!fake_request(f.server, 2, &request));
    stop(&f);
}

CASE(loads,
     "load sends one message or a stream, by size; the weight has the spec's shape")
{
    struct fixture f = {.client = NULL};
    struct trit_layer_spec made = {.size = sizeof(made), .in_features = 0}, other = spec;
    struct fake_request request;

    reply_made(&f.replies[0]);
    start(&f);
    other.bias = false;
    CHECK_EQ(trit_layer_load(f.client, &other, &weight, NULL, NULL, &made, &f.error),
             TRIT_OK);
    CHECK_STR(path_of(&f, 0, &request), "/trit.v1.Layers/Load");
    CHECK_EQ(trit_layer_load(f.client, &spec, &weight, &two, NULL, &made, &f.error),
             TRIT_OK); /* 24 and 8 bytes: what is streamed begins at 32 */
    CHECK_STR(path_of(&f, 1, &request), "/trit.v1.Layers/LoadStream");
    CHECK(memmem(request.body, request.body_bytes, values, 24));
    CHECK(memmem(request.body, request.body_bytes, values, 8));
    other.in_features = IN + 1;
    CHECK_EQ(trit_layer_load(f.client, &other, &weight, NULL, NULL, &made, &f.error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(f.error.field, "weight.shape");
    stop(&f);
}

/* A connection of the pool dies under a request: only what may be repeated is. */
CASE(repeats, "calls that create or delete a layer are not sent twice")
{
    struct fixture f = {.client = NULL};
    struct fake_request request;

    reply_made(&f.replies[0]);
    reply_made(&f.replies[1]);
    f.acts[1].deed = FAKE_HANGUP;
    reply_made(&f.replies[2]);
    start(&f);
    CHECK_EQ(trit_layer_create(f.client, &spec, 7, NULL, NULL, &f.error), TRIT_OK);
    CHECK_EQ(trit_layer_create(f.client, &spec, 7, NULL, NULL, &f.error),
             TRIT_UNAVAILABLE);
    CHECK(!fake_request(f.server, 2, &request));
    CHECK_EQ(trit_layer_delete(f.client, "l", NULL, &f.error), TRIT_OK);
    CHECK_STR(path_of(&f, 2, &request), "/trit.v1.Layers/Delete");
    CHECK_EQ(fake_connections(f.server), 2);
    stop(&f);
}

/* ---- cases: getting, listing, verifying -------------------------------------------- */

static void reply_got(struct fake_reply *reply, uint64_t data_bytes)
{
    struct wire_layer_got got = {.spec = wire_spec("l"),
                                 .has_seed = true,
                                 .seed = 7,
                                 .encoding = TRIT_ENCODING_INT8,
                                 .dtype = TRIT_I8,
                                 .bias_bytes = 8,
                                 .scale_bytes = 8,
                                 .data_bytes = data_bytes};
    uint8_t head[REPLY_HEAD_BYTES_MAX], bytes[REPLY_HEAD_BYTES_MAX + 64];
    size_t cut[2], count = encode_layer_got(&got, head, sizeof(head), cut), at = 0;

    memcpy(bytes, head, cut[0]);
    memcpy(bytes + cut[0], values, 8);
    at = cut[0] + 8;
    memcpy(bytes + at, head + cut[0], cut[1] - cut[0]);
    at += cut[1] - cut[0];
    memcpy(bytes + at, values, 8);
    at += 8;
    memcpy(bytes + at, head + cut[1], count - cut[1]);
    at += count - cut[1];
    memcpy(bytes + at, "\1\0\377\1\1\0", data_bytes);
    fake_reply_message(reply, bytes, at + data_bytes, NULL, 0);
}

CASE(gets, "get returns weights, scales, bias and seed, and notices missing bytes")
{
    struct trit_layer_get_options options = {.size = sizeof(options),
                                             .encoding = TRIT_ENCODING_INT8};
    struct trit_layer_spec got = TRIT_LAYER_SPEC_INIT;
    struct trit_array weights = TRIT_ARRAY_INIT, bias = TRIT_ARRAY_INIT;
    struct trit_layer layer = {
        .size = sizeof(layer), .spec = &got, .weight = &weights, .bias = &bias};
    struct fixture f = {.client = NULL};

    reply_got(&f.replies[0], 6);
    reply_got(&f.replies[1], 5);
    start(&f);
    CHECK_EQ(trit_layer_get(f.client, "l", &options, &layer, &f.error), TRIT_OK);
    CHECK_STR(got.name, "l");
    CHECK(layer.has_seed && layer.seed == 7);
    CHECK_EQ(layer.encoding, TRIT_ENCODING_INT8);
    CHECK_EQ(weights.dtype, TRIT_I8);
    CHECK_EQ(weights.shape[0], OUT);
    CHECK_EQ(weights.bytes, 6);
    CHECK_MEM(weights.data, "\1\0\377\1\1\0", 6);
    CHECK_MEM(bias.data, values, 8);
    CHECK_EQ(layer.scale_bytes, 8);
    CHECK_MEM(layer.scales, values, 8);
    trit_layer_free(&layer);
    CHECK(!weights.data && !layer.scales);
    trit_layer_free(NULL);
    CHECK_EQ(trit_layer_get(f.client, "l", &options, &layer, &f.error), TRIT_DATA_LOSS);
    CHECK(!weights.data);
    options.encoding = TRIT_ENCODING_PQ2_0;
    CHECK_EQ(trit_layer_get(f.client, "l", &options, &layer, &f.error), TRIT_INTERNAL);
    stop(&f);
}

struct names {
    char seen[8];
    size_t count, stop_at;
};

static int visit_spec(void *arg, const struct trit_layer_spec *found)
{
    struct names *names = arg;

    CHECK(names->count < sizeof(names->seen));
    names->seen[names->count++] = found->name[0];
    return names->count == names->stop_at;
}

static void page(struct fake_reply *reply, const char *first, const char *token)
{
    char second[] = {(char)(first[0] + 1), '\0'};
    struct wire_layer_spec specs[] = {wire_spec(first), wire_spec(second)};
    uint8_t bytes[4 * LAYER_SPEC_BYTES_MAX];
    size_t at = 0;

    for (size_t i = 0; i < 2; i++)
        at += encode_layer_spec(&specs[i], bytes + at, sizeof(bytes) - at);
    if (token)
        at += encode_page_token(token, bytes + at, sizeof(bytes) - at);
    fake_reply_message(reply, bytes, at, NULL, 0);
}

CASE(lists, "list reads page after page until the visitor stops")
{
    struct fixture f = {.client = NULL};
    struct names names = {.stop_at = 0}, few = {.stop_at = 1};
    struct trit_layer_spec found = TRIT_LAYER_SPEC_INIT;
    struct fake_request request;

    page(&f.replies[0], "a", "b");
    page(&f.replies[1], "c", NULL);
    page(&f.replies[2], "a", "b");
    start(&f);
    CHECK_EQ(trit_layer_list(f.client, "p/", NULL, &found, visit_spec, &names, &f.error),
             TRIT_OK);
    CHECK_EQ(names.count, 4);
    CHECK_MEM(names.seen, "abcd", 4);
    CHECK(fake_request(f.server, 1, &request));
    CHECK(memmem(request.body, request.body_bytes, "p/", 2));
    CHECK_EQ(trit_layer_list(f.client, NULL, NULL, &found, visit_spec, &few, &f.error),
             TRIT_OK);
    CHECK_EQ(few.count, 1);
    CHECK(!fake_request(f.server, 3, &request));
    stop(&f);
}

static int visit_report(void *arg, const struct trit_report *report)
{
    struct names *names = arg;

    CHECK(names->count < sizeof(names->seen));
    names->seen[names->count++] = report->layer[0];
    return names->count == names->stop_at;
}

CASE(verifies, "verify passes a report of each layer to the visitor until it stops")
{
    struct trit_layer_verify_options options = {
        .size = sizeof(options), .prefix = "p/", .has_tolerance = true};
    struct fixture f = {.client = NULL};
    struct names names = {.stop_at = 0}, few = {.stop_at = 1};
    struct trit_report found = TRIT_REPORT_INIT;
    uint8_t bytes[2 * REPORT_BYTES_MAX];
    size_t at = 0;

    for (char name = 'a'; name < 'c'; name++) {
        struct trit_report report = fake_report(128);

        report.layer[0] = name;
        at += encode_report_entry(&report, bytes + at, sizeof(bytes) - at);
    }
    fake_reply_message(&f.replies[0], bytes, at, NULL, 0);
    start(&f);
    CHECK_EQ(
        trit_layer_verify(f.client, &options, &found, visit_report, &names, &f.error),
        TRIT_OK);
    CHECK_EQ(names.count, 2);
    CHECK_MEM(names.seen, "ab", 2);
    CHECK_EQ(trit_layer_verify(f.client, NULL, &found, visit_report, &few, &f.error),
             TRIT_OK);
    CHECK_EQ(few.count, 1);
    stop(&f);
}

CASE(long_names, "names that are too long are not sent")
{
    struct trit_connect_options options = {.size = sizeof(options),
                                           .address = "127.0.0.1:1"};
    struct trit_layer_verify_options verify = {.size = sizeof(verify), .prefix = NULL};
    char name[TRIT_NAME_BYTES_MAX + 2] = "";
    struct trit_array y = TRIT_ARRAY_INIT;
    struct trit_forward forward = {.size = sizeof(forward), .y = &y};
    struct trit_layer_spec found = TRIT_LAYER_SPEC_INIT;
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_layer layer = TRIT_LAYER_INIT;
    struct trit_client *client;
    struct trit_error error = TRIT_ERROR_INIT;

    memset(name, 'n', sizeof(name) - 1);
    verify.prefix = name;
    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_OK);
    CHECK_EQ(trit_layer_delete(client, name, NULL, &error), TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "name");
    CHECK_EQ(trit_layer_get(client, name, NULL, &layer, NULL), TRIT_INVALID_ARGUMENT);
    CHECK_EQ(trit_layer_forward(client, name, &x, NULL, &forward, NULL),
             TRIT_INVALID_ARGUMENT);
    CHECK_EQ(trit_layer_list(client, name, NULL, &found, visit_spec, NULL, &error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "prefix");
    CHECK_EQ(trit_layer_verify(client, &verify, &report, visit_report, NULL, NULL),
             TRIT_INVALID_ARGUMENT);
    trit_close(client);
}
