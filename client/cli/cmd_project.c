/* trit project: a checkpoint in, the same checkpoint out with its layers ternary.
 *
 * 1. The input's table is read and the output's planned; what cannot be is
 *    refused before a byte is written or sent.
 * 2. Tensors go one after another, in the input's order: a layer is loaded,
 *    projected by the daemon and put; everything else is copied.
 * 3. The input is asked whether it changed meanwhile; the output takes its name.
 * Whatever fails leaves the output's name as it was; what the daemon filed under
 * --run until then stays filed. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/plan.h"
#include "client/cli/progress.h"
#include "client/cli/summary.h"
#include "files/writer.h"
#include "kernels/kernels.h"
#include "proto/report_json.h"

enum { COPY_BYTES = 1 << 20 };

struct projecting {
    const struct options *options;
    struct trit_client *client;
    struct reader *reader;
    struct plan plan;
    struct writer *writer;
    struct progress progress;
    struct grid *grid; /* what is shown: this, */
    json_t *reports;   /* or this */
    size_t failing;    /* layers whose projection is not ternary */
    struct failure failure;
};

static int copy_tensor(struct projecting *p, const struct tensor_entry *entry,
                       const struct plan_item *item)
{
    uint8_t *buffer = malloc(COPY_BYTES);
    int result =
        buffer ? 0 : fail(&p->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    for (uint64_t at = 0; result == 0 && at < entry->bytes; at += COPY_BYTES) {
        uint64_t left = entry->bytes - at;
        uint64_t piece = left < COPY_BYTES ? left : COPY_BYTES;

        result = reader_read(p->reader, entry, at, buffer, piece, &p->failure);
        if (result == 0)
            result = writer_put(p->writer, item->data, buffer, piece, &p->failure);
    }
    free(buffer);
    return result;
}

static int show_layer(struct projecting *p, const struct tensor_entry *entry,
                      struct trit_report *report)
{
    char shape[SHAPE_TEXT_BYTES];

    if (!report_passes(report))
        p->failing++;
    if (!report->layer[0]) /* without --run the daemon was not told the name */
        snprintf(report->layer, sizeof(report->layer), "%.*s", TRIT_NAME_BYTES_MAX,
                 entry->name);
    if (p->grid)
        summary_row(p->grid, entry->name, shape_text(shape, entry->rank, entry->shape),
                    report);
    else if (json_array_append_new(p->reports, report_json(report)) != 0)
        return fail(&p->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    return 0;
}

/* The daemon's answer must have the sizes that the output's header promised. */
static int put_projection(struct projecting *p, const struct plan_item *item,
                          const struct trit_projection *projection)
{
    const struct tensor_entry *entries = p->plan.table.entries;
    uint64_t scale_bytes = item->scales == PLAN_NONE ? 0 : entries[item->scales].bytes;

    if (projection->data_bytes != entries[item->data].bytes ||
        projection->scale_bytes != scale_bytes)
        return fail(&p->failure, TRIT_INTERNAL, NULL,
                    "the daemon sent %" PRIu64 " bytes and %" PRIu64
                    " of scales, not %" PRIu64 " and %" PRIu64,
                    projection->data_bytes, projection->scale_bytes,
                    entries[item->data].bytes, scale_bytes);
    if (writer_put(p->writer, item->data, projection->data, projection->data_bytes,
                   &p->failure) != 0)
        return -1;
    if (item->scales == PLAN_NONE)
        return 0;
    return writer_put(p->writer, item->scales, projection->scales, scale_bytes,
                      &p->failure);
}

static int call_project(struct projecting *p, const struct tensor_entry *entry,
                        const void *data, struct trit_projection *projection)
{
    const struct options *options = p->options;
    struct matrix matrix = matrix_of(entry->rank, entry->shape);
    struct trit_tensor tensor = {.dtype = entry->type->dtype,
                                 .rank = 2,
                                 .shape = {matrix.rows, matrix.columns},
                                 .data = data,
                                 .bytes = entry->bytes};
    struct trit_project_options call = {
        .group_size = options->group_size,
        .partial_group = options->partial_group,
        .encoding = options->encoding,
        .call = {.progress = progress_update, .progress_arg = &p->progress}};
    struct trit_error error;
    enum trit_status status;

    if (options->run)
        call.layer = (struct trit_layer_ref){options->run, entry->name, options->step};
    status = trit_project(p->client, &tensor, &call, projection, &error);
    return status == TRIT_OK ? 0
                             : fail(&p->failure, status, error.field, "%s: %s",
                                    trit_status_name(status), error.message);
}

static int project_layer(struct projecting *p, const struct tensor_entry *entry,
                         const struct plan_item *item)
{
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    void *data = NULL;
    int result = load_tensor(p->reader, entry, &data, &p->failure);

    if (result == 0)
        result = call_project(p, entry, data, &projection);
    free(data);
    if (result == 0)
        result = put_projection(p, item, &projection);
    if (result == 0)
        result = show_layer(p, entry, &projection.report);
    trit_projection_free(&projection);
    return result;
}

static int project_all(struct projecting *p)
{
    const struct tensor_table *table = reader_table(p->reader);

    for (size_t i = 0; i < table->count; i++) {
        const struct tensor_entry *entry = &table->entries[i];
        const struct plan_item *item = &p->plan.items[i];

        progress_piece(&p->progress, entry->name);
        if ((item->layer ? project_layer : copy_tensor)(p, entry, item) != 0)
            return fail_context(&p->failure, "%s", entry->name);
        progress_piece_done(&p->progress, entry->bytes);
    }
    return 0;
}

static enum exit_code show_result(struct projecting *p)
{
    const struct options *options = p->options;
    enum exit_code code = p->failing ? MISMATCH : DONE;
    size_t passed = reader_table(p->reader)->count - p->plan.layers;

    if (!p->grid)
        return print_json(json_pack("{s:s, s:s, s:s, s:i, s:b, s:O}", "input",
                                    options->arguments[0], "output", options->output,
                                    "encoding", encoding_name(options->encoding),
                                    "passed_through", (int)passed, "is_ternary",
                                    code == DONE, "layers", p->reports),
                          code);
    if (grid_print(p->grid, stdout) != 0)
        return complain(FAILED, "out of memory");
    printf("%s: %zu layers ternary (%s), %zu tensors as they were\n", options->output,
           p->plan.layers - p->failing, encoding_name(options->encoding), passed);
    return code;
}

static int write_output(struct projecting *p)
{
    int result;

    if (writer_create(&p->writer, p->options->output, &p->plan.table, &p->failure) != 0)
        return fail_context(&p->failure, "%s", p->options->output);
    progress_start(&p->progress, p->plan.bytes);
    result = project_all(p);
    progress_stop(&p->progress);
    if (result != 0 || reader_unchanged(p->reader, &p->failure) != 0)
        return -1;
    if (writer_commit(p->writer, &p->failure) != 0)
        return fail_context(&p->failure, "%s", p->options->output);
    return 0;
}

static enum exit_code project_planned(struct projecting *p)
{
    if (p->plan.layers == 0)
        return complain(
            USAGE, "%s: no tensor of it is a layer (rank 2%s, f32, f16 or bf16%s)",
            p->options->arguments[0],
            option_given(p->options, OPTION_CONVOLUTIONS) ? " to 4" : "",
            p->options->include.count + p->options->exclude.count ? ", selected by name"
                                                                  : "");
    p->client = cli_connect(p->options);
    if (!p->client)
        return FAILED;
    if (option_given(p->options, OPTION_JSON))
        p->reports = json_array();
    else
        p->grid = summary_create();
    if (!p->reports && !p->grid)
        return complain(FAILED, "out of memory");
    if (write_output(p) != 0)
        return complain(FAILED, "%s", p->failure.message);
    return show_result(p);
}

static enum exit_code check_usage(const struct options *options)
{
    if (!options->output)
        return complain(USAGE, "project: -o OUT is missing");
    if (option_given(options, OPTION_STEP) && !options->run)
        return complain(USAGE, "project: --step needs --run");
    if (strcmp(writer_format(options->output), "npy") == 0 &&
        options->encoding != TRIT_ENCODING_DENSE)
        return complain(USAGE,
                        "project: a .npy file has no place for %s; name the output "
                        ".safetensors",
                        encoding_name(options->encoding));
    return DONE;
}

static enum exit_code run_project(const struct options *options)
{
    struct read_options read = {.void2_is_bf16 = option_given(options, OPTION_NPY_BF16)};
    struct projecting p = {.options = options};
    enum exit_code code = check_usage(options);

    if (code != DONE)
        return code;
    if (reader_open(&p.reader, options->arguments[0], &read, &p.failure) != 0 ||
        plan_create(&p.plan, options, reader_table(p.reader), &p.failure) != 0)
        code = complain(FAILED, "%s: %s", options->arguments[0], p.failure.message);
    else
        code = project_planned(&p);
    grid_destroy(p.grid);
    json_decref(p.reports);
    writer_destroy(p.writer);
    trit_close(p.client);
    plan_destroy(&p.plan);
    reader_close(p.reader);
    return code;
}

const struct command cmd_project = {
    .name = "project",
    .arguments = "IN -o OUT [OPTION...]",
    .summary = "ternarize the layers of a checkpoint into a new file",
    .details =
        "Layers are the tensors of rank 2 (with --convolutions of rank 3 and 4 too) of\n"
        "f32, f16 or bf16; --include and --exclude narrow them by name. Everything else\n"
        "passes through byte for byte. dense keeps name, type and shape; int8 writes "
        "the\n"
        "codes under the layer's name and f32 scales under NAME.scales; packed "
        "encodings\n"
        "write u8 [rows, bytes a row]. hf_bitnet writes what transformers reads as\n"
        "linear_class autobitlinear: u8 [rows/4, columns] and NAME_scale, the mean "
        "|w|.",
    .options = OPTION_BIT(OPTION_OUTPUT) | OPTION_BIT(OPTION_ENCODING) |
               OPTION_BIT(OPTION_GROUP_SIZE) | OPTION_BIT(OPTION_PARTIAL) |
               OPTION_BIT(OPTION_INCLUDE) | OPTION_BIT(OPTION_EXCLUDE) |
               OPTION_BIT(OPTION_CONVOLUTIONS) | OPTION_BIT(OPTION_NPY_BF16) |
               OPTION_BIT(OPTION_RUN) | OPTION_BIT(OPTION_STEP) |
               OPTION_BIT(OPTION_SERVER) | OPTION_BIT(OPTION_TIMEOUT) |
               OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_project,
};
