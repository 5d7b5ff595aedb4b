/* trit verify: is every layer of a file ternary, and is it the projection of the
 * latents it is compared with?
 *
 * The file says by its record (record.h) which tensors are layers and how they
 * are encoded; options override it, and without a record they decide. Each layer
 * is loaded with its scales and its reference, sent, reported. Verifying goes on
 * after a layer that fails; it stops at a call or a file that does. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/layers.h"
#include "client/cli/progress.h"
#include "client/cli/record.h"
#include "client/cli/summary.h"
#include "kernels/interleave.h"
#include "kernels/kernels.h"
#include "proto/report_json.h"

struct verifying {
    const struct options *options;
    struct trit_client *client;
    struct reader *reader, *reference; /* reference: NULL without --against */
    struct record record;
    enum trit_encoding encoding; /* of the file's layers */
    uint32_t group_size;
    enum trit_partial_group partial_group;
    struct progress progress;
    struct grid *grid; /* what is shown: this, */
    json_t *reports;   /* or this */
    size_t layers, failing;
    struct failure failure;
};

/* One layer, with all that its call needs. */
struct subject {
    const struct tensor_entry *entry;     /* its data in the file */
    const struct tensor_entry *scales;    /* or NULL */
    const struct tensor_entry *reference; /* or NULL */
    struct tensor_entry dense;            /* what it is or was before it was encoded */
    void *data, *scale_data, *reference_data;
    uint64_t scale_bytes;
};

/* ---- what the layers are ----------------------------------------------------- */

/* The dense shape of a packed tensor that nobody noted: full blocks. */
static int unpacked_shape(struct verifying *v, const struct tensor_entry *entry,
                          struct tensor_entry *dense)
{
    const struct encoding_layout *layout = encoding_layout(v->encoding);

    *dense = *entry;
    dense->type = element_type_of(TRIT_F32);
    if (v->encoding == TRIT_ENCODING_INT8)
        return 0;
    if (layout && layout->interleaved && entry->rank == 2) {
        dense->shape[0] *= INTERLEAVED; /* bytes that a file has: no overflow */
        return 0;
    }
    if (!layout || !layout->block_bytes || entry->rank != 2 ||
        entry->shape[1] % layout->block_bytes != 0)
        return fail(&v->failure, TRIT_INVALID_ARGUMENT, NULL,
                    "its rows are no whole number of %s blocks",
                    encoding_name(v->encoding));
    dense->shape[1] = entry->shape[1] / layout->block_bytes * layout->block_elements;
    return 0;
}

static bool type_fits(const struct verifying *v, const struct tensor_entry *entry)
{
    enum trit_dtype dtype = entry->type->dtype;

    if (v->encoding == TRIT_ENCODING_DENSE)
        return dtype == TRIT_F32 || dtype == TRIT_F16 || dtype == TRIT_BF16;
    return dtype == (v->encoding == TRIT_ENCODING_INT8 ? TRIT_I8 : TRIT_U8);
}

/* 1 when the tensor is a layer (dense shape in *dense), 0 when not, -1 on failure. */
static int find_layer(struct verifying *v, const struct tensor_entry *entry,
                      struct tensor_entry *dense)
{
    if (v->record.layers)
        return name_selected(v->options, entry->name)
                   ? record_find(&v->record, entry->name, dense, &v->failure)
                   : 0;
    if (!type_fits(v, entry) || !shape_selected(v->options, entry))
        return 0;
    *dense = *entry;
    if (v->encoding == TRIT_ENCODING_DENSE)
        return 1;
    return unpacked_shape(v, entry, dense) == 0 ? 1 : -1;
}

/* Others than `trit project` write it in the type of the model. */
static int check_one_scale(struct verifying *v, const struct tensor_entry *scale)
{
    enum trit_dtype dtype = scale->type->dtype;

    if ((dtype == TRIT_F32 || dtype == TRIT_F16 || dtype == TRIT_BF16) &&
        scale->bytes == dtype_bytes(dtype))
        return 0;
    return fail(&v->failure, TRIT_INVALID_ARGUMENT, NULL,
                "its scale %s is not one F32, F16 or BF16", scale->name);
}

