/* SPDX-License-Identifier: Apache-2.0 */
/* Structs of callers that were built with another version of trit.h, and structs that
 * were not initialized. */
#include "client/lib/sized.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/check.h"

/* ---- a struct that has grown ------------------------------------------------------ */

struct first { /* as version 1 had it */
    size_t size;
    uint64_t a;
};
struct second { /* as the library has it */
    size_t size;
    uint64_t a;
    uint32_t b, c;
};
struct third { /* as a later version may have it */
    size_t size;
    uint64_t a;
    uint32_t b, c;
    uint64_t d;
};
static const struct sized toy = {"trit_toy", "TRIT_TOY_INIT", sizeof(struct second),
                                 sizeof(struct first)};

CASE(reads_every_version, "structs of older and newer callers are read")
{
    const struct first old = {.size = sizeof(old), .a = 1};
    const struct second same = {.size = sizeof(same), .a = 1, .b = 2, .c = 3};
    const struct third newer = {.size = sizeof(newer), .a = 1, .b = 2, .c = 3};
    struct second copy;

    memset(&copy, 0xff, sizeof(copy));
    CHECK(sized_take(&toy, "toy", &old, &copy, NULL) == 0);
    CHECK(copy.size == sizeof(copy) && copy.a == 1 && copy.b == 0 && copy.c == 0);
    CHECK(sized_take(&toy, "toy", &same, &copy, NULL) == 0);
    CHECK(copy.a == 1 && copy.b == 2 && copy.c == 3);
    memset(&copy, 0xff, sizeof(copy));
    CHECK(sized_take(&toy, "toy", &newer, &copy, NULL) == 0);
    CHECK(copy.size == sizeof(copy) && copy.b == 2 && copy.c == 3);
    CHECK(sized_take_optional(&toy, "toy", NULL, &copy, NULL) == 0);
    CHECK(copy.size == sizeof(copy) && copy.a == 0 && copy.b == 0);
}

