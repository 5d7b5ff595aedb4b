/* SPDX-License-Identifier: Apache-2.0 */
#include "files/others.h"

#include <fnmatch.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files/shard_name.h"
#include "json/json.h"

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* Notes one more; keeps its name if it is the first. */
static int take(struct other_kind *kind, const char *name, struct failure *failure)
{
    if (kind->count++ > 0)
        return 0;
    kind->first = strdup(name);
    return kind->first ? 0 : no_memory(failure);
}

/* ---- in a folder ------------------------------------------------------------------ */

/* Names of a whole model's weights. A trainer's optimizer.pt is none. */
static const char *const file_kinds[] = {
    "*.safetensors",
    "*.gguf",
    "*.keras",
    "pytorch_model*.bin",
    "consolidated.*.pth",
    "tf_model*.h5",
    "flax_model*.msgpack",
    "*mp_rank_[0-9]*.pt", /* DeepSpeed's and Megatron's ranks */
    "*.distcp",           /* of torch.distributed.checkpoint */
};
/* The folders in which trainers leave the shards of one step. */
static const char *const folder_kinds[] = {
    "global_step[0-9]*",         /* DeepSpeed */
    "iter_[0-9]*",               /* Megatron */
    "mp_rank_[0-9]*",            /* inside one of Megatron's */
    "pytorch_model_fsdp_[0-9]*", /* accelerate */
};
enum {
    FILE_KINDS = sizeof(file_kinds) / sizeof(file_kinds[0]),
    FOLDER_KINDS = sizeof(folder_kinds) / sizeof(folder_kinds[0]),
};
_Static_assert((int)FILE_KINDS + (int)FOLDER_KINDS <= (int)OTHER_KINDS, "OTHER_KINDS");

/* Counts the names by the first pattern that matches each. */
static int take_names(struct other_kind *kinds, const char *const *patterns, size_t count,
                      const struct folder_names *names,
                      bool (*is_read)(const void *arg, const char *name), const void *arg,
                      struct failure *failure)
{
    for (size_t i = 0; i < names->count; i++) {
        size_t kind = 0;

        while (kind < count && fnmatch(patterns[kind], names->names[i], FNM_PERIOD) != 0)
            kind++;
        if (kind < count && !is_read(arg, names->names[i]) &&
            take(&kinds[kind], names->names[i], failure) < 0)
            return -1;
    }
    return 0;
}

int others_find(struct other_files *others, const char *folder,
                const struct folder_names *names,
                bool (*is_read)(const void *arg, const char *name), const void *arg,
                struct failure *failure)
{
    struct folder_names folders;
    int result = folder_folders_read(&folders, folder, failure);

    *others = (struct other_files){.kinds = {{.count = 0}}};
    if (result == 0)
        result = take_names(others->kinds, file_kinds, FILE_KINDS, names, is_read, arg,
                            failure);
    if (result == 0)
        result = take_names(others->kinds + FILE_KINDS, folder_kinds, FOLDER_KINDS,
                            &folders, is_read, arg, failure);
    folder_names_fini(&folders);
    return result;
}

void others_fini(struct other_files *others)
{
    for (size_t i = 0; i < OTHER_KINDS; i++)
        free(others->kinds[i].first);
    *others = (struct other_files){.kinds = {{.count = 0}}};
}

/* ---- of one shard ----------------------------------------------------------------- */

static const char SAFETENSORS[] = ".safetensors";

/* Ranks of tensor parallelism, and parts, whose names tell no number of all. */
static const char *const part_names[] = {
    "consolidated.[0-9][0-9].safetensors",       /* llama's own */
    "rank[0-9]*.safetensors",                    /* TensorRT-LLM */
    "model-rank-[0-9]*-part-[0-9]*.safetensors", /* vLLM */
    "weights.[0-9][0-9].safetensors",            /* MLX's first ones */
};

static int take_numbered(struct other_kind *others, const struct folder_names *names,
                         const char *shard, const struct shard_name *split,
                         struct failure *failure)
{
    struct shard_name other;
    char *next;

    for (size_t i = 0; i < names->count; i++)
        if (shard_name_read(&other, names->names[i], SAFETENSORS) &&
            shard_names_agree(shard, split, names->names[i], &other) &&
            other.number != split->number && take(others, names->names[i], failure) < 0)
            return -1;
    if (others->count == 0) {
        if (asprintf(&next, "%.*s-%05u-of-%05u%s", (int)split->stem, shard,
                     split->number == 1 ? 2 : 1, split->of, SAFETENSORS) < 0)
            return no_memory(failure);
        others->first = next;
    }
    others->count = split->of - 1;
    return 0;
}

