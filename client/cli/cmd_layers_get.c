/* SPDX-License-Identifier: Apache-2.0 */
/* trit layers get: a layer's spec on the terminal, or its weights in a file, where
 * `trit verify` reads them as it reads what `trit project` wrote. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/form.h"
#include "checkpoint/record.h"
#include "client/cli/held.h"
#include "client/cli/output.h"
#include "files/writer.h"
#include "kernels/kernels.h"
#include "proto/json_value.h"

enum { SCALES_OR_BIAS_NAME_BYTES = TRIT_NAME_BYTES_MAX + sizeof(".scales") };

struct getting {
    const struct options *options;
    struct trit_layer layer; /* points to the next three members */
    struct trit_layer_spec spec;
    struct trit_array weight, bias;
    struct tensor_table table; /* weights, then scales and bias if present */
    struct writer *writer;
    struct failure failure;
};

/* ---- the file --------------------------------------------------------------------- */

static int add_named(struct getting *get, const char *suffix, struct tensor_entry *entry)
{
    char name[SCALES_OR_BIAS_NAME_BYTES];

    snprintf(name, sizeof(name), "%s%s", get->spec.name, suffix);
    entry->name = name;
    return table_add(&get->table, entry, &get->failure);
}

static int add_bias(struct getting *get)
{
    struct tensor_entry bias = {
        .type = element_type_of(TRIT_F32), .rank = 1, .shape = {get->spec.out_features}};

    return get->bias.data ? add_named(get, ".bias", &bias) : 0;
}

static struct layer_terms terms_of_layer(const struct getting *get)
{
    return (struct layer_terms){.encoding = get->layer.encoding,
                                .group_size = get->spec.group_size,
                                .partial_group = TRIT_PARTIAL_PADDED};
}

/* Records how the ternary weights are encoded; latents need no record. */
static int add_record(struct getting *get, const struct tensor_entry *dense)
{
    const struct layer_terms terms = terms_of_layer(get);
    struct record record;
    int result;

    if (get->options->part == TRIT_LAYER_LATENTS)
        return 0;
    result = record_init(&record, &terms, &get->failure);
    if (result == 0)
        result = record_add(&record, dense, LAYOUT_OUT_IN, &get->failure);
    if (result == 0)
        result = record_write(&record, &get->table, &get->failure);
    record_fini(&record);
    return result;
}

static int plan_file(struct getting *get)
{
    bool is_dense = get->layer.encoding == TRIT_ENCODING_DENSE;
    struct tensor_entry dense = {
        .name = get->spec.name,
        .type = element_type_of(is_dense ? get->weight.dtype : TRIT_F32),
        .rank = 2,
        .shape = {get->spec.out_features, get->spec.in_features}};
    const struct layer_terms terms = terms_of_layer(get);
    struct encoded_form form;

    if (encoded_form(&terms, &dense, LAYOUT_OUT_IN, &form, &get->failure) != 0)
        return -1;
    form.data.name = dense.name;
    if (table_add(&get->table, &form.data, &get->failure) != 0 ||
        (form.scales.type && add_named(get, ".scales", &form.scales) != 0) ||
        add_bias(get) != 0)
        return -1;
    return add_record(get, &dense);
}

static int put_next(struct getting *get, size_t *index, const void *data, uint64_t bytes)
{
    return data ? writer_put(get->writer, (*index)++, data, bytes, &get->failure) : 0;
}

static int write_file(struct getting *get)
{
    const struct trit_layer *layer = &get->layer;
    size_t index = 0;

    if (plan_file(get) != 0 ||
        writer_create(&get->writer, get->options->output, output_mode(get->options),
                      &get->table, &get->failure) != 0)
        return -1;
    if (put_next(get, &index, get->weight.data, get->weight.bytes) != 0 ||
        put_next(get, &index, layer->scales, layer->scale_bytes) != 0 ||
        put_next(get, &index, get->bias.data, get->bias.bytes) != 0)
        return -1;
    return writer_commit(get->writer, &get->failure);
}

/* ---- what is shown ---------------------------------------------------------------- */

/* Seeds are text because not every JSON reader has integers of 64 bits. */
static json_t *layer_json(const struct getting *get)
{
    json_t *json = held_json(&get->spec);
    char seed[24];

    snprintf(seed, sizeof(seed), "%" PRIu64, get->layer.seed);
    if ((get->layer.has_seed &&
         json_object_set_new(json, "seed", json_string(seed)) != 0) ||
        (get->options->output &&
         (json_object_set_new(json, "output", json_path(get->options->output)) != 0 ||
          json_object_set_new(json, "encoding",
                              json_string(encoding_name(get->layer.encoding))) != 0))) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static enum exit_code show(const struct getting *get)
{
    if (option_given(get->options, OPTION_JSON))
        return print_json(layer_json(get), DONE);
    return held_show(get->options, get->options->output ? "wrote" : "layer", &get->spec);
}

/* ---- the command ------------------------------------------------------------------ */

static enum exit_code get_layer(struct getting *get)
{
    const struct options *options = get->options;
    const struct trit_layer_get_options call = {.size = sizeof(call),
                                                .part = options->output ? options->part
                                                                        : TRIT_LAYER_SPEC,
                                                .encoding = options->encoding,
                                                .dtype = options->dtype};
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_client *client;
    enum trit_status status;
    const enum exit_code code = cli_connect(options, &client);

    if (code != DONE)
        return code;
    status = trit_layer_get(client, options->arguments[0], &call, &get->layer, &error);
    trit_close(client);
    return status == TRIT_OK ? DONE : complain_of_call(&error);
}

static enum exit_code check_usage(const struct options *options)
{
    const option_bits of_weights =
        OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_PART) | OPTION_BIT(OPTION_DTYPE);

    if (!options->output && (options->given & of_weights))
        return complain(USAGE, "layers get: weights need -o FILE");
    if (options->part == TRIT_LAYER_LATENTS &&
        (options->given & (OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_DTYPE))))
        return complain(USAGE,
                        "layers get: --part latents excludes --encoding and --dtype");
    return options->output ? output_check("layers get", options, NULL) : DONE;
}

static enum exit_code run_get(const struct options *options)
{
    struct getting get = {.options = options,
                          .layer = TRIT_LAYER_INIT,
                          .spec = TRIT_LAYER_SPEC_INIT,
                          .weight = TRIT_ARRAY_INIT,
                          .bias = TRIT_ARRAY_INIT};
    enum exit_code code = check_usage(options);

    get.layer.spec = &get.spec;
    get.layer.weight = &get.weight;
    get.layer.bias = &get.bias;
    table_init(&get.table);
    if (code == DONE)
        code = get_layer(&get);
    if (code == DONE && options->output && write_file(&get) != 0)
        code = complain(FAILED, "%s: %s", options->output, get.failure.message);
    if (code == DONE)
        code = show(&get);
    writer_destroy(get.writer);
    table_fini(&get.table);
    trit_layer_free(&get.layer);
    return code;
}

const struct command cmd_layers_get = {
    .name = "layers get",
    .arguments = "NAME [-o FILE [--encoding E | --part latents]]",
    .summary = "show a layer, or write its weights to a file",
    .details =
        "The tensor has the layer's name; scales and bias, if any, are NAME.scales and\n"
        "NAME.bias. Without -o the layer is only shown. The end of FILE's name chooses\n"
        "the format: .npy, .gguf, else safetensors.",
    .options = HELD_OPTIONS | OPTION_BIT(OPTION_OUTPUT) | OPTION_BIT(OPTION_FORCE) |
               OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_PART) |
               OPTION_BIT(OPTION_DTYPE),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_get,
};
