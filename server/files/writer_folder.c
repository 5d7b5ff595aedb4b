/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a Hugging Face checkpoint (huggingface_hub's names and index). Tensors go
 * into shards in the table's order. The small files are written first, so that a missing
 * one is reported before the work. Each shard is opened at its first byte and closed at
 * its last, so that few are open at a time. */
#include "files/writer_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "files/folder.h"
#include "files/folder_file.h"
#include "files/folder_target.h"
#include "files/formats.h"
#include "files/shards.h"
#include "files/system.h"
#include "json/json.h"

enum { SHARD_NAME_BYTES = 64 };

static const uint64_t SHARD_BYTES_DEFAULT = 5000000000; /* as in transformers */
static const char SINGLE[] = "model.safetensors";
static const char INDEX[] = "model.safetensors.index.json";
static const char NUMBERED[] = "model-%05zu-of-%05zu.safetensors";

struct output_shard {
    char name[SHARD_NAME_BYTES];
    uint64_t bytes;  /* of its tensors */
    uint64_t left;   /* those that are still to come */
    uint8_t *header; /* until the file exists */
    uint64_t header_bytes;
    int fd;                  /* -1: not open */
    pthread_mutex_t writing; /* one write at a time (writer.c) */
};

struct writer_folder {
    struct tensor_table *table;
    size_t *shard_of; /* one for each tensor */
    struct output_shard *shards;
    size_t shard_count;
    struct folder_target *target;
    pthread_mutex_t lock; /* of the shards' `fd`, `header` and `left` */
};

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* ---- which tensor goes where ------------------------------------------------------ */

/* A new shard begins if the next tensor would make the current one too large. */
static int assign_shards(struct writer_folder *folder, uint64_t bytes_max,
                         struct failure *failure)
{
    const struct tensor_table *table = folder->table;
    uint64_t bytes = 0;

    folder->shard_count = 1;
    for (size_t i = 0; i < table->count; i++) {
        uint64_t more = table->entries[i].bytes;

        if (bytes && (more > bytes_max || bytes > bytes_max - more)) {
            folder->shard_count++;
            bytes = 0;
        }
        folder->shard_of[i] = folder->shard_count - 1;
        bytes += more;
    }
    if (folder->shard_count > SHARDS_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "shards of %" PRIu64
                    " bytes would be %zu files, at most %d are written; "
                    "choose larger shards",
                    bytes_max, folder->shard_count, SHARDS_MAX);
    return 0;
}

/* One shard has all metadata, several have "format" alone: the index has the rest. */
static int fill_shard_table(struct writer_folder *folder, size_t number, size_t first,
                            size_t end, struct tensor_table *part,
                            struct failure *failure)
{
    const struct tensor_table *table = folder->table;

    for (size_t i = 0; i < table->pair_count; i++)
        if ((folder->shard_count == 1 || strcmp(table->pairs[i].key, "format") == 0) &&
            table_add_pair(part, table->pairs[i].key, table->pairs[i].value, failure) < 0)
            return -1;
    for (size_t i = first; i < end; i++) {
        if (table_add(part, &table->entries[i], failure) < 0)
            return -1;
        folder->shards[number].bytes += table->entries[i].bytes;
    }
    folder->shards[number].left = folder->shards[number].bytes;
    return 0;
}

/* Plans the shard that begins with tensor `first`; returns the next one's first tensor
 * by `end`. */
static int plan_shard(struct writer_folder *folder, size_t number, size_t first,
                      size_t *end, struct failure *failure)
{
    struct output_shard *shard = &folder->shards[number];
    struct tensor_table *table = folder->table, part;
    int result;

    for (*end = first; *end < table->count && folder->shard_of[*end] == number;)
        ++*end;
    if (folder->shard_count == 1)
        snprintf(shard->name, sizeof(shard->name), "%s", SINGLE);
    else
        snprintf(shard->name, sizeof(shard->name), NUMBERED, number + 1,
                 folder->shard_count);
    table_init(&part);
    result = fill_shard_table(folder, number, first, *end, &part, failure);
    if (result == 0)
        result =
            safetensors_writer.plan(&part, &shard->header, &shard->header_bytes, failure);
    for (size_t i = first; result == 0 && i < *end; i++)
        table->entries[i].offset = part.entries[i - first].offset;
    table_fini(&part);
    return result;
}

static int plan_shards(struct writer_folder *folder, uint64_t bytes_max,
                       struct failure *failure)
{
    size_t next = 0;

    folder->shard_of = calloc(folder->table->count + 1, sizeof(size_t));
    if (!folder->shard_of)
        return no_memory(failure);
    if (assign_shards(folder, bytes_max ? bytes_max : SHARD_BYTES_DEFAULT, failure) < 0)
        return -1;
    folder->shards = calloc(folder->shard_count, sizeof(*folder->shards));
    if (!folder->shards)
        return no_memory(failure);
    for (size_t i = 0; i < folder->shard_count; i++)
        folder->shards[i] =
            (struct output_shard){.fd = -1, .writing = PTHREAD_MUTEX_INITIALIZER};
    for (size_t i = 0; i < folder->shard_count; i++)
        if (plan_shard(folder, i, next, &next, failure) < 0)
            return -1;
    return 0;
}

/* ---- the small files -------------------------------------------------------------- */

/* Would a loader take a file of this name for weights of this checkpoint? */
static bool is_ours(const char *name)
{
    return strcmp(name, SINGLE) == 0 || strcmp(name, INDEX) == 0 ||
           fnmatch("model-*-of-*.safetensors", name, 0) == 0;
}

static const char *small_name(const struct folder_options *options, size_t i)
{
    return i < options->copy_count ? options->copies[i].name
                                   : options->texts[i - options->copy_count].name;
}

static int check_small_names(const struct folder_options *options,
                             struct failure *failure)
{
    for (size_t i = 0; i < options->copy_count + options->text_count; i++) {
        const char *name = small_name(options, i);

        if (!folder_name_is_plain(name))
            return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                        "\"%s\" is not the name of a file in a folder", name);
        if (is_ours(name))
            return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                        "%s is the name of a file that is written for the weights", name);
        for (size_t k = 0; k < i; k++)
            if (strcmp(name, small_name(options, k)) == 0)
                return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                            "two files for the folder are named %s", name);
    }
    return 0;
}

