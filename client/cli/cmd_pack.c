/* SPDX-License-Identifier: Apache-2.0 */
/* trit pack and trit unpack: a checkpoint whose layers are ternary already, in another
 * encoding. Trits and scales stay as they are; what the encoding cannot hold is refused,
 * naming the first group, and nothing is written. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/interrupt.h"
#include "client/cli/matrix.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/cli/put.h"
#include "client/cli/show_plan.h"
#include "client/cli/side.h"
#include "kernels/kernels.h"

struct packing_run {
    const struct options *options;
    const char *command; /* "pack" or "unpack" */
    struct trit_client *client;
    struct side input;
    struct plan plan;
    struct writer *writer;
    struct interrupt interrupt;
    struct progress progress;
    uint64_t rounded; /* scales that --round-scales allowed to round */
    struct failure failure;
};

/* ---- one matrix -------------------------------------------------------------------- */

static struct trit_tensor tensor_of(const struct side_matrix *loaded)
{
    struct trit_tensor tensor = TRIT_TENSOR_INIT;

    tensor.dtype = loaded->matrix.dtype;
    tensor.rank = 2;
    tensor.shape[0] = loaded->matrix.rows;
    tensor.shape[1] = loaded->matrix.columns;
    tensor.data = loaded->data;
    tensor.bytes = loaded->data_bytes;
    return tensor;
}

static int answer(struct packing_run *p, enum trit_status status,
                  const struct trit_error *error)
{
    return status == TRIT_OK ? 0
                             : fail(&p->failure, status, error->field, "%s: %s",
                                    trit_status_name(status), error->message);
}

static void count_rounded(struct packing_run *p, const struct trit_report *report)
{
    for (uint32_t i = 0; i < report->finding_count; i++)
        if (report->findings[i].kind == TRIT_FINDING_SCALE_ROUNDED)
            p->rounded += report->findings[i].count;
}

static int pack_matrix(struct packing_run *p, size_t layer,
                       const struct side_matrix *loaded)
{
    const struct trit_tensor tensor = tensor_of(loaded);
    const struct layer_terms *source = &loaded->matrix.terms;
    struct trit_call_options call = TRIT_CALL_OPTIONS_INIT;
    struct trit_pack_options options = TRIT_PACK_OPTIONS_INIT;
    struct trit_projection packed = TRIT_PROJECTION_INIT;
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    int result;

    call.progress = progress_update;
    call.progress_arg = &p->progress;
    options.call = &call;
    options.source_encoding = source->encoding;
    options.scales = loaded->scales;
    options.scale_bytes = loaded->scale_bytes;
    options.scales_dtype = loaded->matrix.scales_dtype;
    options.group_size = p->plan.terms.group_size;
    if (options.group_size == 0 &&
        loaded->scales) /* the tensor's one scale from those of its groups */
        options.group_size = source->group_size;
    options.encoding = p->plan.terms.encoding;
    options.allow_rounded_scales = option_given(p->options, OPTION_ROUND_SCALES);
    packed.report = &report;
    result = answer(p, trit_pack(p->client, &tensor, &options, &packed, &error), &error);
    if (result == 0) {
        const struct encoded encoded = {packed.data, packed.scales, packed.data_bytes,
                                        packed.scale_bytes};

        count_rounded(p, &report);
        result = put_matrix(p->writer, &p->plan, layer, &encoded, &p->failure);
    }
    trit_projection_free(&packed);
    return result;
}

