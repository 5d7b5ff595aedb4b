/* trit inspect: what is in a file; needs no daemon. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "client/cli/cli.h"
#include "client/cli/grid.h"
#include "client/cli/layers.h"
#include "client/cli/record.h"
#include "kernels/kernels.h"

/* A layer by the file's own record, else by the rule of type and rank. */
static bool is_layer(const struct options *options, const struct record *record,
                     const struct tensor_entry *entry)
{
    struct tensor_entry dense;

    if (record->layers)
        return record_find(record, entry->name, &dense, NULL) == 1 &&
               name_selected(options, entry->name);
    return layer_selected(options, entry);
}

static json_t *tensor_json(const struct tensor_entry *entry, bool layer)
{
    json_t *shape = json_array();

    for (uint32_t i = 0; i < entry->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)entry->shape[i]));
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:b}", "name", entry->name, "dtype",
                     entry->type->name, "shape", shape, "offset",
                     (json_int_t)entry->offset, "bytes", (json_int_t)entry->bytes,
                     "layer", (int)layer);
}

static enum exit_code show_json(const struct options *options,
                                const struct reader *reader, const struct record *record)
{
    const struct tensor_table *table = reader_table(reader);
    json_t *tensors = json_array(), *metadata = json_object();

    for (size_t i = 0; i < table->count; i++)
        json_array_append_new(tensors,
                              tensor_json(&table->entries[i],
                                          is_layer(options, record, &table->entries[i])));
    for (size_t i = 0; i < table->pair_count; i++)
        json_object_set_new(metadata, table->pairs[i].key,
                            json_string(table->pairs[i].value));
    return print_json(json_pack("{s:s, s:s, s:o, s:o}", "file", options->arguments[0],
                                "format", reader_format(reader), "metadata", metadata,
                                "tensors", tensors),
                      DONE);
}

static enum exit_code show_table(const struct options *options,
                                 const struct reader *reader, const struct record *record)
{
    static const struct grid_column columns[] = {
        {"tensor", GRID_LEFT}, {"dtype", GRID_LEFT}, {"shape", GRID_LEFT},
        {"bytes", GRID_RIGHT}, {"layer", GRID_LEFT},
    };
    const struct tensor_table *table = reader_table(reader);
    struct grid *grid = grid_create(columns, sizeof(columns) / sizeof(columns[0]));
    char shape[SHAPE_TEXT_BYTES];
    uint64_t bytes = 0;
    size_t layers = 0;
    int lost;

    for (size_t i = 0; grid && i < table->count; i++) {
        const struct tensor_entry *entry = &table->entries[i];
        bool layer = is_layer(options, record, entry);

        grid_cell(grid, "%s", entry->name);
        grid_cell(grid, "%s", entry->type->name);
        grid_cell(grid, "%s", shape_text(shape, entry->rank, entry->shape));
        grid_cell(grid, "%" PRIu64, entry->bytes);
        grid_cell(grid, "%s", layer ? "yes" : "");
        layers += layer;
        bytes += entry->bytes;
    }
    lost = grid ? grid_print(grid, stdout) : -1;
    grid_destroy(grid);
    if (lost)
        return complain(FAILED, "out of memory");
    printf("%s: %zu tensors, %zu of them layers, %" PRIu64 " bytes%s%s\n",
           reader_format(reader), table->count, layers, bytes,
           record->layers ? ", projected by trit as " : "",
           record->layers ? encoding_name(record->encoding) : "");
    return DONE;
}

static enum exit_code run_inspect(const struct options *options)
{
    struct read_options read = {.void2_is_bf16 = option_given(options, OPTION_NPY_BF16)};
    struct failure failure = {.status = TRIT_OK};
    struct record record = {.layers = NULL};
    struct reader *reader = NULL;
    enum exit_code code;

    if (reader_open(&reader, options->arguments[0], &read, &failure) != 0 ||
        record_read(&record, reader_table(reader), &failure) != 0)
        code = complain(FAILED, "%s: %s", options->arguments[0], failure.message);
    else if (option_given(options, OPTION_JSON))
        code = show_json(options, reader, &record);
    else
        code = show_table(options, reader, &record);
    record_fini(&record);
    reader_close(reader);
    return code;
}

const struct command cmd_inspect = {
    .name = "inspect",
    .arguments = "FILE [--json]",
    .summary = "list the tensors of a safetensors or .npy file (no daemon needed)",
    .options = OPTION_BIT(OPTION_CONVOLUTIONS) | OPTION_BIT(OPTION_INCLUDE) |
               OPTION_BIT(OPTION_EXCLUDE) | OPTION_BIT(OPTION_NPY_BF16) |
               OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_inspect,
};