/* {"total_size": N} and the table's pairs. NULL when memory ran out. */
static json_t *metadata_json(const struct tensor_table *table, uint64_t total)
{
    json_t *metadata = json_pack("{s:I}", "total_size", (json_int_t)total);
    int result = metadata ? 0 : -1;

    for (size_t i = 0; i < table->pair_count && result == 0; i++)
        if (strcmp(table->pairs[i].key, "format") != 0 &&
            strcmp(table->pairs[i].key, "total_size") != 0)
            result = json_object_set_new(metadata, table->pairs[i].key,
                                         json_string(table->pairs[i].value));
    if (result == 0)
        return metadata;
    json_decref(metadata);
    return NULL;
}

static json_t *weight_map_json(const struct writer_folder *folder)
{
    json_t *map = json_object();
    int result = map ? 0 : -1;

    for (size_t i = 0; i < folder->table->count && result == 0; i++)
        result =
            json_object_set_new(map, folder->table->entries[i].name,
                                json_string(folder->shards[folder->shard_of[i]].name));
    if (result == 0)
        return map;
    json_decref(map);
    return NULL;
}

static int put_index(const struct writer_folder *folder, struct failure *failure)
{
    json_t *metadata, *map, *index;
    uint64_t total = 0;
    size_t length = 0;
    char *text;
    int result;

    for (size_t i = 0; i < folder->table->count; i++)
        if (add_overflows(total, folder->table->entries[i].bytes, &total) ||
            total > INT64_MAX)
            return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                        "the tensors are too large");
    metadata = metadata_json(folder->table, total);
    map = metadata ? weight_map_json(folder) : NULL;
    if (!map)
        json_decref(metadata);
    index = map ? json_pack("{s:o, s:o}", "metadata", metadata, "weight_map", map) : NULL;
    text = index
               ? json_print(index,
                            JSON_PRINT_INDENTED | JSON_PRINT_SORTED | JSON_PRINT_NEWLINE,
                            &length)
               : NULL;
    json_decref(index);
    if (!text)
        return no_memory(failure);
    result =
        folder_file_put(folder_target_fd(folder->target), INDEX, text, length, failure);
    free(text);
    return result;
}

