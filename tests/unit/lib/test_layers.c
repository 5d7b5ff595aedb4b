/* The methods of Layers against a server that answers what it is told. */
#include <stdio.h>
#include <string.h>

#include <trit.h>

#include "proto/codec/layers.h"
#include "tests/lib/check.h"
#include "tests/lib/fake_reply.h"
#include "tests/lib/fake_server.h"
#include "tests/lib/fault.h"

/* ---- fixture ------------------------------------------------------------------------
 */

enum { REPLIES = 3, OUT = 2, IN = 3 };

struct fixture {
    struct fake_reply replies[REPLIES];
    struct fake_act acts[REPLIES];
    struct fake_server *server;
    struct trit_client *client;
    struct trit_error error;
};

static const float values[6] = {1, -2, 3, -4, 5, -6};
static const struct trit_tensor x = {
    .dtype = TRIT_F32, .rank = 2, .shape = {1, IN}, .data = values, .bytes = 12};
static const struct trit_tensor weight = {
    .dtype = TRIT_F32, .rank = 2, .shape = {OUT, IN}, .data = values, .bytes = 24};
static const struct trit_tensor two = {
    .dtype = TRIT_F32, .rank = 1, .shape = {OUT}, .data = values, .bytes = 8};
static const struct trit_layer_spec spec = {
    .name = "l", .in_features = IN, .out_features = OUT, .bias = true};

/* The n-th reply answers the n-th request; the last one all that follow. */
static void start(struct fixture *f)
{
    struct trit_connect_options options = {.timeout_ms = 20000, .stream_bytes_min = 32};
    size_t count = 0;

    while (count < REPLIES && (count == 0 || f->replies[count].count > 0)) {
        f->acts[count].body = f->replies[count].bytes;
        f->acts[count].body_bytes = f->replies[count].count;
        count++;
    }
    f->server = fake_start(f->acts, count);
    options.address = fake_address(f->server);
    CHECK_EQ(trit_connect(&f->client, &options, &f->error), TRIT_OK);
}

static void stop(struct fixture *f)
{
    trit_close(f->client);
    fake_stop(f->server);
    for (size_t i = 0; i < REPLIES; i++)
        fake_reply_free(&f->replies[i]);
}

static struct wire_layer_spec wire_spec(const char *name)
{
    struct wire_layer_spec wire = {
        .in_features = IN, .out_features = OUT, .bias = true, .group_size = 128};

    snprintf(wire.name, sizeof wire.name, "%s", name);
    return wire;
}

static void reply_made(struct fake_reply *reply)
{
    struct wire_layer_spec wire = wire_spec("l");
    uint8_t bytes[LAYER_SPEC_BYTES_MAX];

    fake_reply_message(reply, bytes, encode_layer_spec(&wire, bytes, sizeof bytes), NULL,
                       0);
}

/* Appends a tensor of floats as field `number`. */
static size_t put_tensor(uint8_t *out, uint32_t number, uint32_t rank,
                         const uint64_t *shape, size_t count)
{
    struct wire_tensor tensor = {.dtype = TRIT_F32, .rank = rank};
    size_t at;

    memcpy(tensor.shape, shape, rank * sizeof *shape);
    at = encode_layer_tensor(number, &tensor, count * sizeof(float), out, 256);
    memcpy(out + at, values, count * sizeof(float));
    return at + count * sizeof(float);
}

/* Forward answers in field 15, AsLinear and Embed in field 1. */
static void reply_tensor(struct fake_reply *reply, uint32_t number, uint32_t rank,
                         const uint64_t *shape, size_t count)
{
    uint8_t bytes[512];

    fake_reply_message(reply, bytes, put_tensor(bytes, number, rank, shape, count), NULL,
                       0);
}

static const char *path_of(struct fixture *f, size_t n, struct fake_request *request)
{
    CHECK(fake_request(f->server, n, request));
    return request->path;
}

/* ---- cases: making -------------------------------------------------------------------
 */