/* A dense layer stays as it is, in the type that is asked for. */
static int convert_matrix(struct packing_run *p, size_t layer,
                          const struct side_matrix *loaded)
{
    const struct plan_item *item = &p->plan.items[layer];
    const enum trit_dtype to = p->plan.table.entries[item->data].type->dtype;
    const uint64_t count = loaded->matrix.rows * loaded->matrix.columns;
    struct encoded encoded = {.data_bytes = count * dtype_bytes(to)};
    void *data = malloc((size_t)encoded.data_bytes + 1);
    uint64_t bad;
    int result;

    if (!data)
        return fail(&p->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    encoded.data = data;
    result = floats_convert(loaded->matrix.dtype, loaded->data, to, data, count, &bad)
                 ? put_matrix(p->writer, &p->plan, layer, &encoded, &p->failure)
                 : fail(&p->failure, TRIT_INVALID_ARGUMENT, NULL,
                        "%s does not hold element %" PRIu64 " exactly",
                        element_type_of(to)->name, bad);
    free(data);
    return result;
}

static int unpack_matrix(struct packing_run *p, size_t layer,
                         const struct side_matrix *loaded)
{
    if (loaded->matrix.terms.encoding == TRIT_ENCODING_DENSE)
        return convert_matrix(p, layer, loaded);
    const struct trit_tensor tensor = tensor_of(loaded);
    const struct plan_item *item = &p->plan.items[layer];
    struct trit_call_options call = TRIT_CALL_OPTIONS_INIT;
    struct trit_unpack_options options = TRIT_UNPACK_OPTIONS_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    struct encoded encoded = {.scales = NULL};
    void *data = NULL;
    int result;

    call.progress = progress_update;
    call.progress_arg = &p->progress;
    options.call = &call;
    options.encoding = loaded->matrix.terms.encoding;
    options.group_size = loaded->matrix.terms.group_size;
    options.dtype = p->plan.table.entries[item->data].type->dtype;
    options.scales = loaded->scales;
    options.scale_bytes = loaded->scale_bytes;
    options.scales_dtype = loaded->matrix.scales_dtype;
    result = answer(
        p, trit_unpack(p->client, &tensor, &options, &data, &encoded.data_bytes, &error),
        &error);
    if (result == 0) {
        encoded.data = data;
        result = put_matrix(p->writer, &p->plan, layer, &encoded, &p->failure);
    }
    trit_free(data);
    return result;
}

/* ---- all of them ------------------------------------------------------------------- */

static int do_layer(struct packing_run *p, size_t index)
{
    const struct content *content = &p->plan.contents.items[index];
    const struct matrices matrices = content_matrices(content);
    const char *layer = p->plan.contents.table->entries[index].name;
    const bool unpack = p->plan.terms.encoding == TRIT_ENCODING_DENSE;
    char name[MATRIX_NAME_BYTES];

    for (uint64_t i = 0; i < matrices.count; i++) {
        struct side_matrix loaded = {.data = NULL};
        int result;

        matrix_name(name, layer, &matrices, i);
        progress_piece(&p->progress, name);
        result = side_load(&p->input, index, i, &loaded, &p->failure);
        if (result == 0)
            result = (unpack ? unpack_matrix : pack_matrix)(p, index, &loaded);
        progress_piece_done(&p->progress, loaded.data_bytes);
        side_unload(&loaded);
        if (result < 0)
            return fail_context(&p->failure, "%s", name);
    }
    return 0;
}

static int do_all(struct packing_run *p)
{
    const struct tensor_table *table = p->plan.contents.table;

    for (size_t i = 0; i < table->count; i++) {
        const struct plan_item *item = &p->plan.items[i];

        if (item->data == PLAN_NONE) /* scales are written with their layer */
            continue;
        if (interrupt_check(&p->failure) < 0)
            return -1;
        if (item->action == PLAN_PACK) {
            if (do_layer(p, i) < 0)
                return -1;
            continue;
        }
        progress_piece(&p->progress, table->entries[i].name);
        if (put_copy(p->writer, item->data, p->input.input.reader, &table->entries[i],
                     &p->failure) < 0)
            return fail_context(&p->failure, "%s", table->entries[i].name);
        progress_piece_done(&p->progress, table->entries[i].bytes);
    }
    return reader_unchanged(p->input.input.reader, &p->failure) < 0
               ? -1
               : interrupt_check(&p->failure);
}

static json_t *result_json(const struct packing_run *p)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:I}", "input", p->options->arguments[0],
                     "output", p->options->output, "encoding",
                     encoding_name(p->plan.terms.encoding), "layers", (int)p->plan.layers,
                     "passed_through",
                     (int)(p->plan.contents.table->count - p->plan.layers),
                     "scales_rounded", (json_int_t)p->rounded);
}

static enum exit_code show_result(const struct packing_run *p)
{
    if (option_given(p->options, OPTION_JSON))
        return print_json(result_json(p), DONE);
    printf("%s: %zu layers as %s, trits and scales as they were; all other tensors "
           "copied\n",
           p->options->output, p->plan.layers, encoding_name(p->plan.terms.encoding));
    if (p->rounded)
        printf("  %" PRIu64 " scales were rounded to the encoding's type\n", p->rounded);
    return DONE;
}

/* A tensor that does not fit the encoding is refused data, not a failed call. */
static enum exit_code write_output(struct packing_run *p)
{
    interrupt_hold(&p->interrupt);
    int result =
        output_open(&p->writer, p->options, &p->input.input, &p->plan, &p->failure);

    if (result < 0)
        return complain(FAILED, "%s: %s", p->options->output, p->failure.message);
    progress_start(&p->progress, p->plan.bytes);
    result = do_all(p);
    progress_stop(&p->progress);
    if (result < 0)
        return complain(p->failure.status == TRIT_INVALID_ARGUMENT ? MISMATCH : FAILED,
                        "%s; nothing is written", p->failure.message);
    if (writer_commit(p->writer, &p->failure) < 0)
        return complain(FAILED, "%s: %s", p->options->output, p->failure.message);
    return show_result(p);
}

/* ---- the steps --------------------------------------------------------------------- */

static enum exit_code check_usage(const struct packing_run *p)
{
    if (option_given(p->options, OPTION_DRY_RUN))
        return DONE;
    if (!p->options->output)
        return complain(USAGE, "%s: -o OUT is missing", p->command);
    return output_check(p->command, p->options, p->options->arguments[0]);
}