static int put_small_files(const struct writer_folder *folder,
                           const struct folder_options *options, struct failure *failure)
{
    const int fd = folder_target_fd(folder->target);

    for (size_t i = 0; i < options->copy_count; i++)
        if (folder_file_copy(fd, options->copies[i].name, options->copies[i].from,
                             failure) < 0)
            return -1;
    for (size_t i = 0; i < options->text_count; i++)
        if (folder_file_put(fd, options->texts[i].name, options->texts[i].bytes,
                            options->texts[i].count, failure) < 0)
            return -1;
    return folder->shard_count > 1 ? put_index(folder, failure) : 0;
}

/* ---- the shards ------------------------------------------------------------------- */

static int open_shard(struct writer_folder *folder, struct output_shard *shard,
                      struct failure *failure)
{
    const uint64_t bytes = shard->header_bytes + shard->bytes;
    const int parent = folder_target_fd(folder->target);

    shard->fd = folder_target_is_kept(folder->target)
                    ? folder_file_reopen(parent, shard->name, bytes, failure)
                    : folder_file_create(parent, shard->name, failure);
    if (shard->fd < 0 ||
        folder_file_reserve(shard->fd, shard->name, bytes, failure) < 0 ||
        folder_file_write(shard->fd, shard->name, 0, shard->header, shard->header_bytes,
                          failure) < 0)
        return -1;
    free(shard->header);
    shard->header = NULL;
    return 0;
}

static int finish_shard(struct writer_folder *folder, struct output_shard *shard,
                        struct failure *failure)
{
    int fd;

    pthread_mutex_lock(&folder->lock);
    fd = shard->fd;
    shard->fd = -1;
    pthread_mutex_unlock(&folder->lock);
    return folder_file_finish(fd, shard->name, failure);
}

static int write_shard(struct output_shard *shard, uint64_t offset, const void *data,
                       uint64_t count, struct failure *failure)
{
    int result;

    pthread_mutex_lock(&shard->writing);
    result = folder_file_write(shard->fd, shard->name, offset, data, count, failure);
    pthread_mutex_unlock(&shard->writing);
    return result;
}

int writer_folder_write(struct writer_folder *folder, size_t index, uint64_t offset,
                        const void *data, uint64_t count, struct failure *failure)
{
    struct output_shard *shard = &folder->shards[folder->shard_of[index]];

    uint64_t left;
    int result = 0;

    if (count == 0)
        return 0;
    pthread_mutex_lock(&folder->lock);
    if (shard->fd < 0)
        result = open_shard(folder, shard, failure);
    pthread_mutex_unlock(&folder->lock);
    if (result < 0 || write_shard(shard, folder->table->entries[index].offset + offset,
                                  data, count, failure) < 0)
        return -1;
    pthread_mutex_lock(&folder->lock);
    left = shard->left -= count;
    pthread_mutex_unlock(&folder->lock);
    return left ? 0 : finish_shard(folder, shard, failure);
}

/* A shard whose tensors are all empty or reused was not opened by a put. */
static int finish_shards(struct writer_folder *folder, struct failure *failure)
{
    for (size_t i = 0; i < folder->shard_count; i++) {
        struct output_shard *shard = &folder->shards[i];

        if (shard->header && (open_shard(folder, shard, failure) < 0 ||
                              finish_shard(folder, shard, failure) < 0))
            return -1;
    }
    return 0;
}

int writer_folder_finish(struct writer_folder *folder, struct output_mark *mark,
                         struct failure *failure)
{
    return finish_shards(folder, failure) < 0
               ? -1
               : folder_target_finish(folder->target, mark, failure);
}

int writer_folder_commit(struct writer_folder *folder, struct failure *failure)
{
    return finish_shards(folder, failure) < 0
               ? -1
               : folder_target_commit(folder->target, failure);
}

