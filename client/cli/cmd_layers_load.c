/* SPDX-License-Identifier: Apache-2.0 */
/* trit layers load: sends a tensor of a file to the daemon, which holds it as a layer. */
#include <stdlib.h>

#include "checkpoint/foreign_tables.h"
#include "client/cli/bar.h"
#include "client/cli/held.h"
#include "client/lib/matrix_call.h"
#include "files/reader.h"

struct loading {
    const struct options *options;
    struct reader *reader;
    struct trit_client *client;
    struct trit_layer_spec spec;
    struct matrix weight; /* read piece by piece */
    void *bias;           /* allocated; NULL without one */
    struct trit_tensor weight_tensor, bias_tensor;
    struct failure failure;
};

static int check_type(struct loading *load, const struct tensor_entry *entry)
{
    return foreign_is_float(entry)
               ? 0
               : fail(&load->failure, TRIT_INVALID_ARGUMENT, "tensor",
                      "%s is %s, a layer is made from F32, F16 or BF16", entry->name,
                      entry->type->name);
}

static int read_tensor(struct loading *load, const struct tensor_entry *entry,
                       void **data, struct trit_tensor *tensor)
{
    if (check_type(load, entry) != 0 ||
        reader_load(load->reader, entry, data, &load->failure) != 0)
        return -1;
    *tensor = (struct trit_tensor){.size = sizeof(*tensor),
                                   .dtype = entry->type->dtype,
                                   .rank = entry->rank,
                                   .data = *data,
                                   .bytes = entry->bytes};
    for (uint32_t axis = 0; axis < entry->rank; axis++)
        tensor->shape[axis] = entry->shape[axis];
    return 0;
}

static const struct tensor_entry *find(struct loading *load, const char *name)
{
    const struct tensor_entry *entry = table_find(reader_table(load->reader), name);

    if (!entry)
        fail(&load->failure, TRIT_NOT_FOUND, "tensor", "it has no tensor \"%s\"", name);
    return entry;
}

/* --tensor, else the tensor with the layer's name, else the only tensor. */
static const struct tensor_entry *find_weight(struct loading *load)
{
    const struct tensor_table *table = reader_table(load->reader);

    if (load->options->tensor)
        return find(load, load->options->tensor);
    if (table->count == 1)
        return &table->entries[0];
    return find(load, load->options->arguments[0]);
}

static void open_weight(struct loading *load, const struct tensor_entry *entry)
{
    const struct matrices matrices = {
        .count = 1, .rows = entry->shape[0], .columns = entry->shape[1]};

    matrix_open(&load->weight, true, load->reader, entry, &matrices, 0, &load->failure);
    load->weight_tensor = matrix_tensor(&load->weight, entry->type->dtype, &matrices);
}

static int read_file(struct loading *load)
{
    const struct options *options = load->options;
    const struct read_options read = {.void2_is_bf16 =
                                          option_given(options, OPTION_NPY_BF16)};
    const struct tensor_entry *weight, *bias;

    if (reader_open(&load->reader, options->arguments[1], &read, &load->failure) != 0)
        return -1;
    weight = find_weight(load);
    if (!weight)
        return -1;
    if (weight->rank != 2)
        return fail(&load->failure, TRIT_INVALID_ARGUMENT, "tensor",
                    "%s has rank %u, a layer needs rank 2", weight->name,
                    (unsigned)weight->rank);
    if (check_type(load, weight) != 0)
        return -1;
    load->spec.out_features = weight->shape[0];
    load->spec.in_features = weight->shape[1];
    open_weight(load, weight);
    load->spec.bias = options->bias_tensor != NULL;
    if (!options->bias_tensor)
        return 0;
    bias = find(load, options->bias_tensor);
    return bias ? read_tensor(load, bias, &load->bias, &load->bias_tensor) : -1;
}

static enum exit_code send(struct loading *load)
{
    struct bar bar;
    struct progress_piece piece;
    const struct trit_call_options call = {
        .size = sizeof(call), .progress = progress_update, .progress_arg = &piece};
    struct trit_error error = TRIT_ERROR_INIT;
    enum trit_status status;
    const enum exit_code code = cli_connect(load->options, &load->client);

    if (code != DONE)
        return code;
    bar_start(&bar, load->weight_tensor.bytes + load->bias_tensor.bytes);
    progress_piece_begin(&piece, &bar.progress, load->spec.name, NULL);
    status = trit_layer_load(load->client, &load->spec, &load->weight_tensor,
                             load->spec.bias ? &load->bias_tensor : NULL, &call,
                             &load->spec, &error);
    bar_stop(&bar);
    if (status == TRIT_OK)
        return held_show(load->options, "loaded", &load->spec);
    return load->failure.status != TRIT_OK /* the weight could not be read */
               ? complain(FAILED, "%s: %s", load->options->arguments[1],
                          load->failure.message)
               : complain_of_call(&error);
}

static enum exit_code run_load(const struct options *options)
{
    struct loading load = {.options = options};
    enum exit_code code;

    if (held_spec(options, options->arguments[0], &load.spec) != 0)
        return USAGE;
    if (read_file(&load) != 0)
        code = complain(FAILED, "%s: %s", options->arguments[1], load.failure.message);
    else
        code = send(&load);
    trit_close(load.client);
    reader_close(load.reader);
    matrix_close(&load.weight);
    free(load.bias);
    return code;
}

const struct command cmd_layers_load = {
    .name = "layers load",
    .arguments = "NAME FILE [--tensor TENSOR] [OPTION...]",
    .summary = "create a layer from a tensor [out, in] of a file or folder",
    .details =
        "The tensor holds latents of f32, f16 or bf16; the daemon ternarizes them.",
    .options = HELD_OPTIONS | OPTION_BIT(OPTION_TENSOR) | OPTION_BIT(OPTION_BIAS_TENSOR) |
               OPTION_BIT(OPTION_KIND) | OPTION_BIT(OPTION_GROUP_SIZE) |
               OPTION_BIT(OPTION_KEEP_LATENTS) | OPTION_BIT(OPTION_NPY_BF16),
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run_load,
};
