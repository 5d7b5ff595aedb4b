/* SPDX-License-Identifier: Apache-2.0 */
#include "files/reader.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "files/folder.h"
#include "files/formats.h"
#include "files/gguf_split.h"
#include "files/identify.h"
#include "files/pairs.h"
#include "files/rank_shard.h"
#include "files/shards.h"
#include "files/sources.h"

struct reader {
    const struct reader_ops *ops;
    struct sources *sources; /* one a shard, except for missing ones */
    struct tensor_table table;
    struct shards shards; /* empty for a single file */
    char *folder;
    struct reader_notes notes;
};

/* Tried in order. safetensors has no magic number, so it comes last. */
static const struct reader_ops *const probes[] = {&npy_reader, &gguf_reader,
                                                  &keras_reader, &safetensors_reader};

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* No program loads shards of two formats, and rules of names depend on the format. */
static int choose_format(struct reader *reader, struct source *source,
                         struct failure *failure)
{
    const struct reader_ops *ops = NULL;
    uint8_t head[PROBE_BYTES];
    const size_t count = u64_min(source_bytes(source), PROBE_BYTES);

    if (source_read(source, 0, head, count, failure) < 0)
        return -1;
    for (size_t i = 0; !ops && i < sizeof(probes) / sizeof(probes[0]); i++)
        if (probes[i]->probe(head, count))
            ops = probes[i];
    if (!ops)
        return fail_unknown_format(source, failure);
    if (reader->ops && ops != reader->ops)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "it is a %s file, and the file before it is %s; name one of them",
                    ops->format, reader->ops->format);
    reader->ops = ops;
    return 0;
}

static struct read_options choose(const struct read_options *options)
{
    struct read_options chosen = options ? *options : (struct read_options){0};

    if (!chosen.header_bytes_max || chosen.header_bytes_max > FILES_HEADER_BYTES_MAX)
        chosen.header_bytes_max = FILES_HEADER_BYTES_MAX;
    return chosen;
}

static struct reader *reader_create(size_t sources, struct failure *failure)
{
    struct reader *reader = calloc(1, sizeof(*reader));

    if (reader) {
        table_init(&reader->table);
        reader->sources = sources_create(sources);
    }
    if (reader && reader->sources)
        return reader;
    reader_close(reader);
    no_memory(failure);
    return NULL;
}

static int note_cuts(struct reader *reader, const struct tensor_table *table,
                     const char *name, struct failure *failure)
{
    return rank_shard_check(table, name, failure) < 0
               ? -1
               : reader_notes_add_cuts(&reader->notes, &reader->table.strings, table,
                                       name, failure);
}

/* ---- one file --------------------------------------------------------------------- */

int reader_open_source(struct reader **out, struct source *source,
                       const struct read_options *options, struct failure *failure)
{
    struct read_options chosen = choose(options);
    struct reader *reader = reader_create(1, failure);

    if (!reader) {
        source_close(source);
        return -1;
    }
    sources_put(reader->sources, 0, source);
    if (choose_format(reader, source, failure) < 0 ||
        reader->ops->read_table(source, &chosen, &reader->table, failure) < 0) {
        reader_close(reader);
        return -1;
    }
    reader->table.format = reader->ops->format;
    *out = reader;
    return 0;
}

/* Notes that other shards of the model were not read. */
static int note_shards(struct reader *reader, const char *path, const char *name,
                       struct failure *failure)
{
    struct reader_note alone = {.kind = READER_ONE_OF_SHARDS, .other = name};
    struct other_kind others;
    int result = others_of_shard(&others, path, failure);

    if (result < 0 || others.count == 0)
        return result;
    alone.count = others.count;
    alone.shard =
        arena_strndup(&reader->table.strings, others.first, strlen(others.first));
    free(others.first);
    return alone.shard ? reader_notes_add(&reader->notes, NULL, alone, failure)
                       : no_memory(failure);
}