/* ---- what another process can go on with ------------------------------------------ */

/* Removes what an earlier process left in the folder, except shards. */
static int clear(const struct writer_folder *folder, struct failure *failure)
{
    const int fd = dup(folder_target_fd(folder->target));
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    size_t shard;

    if (!stream) {
        fail_errno(failure, "read the unfinished output");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    rewinddir(stream);
    while ((entry = readdir(stream))) {
        for (shard = 0; shard < folder->shard_count; shard++)
            if (strcmp(entry->d_name, folder->shards[shard].name) == 0)
                break;
        if (shard == folder->shard_count && strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0)
            unlinkat(fd, entry->d_name, 0);
    }
    closedir(stream);
    return 0;
}

bool writer_folder_is_kept(const struct writer_folder *folder)
{
    return folder_target_is_kept(folder->target);
}

int writer_folder_read(struct writer_folder *folder, size_t index, uint64_t offset,
                       void *buffer, uint64_t count, struct failure *failure)
{
    return folder_file_read(
        folder_target_fd(folder->target), folder->shards[folder->shard_of[index]].name,
        folder->table->entries[index].offset + offset, buffer, count, failure);
}

void writer_folder_reuse(struct writer_folder *folder, size_t index, uint64_t bytes)
{
    folder->shards[folder->shard_of[index]].left -= bytes;
}

/* A shard that another thread is about to finish is flushed by that. */
static int flush_shard(struct writer_folder *folder, const struct output_shard *shard,
                       struct failure *failure)
{
    int fd, result;

    pthread_mutex_lock(&folder->lock);
    fd = shard->fd < 0 ? -1 : fcntl(shard->fd, F_DUPFD_CLOEXEC, 0);
    result = fd < 0 && shard->fd >= 0 ? -1 : 0;
    pthread_mutex_unlock(&folder->lock);
    if (result == 0 && fd >= 0)
        result = fdatasync(fd);
    if (result < 0) {
        fail_errno(failure, "flush it to the disk");
        fail_context(failure, "%s", shard->name);
    }
    if (fd >= 0)
        close(fd);
    return result;
}

int writer_folder_flush(struct writer_folder *folder, struct failure *failure)
{
    for (size_t i = 0; i < folder->shard_count; i++)
        if (flush_shard(folder, &folder->shards[i], failure) < 0)
            return -1;
    return fsync(folder_target_fd(folder->target)) == 0
               ? 0
               : fail_errno(failure, "flush it to the disk");
}

void writer_folder_keep(struct writer_folder *folder)
{
    folder_target_keep(folder->target);
}

/* ---- the whole -------------------------------------------------------------------- */

int writer_folder_create(struct writer_folder **out, const char *path,
                         enum target_mode mode, struct tensor_table *table,
                         const struct folder_options *options, struct failure *failure)
{
    static const struct folder_options defaults = {.shard_bytes_max = 0};
    const struct folder_options *chosen = options ? options : &defaults;
    struct writer_folder *folder = calloc(1, sizeof(*folder));

    if (!folder)
        return no_memory(failure);
    folder->table = table;
    pthread_mutex_init(&folder->lock, NULL);
    if (check_small_names(chosen, failure) < 0 ||
        plan_shards(folder, chosen->shard_bytes_max, failure) < 0 ||
        folder_target_open(&folder->target, path, mode, failure) < 0 ||
        (folder_target_is_kept(folder->target) && clear(folder, failure) < 0) ||
        put_small_files(folder, chosen, failure) < 0) {
        writer_folder_destroy(folder);
        return -1;
    }
    *out = folder;
    return 0;
}

void writer_folder_destroy(struct writer_folder *folder)
{
    if (!folder)
        return;
    for (size_t i = 0; folder->shards && i < folder->shard_count; i++) {
        if (folder->shards[i].fd >= 0)
            close(folder->shards[i].fd);
        free(folder->shards[i].header);
    }
    folder_target_close(folder->target);
    pthread_mutex_destroy(&folder->lock);
    free(folder->shards);
    free(folder->shard_of);
    free(folder);
}
