/* SPDX-License-Identifier: Apache-2.0 */
/* trit inspect: lists the tensors of a file; needs no daemon. */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/file.h"
#include "client/cli/grid.h"
#include "drive/inspect.h"
#include "kernels/kernels.h"

static enum exit_code show_table(const struct reader *reader,
                                 const struct contents *contents)
{
    static const struct grid_column columns[] = {
        {"tensor", GRID_LEFT}, {"dtype", GRID_LEFT}, {"shape", GRID_LEFT},
        {"bytes", GRID_RIGHT}, {"layer", GRID_LEFT}, {"what", GRID_LEFT},
    };
    const struct record *record = contents->record;
    const struct tensor_table *table = reader_table(reader);
    struct grid *grid = grid_create(columns, sizeof(columns) / sizeof(columns[0]));
    char shape[SHAPE_TEXT_BYTES], text[CONTENT_TEXT_BYTES];
    uint64_t bytes = 0;
    size_t layers = 0;
    int lost;

    for (size_t i = 0; grid && i < table->count; i++) {
        const struct tensor_entry *entry = &table->entries[i];
        bool layer = contents->items[i].kind == CONTENT_LAYER;

        grid_cell(grid, "%s", entry->name);
        grid_cell(grid, "%s", entry->type->name);
        grid_cell(grid, "%s", entry_shape_text(shape, entry));
        grid_cell(grid, "%" PRIu64, entry->bytes);
        grid_cell(grid, "%s", layer ? "yes" : "");
        grid_cell(grid, "%s",
                  layer && !content_is_foreign(&contents->items[i])
                      ? ""
                      : content_text(text, contents, i));
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
           record->layers ? encoding_name(record->terms.encoding) : "");
    return DONE;
}

/* A file with a record is read as a claim, any other as latents. */
static enum exit_code inspect(const struct options *options, const struct input *input,
                              struct contents *contents, struct record *record)
{
    const struct checkpoint_options rules = input_options(input, options);
    const struct reader *reader = input->reader;
    struct failure failure = {.status = TRIT_OK};
    struct layer_terms terms;

    /* The tensors are listed whatever the record says. */
    const bool broken = record_read(record, reader_table(reader), &failure) < 0;
    if (broken) {
        complain(MISMATCH, "%s: %s", options->arguments[0], failure.message);
        record_fini(record);
    }
    terms = terms_of_claim(&rules, record, reader_table(reader));
    enum exit_code code = file_check_options("inspect", options, &terms, reader, NULL);
    if (code != DONE)
        return code;
    if (contents_create(contents, &rules, CONTENTS_CLAIM, &terms, reader_table(reader),
                        record, &failure) < 0)
        return complain(FAILED, "%s: %s", options->arguments[0], failure.message);
    code = input_check(input, options->arguments[0]);
    if (code == FAILED)
        return code;
    enum exit_code shown =
        option_given(options, OPTION_JSON)
            ? print_json(inspect_json(options->arguments[0], reader, contents), DONE)
            : show_table(reader, contents);
    if (shown != DONE)
        return shown;
    return code == DONE && broken ? MISMATCH : code;
}

static enum exit_code run_inspect(const struct options *options)
{
    struct contents contents = {.items = NULL};
    struct record record = {.layers = NULL};
    struct input input;
    enum exit_code code = input_open(&input, options->arguments[0], options);

    if (code == DONE)
        code = inspect(options, &input, &contents, &record);
    contents_destroy(&contents);
    record_fini(&record);
    input_close(&input);
    return code;
}

const struct command cmd_inspect = {
    .name = "inspect",
    .arguments = "FILE [OPTION...]",
    .summary = "list the tensors of a checkpoint (no daemon needed)",
    .details =
        "FILE is a safetensors, GGUF, .npy or .keras file, a folder of shards, or the\n"
        "index.json of one. Exit code 1: the index and the files disagree, or the file's\n"
        "record of a projection is damaged.",
    .options = OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_GROUP_SIZE) |
               OPTION_BIT(OPTION_CONVOLUTIONS) | OPTION_BIT(OPTION_EXPERTS) |
               OPTION_BIT(OPTION_BITS) | OPTION_BIT(OPTION_TRANSPOSED) |
               OPTION_BIT(OPTION_INCLUDE) | OPTION_BIT(OPTION_EXCLUDE) |
               OPTION_BIT(OPTION_NPY_BF16) | OPTION_BIT(OPTION_JSON) |
               OPTION_BIT(OPTION_HELP),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_inspect,
};
