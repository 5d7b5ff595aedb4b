/* SPDX-License-Identifier: Apache-2.0 */
#include "files/shards.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "files/folder.h"
#include "files/others.h"
#include "files/shard_name.h"
#include "json/json.h"

static const char INDEX_SUFFIX[] = ".safetensors.index.json";
/* Without an index transformers loads this file, whatever others there are. */
static const char WHOLE[] = "model.safetensors";
/* Of files of weights, in the order in which a folder is searched for them. */
static const char *const weights_suffixes[] = {".safetensors", ".gguf"};
enum { SAFETENSORS, GGUF, SUFFIXES };

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* While the list grows. */
static struct shard *find_shard(const struct shards *shards, const char *name)
{
    const json_t *place = json_object_get(shards->places, name);

    return place ? &shards->list[json_integer_value(place)] : NULL;
}

/* Returns the new shard, or NULL on failure. */
static struct shard *add_shard(struct shards *shards, const char *name,
                               struct failure *failure)
{
    if (shards->count == SHARDS_MAX) {
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "more than %d files of weights",
             SHARDS_MAX);
        return NULL;
    }
    struct shard *larger =
        array_grow(shards->list, &shards->capacity, shards->count + 1, sizeof(*larger));
    if (!larger) {
        no_memory(failure);
        return NULL;
    }
    shards->list = larger;
    struct shard *shard = &shards->list[shards->count];
    *shard = (struct shard){.name = strdup(name)};
    /* Names of files need not be UTF-8: no check. */
    if (!shard->name ||
        json_object_set_new_nocheck(shards->places, name,
                                    json_integer((json_int_t)shards->count)) < 0) {
        free(shard->name);
        no_memory(failure);
        return NULL;
    }
    shards->count++;
    return shard;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static bool is_there(const struct folder_names *names, const char *name)
{
    return names->count && bsearch(&name, names->names, names->count,
                                   sizeof(*names->names), compare_names);
}

static int compare_shards(const void *left, const void *right)
{
    return strcmp(((const struct shard *)left)->name,
                  ((const struct shard *)right)->name);
}

/* ---- with an index ---------------------------------------------------------------- */

static int read_index(struct shards *shards, struct failure *failure)
{
    char *text = NULL;
    size_t bytes = 0;
    struct json_fault fault;
    int found = folder_read_text(shards->folder, shards->index, &text, &bytes, failure);

    if (found <= 0)
        return found < 0 ? -1
                         : fail(failure, TRIT_NOT_FOUND, NULL, "%s does not exist",
                                shards->index);
    shards->as_read = (struct read_text){shards->index, text, bytes};
    shards->root = json_read(text, bytes, JSON_READ_UNIQUE_KEYS, &fault);
    if (!shards->root)
        return fail(failure, json_fault_status(&fault), NULL, "%s, line %zu: %s",
                    shards->index, fault.line, fault.words);
    shards->weight_map = json_object_get(shards->root, "weight_map");
    shards->metadata = json_object_get(shards->root, "metadata");
    if (!json_is_object(shards->weight_map))
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "%s has no object \"weight_map\"", shards->index);
    return 0;
}

static int take_promise(struct shards *shards, const struct folder_names *names,
                        const char *tensor, const json_t *value, struct failure *failure)
{
    const char *file = json_string_value(value);
    struct shard *shard;

    if (!file || strlen(file) != json_string_length(value) || !folder_name_is_plain(file))
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "%s: the file of tensor %s is %s; it must be a name in the folder",
                    shards->index, tensor, file ? file : "not a string");
    shard = find_shard(shards, file);
    if (!shard) {
        shard = add_shard(shards, file, failure);
        if (!shard)
            return -1;
        shard->missing = !is_there(names, file);
    }
    shard->promised++;
    return 0;
}

/* Adds the files of the folder that are numbered like this one and not in the list yet. */
static int take_siblings(struct shards *shards, const struct folder_names *names,
                         const char *first, const char *suffix, struct failure *failure)
{
    struct shard_name split, other;

    if (!shard_name_read(&split, first, suffix))
        return 0;
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->names[i];

        if (shard_name_read(&other, name, suffix) &&
            shard_names_agree(first, &split, name, &other) && !find_shard(shards, name) &&
            !add_shard(shards, name, failure))
            return -1;
    }
    return 0;
}

/* Files that are numbered like those of the index but are not in it. Without this their
 * tensors would be left out silently. */
static int take_unlisted(struct shards *shards, const struct folder_names *names,
                         struct failure *failure)
{
    return take_siblings(shards, names, shards->list[0].name,
                         weights_suffixes[SAFETENSORS], failure);
}

static bool is_shard(const void *shards, const char *name)
{
    return find_shard(shards, name) != NULL;
}

/* "model.safetensors" beside "model.safetensors.index.json", which does not list it.
 * transformers loads that file and not the shards. */
static int take_whole(struct shards *shards, const struct folder_names *names,
                      struct failure *failure)
{
    char *name = strndup(shards->index, strlen(shards->index) - strlen(INDEX_SUFFIX) +
                                            strlen(weights_suffixes[SAFETENSORS]));
    int result = name ? 0 : no_memory(failure);