static int take_parts(struct other_kind *others, const struct folder_names *names,
                      const char *shard, struct failure *failure)
{
    for (size_t k = 0; k < sizeof(part_names) / sizeof(part_names[0]); k++) {
        if (fnmatch(part_names[k], shard, 0) != 0)
            continue;
        for (size_t i = 0; i < names->count; i++)
            if (strcmp(names->names[i], shard) != 0 &&
                fnmatch(part_names[k], names->names[i], 0) == 0 &&
                take(others, names->names[i], failure) < 0)
                return -1;
    }
    return 0;
}

static bool is_joint(char c)
{
    return c == '-' || c == '_';
}

/* Numbers of any length: "model-00001-of-000163.safetensors", "model_1_of_2.safetensors". The
 * others are called as their pattern, "model-*-of-000163.safetensors". */
static int take_counted(struct other_kind *others, const char *shard,
                        struct failure *failure)
{
    for (const char *of = strstr(shard, "of"); of; of = strstr(of + 1, "of")) {
        const char *number = of > shard && is_joint(of[-1]) ? of - 1 : of;
        const size_t digits = is_joint(of[2]) ? strspn(of + 3, "0123456789") : 0;

        while (number > shard && number < of && number[-1] >= '0' && number[-1] <= '9')
            number--;
        if (digits == 0 || digits > 6 || of - number < 2 ||
            strcmp(of + 3 + digits, SAFETENSORS) != 0)
            continue;
        const unsigned long count = strtoul(of + 3, NULL, 10);
        if (count < 2)
            return 0;
        char *pattern;

        if (asprintf(&pattern, "%.*s*%s", (int)(number - shard), shard, of - 1) < 0)
            return no_memory(failure);
        *others = (struct other_kind){pattern, count - 1};
        return 0;
    }
    return 0;
}

/* The other files that a weight_map names, if it names the shard. */
static int take_mapped(struct other_kind *others, const json_t *map, const char *shard,
                       struct failure *failure)
{
    json_t *seen = json_object(), *value;
    const char *tensor;
    bool listed = false;
    int result = seen ? 0 : no_memory(failure);

    json_object_foreach((json_t *)map, tensor, value)
    {
        const char *file = json_string_value(value);

        if (result < 0 || !file)
            continue;
        listed |= strcmp(file, shard) == 0;
        if (strcmp(file, shard) != 0 && !json_object_get(seen, file))
            result = json_object_set_new_nocheck(seen, file, json_true()) < 0
                         ? no_memory(failure)
                         : take(others, file, failure);
    }
    json_decref(seen);
    if (listed)
        return result;
    free(others->first);
    *others = (struct other_kind){.count = 0};
    return result;
}

static int take_index(struct other_kind *others, const char *folder, const char *index,
                      const char *shard, struct failure *failure)
{
    struct failure why = {.status = TRIT_OK};
    struct json_fault fault;
    char *text = NULL;
    size_t bytes = 0;
    json_t *root = NULL;

    if (folder_read_text(folder, index, &text, &bytes, &why) > 0)
        root = json_read(text, bytes, 0, &fault);
    free(text);
    const int result =
        take_mapped(others, json_object_get(root, "weight_map"), shard, failure);
    json_decref(root);
    return result;
}

static int take_in_folder(struct other_kind *others, const char *folder,
                          const struct folder_names *names, const char *shard,
                          struct failure *failure)
{
    struct shard_name split;

    if (shard_name_read(&split, shard, SAFETENSORS))
        return split.of > 1 ? take_numbered(others, names, shard, &split, failure) : 0;
    for (size_t i = 0; i < names->count && others->count == 0; i++)
        if (name_has_suffix(names->names[i], ".safetensors.index.json") &&
            take_index(others, folder, names->names[i], shard, failure) < 0)
            return -1;
    if (others->count == 0 && take_parts(others, names, shard, failure) < 0)
        return -1;
    return others->count == 0 ? take_counted(others, shard, failure) : 0;
}

int others_of_shard(struct other_kind *others, const char *path, struct failure *failure)
{
    const char *slash = strrchr(path, '/'), *shard = slash ? slash + 1 : path;
    struct folder_names names = {.count = 0};
    char *folder;
    int result;

    *others = (struct other_kind){.count = 0};
    if (!name_has_suffix(shard, SAFETENSORS))
        return 0;
    folder = folder_of(path);
    if (!folder)
        return no_memory(failure);
    if (folder_names_read(&names, folder, NULL) < 0) /* its names are all that is known */
        folder_names_fini(&names);
    result = take_in_folder(others, folder, &names, shard, failure);
    folder_names_fini(&names);
    free(folder);
    if (result == 0)
        return 0;
    free(others->first);
    *others = (struct other_kind){.count = 0};
    return -1;
}
