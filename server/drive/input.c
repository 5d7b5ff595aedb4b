/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/input.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/rename.h"
#include "checkpoint/selection.h"
#include "files/folder.h"
#include "kernels/kernels.h"
#include "proto/finding.h"
#include "proto/json_value.h"
#include "proto/report_json.h"

static int read_config(struct input *input, struct failure *failure)
{
    char *text = NULL;
    size_t bytes = 0;
    int found = folder_read_text(reader_folder(input->reader), "config.json", &text,
                                 &bytes, failure);

    if (found <= 0)
        return found;
    found = model_config_read(&input->config, text, bytes, failure);
    free(text);
    input->has_config = found == 0;
    return found < 0 ? fail_context(failure, "config.json") : 0;
}

int input_read(struct input *input, const char *path, const struct read_options *options,
               struct failure *failure)
{
    struct failure of_config = {.status = TRIT_OK};

    *input = (struct input){.reader = NULL};
    if (reader_open(&input->reader, path, options, failure) < 0)
        return -1;
    if (read_config(input, &of_config) == 0 || !reader_is_folder(input->reader))
        return 0;
    input_close(input);
    return fail_as(failure, &of_config);
}

void input_close(struct input *input)
{
    reader_close(input->reader);
    model_config_fini(&input->config);
    *input = (struct input){.reader = NULL};
}

bool input_is_array(const struct input *input)
{
    return strcmp(reader_format(input->reader), "npy") == 0;
}

/* What a pattern may be meant for: a shard or a tensor that is not there. */
static const char *first_lack(const struct reader *reader)
{
    size_t count = 0;
    const struct reader_note *notes = reader ? reader_notes(reader, &count) : NULL;

    for (size_t i = 0; i < count; i++)
        if (notes[i].kind == READER_INDEX_DISAGREES || notes[i].kind == READER_TRUNCATED)
            return notes[i].tensor ? notes[i].tensor : notes[i].shard;
    return NULL;
}

int input_check_options(const char *name, const struct checkpoint_options *rules,
                        const struct layer_terms *terms, const struct reader *first,
                        const struct reader *second, struct failure *failure)
{
    const struct tensor_table *tables[] = {reader_table(first),
                                           second ? reader_table(second) : NULL};
    const char *unused = selection_unused(rules, tables, 2);

    if (!unused)
        unused = rename_unused(rules, tables[0], tables[1]);
    const char *lack = unused ? first_lack(first) : NULL;
    if (unused)
        return fail(failure, TRIT_INVALID_ARGUMENT, "options",
                    "the pattern '%s' matches no tensor of %s%s%s%s%s", unused, name,
                    second ? " and its latents" : "", lack ? ", in which " : "",
                    lack ? lack : "", lack ? " is missing" : "");
    return terms_check(terms, failure);
}

/* ---- parts of results ---------------------------------------------------------------- */

bool content_is_listed(const struct contents *contents, size_t index)
{
    const struct tensor_entry *entry = &contents->table->entries[index];
    const enum content_kind kind = contents->items[index].kind;

    return (entry->rank >= INPUT_RANK_LISTED || contents->table->count == 1) &&
           kind != CONTENT_LAYER && kind != CONTENT_SCALES;
}

static json_t *other_json(const struct contents *contents, size_t index)
{
    const struct tensor_entry *entry = &contents->table->entries[index];
    char text[CONTENT_TEXT_BYTES];
    uint64_t shape[TRIT_RANK_MAX];

    entry_value_shape(entry, shape);
    return json_pack("{s:s, s:s, s:o, s:o, s:s}", "name", entry->name, "dtype",
                     entry->type->name, "shape", json_uint64s(shape, entry->rank),
                     "parameters", json_uint64(content_parameters(contents, index)),
                     "what", content_text(text, contents, index));
}

json_t *others_json(const struct contents *contents)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < contents->table->count; i++)
        if (content_is_listed(contents, i) &&
            json_array_append_new(array, other_json(contents, i)) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

json_t *layer_report_json(const struct trit_report *report)
{
    json_t *json = report_json(report);

    if (json &&
        json_object_set_new(json, "verdict",
                            json_string(verdict_name(report_verdict(report)))) < 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}