/* The tensors in the file must be what the encoding makes of the dense one. */
static int check_form(struct verifying *v, const struct subject *subject)
{
    struct encoded_form form;
    uint64_t elements, scale_elements;

    if (encoded_form(v->encoding, v->group_size, &subject->dense, &form, &v->failure) !=
        0)
        return -1;
    if (!shape_elements(form.data.rank, form.data.shape, &elements) ||
        subject->entry->type != form.data.type ||
        subject->entry->bytes != elements * (form.data.type->bits / 8))
        return fail(&v->failure, TRIT_INVALID_ARGUMENT, NULL,
                    "its type or size is not that of %s", encoding_name(v->encoding));
    if (!form.scales.type)
        return 0;
    if (!subject->scales)
        return fail(&v->failure, TRIT_NOT_FOUND, NULL, "its scales are not in the file");
    if (v->group_size == 0)
        return check_one_scale(v, subject->scales);
    if (!shape_elements(form.scales.rank, form.scales.shape, &scale_elements) ||
        subject->scales->type != form.scales.type ||
        subject->scales->bytes != scale_elements * (form.scales.type->bits / 8))
        return fail(&v->failure, TRIT_INVALID_ARGUMENT, NULL,
                    "its scales are not one %s a group of %u", form.scales.type->name,
                    v->group_size);
    return 0;
}

/* ---- one layer ----------------------------------------------------------------- */

static int find_parts(struct verifying *v, struct subject *subject)
{
    const char *name = subject->entry->name;
    char scales[SCALES_NAME_BYTES];

    if (v->encoding != TRIT_ENCODING_DENSE) {
        scales_name(v->encoding, name, scales);
        subject->scales = table_find(reader_table(v->reader), scales);
    }
    if (v->reference)
        subject->reference = table_find(reader_table(v->reference), name);
    return check_form(v, subject);
}