static void creates(void)
{
    struct fixture f = {.client = NULL};
    struct trit_layer_spec made = {.in_features = 0}, endless = spec;
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
    memset(endless.name, 'n', sizeof endless.name);
    CHECK_EQ(trit_layer_create(f.client, &endless, 7, NULL, &made, &f.error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(f.error.field, "spec.name");
    CHECK(!fake_request(f.server, 2, &request));
    stop(&f);
}

static void loads(void)
{
    struct fixture f = {.client = NULL};
    struct trit_layer_spec made = {.in_features = 0}, other = spec;
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
    CHECK(memmem(request.body, request.body_bytes, values, 24) != NULL);
    CHECK(memmem(request.body, request.body_bytes, values, 8) != NULL);
    other.in_features = IN + 1;
    CHECK_EQ(trit_layer_load(f.client, &other, &weight, NULL, NULL, &made, &f.error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(f.error.field, "weight.shape");
    stop(&f);
}

/* A connection of the pool dies under a request: only what may be repeated is. */
static void repeats(void)
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

/* ---- cases: products -----------------------------------------------------------------
 */

static void forwards(void)
{
    struct fixture f = {.client = NULL};
    struct trit_forward forward = {.y = TRIT_ARRAY_INIT};
    struct trit_array logits = TRIT_ARRAY_INIT;
    struct fake_request request;

    reply_tensor(&f.replies[0], 15, 2, (uint64_t[]){1, OUT}, OUT);
    reply_tensor(&f.replies[1], 1, 2, (uint64_t[]){1, OUT}, OUT);
    start(&f);
    CHECK_EQ(trit_layer_forward(f.client, "l", &x, NULL, &forward, &f.error), TRIT_OK);
    CHECK_EQ(forward.y.dtype, TRIT_F32);
    CHECK_EQ(forward.y.rank, 2);
    CHECK_EQ(forward.y.shape[0], 1);
    CHECK_EQ(forward.y.shape[1], OUT);
    CHECK_EQ(forward.y.bytes, 8);
    CHECK_MEM(forward.y.data, values, 8);
    CHECK(!forward.has_error);
    trit_array_free(&forward.y);
    CHECK(forward.y.data == NULL);
    CHECK_EQ(trit_layer_as_linear(f.client, "l", &x, NULL, &logits, &f.error), TRIT_OK);
    CHECK_MEM(logits.data, values, 8);
    trit_array_free(&logits);
    CHECK_STR(path_of(&f, 0, &request), "/trit.v1.Layers/Forward");
    CHECK_STR(path_of(&f, 1, &request), "/trit.v1.Layers/AsLinear");
    stop(&f);
}

static void reports_errors(void)
{
    struct trit_forward_options options = {.activations = TRIT_ACTIVATIONS_INT8,
                                           .report_error = true};
    struct fixture f = {.client = NULL};
    struct trit_forward forward = {.y = TRIT_ARRAY_INIT};
    uint8_t bytes[512];
    size_t at = encode_layer_errors(0.5f, 0.25f, bytes, sizeof bytes);

    at += put_tensor(bytes + at, 15, 2, (uint64_t[]){1, OUT}, OUT);
    fake_reply_message(&f.replies[0], bytes, at, NULL, 0);
    reply_tensor(&f.replies[1], 15, 2, (uint64_t[]){1, OUT}, OUT);
    start(&f);
    CHECK_EQ(trit_layer_forward(f.client, "l", &x, &options, &forward, &f.error),
             TRIT_OK);
    CHECK(forward.has_error && forward.max_error == 0.5f);
    CHECK(forward.relative_error == 0.25f);
    trit_array_free(&forward.y);
    CHECK_EQ(trit_layer_forward(f.client, "l", &x, &options, &forward, &f.error),
             TRIT_INTERNAL);
    CHECK_STR(f.error.message, "the reply lacks errors");
    CHECK(forward.y.data == NULL);
    stop(&f);
}

static void embeds(void)
{
    static const uint32_t ids[] = {1, 300};
    struct fixture f = {.client = NULL};
    struct trit_array rows = TRIT_ARRAY_INIT;
    struct fake_request request;

    reply_tensor(&f.replies[0], 1, 2, (uint64_t[]){2, IN}, 6);
    start(&f);
    CHECK_EQ(trit_layer_embed(f.client, "l", ids, 2, NULL, &rows, &f.error), TRIT_OK);
    CHECK_EQ(rows.shape[1], IN);
    CHECK_MEM(rows.data, values, sizeof values);
    trit_array_free(&rows);
    CHECK(fake_request(f.server, 0, &request));
    CHECK(memmem(request.body, request.body_bytes, "\x12\x03\x01\xac\x02", 5) != NULL);
    CHECK_EQ(trit_layer_embed(f.client, "l", ids, 1, NULL, &rows, &f.error),
             TRIT_INTERNAL); /* two rows for one id */
    CHECK(rows.data == NULL);
    stop(&f);
}

/* Replies that are not what the request implies. */
static void mistrusts(void)
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

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct fixture f = {.client = NULL};
        struct trit_forward forward = {.y = TRIT_ARRAY_INIT};

        reply_tensor(&f.replies[0], 15, wrong[i].rank, wrong[i].shape, wrong[i].count);
        start(&f);
        CHECK_EQ(trit_layer_forward(f.client, "l", &x, NULL, &forward, &f.error),
                 wrong[i].status);
        CHECK(forward.y.data == NULL);
        stop(&f);
    }
}

static void twice(void)
{
    struct fixture f = {.client = NULL};
    struct trit_forward forward = {.y = TRIT_ARRAY_INIT};
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

static void goes_backward(void)
{
    struct trit_tensor gradient = {
        .dtype = TRIT_F32, .rank = 2, .shape = {1, OUT}, .data = values, .bytes = 8};
    struct trit_gradients g = {.input = TRIT_ARRAY_INIT};
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
    CHECK_EQ(g.input.bytes, 12);
    CHECK_EQ(g.weight.shape[0], OUT);
    CHECK_MEM(g.weight.data, values, 24);
    CHECK(g.bias.data == NULL);
    trit_gradients_free(&g);
    CHECK_EQ(trit_layer_backward(f.client, "l", &x, &gradient, NULL, &g, &f.error),
             TRIT_OK);
    CHECK_EQ(g.bias.rank, 1);
    CHECK_MEM(g.bias.data, values, 8);
    trit_gradients_free(&g);
    trit_gradients_free(NULL);
    stop(&f);
}

/* ---- cases: getting, listing, verifying
 * ------------------------------------------------ */

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
    size_t cut[2], count = encode_layer_got(&got, head, sizeof head, cut), at = 0;

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

static void gets(void)
{
    struct trit_layer_get_options options = {.encoding = TRIT_ENCODING_INT8};
    struct trit_layer layer = {.scale_bytes = 0};
    struct fixture f = {.client = NULL};

    reply_got(&f.replies[0], 6);
    reply_got(&f.replies[1], 5);
    start(&f);
    CHECK_EQ(trit_layer_get(f.client, "l", &options, &layer, &f.error), TRIT_OK);
    CHECK_STR(layer.spec.name, "l");
    CHECK(layer.has_seed && layer.seed == 7);
    CHECK_EQ(layer.encoding, TRIT_ENCODING_INT8);
    CHECK_EQ(layer.weight.dtype, TRIT_I8);
    CHECK_EQ(layer.weight.shape[0], OUT);
    CHECK_EQ(layer.weight.bytes, 6);
    CHECK_MEM(layer.weight.data, "\1\0\377\1\1\0", 6);
    CHECK_MEM(layer.bias.data, values, 8);
    CHECK_EQ(layer.scale_bytes, 8);
    CHECK_MEM(layer.scales, values, 8);
    trit_layer_free(&layer);
    CHECK(layer.weight.data == NULL && layer.scales == NULL);
    trit_layer_free(NULL);
    CHECK_EQ(trit_layer_get(f.client, "l", &options, &layer, &f.error), TRIT_DATA_LOSS);
    CHECK(layer.weight.data == NULL);
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

    CHECK(names->count < sizeof names->seen);
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
        at += encode_layer_spec(&specs[i], bytes + at, sizeof bytes - at);
    if (token)
        at += encode_page_token(token, bytes + at, sizeof bytes - at);
    fake_reply_message(reply, bytes, at, NULL, 0);
}

static void lists(void)
{
    struct fixture f = {.client = NULL};
    struct names names = {.stop_at = 0}, few = {.stop_at = 1};
    struct fake_request request;

    page(&f.replies[0], "a", "b");
    page(&f.replies[1], "c", NULL);
    page(&f.replies[2], "a", "b");
    start(&f);
    CHECK_EQ(trit_layer_list(f.client, "p/", NULL, visit_spec, &names, &f.error),
             TRIT_OK);
    CHECK_EQ(names.count, 4);
    CHECK_MEM(names.seen, "abcd", 4);
    CHECK(fake_request(f.server, 1, &request));
    CHECK(memmem(request.body, request.body_bytes, "p/", 2) != NULL);
    CHECK_EQ(trit_layer_list(f.client, NULL, NULL, visit_spec, &few, &f.error), TRIT_OK);
    CHECK_EQ(few.count, 1);
    CHECK(!fake_request(f.server, 3, &request));
    stop(&f);
}

static int visit_report(void *arg, const struct trit_report *report)
{
    struct names *names = arg;

    CHECK(names->count < sizeof names->seen);
    names->seen[names->count++] = report->layer[0];
    return names->count == names->stop_at;
}

static void verifies(void)
{
    struct trit_layer_verify_options options = {.prefix = "p/", .has_tolerance = true};
    struct fixture f = {.client = NULL};
    struct names names = {.stop_at = 0}, few = {.stop_at = 1};
    uint8_t bytes[2 * REPORT_BYTES_MAX];
    size_t at = 0;

    for (char name = 'a'; name < 'c'; name++) {
        struct trit_report report = fake_report(128);

        report.layer[0] = name;
        at += encode_report_entry(&report, bytes + at, sizeof bytes - at);
    }
    fake_reply_message(&f.replies[0], bytes, at, NULL, 0);
    start(&f);
    CHECK_EQ(trit_layer_verify(f.client, &options, visit_report, &names, &f.error),
             TRIT_OK);
    CHECK_EQ(names.count, 2);
    CHECK_MEM(names.seen, "ab", 2);
    CHECK_EQ(trit_layer_verify(f.client, NULL, visit_report, &few, &f.error), TRIT_OK);
    CHECK_EQ(few.count, 1);
    stop(&f);
}

static void long_names(void)
{
    struct trit_connect_options options = {.address = "127.0.0.1:1"};
    struct trit_layer_verify_options verify = {.prefix = NULL};
    char name[TRIT_NAME_BYTES_MAX + 2] = "";
    struct trit_forward forward;
    struct trit_layer layer;
    struct trit_client *client;
    struct trit_error error;

    memset(name, 'n', sizeof name - 1);
    verify.prefix = name;
    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_OK);
    CHECK_EQ(trit_layer_delete(client, name, NULL, &error), TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "name");
    CHECK_EQ(trit_layer_get(client, name, NULL, &layer, NULL), TRIT_INVALID_ARGUMENT);
    CHECK_EQ(trit_layer_forward(client, name, &x, NULL, &forward, NULL),
             TRIT_INVALID_ARGUMENT);
    CHECK_EQ(trit_layer_list(client, name, NULL, visit_spec, NULL, &error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "prefix");
    CHECK_EQ(trit_layer_verify(client, &verify, visit_report, NULL, NULL),
             TRIT_INVALID_ARGUMENT);
    trit_close(client);
}

/* ---- cases: memory
 * --------------------------------------------------------------------- */

/* The nth allocation of a session fails, for every n that there is. */
static void lacks_memory(void)
{
    static const uint32_t id = 1;
    struct fixture f = {.client = NULL};
    struct trit_connect_options options = {.timeout_ms = 20000};
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

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"create gives the spec with its defaults; a name must end", creates},
        {"load is one message or a stream by size; the weight has the spec's shape",
         loads},
        {"what makes or deletes a layer is not sent twice", repeats},
        {"forward and as_linear give y as the reply shapes it", forwards},
        {"forward gives the errors that were asked for", reports_errors},
        {"embed packs ids and gives a row for each", embeds},
        {"a product that is not as the request implies is refused", mistrusts},
        {"a result that comes twice is refused", twice},
        {"backward gives two gradients, or three with a bias", goes_backward},
        {"get gives weights, scales, bias and seed, and misses missing bytes", gets},
        {"list walks the pages until it is told to stop", lists},
        {"verify visits a report of each layer until it is told to stop", verifies},
        {"names that are too long never leave", long_names},
        {"any allocation may fail, and then the call gives nothing", lacks_memory},
    };
    return CHECK_RUN(cases, argc, argv);
}
