/* SPDX-License-Identifier: Apache-2.0 */
/* A program of libtrit that tests/e2e/test_abi.py builds with headers of one version and
 * runs with libraries of others: program ADDRESS RUN. It uses every struct, checks that
 * the library writes nothing beyond the sizes it was told, and prints what it got, which
 * must be the same with every library. With GROWN the headers have a member `added` in
 * each struct, which libraries of today do not know; EXPECT_UNKNOWN says that the library
 * is one of those. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <trit.h>

enum { ROWS = 4, COLUMNS = 256, GUARD_BYTES = 512, GUARD = 0xa5 };

/* A struct that the library writes to, and what stands behind it in memory. */
#define GUARDED(type)                                                                    \
    struct {                                                                             \
        struct type it;                                                                  \
        unsigned char guard[GUARD_BYTES];                                                \
    }
#define GUARD_INIT(guarded, init)                                                        \
    do {                                                                                 \
        (guarded).it = init;                                                             \
        memset((guarded).guard, GUARD, GUARD_BYTES);                                     \
    } while (0)
#define GUARD_CHECK(guarded)                                                             \
    guard_check((guarded).guard, #guarded, (guarded).it.size, sizeof((guarded).it))

static float weights[ROWS * COLUMNS];
static GUARDED(trit_error) error;
static GUARDED(trit_report) report;
static GUARDED(trit_projection) projection;
static GUARDED(trit_layer_spec) spec;
static GUARDED(trit_array) array;
static GUARDED(trit_array) second;
static GUARDED(trit_forward) forward;
static GUARDED(trit_gradients) gradients;
static GUARDED(trit_layer) layer;
static int failures;

static void guard_check(const unsigned char *guard, const char *name, size_t size,
                        size_t size_here)
{
    size_t changed = 0;

    for (size_t i = 0; i < GUARD_BYTES; i++)
        changed += guard[i] != GUARD;
    if (changed || size != size_here) {
        printf("FAIL %s: %zu bytes written beyond it, size %zu\n", name, changed, size);
        failures++;
    }
}

static int succeeded(const char *what, enum trit_status status)
{
    GUARD_CHECK(error);
    if (status == TRIT_OK)
        return 1;
    printf("FAIL %s: %s: %s\n", what, trit_status_name(status), error.it.message);
    failures++;
    return 0;
}

static struct trit_tensor tensor_of(const void *data, uint64_t rows, uint64_t columns)
{
    struct trit_tensor tensor = TRIT_TENSOR_INIT;

    tensor.dtype = TRIT_F32;
    tensor.rank = 2;
    tensor.shape[0] = rows;
    tensor.shape[1] = columns;
    tensor.data = data;
    tensor.bytes = rows * columns * sizeof(float);
    return tensor;
}

static void print_report(const char *what)
{
    GUARD_CHECK(report);
    printf("%s: %s %u [%" PRIu64 "] zeros %" PRIu64 " digest", what,
           trit_verdict_name(trit_report_verdict(&report.it)), report.it.rank,
           report.it.shape[report.it.rank - 1], report.it.zeros);
    for (size_t i = 0; i < 8; i++)
        printf(" %02x", report.it.digest[i]);
    printf(" findings %u flips %" PRIu64 "\n", report.it.finding_count, report.it.flips);
}

static int count(void *arg, const struct trit_report *visited)
{
    (void)visited;
    ++*(int *)arg;
    return 0;
}

static int count_specs(void *arg, const struct trit_layer_spec *visited)
{
    *(int *)arg += visited->in_features == COLUMNS;
    return 0;
}

static void project(struct trit_client *client, const char *run)
{
    struct trit_tensor latents = tensor_of(weights, ROWS, COLUMNS), claim;
    struct trit_call_options call = TRIT_CALL_OPTIONS_INIT;
    struct trit_layer_ref ref = TRIT_LAYER_REF_INIT;
    struct trit_project_options options = TRIT_PROJECT_OPTIONS_INIT;
    struct trit_verify_options verify = TRIT_VERIFY_OPTIONS_INIT;
    struct trit_unpack_options unpack = TRIT_UNPACK_OPTIONS_INIT;
    void *data = NULL;
    uint64_t bytes = 0;

    call.timeout_ms = 30000;
    ref.run = run;
    ref.layer = "l";
    ref.step = 1;
    options.layer = &ref;
    options.call = &call;
    projection.it.report = &report.it;
    if (!succeeded("project",
                   trit_project(client, &latents, &options, &projection.it, &error.it)))
        return;
    print_report("project");
    GUARD_CHECK(projection);
    claim = tensor_of(projection.it.data, ROWS, COLUMNS);
    verify.reference = &latents;
    if (succeeded("verify", trit_verify(client, &claim, &verify, &report.it, &error.it)))
        print_report("verify");
    if (succeeded("unpack",
                  trit_unpack(client, &claim, &unpack, &data, &bytes, &error.it)))
        printf("unpack: %d\n", bytes == claim.bytes && !memcmp(data, claim.data, bytes));
    trit_free(data);
    trit_projection_free(&projection.it);
    GUARD_CHECK(projection);
}

static void list(struct trit_client *client, const char *run)
{
    struct trit_report_query query = TRIT_REPORT_QUERY_INIT;
    int reports = 0;

    query.run = run;
    if (succeeded("list", trit_report_list(client, &query, &report.it, count, &reports,
                                           &error.it)))
        printf("list: %d\n", reports);
    print_report("listed");
    if (succeeded("get",
                  trit_report_get(client, run, "l", NULL, NULL, &report.it, &error.it)))
        print_report("get");
}

static void hold(struct trit_client *client, const char *name)
{
    struct trit_tensor x = tensor_of(weights, 1, COLUMNS),
                       y = tensor_of(weights, 1, ROWS);
    struct trit_layer_spec asked = TRIT_LAYER_SPEC_INIT;
    struct trit_forward_options options = TRIT_FORWARD_OPTIONS_INIT;
    struct trit_layer_get_options get = TRIT_LAYER_GET_OPTIONS_INIT;
    struct trit_layer_verify_options verify = TRIT_LAYER_VERIFY_OPTIONS_INIT;
    int specs = 0, reports = 0;

    snprintf(asked.name, sizeof(asked.name), "%s", name);
    asked.in_features = COLUMNS;
    asked.out_features = ROWS;
    asked.bias = 1;
    if (!succeeded("create",
                   trit_layer_create(client, &asked, 7, NULL, &spec.it, &error.it)))
        return;
    printf("create: group size %u\n", spec.it.group_size);
    forward.it.y = &array.it;
    if (succeeded("forward",
                  trit_layer_forward(client, name, &x, &options, &forward.it, &error.it)))
        printf("forward: %" PRIu64 "\n", array.it.shape[1]);
    trit_array_free(&array.it);
    gradients.it.input = &array.it;
    gradients.it.bias = &second.it;
    if (succeeded("backward", trit_layer_backward(client, name, &x, &y, NULL,
                                                  &gradients.it, &error.it)))
        printf("backward: %" PRIu64 " %" PRIu64 "\n", array.it.bytes, second.it.bytes);
    trit_gradients_free(&gradients.it);
    layer.it.spec = &spec.it;
    layer.it.weight = &array.it;
    if (succeeded("layer get", trit_layer_get(client, name, &get, &layer.it, &error.it)))
        printf("layer get: %s %" PRIu64 "\n", layer.it.has_seed ? "seed" : "",
               array.it.bytes);
    trit_layer_free(&layer.it);
    verify.prefix = name;
    succeeded("layer verify",
              trit_layer_verify(client, &verify, &report.it, count, &reports, &error.it));
    print_report("layer verify");
    succeeded("layer list", trit_layer_list(client, name, NULL, &spec.it, count_specs,
                                            &specs, &error.it));
    printf("layers: %d %d\n", specs, reports);
    succeeded("delete", trit_layer_delete(client, name, NULL, &error.it));
    GUARD_CHECK(spec);
    GUARD_CHECK(array);
    GUARD_CHECK(second);
    GUARD_CHECK(forward);
    GUARD_CHECK(gradients);
    GUARD_CHECK(layer);
}

/* A member that the library does not know must be refused where it is set, and stay as
 * it is in results. */
static void grow(struct trit_client *client)
{
#ifdef GROWN
    struct trit_tensor latents = tensor_of(weights, ROWS, COLUMNS);
    struct trit_project_options options = TRIT_PROJECT_OPTIONS_INIT;
    enum trit_status status;

    options.added = 1;
    status = trit_project(client, &latents, &options, &projection.it, &error.it);
#ifdef EXPECT_UNKNOWN
    if (status != TRIT_INVALID_ARGUMENT || strcmp(error.it.field, "options") != 0 ||
        !strstr(error.it.message, "struct trit_project_options")) {
#else
    if (status != TRIT_OK) {
#endif
        printf("FAIL an option added: %s: %s\n", trit_status_name(status),
               error.it.message);
        failures++;
    }
    trit_projection_free(&projection.it);
    if (report.it.added || array.it.added || error.it.added) {
        printf("FAIL a result that nothing computes is set\n");
        failures++;
    }
#else
    (void)client;
#endif
}

int main(int argc, char **argv)
{
    struct trit_connect_options options = TRIT_CONNECT_OPTIONS_INIT;
    struct trit_client *client = NULL;

    if (argc != 3)
        return 2;
    GUARD_INIT(error, ((struct trit_error)TRIT_ERROR_INIT));
    GUARD_INIT(report, ((struct trit_report)TRIT_REPORT_INIT));
    GUARD_INIT(projection, ((struct trit_projection)TRIT_PROJECTION_INIT));
    GUARD_INIT(spec, ((struct trit_layer_spec)TRIT_LAYER_SPEC_INIT));
    GUARD_INIT(array, ((struct trit_array)TRIT_ARRAY_INIT));
    GUARD_INIT(second, ((struct trit_array)TRIT_ARRAY_INIT));
    GUARD_INIT(forward, ((struct trit_forward)TRIT_FORWARD_INIT));
    GUARD_INIT(gradients, ((struct trit_gradients)TRIT_GRADIENTS_INIT));
    GUARD_INIT(layer, ((struct trit_layer)TRIT_LAYER_INIT));
    for (int i = 0; i < ROWS * COLUMNS; i++)
        weights[i] = (float)((i * 37) % 101 - 50) / 50;
    options.address = argv[1];
    if (!succeeded("connect", trit_connect(&client, &options, &error.it)))
        return 1;
    project(client, argv[2]);
    list(client, argv[2]);
    hold(client, argv[2]);
    grow(client);
    trit_close(client);
    return failures != 0;
}