CASE(refuses_what_it_does_not_know,
     "an option that the library does not know is refused, with its offset")
{
    struct third newer = {.size = sizeof(newer), .d = 1ull << 40};
    struct failure failure = {.status = TRIT_OK};
    struct second copy;

    CHECK(sized_take(&toy, "options", &newer, &copy, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK_STR(failure.field, "options");
    CHECK_STR(failure.message, "options: sets a member of struct trit_toy, at byte 29, "
                               "that libtrit " TRIT_VERSION_STRING " does not know");
    CHECK(sized_read(&toy, "options", &newer, &copy, NULL) ==
          0); /* a result, not options */
}

CASE(refuses_sizes,
     "a size that no version had is refused, with the struct's name and the size")
{
    const size_t bad[] = {0,        1,       sizeof(size_t), sizeof(struct first) - 1,
                          1u << 17, SIZE_MAX};
    struct second copy;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct second given = {.size = bad[i]};
        struct failure failure = {.status = TRIT_OK};
        char message[128];

        CHECK(sized_check(&toy, "toy", &given, &failure) < 0);
        CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
        snprintf(message, sizeof(message),
                 "toy: struct trit_toy has size %zu; initialize it with TRIT_TOY_INIT",
                 bad[i]);
        CHECK_STR(failure.message, message);
        CHECK(sized_take(&toy, "toy", &given, &copy, NULL) < 0);
        CHECK(sized_read(&toy, "toy", &given, &copy, NULL) < 0);
    }
}

CASE(writes_no_byte_beyond, "no byte is written beyond the caller's size")
{
    const struct second full = {.size = 0, .a = 1, .b = 2, .c = 3};
    struct {
        struct first given;
        uint8_t guard[64];
    } old = {.given = {.size = sizeof(old.given)}};
    struct third newer = {.size = sizeof(newer), .d = 4};

    memset(old.guard, 0xa5, sizeof(old.guard));
    sized_give(&toy, &old, &full);
    CHECK(old.given.size == sizeof(old.given) && old.given.a == 1);
    for (size_t i = 0; i < sizeof(old.guard); i++)
        CHECK_EQ(old.guard[i], 0xa5);
    sized_give(&toy, &newer, &full);
    CHECK(newer.size == sizeof(newer) && newer.a == 1 && newer.c == 3 && newer.d == 4);
}

/* Every member has its place; a new member cannot hide in the padding at the end. */
CASE(ends_without_padding, "structs begin with their size and end without padding")
{
#define CHECK_SIZED(type, init, last)                                                    \
    CHECK_EQ(sized_##type.bytes, sizeof(struct trit_##type));                            \
    CHECK_EQ(sized_##type.bytes_first % sizeof(uint64_t), 0);                            \
    CHECK_EQ(offsetof(struct trit_##type, size), 0);
    SIZED_STRUCTS(CHECK_SIZED)
}

/* ---- every call --------------------------------------------------------------------- */

static const float values[4] = {1, -1, 0, 1};
static const struct trit_tensor tensor = {.size = sizeof(tensor),
                                          .dtype = TRIT_F32,
                                          .rank = 2,
                                          .shape = {2, 2},
                                          .data = values,
                                          .bytes = sizeof(values)};

static int visit_spec(void *arg, const struct trit_layer_spec *spec)
{
    (void)arg, (void)spec;
    return 0;
}

static int visit_report(void *arg, const struct trit_report *report)
{
    (void)arg, (void)report;
    return 0;
}

/* The call fails with INVALID_ARGUMENT, which names the argument. */
#define REFUSES(name, call)                                                              \
    do {                                                                                 \
        memset(error.field, 0, sizeof(error.field));                                     \
        CHECK_EQ(call, TRIT_INVALID_ARGUMENT);                                           \
        CHECK_EQ(error.status, TRIT_INVALID_ARGUMENT);                                   \
        CHECK_STR(error.field, name);                                                    \
    } while (0)

/* The address is of nobody: a call that went out would be UNAVAILABLE. */
static struct trit_client *connect_to_nobody(void)
{
    const struct trit_connect_options options = {.size = sizeof(options),
                                                 .address = "127.0.0.1:1"};
    struct trit_client *client = NULL;

    CHECK_EQ(trit_connect(&client, &options, NULL), TRIT_OK);
    return client;
}

CASE(null_tensors, "NULL arguments of tensor calls are refused by name")
{
    struct trit_client *c = connect_to_nobody();
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_tensor empty = tensor;
    struct trit_verify_options verify = {.size = sizeof(verify), .scale_bytes = 4};
    float out[4];
    uint64_t bytes;
    void *data;

    empty.data = NULL;
    REFUSES("client", trit_connect(NULL, NULL, &error));
    REFUSES("client", trit_project(NULL, &tensor, NULL, &projection, &error));
    REFUSES("tensor", trit_project(c, NULL, NULL, &projection, &error));
    REFUSES("tensor.data", trit_project(c, &empty, NULL, &projection, &error));
    REFUSES("projection", trit_project(c, &tensor, NULL, NULL, &error));
    REFUSES("client", trit_project_batch(NULL, NULL, NULL, 0, NULL, &error));
    REFUSES("client", trit_pack(NULL, &tensor, NULL, &projection, &error));
    REFUSES("tensor", trit_pack(c, NULL, NULL, &projection, &error));
    REFUSES("projection", trit_pack(c, &tensor, NULL, NULL, &error));
    REFUSES("options.encoding", trit_pack(c, &tensor, NULL, &projection, &error));
    REFUSES("client", trit_verify(NULL, &tensor, NULL, &report, &error));
    REFUSES("tensor", trit_verify(c, NULL, NULL, &report, &error));
    REFUSES("report", trit_verify(c, &tensor, NULL, NULL, &error));
    REFUSES("options.scales", trit_verify(c, &tensor, &verify, &report, &error));
    verify = (struct trit_verify_options){.size = sizeof(verify), .reference = &empty};
    REFUSES("reference.data", trit_verify(c, &tensor, &verify, &report, &error));
    REFUSES("client", trit_unpack(NULL, &tensor, NULL, &data, &bytes, &error));
    REFUSES("packed", trit_unpack(c, NULL, NULL, &data, &bytes, &error));
    REFUSES("data", trit_unpack(c, &tensor, NULL, NULL, &bytes, &error));
    REFUSES("data_bytes", trit_unpack(c, &tensor, NULL, &data, NULL, &error));
    REFUSES("client", trit_backward(NULL, &tensor, NULL, out, &error));
    REFUSES("grad_ternary", trit_backward(c, NULL, NULL, out, &error));
    REFUSES("grad_latent", trit_backward(c, &tensor, NULL, NULL, &error));
    trit_close(c);
}

CASE(null_reports, "NULL arguments of report calls are refused by name")
{
    struct trit_client *c = connect_to_nobody();
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_report report = TRIT_REPORT_INIT;
    bool serving;

    REFUSES("client", trit_ping(NULL, NULL, NULL, &serving, &error));
    REFUSES("serving", trit_ping(c, NULL, NULL, NULL, &error));
    REFUSES("client", trit_report_get(NULL, "r", "l", NULL, NULL, &report, &error));
    REFUSES("run", trit_report_get(c, NULL, "l", NULL, NULL, &report, &error));
    REFUSES("layer", trit_report_get(c, "r", NULL, NULL, NULL, &report, &error));
    REFUSES("report", trit_report_get(c, "r", "l", NULL, NULL, NULL, &error));
    REFUSES("client", trit_report_list(NULL, NULL, &report, visit_report, NULL, &error));
    REFUSES("report", trit_report_list(c, NULL, NULL, visit_report, NULL, &error));
    REFUSES("visit", trit_report_list(c, NULL, &report, NULL, NULL, &error));
    CHECK_EQ(trit_report_verdict(NULL), TRIT_VERDICT_INCONCLUSIVE);
    trit_close(c);
}

static int visit_filed(void *arg, const struct trit_report *report, const char *cursor)
{
    (void)arg, (void)report, (void)cursor;
    return 0;
}

CASE(null_history, "NULL arguments of calls about the history are refused by name")
{
    struct trit_client *c = connect_to_nobody();
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_report_key key = TRIT_REPORT_KEY_INIT;
    struct trit_report_range range = TRIT_REPORT_RANGE_INIT;
    struct trit_layer_ref at = TRIT_LAYER_REF_INIT;
    struct trit_comparison found = TRIT_COMPARISON_INIT;

    REFUSES("client", trit_reports_get(NULL, &key, NULL, &report, &error));
    REFUSES("key", trit_reports_get(c, NULL, NULL, &report, &error));
    REFUSES("run", trit_reports_get(c, &key, NULL, &report, &error));
    REFUSES("report", trit_reports_get(c, &key, NULL, NULL, &error));
    REFUSES("client", trit_reports_rewind(NULL, "r", 1, NULL, NULL, &error));
    REFUSES("run", trit_reports_rewind(c, NULL, 1, NULL, NULL, &error));
    REFUSES("client", trit_reports_fork(NULL, "r", 1, "s", NULL, NULL, &error));
    REFUSES("run", trit_reports_fork(c, NULL, 1, "s", NULL, NULL, &error));
    REFUSES("new_run", trit_reports_fork(c, "r", 1, NULL, NULL, NULL, &error));
    REFUSES("client", trit_reports_delete(NULL, &range, NULL, NULL, &error));
    REFUSES("range", trit_reports_delete(c, NULL, NULL, NULL, &error));
    REFUSES("range.run", trit_reports_delete(c, &range, NULL, NULL, &error));
    REFUSES("client", trit_reports_compare(NULL, &at, &at, NULL, &found, &error));
    REFUSES("a", trit_reports_compare(c, NULL, &at, NULL, &found, &error));
    REFUSES("b", trit_reports_compare(c, &at, NULL, NULL, &found, &error));
    REFUSES("comparison", trit_reports_compare(c, &at, &at, NULL, NULL, &error));
    REFUSES("client", trit_reports_watch(NULL, NULL, &report, visit_filed, NULL, &error));
    REFUSES("report", trit_reports_watch(c, NULL, NULL, visit_filed, NULL, &error));
    REFUSES("visit", trit_reports_watch(c, NULL, &report, NULL, NULL, &error));
    trit_close(c);
}

CASE(sizes_history, "structs without a size, and bad values in them, are refused")
{
    struct trit_client *c = connect_to_nobody();
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_report report = TRIT_REPORT_INIT;
    const struct trit_report_key no_key = {.run = "r", .layer = "l"};
    const struct trit_report_range no_range = {.run = "r"};
    const struct trit_layer_ref no_ref = {.run = "r"};
    const struct trit_shard no_shard = {.rank = 1};
    const struct trit_shard flat = TRIT_SHARD_INIT;
    struct trit_layer_ref at = {.size = sizeof(at), .run = "r", .layer = "l"};
    struct trit_comparison found = TRIT_COMPARISON_INIT, unsized = {.size = 0};
    const struct trit_watch_options no_watch = {.size = 1};
    const struct trit_watch_options long_cursor = {
        .size = sizeof(long_cursor),
        .cursor = "0123456789012345678901234567890123456789012345678901234567890123"};

    REFUSES("key", trit_reports_get(c, &no_key, NULL, &report, &error));
    REFUSES("range", trit_reports_delete(c, &no_range, NULL, NULL, &error));
    REFUSES("a", trit_reports_compare(c, &no_ref, &at, NULL, &found, &error));
    REFUSES("comparison", trit_reports_compare(c, &at, &at, NULL, &unsized, &error));
    at.shard = &no_shard;
    REFUSES("layer.shard", trit_reports_compare(c, &at, &at, NULL, &found, &error));
    at.shard = &flat;
    REFUSES("layer.shard.rank", trit_reports_compare(c, &at, &at, NULL, &found, &error));
    REFUSES("options",
            trit_reports_watch(c, &no_watch, &report, visit_filed, NULL, &error));
    REFUSES("options.cursor",
            trit_reports_watch(c, &long_cursor, &report, visit_filed, NULL, &error));
    trit_close(c);
}

CASE(null_layers, "NULL arguments of layer calls are refused by name")
{
    const struct trit_layer_spec spec = {.size = sizeof(spec), .name = "l"};
    struct trit_client *c = connect_to_nobody();
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_layer_spec found = TRIT_LAYER_SPEC_INIT;
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_array y = TRIT_ARRAY_INIT;
    struct trit_layer layer = TRIT_LAYER_INIT;
    struct trit_gradients gradients = TRIT_GRADIENTS_INIT;
    struct trit_forward forward = {.size = sizeof(forward), .y = &y};
    const uint32_t id = 0;

    REFUSES("client", trit_layer_create(NULL, &spec, 0, NULL, NULL, &error));
    REFUSES("spec", trit_layer_create(c, NULL, 0, NULL, NULL, &error));
    REFUSES("client", trit_layer_load(NULL, &spec, &tensor, NULL, NULL, NULL, &error));
    REFUSES("spec", trit_layer_load(c, NULL, &tensor, NULL, NULL, NULL, &error));
    REFUSES("weight", trit_layer_load(c, &spec, NULL, NULL, NULL, NULL, &error));
    REFUSES("client", trit_layer_forward(NULL, "l", &tensor, NULL, &forward, &error));
    REFUSES("name", trit_layer_forward(c, NULL, &tensor, NULL, &forward, &error));
    REFUSES("x", trit_layer_forward(c, "l", NULL, NULL, &forward, &error));
    REFUSES("forward", trit_layer_forward(c, "l", &tensor, NULL, NULL, &error));
    forward.y = NULL;
    REFUSES("forward.y", trit_layer_forward(c, "l", &tensor, NULL, &forward, &error));
    REFUSES("client",
            trit_layer_backward(NULL, "l", &tensor, &tensor, NULL, &gradients, &error));
    REFUSES("name",
            trit_layer_backward(c, NULL, &tensor, &tensor, NULL, &gradients, &error));
    REFUSES("x", trit_layer_backward(c, "l", NULL, &tensor, NULL, &gradients, &error));
    REFUSES("grad_output",
            trit_layer_backward(c, "l", &tensor, NULL, NULL, &gradients, &error));
    REFUSES("gradients",
            trit_layer_backward(c, "l", &tensor, &tensor, NULL, NULL, &error));
    REFUSES("client", trit_layer_embed(NULL, "l", &id, 1, NULL, &y, &error));
    REFUSES("name", trit_layer_embed(c, NULL, &id, 1, NULL, &y, &error));
    REFUSES("ids", trit_layer_embed(c, "l", NULL, 1, NULL, &y, &error));
    REFUSES("rows", trit_layer_embed(c, "l", &id, 1, NULL, NULL, &error));
    REFUSES("client", trit_layer_as_linear(NULL, "l", &tensor, NULL, &y, &error));
    REFUSES("name", trit_layer_as_linear(c, NULL, &tensor, NULL, &y, &error));
    REFUSES("x", trit_layer_as_linear(c, "l", NULL, NULL, &y, &error));
    REFUSES("logits", trit_layer_as_linear(c, "l", &tensor, NULL, NULL, &error));
    REFUSES("client", trit_layer_get(NULL, "l", NULL, &layer, &error));
    REFUSES("name", trit_layer_get(c, NULL, NULL, &layer, &error));
    REFUSES("layer", trit_layer_get(c, "l", NULL, NULL, &error));
    REFUSES("client", trit_layer_list(NULL, "", NULL, &found, visit_spec, NULL, &error));
    REFUSES("spec", trit_layer_list(c, "", NULL, NULL, visit_spec, NULL, &error));
    REFUSES("visit", trit_layer_list(c, "", NULL, &found, NULL, NULL, &error));
    REFUSES("client", trit_layer_delete(NULL, "l", NULL, &error));
    REFUSES("name", trit_layer_delete(c, NULL, NULL, &error));
    REFUSES("client", trit_layer_verify(NULL, NULL, &report, visit_report, NULL, &error));
    REFUSES("report", trit_layer_verify(c, NULL, NULL, visit_report, NULL, &error));
    REFUSES("visit", trit_layer_verify(c, NULL, &report, NULL, NULL, &error));
    trit_close(c);
}

/* One call for each type of struct. */
CASE(structs_without_size, "a struct that was not initialized is refused by name")
{
    static const struct trit_layer_spec spec = {.size = sizeof(spec), .name = "l"};
    struct trit_client *c = connect_to_nobody();
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_projection good = TRIT_PROJECTION_INIT;
    struct trit_report good_report = TRIT_REPORT_INIT;
    struct trit_call_options call = {.timeout_ms = 1};
    struct trit_layer_ref ref = {.run = "r"};
    struct trit_tensor no_tensor = {.rank = 1};
    struct trit_report no_report = {.elements = 0};
    struct trit_array no_array = {.rank = 0};
    struct trit_layer_spec no_spec = {.bias = false};
    struct trit_project_options project = {.group_size = 0};
    struct trit_batch_options batch = {.group_size = 0};
    struct trit_projection no_projection = {.report = NULL};
    struct trit_connect_options connect = {.address = NULL};
    struct trit_report_query query = {.run = NULL};
    struct trit_forward forward = {.y = NULL};
    struct trit_gradients gradients = {.bias = &no_array};
    struct trit_layer layer = {.bias = &no_array};
    struct trit_layer_get_options get = {.call = &call};
    struct trit_layer_verify_options layer_verify = {.call = &call};
    struct trit_verify_options verify = {.call = &call};
    struct trit_unpack_options unpack = {.call = &call};
    struct trit_forward_options how = {.call = &call};
    uint64_t bytes;
    void *data;

    REFUSES("options", trit_connect(&c, &connect, &error));
    REFUSES("tensor", trit_project(c, &no_tensor, NULL, &good, &error));
    REFUSES("options", trit_project(c, &tensor, &project, &good, &error));
    project = (struct trit_project_options){.size = sizeof(project), .call = &call};
    REFUSES("options.call", trit_project(c, &tensor, &project, &good, &error));
    project = (struct trit_project_options){.size = sizeof(project), .layer = &ref};
    REFUSES("options.layer", trit_project(c, &tensor, &project, &good, &error));
    REFUSES("projection", trit_project(c, &tensor, NULL, &no_projection, &error));
    good.report = &no_report;
    REFUSES("projection.report", trit_project(c, &tensor, NULL, &good, &error));
    REFUSES("options", trit_project_batch(c, NULL, NULL, 0, &batch, &error));
    REFUSES("options", trit_verify(c, &tensor, &verify, &good_report, &error));
    REFUSES("options", trit_unpack(c, &tensor, &unpack, &data, &bytes, &error));
    REFUSES("options", trit_ping(c, "", &call, &(bool){false}, &error));
    REFUSES("query",
            trit_report_list(c, &query, &good_report, visit_report, NULL, &error));
    REFUSES("report", trit_report_list(c, NULL, &no_report, visit_report, NULL, &error));
    REFUSES("spec", trit_layer_create(c, &no_spec, 0, NULL, NULL, &error));
    REFUSES("made", trit_layer_create(c, &spec, 0, NULL, &no_spec, &error));
    REFUSES("options", trit_layer_forward(c, "l", &tensor, &how, &forward, &error));
    REFUSES("forward", trit_layer_forward(c, "l", &tensor, NULL, &forward, &error));
    REFUSES("gradients",
            trit_layer_backward(c, "l", &tensor, &tensor, NULL, &gradients, &error));
    gradients.size = sizeof(gradients);
    REFUSES("gradients.bias",
            trit_layer_backward(c, "l", &tensor, &tensor, NULL, &gradients, &error));
    REFUSES("options", trit_layer_get(c, "l", &get, &layer, &error));
    REFUSES("layer", trit_layer_get(c, "l", NULL, &layer, &error));
    layer.size = sizeof(layer);
    REFUSES("layer.bias", trit_layer_get(c, "l", NULL, &layer, &error));
    REFUSES("options", trit_layer_verify(c, &layer_verify, &good_report, visit_report,
                                         NULL, &error));
    CHECK_EQ(trit_report_verdict(&no_report), TRIT_VERDICT_INCONCLUSIVE);
    trit_close(c);
}

CASE(error_without_size, "an error that was not initialized is not written to")
{
    struct trit_client *c = connect_to_nobody();
    struct trit_error error = {.message = "as it was"};
    struct trit_projection projection = TRIT_PROJECTION_INIT;

    CHECK_EQ(trit_project(c, &tensor, NULL, &projection, &error), TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.message, "as it was");
    CHECK_EQ(error.status, TRIT_OK);
    CHECK_EQ(trit_checkpoint_create(NULL, &error), TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.message, "as it was");
    trit_close(c);
}