/* The one scale of a tensor as the f32 that calls take. */
static int widen_scale(struct verifying *v, struct subject *subject)
{
    enum trit_dtype dtype = subject->scales->type->dtype;
    float *wide;
    uint16_t bits;

    if (dtype == TRIT_F32)
        return 0;
    wide = malloc(sizeof(*wide));
    if (!wide)
        return fail(&v->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    memcpy(&bits, subject->scale_data, sizeof(bits));
    *wide = dtype == TRIT_F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
    free(subject->scale_data);
    subject->scale_data = wide;
    subject->scale_bytes = sizeof(*wide);
    return 0;
}

static int load_scales(struct verifying *v, struct subject *subject)
{
    if (load_tensor(v->reader, subject->scales, &subject->scale_data, &v->failure) != 0)
        return -1;
    subject->scale_bytes = subject->scales->bytes;
    return v->group_size == 0 ? widen_scale(v, subject) : 0;
}

static int load_parts(struct verifying *v, struct subject *subject)
{
    if (load_tensor(v->reader, subject->entry, &subject->data, &v->failure) != 0 ||
        (subject->scales && load_scales(v, subject) != 0))
        return -1;
    if (subject->reference && load_tensor(v->reference, subject->reference,
                                          &subject->reference_data, &v->failure) != 0)
        return -1;
    return 0;
}

static struct trit_tensor tensor_of(enum trit_dtype dtype, const struct matrix *matrix,
                                    const void *data, uint64_t bytes)
{
    return (struct trit_tensor){.dtype = dtype,
                                .rank = 2,
                                .shape = {matrix->rows, matrix->columns},
                                .data = data,
                                .bytes = bytes};
}

static int call_verify(struct verifying *v, const struct subject *subject,
                       struct trit_report *report)
{
    const struct options *options = v->options;
    struct matrix matrix = matrix_of(subject->dense.rank, subject->dense.shape);
    struct trit_tensor tensor = tensor_of(subject->entry->type->dtype, &matrix,
                                          subject->data, subject->entry->bytes);
    struct trit_tensor reference;
    struct trit_verify_options call = {
        .mode = options->mode,
        .group_size = v->group_size,
        .partial_group = v->partial_group,
        .tolerance = options->tolerance,
        .has_tolerance = option_given(options, OPTION_TOLERANCE),
        .encoding = v->encoding,
        .call = {.progress = progress_update, .progress_arg = &v->progress}};
    struct trit_error error;
    enum trit_status status;

    if (subject->scales) {
        call.scales = subject->scale_data;
        call.scale_bytes = subject->scale_bytes;
    }
    if (subject->reference) {
        reference = tensor_of(subject->reference->type->dtype, &matrix,
                              subject->reference_data, subject->reference->bytes);
        call.reference = &reference;
    }
    if (options->run)
        call.layer =
            (struct trit_layer_ref){options->run, subject->entry->name, options->step};
    status = trit_verify(v->client, &tensor, &call, report, &error);
    return status == TRIT_OK ? 0
                             : fail(&v->failure, status, error.field, "%s: %s",
                                    trit_status_name(status), error.message);
}

static int show_layer(struct verifying *v, const struct subject *subject,
                      struct trit_report *report)
{
    char shape[SHAPE_TEXT_BYTES];

    v->layers++;
    v->failing += !report_passes(report);
    if (!report->layer[0]) /* without --run the daemon was not told the name */
        snprintf(report->layer, sizeof(report->layer), "%.*s", TRIT_NAME_BYTES_MAX,
                 subject->entry->name);
    if (v->grid)
        summary_row(v->grid, subject->entry->name,
                    shape_text(shape, subject->dense.rank, subject->dense.shape), report);
    else if (json_array_append_new(v->reports, report_json(report)) != 0)
        return fail(&v->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    return 0;
}

/* A reference that is not there, or of another shape, cannot be matched. */
static bool reference_fits(const struct verifying *v, const struct subject *subject)
{
    const struct tensor_entry *reference = subject->reference;
    uint64_t elements = 0, wanted = 0;

    if (!v->reference)
        return true;
    return reference && reference->type->dtype != TRIT_DTYPE_UNSPECIFIED &&
           reference->shape[0] == subject->dense.shape[0] && reference->rank >= 1 &&
           shape_elements(reference->rank, reference->shape, &elements) &&
           shape_elements(subject->dense.rank, subject->dense.shape, &wanted) &&
           elements == wanted;
}

static int verify_layer(struct verifying *v, const struct tensor_entry *entry,
                        const struct tensor_entry *dense)
{
    struct subject subject = {.entry = entry, .dense = *dense};
    struct trit_report report;
    int result = find_parts(v, &subject);

    if (result == 0 && !reference_fits(v, &subject)) {
        progress_stop(&v->progress);
        complain(MISMATCH, "%s: %s has no such layer of its shape", entry->name,
                 v->options->against);
        v->layers++;
        v->failing++;
        return 0;
    }
    if (result == 0)
        result = load_parts(v, &subject);
    if (result == 0)
        result = call_verify(v, &subject, &report);
    if (result == 0)
        result = show_layer(v, &subject, &report);
    free(subject.data);
    free(subject.scale_data);
    free(subject.reference_data);
    return result;
}

/* ---- the file --------------------------------------------------------------------- */

static int verify_all(struct verifying *v)
{
    const struct tensor_table *table = reader_table(v->reader);

    for (size_t i = 0; i < table->count; i++) {
        const struct tensor_entry *entry = &table->entries[i];
        struct tensor_entry dense;
        int found = find_layer(v, entry, &dense);

        progress_piece(&v->progress, entry->name);
        if (found < 0 || (found > 0 && verify_layer(v, entry, &dense) != 0))
            return fail_context(&v->failure, "%s", entry->name);
        progress_piece_done(&v->progress, entry->bytes);
    }
    if (reader_unchanged(v->reader, &v->failure) != 0)
        return -1;
    return v->reference ? reader_unchanged(v->reference, &v->failure) : 0;
}

static enum exit_code show_result(struct verifying *v)
{
    const struct options *options = v->options;
    enum exit_code code = v->failing ? MISMATCH : DONE;

    if (!v->grid)
        return print_json(json_pack("{s:s, s:s?, s:s, s:b, s:O}", "file",
                                    options->arguments[0], "against", options->against,
                                    "encoding", encoding_name(v->encoding), "passed",
                                    code == DONE, "layers", v->reports),
                          code);
    if (grid_print(v->grid, stdout) != 0)
        return complain(FAILED, "out of memory");
    if (v->failing)
        printf("%s: %zu of %zu layers fail\n", options->arguments[0], v->failing,
               v->layers);
    else
        printf("%s: all %zu layers are ternary%s\n", options->arguments[0], v->layers,
               options->against ? " and the projection of their latents" : "");
    return code;
}

/* The record's layers, all of them, must be in the file. */
static enum exit_code check_layers(struct verifying *v)
{
    const struct options *options = v->options;

    if (v->layers == 0)
        return complain(USAGE, "%s: no tensor of it is a layer to verify",
                        options->arguments[0]);
    if (v->record.layers && options->include.count + options->exclude.count == 0 &&
        v->layers != record_count(&v->record))
        return complain(MISMATCH, "%s: %zu of its %zu layers are not there",
                        options->arguments[0], record_count(&v->record) - v->layers,
                        record_count(&v->record));
    return DONE;
}

static enum exit_code verify_open(struct verifying *v)
{
    uint64_t total = 0;
    enum exit_code code;
    int result;

    for (size_t i = 0; i < reader_table(v->reader)->count; i++)
        total += reader_table(v->reader)->entries[i].bytes;
    v->client = cli_connect(v->options);
    if (!v->client)
        return FAILED;
    if (option_given(v->options, OPTION_JSON))
        v->reports = json_array();
    else
        v->grid = summary_create();
    if (!v->reports && !v->grid)
        return complain(FAILED, "out of memory");
    progress_start(&v->progress, total);
    result = verify_all(v);
    progress_stop(&v->progress);
    if (result != 0)
        return complain(FAILED, "%s: %s", v->options->arguments[0], v->failure.message);
    code = check_layers(v);
    if (code != DONE)
        return code;
    return show_result(v);
}

/* The record, where there is one, and the options over it. A latent tensor is
 * dense whatever its file says. */
static int choose_encoding(struct verifying *v)
{
    const struct options *options = v->options;

    if (options->mode == TRIT_VERIFY_TERNARY &&
        record_read(&v->record, reader_table(v->reader), &v->failure) != 0)
        return -1;
    v->encoding = v->record.encoding;
    v->group_size = v->record.group_size;
    v->partial_group = v->record.partial_group;
    if (option_given(options, OPTION_ENCODING))
        v->encoding = options->encoding;
    if (option_given(options, OPTION_PARTIAL))
        v->partial_group = options->partial_group;
    if (option_given(options, OPTION_GROUP_SIZE))
        v->group_size = options->group_size;
    else if (v->group_size == 0 || group_size_default(v->encoding) == 0)
        v->group_size = group_size_default(v->encoding);
    return 0;
}

static enum exit_code run_verify(const struct options *options)
{
    struct read_options read = {.void2_is_bf16 = option_given(options, OPTION_NPY_BF16)};
    struct verifying v = {.options = options};
    enum exit_code code;

    if (option_given(options, OPTION_STEP) && !options->run)
        return complain(USAGE, "verify: --step needs --run");
    if (reader_open(&v.reader, options->arguments[0], &read, &v.failure) != 0 ||
        choose_encoding(&v) != 0)
        code = complain(FAILED, "%s: %s", options->arguments[0], v.failure.message);
    else if (options->against &&
             reader_open(&v.reference, options->against, &read, &v.failure) != 0)
        code = complain(FAILED, "%s: %s", options->against, v.failure.message);
    else
        code = verify_open(&v);
    grid_destroy(v.grid);
    json_decref(v.reports);
    trit_close(v.client);
    record_fini(&v.record);
    reader_close(v.reference);
    reader_close(v.reader);
    return code;
}

const struct command cmd_verify = {
    .name = "verify",
    .arguments = "FILE [--against LATENTS] [OPTION...]",
    .summary = "check that every layer of a file is ternary",
    .details = "A file written by trit project says itself which tensors are layers and "
               "how they\n"
               "are encoded; for others the rules of trit project and --encoding hold. "
               "Exit code\n"
               "1 says that a layer is not ternary or not the projection of its latents.",
    .options = OPTION_BIT(OPTION_AGAINST) | OPTION_BIT(OPTION_MODE) |
               OPTION_BIT(OPTION_TOLERANCE) | OPTION_BIT(OPTION_ENCODING) |
               OPTION_BIT(OPTION_GROUP_SIZE) | OPTION_BIT(OPTION_PARTIAL) |
               OPTION_BIT(OPTION_INCLUDE) | OPTION_BIT(OPTION_EXCLUDE) |
               OPTION_BIT(OPTION_CONVOLUTIONS) | OPTION_BIT(OPTION_NPY_BF16) |
               OPTION_BIT(OPTION_RUN) | OPTION_BIT(OPTION_STEP) |
               OPTION_BIT(OPTION_SERVER) | OPTION_BIT(OPTION_TIMEOUT) |
               OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_verify,
};