static enum exit_code make_plan(struct packing_run *p, const struct pack_target *target)
{
    const char *path = p->options->arguments[0];

    if (plan_create_pack(&p->plan, &p->input.rules, target, p->input.contents.table,
                         &p->input.record, &p->failure) < 0)
        return complain(USAGE, "%s: %s", p->command, p->failure.message);
    if (option_given(p->options, OPTION_DRY_RUN))
        return show_plan(p->options, &p->plan);
    for (size_t i = 0; i < p->plan.contents.table->count; i++)
        if (p->plan.items[i].action == PLAN_REFUSE)
            complain(MISMATCH, "%s: %s", p->plan.contents.table->entries[i].name,
                     p->plan.items[i].reason);
    if (p->plan.refused)
        return complain(MISMATCH,
                        "%s: nothing is written: %zu tensors are refused (--exclude "
                        "keeps them as they are)",
                        path, p->plan.refused);
    if (p->plan.layers == 0)
        return complain(MISMATCH, "%s: none of its tensors is a layer", path);
    return DONE;
}

static enum exit_code run(const char *command, const struct options *options,
                          const struct pack_target *target)
{
    struct packing_run p = {.options = options, .command = command};
    struct options source = *options;
    enum exit_code code = check_usage(&p);

    /* --from-encoding says how the input is encoded; --encoding is the output's. */
    source.given &= ~(OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_GROUP_SIZE));
    source.group_size = 0;
    if (option_given(options, OPTION_FROM_ENCODING)) {
        source.given |= OPTION_BIT(OPTION_ENCODING);
        source.encoding = options->from_encoding;
    }
    if (code == DONE)
        code = side_open(&p.input, command, options->arguments[0], &source);
    if (code == DONE)
        code = make_plan(&p, target);
    if (code == DONE && !option_given(options, OPTION_DRY_RUN)) {
        p.client = cli_connect(options);
        code = p.client ? write_output(&p) : FAILED;
    }
    writer_destroy(p.writer);
    interrupt_release(&p.interrupt);
    trit_close(p.client);
    plan_destroy(&p.plan);
    side_close(&p.input);
    return code;
}

static enum exit_code run_pack(const struct options *options)
{
    const struct pack_target target = {.encoding = options->encoding,
                                       .group_size = options->group_size};

    if (!option_given(options, OPTION_ENCODING) ||
        options->encoding == TRIT_ENCODING_DENSE)
        return complain(USAGE, "pack: -e ENCODING is missing (trit unpack makes layers "
                               "dense)");
    return run("pack", options, &target);
}

static enum exit_code run_unpack(const struct options *options)
{
    const struct pack_target target = {.encoding = TRIT_ENCODING_DENSE,
                                       .dtype = options->dtype};

    return run("unpack", options, &target);
}

#define SHARED_OPTIONS                                                                   \
    (OPTION_BIT(OPTION_OUTPUT) | OPTION_BIT(OPTION_FORCE) |                              \
     OPTION_BIT(OPTION_FROM_ENCODING) | OPTION_BIT(OPTION_INCLUDE) |                     \
     OPTION_BIT(OPTION_EXCLUDE) | OPTION_BIT(OPTION_CONVOLUTIONS) |                      \
     OPTION_BIT(OPTION_EXPERTS) | OPTION_BIT(OPTION_TRANSPOSED) |                        \
     OPTION_BIT(OPTION_DRY_RUN) | OPTION_BIT(OPTION_SHARD_SIZE) |                        \
     OPTION_BIT(OPTION_NPY_BF16) | OPTION_BIT(OPTION_SERVER) |                           \
     OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP))

const struct command cmd_pack = {
    .name = "pack",
    .arguments = "IN -o OUT -e ENCODING [OPTION...]",
    .summary = "change the encoding of a ternary checkpoint, losslessly",
    .details =
        "Trits and scales are kept exactly. A layer that is not ternary, a group whose\n"
        "scale the encoding's type does not hold (--round-scales rounds it), and groups\n"
        "that the encoding cannot express are refused by name, and nothing is written.\n"
        "The file's record says how its layers are encoded now; for others\n"
        "--from-encoding does.\n"
        "Exit code 1: something is refused.",
    .options = SHARED_OPTIONS | OPTION_BIT(OPTION_ENCODING) |
               OPTION_BIT(OPTION_GROUP_SIZE) | OPTION_BIT(OPTION_ROUND_SCALES),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_pack,
};

const struct command cmd_unpack = {
    .name = "unpack",
    .arguments = "IN -o OUT [OPTION...]",
    .summary = "make the layers of a packed checkpoint dense, losslessly",
    .details =
        "Each weight becomes t*s. The type is that of the record, or --dtype; a scale\n"
        "that it does not hold is refused. --from-encoding says how a file without a "
        "record is\n"
        "encoded.",
    .options = SHARED_OPTIONS | OPTION_BIT(OPTION_DTYPE),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_unpack,
};
