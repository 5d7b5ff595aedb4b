/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what Keras 3 saves: an HDF5 file (.weights.h5), or a zip archive (.keras) with one and
 * the model's config.json. Each variable is a dataset LAYER/vars/NUMBER. A kernel that Keras
 * packed is U8 with five weights a byte along its inputs; how many inputs there are follows
 * from config.json only. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "files/formats.h"
#include "files/hdf5.h"
#include "files/zip.h"
#include "json/json.h"

static const char ZIP_MAGIC[] = "PK\3\4", HDF5_MAGIC[] = "\x89HDF\r\n\x1a\n";
static const char WEIGHTS[] = "model.weights.h5", CONFIG[] = "config.json";

enum {
    ZIP_NAME = 30, /* of the first member, in its header */
    CONFIG_DEPTH_MAX = JSON_DEPTH_MAX,
};

struct filling {
    struct tensor_table *table;
    json_t *inputs; /* name of each layer: its inputs; 0: two layers differ in them */
};

static bool is_archive(const uint8_t *head, size_t count)
{
    static const char *const first[] = {"metadata.json", CONFIG, WEIGHTS};

    if (count < PROBE_BYTES || memcmp(head, ZIP_MAGIC, 4) != 0)
        return false;
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
        if (memcmp(head + ZIP_NAME, first[i], strlen(first[i])) == 0)
            return true;
    return false;
}

static bool probe(const uint8_t *head, size_t count)
{
    return (count >= 8 && memcmp(head, HDF5_MAGIC, 8) == 0) || is_archive(head, count);
}

/* ---- config.json ----------------------------------------------------------------------- */

/* {"config": {"name": NAME}, "build_config": {"input_shape": [null, INPUTS]}} */
static int note_layer(json_t *inputs, const json_t *layer)
{
    const json_t *shape =
        json_object_get(json_object_get(layer, "build_config"), "input_shape");
    const char *name =
        json_string_value(json_object_get(json_object_get(layer, "config"), "name"));
    const size_t axes = json_array_size(shape);
    const json_t *last = axes ? json_array_get(shape, axes - 1) : NULL;

    if (!name || !json_is_integer(last) || json_integer_value(last) <= 0)
        return 0;
    const json_t *known = json_object_get(inputs, name);
    const json_int_t count =
        known && json_integer_value(known) != json_integer_value(last)
            ? 0
            : json_integer_value(last);
    return json_object_set_new(inputs, name, json_integer(count));
}

/* Layers may be anywhere: models contain models, and some layers wrap others. */
static int note_layers(json_t *inputs, json_t *value, unsigned depth)
{
    const char *key;
    json_t *member;
    size_t i;

    if (depth == CONFIG_DEPTH_MAX)
        return 0;
    json_array_foreach(value, i, member)
    {
        if (note_layers(inputs, member, depth + 1) < 0)
            return -1;
    }
    if (!json_is_object(value))
        return 0;
    json_object_foreach(value, key, member)
    {
        if (note_layers(inputs, member, depth + 1) < 0)
            return -1;
    }
    return note_layer(inputs, value);
}

static int read_config(struct source *source, uint64_t bytes_max, json_t *inputs,
                       struct failure *failure)
{
    struct zip_member member;
    struct json_fault fault;
    json_t *root = NULL;
    int result = zip_find(source, CONFIG, bytes_max, &member, failure);

    if (result <= 0)
        return result;
    if (member.bytes > bytes_max)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL, "%s is too large", CONFIG);
    char *text = malloc((size_t)member.bytes + 1);
    if (!text)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    result = source_read(source, member.offset, text, member.bytes, failure);
    if (result == 0) {
        root = json_read(text, (size_t)member.bytes, 0, &fault);
        result = root ? 0
                      : fail(failure, json_fault_status(&fault), NULL, "%s: %s", CONFIG,
                             fault.words);
    }
    if (result == 0 && note_layers(inputs, root, 0) < 0)
        result = fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    json_decref(root);
    free(text);
    return result;
}

/* ---- variables --------------------------------------------------------------------------- */

/* PATH/vars/NUMBER, or vars/NUMBER of the model itself. */
static bool is_variable(const char *path)
{
    static const char vars[] = "vars/";
    const char *slash = strrchr(path, '/');
    const size_t group = slash ? (size_t)(slash - path) + 1 : 0, leaf = sizeof(vars) - 1;

    return slash && slash[1] && strspn(slash + 1, "0123456789") == strlen(slash + 1) &&
           group >= leaf && memcmp(path + group - leaf, vars, leaf) == 0 &&
           (group == leaf || path[group - leaf - 1] == '/');
}

static int add_variable(void *arg, const struct hdf5_dataset *dataset,
                        struct failure *failure)
{
    enum { WEIGHTS_A_BYTE = 5 };
    struct filling *filling = arg;
    struct tensor_entry entry = {.name = dataset->path,
                                 .type = dataset->type,
                                 .rank = dataset->rank,
                                 .offset = dataset->offset};

    if (!is_variable(dataset->path))
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "is not a variable as Keras 3 names them (LAYER/vars/NUMBER)");
    memcpy(entry.shape, dataset->shape, sizeof(entry.shape));
    if (strcmp(entry.type->name, "U8") == 0 && entry.rank == 2 && dataset->group[0]) {
        const json_int_t inputs =
            json_integer_value(json_object_get(filling->inputs, dataset->group));

        if (inputs > 0 && div_up((uint64_t)inputs, WEIGHTS_A_BYTE) == entry.shape[0])
            entry.unpacked = (uint64_t)inputs;
    }
    return table_add(filling->table, &entry, failure);
}

static int read_variables(struct source *source, const struct read_options *options,
                          struct filling *filling, struct failure *failure)
{
    struct zip_member weights = {0, source_bytes(source)};
    uint8_t head[8];
    int found;

    if (source_bytes(source) < sizeof(head) ||
        source_read(source, 0, head, sizeof(head), failure) < 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL, "HDF5: the file is cut off");
    if (memcmp(head, HDF5_MAGIC, sizeof(head)) != 0) {
        found = zip_find(source, WEIGHTS, options->header_bytes_max, &weights, failure);
        if (found == 0)
            return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                        "it is a zip archive without %s", WEIGHTS);
        if (found < 0 ||
            read_config(source, options->header_bytes_max, filling->inputs, failure) < 0)
            return -1;
    }
    struct hdf5_file file = {source, weights.offset, weights.bytes,
                             options->header_bytes_max, failure};
    return hdf5_visit(&file, add_variable, filling);
}

static int read_table(struct source *source, const struct read_options *options,
                      struct tensor_table *table, struct failure *failure)
{
    struct filling filling = {table, json_object()};
    int result;

    if (!filling.inputs)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    result = read_variables(source, options, &filling, failure);
    json_decref(filling.inputs);
    return result < 0 ? -1 : table_seal(table, failure);
}

const struct reader_ops keras_reader = {
    .format = "keras",
    .probe = probe,
    .read_table = read_table,
};