/* What the file lacks of what it says. */
static int note_file(struct reader *reader, const char *path, struct failure *failure)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *name = arena_strndup(&reader->table.strings, base, strlen(base));
    struct gguf_split split = {.files = 1};

    if (!name)
        return no_memory(failure);
    if (reader->ops == &gguf_reader &&
        (gguf_split_take(&split, &reader->table, name, 0, &reader->notes, failure) < 0 ||
         gguf_split_end(&split, &reader->notes, failure) < 0))
        return -1;
    return note_shards(reader, path, name, failure) < 0
               ? -1
               : note_cuts(reader, &reader->table, name, failure);
}

static int open_file(struct reader **out, const char *path,
                     const struct read_options *options, struct failure *failure)
{
    struct source *source;

    if (source_open(&source, path, failure) < 0 ||
        reader_open_source(out, source, options, failure) < 0)
        return -1;
    (*out)->folder = folder_of(path);
    if (((*out)->folder ? note_file(*out, path, failure) : no_memory(failure)) == 0)
        return 0;
    reader_close(*out);
    *out = NULL;
    return -1;
}

/* ---- the shards of a folder ------------------------------------------------------- */

/* State while the shards' tables are merged. */
struct merging {
    struct reader *reader;
    json_t *seen;  /* name of each tensor: number of its shard */
    json_t *pairs; /* key and value of each pair of metadata */
    struct gguf_split split;
    struct failure *failure;
};

/* A note as struct reader_note says. */
static int note(struct merging *m, enum reader_note_kind kind, const char *tensor,
                const char *shard, const char *other, uint64_t count)
{
    return reader_notes_add(&m->reader->notes, &m->reader->table.strings,
                            (struct reader_note){.kind = kind,
                                                 .tensor = tensor,
                                                 .shard = shard,
                                                 .other = other,
                                                 .count = count},
                            m->failure);
}

static int merge_entry(struct merging *m, size_t shard, const struct tensor_entry *entry)
{
    const struct shards *shards = &m->reader->shards;
    const char *name = shards->list[shard].name;
    const char *promise = shards_promise(shards, entry->name);
    const json_t *first = json_object_get(m->seen, entry->name);
    struct tensor_entry merged = *entry;

    if (first)
        return note(m, READER_DUPLICATE, entry->name, name,
                    shards->list[json_integer_value(first)].name, 0);
    if (json_object_set_new(m->seen, entry->name, json_integer((json_int_t)shard)) < 0)
        return no_memory(m->failure);
    merged.shard = (uint32_t)shard;
    if (table_add(&m->reader->table, &merged, m->failure) < 0)
        return -1;
    if (!shards->weight_map || (promise && strcmp(promise, name) == 0))
        return 0;
    return note(m, promise ? READER_INDEX_DISAGREES : READER_NOT_IN_INDEX, entry->name,
                promise ? promise : name, NULL, 0);
}

static int merge_table(struct merging *m, size_t shard, const struct tensor_table *table)
{
    const char *name = m->reader->shards.list[shard].name;

    if (m->reader->ops == &gguf_reader &&
        gguf_split_take(&m->split, table, name, shard, &m->reader->notes, m->failure) < 0)
        return -1;
    if (pairs_merge(&m->reader->table, m->pairs, shard, table, m->failure) < 0)
        return -1;
    for (size_t i = 0; i < table->count; i++)
        if (merge_entry(m, shard, &table->entries[i]) < 0)
            return -1;
    /* Tensors that are cut off keep what the index promises. */
    for (size_t i = 0; i < table->cut_count; i++)
        if (json_object_set_new(m->seen, table->cuts[i].name,
                                json_integer((json_int_t)shard)) < 0)
            return no_memory(m->failure);
    return table_add_cuts(&m->reader->table, table, m->failure) < 0
               ? -1
               : note_cuts(m->reader, table, name, m->failure);
}

