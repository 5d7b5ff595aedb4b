/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/planned.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint/config_write.h"
#include "checkpoint/gguf_names.h"
#include "checkpoint/plan_gguf.h"
#include "drive/planned_gguf.h"
#include "files/folder.h"
#include "files/shard_name.h"
#include "files/source.h"

/* Do both paths name the same file: an equal path, a link, another spelling? */
bool paths_are_same(const char *a, const char *b)
{
    struct stat left, right;

    return stat(a, &left) == 0 && stat(b, &right) == 0 && left.st_dev == right.st_dev &&
           left.st_ino == right.st_ino;
}

/* Does the path end as a file's, not a folder's? */
bool path_names_file(const char *path)
{
    return name_has_suffix(path, ".safetensors") || name_has_suffix(path, ".npy") ||
           name_has_suffix(path, ".gguf");
}

bool planned_is_folder(const char *path, const struct reader *source)
{
    return source && reader_is_folder(source) && !path_names_file(path);
}

/* Weights in any format and their indices are not copied; config.json is written by the
 * caller. */
static bool is_carried_over(const char *name)
{
    static const char *const left[] = {
        ".safetensors", ".index.json", ".bin", ".pt",  ".pth",     ".ckpt", ".gguf",
        ".onnx",        ".h5",         ".npz", ".npy", ".msgpack", ".pkl",
    };

    if (name[0] == '.' || strcmp(name, "config.json") == 0)
        return false;
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
        if (name_has_suffix(name, left[i]))
            return false;
    return true;
}

struct carried {
    struct folder_names names;
    struct folder_copy *copies;
    size_t count;
};

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

static int carry(struct carried *carried, const char *folder, struct failure *failure)
{
    if (folder_names_read(&carried->names, folder, failure) < 0)
        return -1;
    carried->copies = calloc(carried->names.count + 1, sizeof(*carried->copies));
    if (!carried->copies)
        return no_memory(failure);
    for (size_t i = 0; i < carried->names.count; i++) {
        const char *name = carried->names.names[i];

        if (!is_carried_over(name))
            continue;
        carried->copies[carried->count] =
            (struct folder_copy){folder_path(folder, name), name};
        if (!carried->copies[carried->count++].from)
            return no_memory(failure);
    }
    return 0;
}

static void carried_fini(struct carried *carried)
{
    for (size_t i = 0; i < carried->count; i++)
        free((char *)(uintptr_t)carried->copies[i].from);
    free(carried->copies);
    folder_names_fini(&carried->names);
}

/* The output's config.json; *text stays NULL if the input has none. */
static int write_config(const struct plan *plan, const char *folder, char **text,
                        struct failure *failure)
{
    char *input = NULL;
    size_t bytes = 0;
    int found = folder_read_text(folder, "config.json", &input, &bytes, failure);

    if (found > 0)
        found = config_write(plan, input, bytes, text, failure);
    free(input);
    return found < 0 ? -1 : 0;
}

static int create_folder(struct writer **writer, const char *path, enum target_mode mode,
                         struct plan *plan, const char *source, uint64_t shard_bytes,
                         struct failure *failure)
{
    struct carried carried = {.count = 0};
    char *config = NULL;
    int result = carry(&carried, source, failure);

    if (result == 0)
        result = write_config(plan, source, &config, failure);
    if (result == 0) {
        const struct folder_text text = {"config.json", config,
                                         config ? strlen(config) : 0};
        const struct folder_options how = {
            .shard_bytes_max = shard_bytes,
            .copies = carried.copies,
            .copy_count = carried.count,
            .texts = &text,
            .text_count = config ? 1 : 0,
        };

        result = writer_create_folder(writer, path, mode, &plan->table, &how, failure);
    }
    free(config);
    carried_fini(&carried);
    return result;
}

/* The keys and values of a GGUF source, as they are stored. */
static int carry_values(struct tensor_table *output, struct reader *source,
                        struct failure *failure)
{
    const struct tensor_table *table = reader_table(source);
    uint64_t bytes = 0;

    for (size_t i = 0; i < table->pair_count; i++)
        bytes += table->pairs[i].bytes;
    output->values = malloc(bytes + 1); /* never more than the header of the source */
    if (!output->values)
        return no_memory(failure);
    for (size_t i = 0; i < table->pair_count; i++) {
        const struct tensor_pair *pair = &table->pairs[i];

        if (!gguf_key_is_carried(pair->key))
            continue;
        if (reader_read_pair(source, pair, output->values + output->values_bytes,
                             failure) < 0)
            return -1;
        output->values_bytes += pair->bytes;
        output->values_count++;
    }
    return 0;
}

static int create_gguf(struct writer **writer, const char *path, enum target_mode mode,
                       struct plan *plan, struct reader *source, struct failure *failure)
{
    if (plan_store_in_gguf(plan, failure) < 0 ||
        (source && table_is_gguf(reader_table(source)) &&
         carry_values(&plan->table, source, failure) < 0) ||
        writer_create(writer, path, mode, &plan->table, failure) < 0)
        return -1;
    return plan->factors
               ? writer_put(*writer, plan->factors_data, plan->factors,
                            plan->table.entries[plan->factors_data].bytes, failure)
               : 0;
}

int planned_prepare(struct plan *plan, const char *path, struct reader *source,
                    struct failure *failure)
{
    if (planned_is_folder(path, source) || strcmp(writer_format(path), "gguf") != 0 ||
        writer_other_format(path))
        return 0;
    if (plan_store_in_gguf(plan, failure) < 0)
        return -1;
    if (!table_is_gguf(reader_table(source)) &&
        planned_for_llama(plan, source, failure) < 0)
        return -1;
    plan_check_for_gguf(plan);
    return 0;
}

/* The output would replace a file that the input's tensors are in, or its folder. */
static bool is_of_input(const char *path, const struct reader *source)
{
    const char *folder = source ? reader_folder(source) : NULL;
    struct stat there;

    if (!source || stat(path, &there) != 0)
        return false;
    if (folder && planned_is_folder(path, source) && paths_are_same(path, folder))
        return true;
    for (size_t i = 0; i < reader_file_count(source); i++) {
        const struct source *file = reader_file(source, i);

        if (!file)
            continue;
        const struct source_identity one = source_identity(file);
        if (one.device == there.st_dev && one.inode == there.st_ino)
            return true;
    }
    return false;
}

int planned_create(struct writer **writer, const char *path, enum target_mode mode,
                   struct plan *plan, struct reader *source, uint64_t shard_bytes,
                   struct failure *failure)
{
    if (is_of_input(path, source))
        return fail(failure, TRIT_INVALID_ARGUMENT, "output",
                    "it belongs to the input; name another file");
    if (planned_is_folder(path, source))
        return create_folder(writer, path, mode, plan, reader_folder(source), shard_bytes,
                             failure);
    if (strcmp(writer_format(path), "gguf") == 0)
        return create_gguf(writer, path, mode, plan, source, failure);
    return writer_create(writer, path, mode, &plan->table, failure);
}