    if (result == 0 && is_there(names, name) && !find_shard(shards, name) &&
        !add_shard(shards, name, failure))
        result = -1;
    free(name);
    return result;
}

static int take_index(struct shards *shards, const struct folder_names *names,
                      struct failure *failure)
{
    const char *tensor;
    json_t *value;

    if (read_index(shards, failure) < 0)
        return -1;
    json_object_foreach(shards->weight_map, tensor, value)
    {
        if (take_promise(shards, names, tensor, value, failure) < 0)
            return -1;
    }
    if (shards->count == 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL, "%s lists no tensor",
                    shards->index);
    return take_unlisted(shards, names, failure);
}

/* ---- without one ------------------------------------------------------------------ */

/* Adds the missing shards that the number of the first one implies. `first`: 0 or 1. */
static int add_missing(struct shards *shards, size_t stem, unsigned first, unsigned of,
                       const char *suffix, struct failure *failure)
{
    for (unsigned number = first; number < first + of; number++) {
        char *name;
        int result = 0;

        if (asprintf(&name, "%.*s-%05u-of-%05u%s", (int)stem, shards->list[0].name,
                     number, of, suffix) < 0)
            return no_memory(failure);
        if (!find_shard(shards, name)) {
            struct shard *shard = add_shard(shards, name, failure);

            if (shard)
                shard->missing = true;
            else
                result = -1;
        }
        free(name);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int take_numbered(struct shards *shards, const char *suffix,
                         struct failure *failure)
{
    const char *first = shards->list[0].name;
    struct shard_name split = {.of = 0}, other;
    unsigned lowest = 1;

    for (size_t i = 0; i < shards->count; i++) {
        const char *name = shards->list[i].name;

        if (!shard_name_read(&other, name, suffix) ||
            (i && (!shard_names_agree(first, &split, name, &other) ||
                   other.number == lowest + split.of)))
            return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                        "the folder holds several files of weights (%s, %s) and no "
                        "index; name the file, or join them if they are parts of one "
                        "model",
                        first, shards->list[i ? i : 1].name);
        if (i == 0)
            split = other;
        if (other.number == 0)
            lowest = 0; /* numbers start at 0 */
    }
    return add_missing(shards, split.stem, lowest, split.of, suffix, failure);
}

static bool nothing_is_read(const void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return false;
}

static int fail_not_read(const char *name, struct failure *failure)
{
    return fail(
        failure, TRIT_INVALID_ARGUMENT, NULL,
        "the folder holds no safetensors or GGUF file; %s is not read, convert it "
        "to safetensors",
        name);
}

/* By the folders of trainers, such as DeepSpeed's global_step1000. */
static int fail_of_others(const struct shards *shards, const struct folder_names *names,
                          struct failure *failure)
{
    struct other_files others;
    int result =
        others_find(&others, shards->folder, names, nothing_is_read, NULL, failure);

    for (size_t i = 0; i < OTHER_KINDS && result == 0; i++)
        if (others.kinds[i].first)
            result = fail_not_read(others.kinds[i].first, failure);
    others_fini(&others);
    return result;
}

static int fail_without_weights(const struct shards *shards,
                                const struct folder_names *names, struct failure *failure)
{
    static const char *const others[] = {".bin",    ".pt",    ".pth",     ".ckpt",
                                         ".npz",    ".onnx",  ".msgpack", ".h5",
                                         ".distcp", ".ocdbt", NULL};

    for (size_t i = 0; i < names->count; i++)
        for (size_t k = 0; others[k]; k++)
            if (name_has_suffix(names->names[i], others[k]))
                return fail_not_read(names->names[i], failure);
    if (fail_of_others(shards, names, failure) < 0)
        return -1;
    char *snapshots = folder_path(shards->folder, "snapshots");
    const bool is_cache = snapshots && folder_is(snapshots);

    free(snapshots);
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                "the folder holds no safetensors or GGUF file%s",
                is_cache ? "; name one of its folder snapshots" : "");
}

/* Refuses links to files that are not there, such as those of a cache that was cleared.
 * Numbered ones beside others are missing shards. */
static int check_links(const struct shards *shards, const char *suffix,
                       struct failure *failure)
{
    struct folder_names links;
    int result = folder_links_read(&links, shards->folder, failure);
    struct shard_name split;

    for (size_t i = 0; result == 0 && i < links.count; i++)
        if (name_has_suffix(links.names[i], suffix) && links.names[i][0] != '.' &&
            (shards->count == 0 || !shard_name_read(&split, links.names[i], suffix)))
            result =
                fail(failure, TRIT_NOT_FOUND, NULL,
                     "%s is a link to a file that does not exist; download it again, "
                     "or name another file",
                     links.names[i]);
    folder_names_fini(&links);
    return result;
}

static int take_files(struct shards *shards, const struct folder_names *names,
                      struct failure *failure)
{
    const char *suffix = NULL;
    struct shard_name split;