static int read_shard(struct merging *m, size_t number,
                      const struct read_options *options)
{
    struct reader *reader = m->reader;
    const struct shard *shard = &reader->shards.list[number];
    char *path = folder_path(reader->shards.folder, shard->name);
    struct source *source = NULL;
    struct tensor_table table;
    int result = path ? 0 : no_memory(m->failure);

    table_init(&table);
    if (result == 0)
        result = source_open(&source, path, m->failure);
    free(path);
    if (result == 0)
        result = choose_format(reader, source, m->failure);
    if (result == 0)
        result = reader->ops->read_table(source, options, &table, m->failure);
    if (result < 0)
        fail_context(m->failure, "%s", shard->name);
    else
        result = merge_table(m, number, &table);
    if (source)
        sources_put(reader->sources, number, source);
    table_fini(&table);
    return result;
}

/* Tensors that the index lists and no shard holds. */
static int note_promises(struct merging *m)
{
    const struct shards *shards = &m->reader->shards;
    const char *tensor;
    json_t *file;

    for (size_t i = 0; i < shards->count; i++)
        if (shards->list[i].missing &&
            note(m, READER_INDEX_DISAGREES, NULL, shards->list[i].name, NULL,
                 shards->list[i].promised) < 0)
            return -1;
    for (size_t i = 0; i < OTHER_KINDS; i++)
        if (shards->others.kinds[i].count > 0 &&
            note(m, READER_NOT_READ, NULL, shards->others.kinds[i].first,
                 shards->list[0].name, shards->others.kinds[i].count) < 0)
            return -1;
    json_object_foreach(shards->weight_map, tensor, file)
    {
        const char *name = json_string_value(file);
        const struct shard *shard = shards_named(shards, name);

        if (json_object_get(m->seen, tensor))
            continue;
        if (!(shard && shard->missing) &&
            note(m, READER_INDEX_DISAGREES, tensor, name, NULL, 0) < 0)
            return -1;
    }
    return 0;
}

/* Members of the index's metadata that are text. */
static int merge_index(struct merging *m)
{
    const char *key;
    json_t *value;

    json_object_foreach(m->reader->shards.metadata, key, value)
    {
        if (json_is_string(value) &&
            table_add_pair(&m->reader->table, key, json_string_value(value), m->failure) <
                0)
            return -1;
    }
    return note_promises(m);
}

static int merge_shards(struct reader *reader, const struct read_options *options,
                        struct failure *failure)
{
    struct merging m = {.reader = reader,
                        .seen = json_object(),
                        .pairs = json_object(),
                        .split = {.files = reader->shards.count},
                        .failure = failure};
    int result = m.seen && m.pairs ? 0 : no_memory(failure);

    for (size_t i = 0; result == 0 && i < reader->shards.count; i++)
        if (!reader->shards.list[i].missing)
            result = read_shard(&m, i, options);
    if (result == 0)
        result = gguf_split_end(&m.split, &reader->notes, failure);
    if (result == 0)
        result = merge_index(&m);
    json_decref(m.seen);
    json_decref(m.pairs);
    return result < 0 ? -1 : table_seal(&reader->table, failure);
}

static int open_shards(struct reader **out, struct shards *shards,
                       const struct read_options *options, struct failure *failure)
{
    struct read_options chosen = choose(options);
    struct reader *reader = reader_create(shards->count, failure);

    if (!reader)
        return -1;
    reader->shards = *shards;
    *shards = (struct shards){.count = 0};
    reader->folder = strdup(reader->shards.folder);
    if ((reader->folder ? 0 : no_memory(failure)) < 0 ||
        sources_watch(reader->sources, reader->folder, "config.json", failure) < 0 ||
        merge_shards(reader, &chosen, failure) < 0 ||
        sources_in_place(reader->sources, failure) < 0) {
        reader_close(reader);
        return -1;
    }
    if (!reader->ops) /* every shard is missing */
        reader->ops = &safetensors_reader;
    reader->table.format = reader->ops->format;
    *out = reader;
    return 0;
}