    for (size_t kind = 0; shards->count == 0 && kind < SUFFIXES; kind++) {
        suffix = weights_suffixes[kind];
        for (size_t i = 0; i < names->count; i++)
            if (name_has_suffix(names->names[i], suffix) && names->names[i][0] != '.' &&
                (!is_there(names, WHOLE) || strcmp(names->names[i], WHOLE) == 0) &&
                !add_shard(shards, names->names[i], failure))
                return -1;
        if (check_links(shards, suffix, failure) < 0)
            return -1;
    }
    if (shards->count == 0)
        return fail_without_weights(shards, names, failure);
    if (shards->count == 1 && !shard_name_read(&split, shards->list[0].name, suffix))
        return 0;
    return take_numbered(shards, suffix, failure);
}

/* The parts of a split GGUF file, of which one is named. */
static int take_split(struct shards *shards, const struct folder_names *names,
                      const char *part, struct failure *failure)
{
    const char *suffix = weights_suffixes[GGUF];

    if (take_siblings(shards, names, part, suffix, failure) < 0)
        return -1;
    if (shards->count == 0)
        return fail(failure, TRIT_NOT_FOUND, NULL, "%s does not exist", part);
    return take_numbered(shards, suffix, failure);
}

/* ---- the whole -------------------------------------------------------------------- */

/* The folder's index: the one with transformers' name, else the only one. */
static int choose_index(struct shards *shards, const struct folder_names *names,
                        struct failure *failure)
{
    const char *chosen = NULL;

    for (size_t i = 0; i < names->count; i++) {
        if (!name_has_suffix(names->names[i], INDEX_SUFFIX))
            continue;
        if (chosen && strcmp(names->names[i], "model.safetensors.index.json") != 0 &&
            strcmp(chosen, "model.safetensors.index.json") != 0)
            return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                        "the folder holds two indices, %s and %s; name one", chosen,
                        names->names[i]);
        if (!chosen || strcmp(names->names[i], "model.safetensors.index.json") == 0)
            chosen = names->names[i];
    }
    if (!chosen)
        return 0;
    shards->index = strdup(chosen);
    return shards->index ? 0 : no_memory(failure);
}

/* `part`: of a split GGUF file; NULL: the whole folder is meant. */
static int find_in_folder(struct shards *shards, const char *part,
                          struct failure *failure)
{
    struct folder_names names;
    int result = folder_names_read(&names, shards->folder, failure);
    const bool named = shards->index != NULL;

    shards->places = json_object();
    if (result == 0 && !shards->places)
        result = no_memory(failure);
    if (result == 0 && part)
        result = take_split(shards, &names, part, failure);
    else if (result == 0 && !shards->index)
        result = choose_index(shards, &names, failure);
    if (result == 0 && !part)
        result = (shards->index ? take_index : take_files)(shards, &names, failure);
    if (result == 0 && shards->index && !named)
        result = take_whole(shards, &names, failure);
    if (result == 0 && !part)
        result = others_find(&shards->others, shards->folder, &names, is_shard, shards,
                             failure);
    folder_names_fini(&names);
    json_decref(shards->places);
    shards->places = NULL;
    if (result == 0)
        qsort(shards->list, shards->count, sizeof(*shards->list), compare_shards);
    return result;
}

int shards_find(struct shards *shards, const char *path, struct failure *failure)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *part = NULL;
    struct shard_name split;

    *shards = (struct shards){.count = 0};
    if (folder_is(path)) {
        shards->folder = strdup(path);
        /* "model/" and "model" are the same folder. */
        for (size_t end = shards->folder ? strlen(path) : 0;
             end > 1 && shards->folder[end - 1] == '/'; end--)
            shards->folder[end - 1] = '\0';
    } else if (name_has_suffix(path, INDEX_SUFFIX)) {
        shards->folder = folder_of(path);
        shards->index = strdup(name);
        if (!shards->index)
            return no_memory(failure);
    } else if (shard_name_read(&split, name, weights_suffixes[GGUF]) && split.of > 1) {
        shards->folder = folder_of(path);
        part = name;
    } else {
        return 0;
    }
    if (!shards->folder)
        return no_memory(failure);
    return find_in_folder(shards, part, failure) < 0 ? -1 : 1;
}

void shards_fini(struct shards *shards)
{
    for (size_t i = 0; i < shards->count; i++)
        free(shards->list[i].name);
    free(shards->list);
    free(shards->folder);
    free(shards->index);
    free(shards->as_read.text);
    others_fini(&shards->others);
    json_decref(shards->root);
    *shards = (struct shards){.count = 0};
}

const struct shard *shards_named(const struct shards *shards, const char *name)
{
    const struct shard wanted = {.name = (char *)(uintptr_t)name};

    return shards->count ? bsearch(&wanted, shards->list, shards->count,
                                   sizeof(*shards->list), compare_shards)
                         : NULL;
}

const char *shards_promise(const struct shards *shards, const char *tensor)
{
    return json_string_value(json_object_get(shards->weight_map, tensor));
}