/* ---- the interface ---------------------------------------------------------------- */

int reader_open(struct reader **reader, const char *path,
                const struct read_options *options, struct failure *failure)
{
    struct shards shards;
    int result = shards_find(&shards, path, failure);

    if (result > 0)
        result = open_shards(reader, &shards, options, failure);
    else if (result == 0)
        result = open_file(reader, path, options, failure);
    shards_fini(&shards);
    return result;
}

void reader_close(struct reader *reader)
{
    if (!reader)
        return;
    table_fini(&reader->table);
    sources_destroy(reader->sources);
    shards_fini(&reader->shards);
    free(reader->folder);
    free(reader->notes.list);
    free(reader);
}

const struct tensor_table *reader_table(const struct reader *reader)
{
    return &reader->table;
}

const char *reader_format(const struct reader *reader)
{
    return reader->ops->format;
}

const struct reader_note *reader_notes(const struct reader *reader, size_t *count)
{
    *count = reader->notes.count;
    return reader->notes.list;
}

const char *reader_folder(const struct reader *reader)
{
    return reader->folder;
}

bool reader_is_folder(const struct reader *reader)
{
    return reader->shards.folder != NULL;
}

const struct read_text *reader_index(const struct reader *reader)
{
    return reader->shards.index ? &reader->shards.as_read : NULL;
}

size_t reader_file_count(const struct reader *reader)
{
    return reader->shards.folder ? reader->shards.count : 1;
}

const struct source *reader_file(const struct reader *reader, size_t number)
{
    return sources_at(reader->sources, number);
}

int reader_file_read(struct reader *reader, size_t number, uint64_t offset, void *buffer,
                     uint64_t count, struct failure *failure)
{
    return sources_read(reader->sources, number, offset, buffer, count, failure);
}

int reader_read(struct reader *reader, const struct tensor_entry *entry, uint64_t offset,
                void *buffer, uint64_t count, struct failure *failure)
{
    if (offset > entry->bytes || count > entry->bytes - offset)
        return fail(failure, TRIT_OUT_OF_RANGE, NULL, "read beyond the end of tensor %s",
                    entry->name);
    return sources_read(reader->sources, entry->shard, entry->offset + offset, buffer,
                        count, failure);
}

bool reader_try_read(struct reader *reader, const struct tensor_entry *entry,
                     uint64_t offset, void *buffer, uint64_t count)
{
    return offset <= entry->bytes && count <= entry->bytes - offset &&
           sources_try_read(reader->sources, entry->shard, entry->offset + offset, buffer,
                            count);
}

int reader_read_pair(struct reader *reader, const struct tensor_pair *pair, void *buffer,
                     struct failure *failure)
{
    return sources_read(reader->sources, pair->shard, pair->offset, buffer, pair->bytes,
                        failure);
}

int reader_load(struct reader *reader, const struct tensor_entry *entry, void **data,
                struct failure *failure)
{
    void *bytes;

    if (entry->bytes > PTRDIFF_MAX)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "tensor %s is too large",
                    entry->name);
    bytes = malloc((size_t)entry->bytes + 1);
    if (!bytes)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "out of memory for tensor %s (%" PRIu64 " bytes)", entry->name,
                    entry->bytes);
    if (reader_read(reader, entry, 0, bytes, entry->bytes, failure) < 0) {
        free(bytes);
        return -1;
    }
    *data = bytes;
    return 0;
}

int reader_unchanged(const struct reader *reader, struct failure *failure)
{
    return sources_unchanged(reader->sources, failure);
}

int reader_unchanged_of(const struct reader *reader, const struct tensor_entry *entry,
                        struct failure *failure)
{
    return sources_unchanged_at(reader->sources, entry->shard, failure);
}
