/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a checkpoint folder in the layout of Hugging Face: one safetensors file,
 * or shards and an index (https://huggingface.co/docs/safetensors,
 * `model.safetensors.index.json`: {"weight_map": {tensor: file}}); or the parts of a split
 * GGUF file, "NAME-00001-of-00009.gguf". */
#ifndef FILES_SHARDS_H
#define FILES_SHARDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "files/folder.h"
#include "files/others.h"
#include "files/shard_name.h"

struct json_t;

struct shard {
    char *name;      /* in the folder */
    bool missing;    /* missing: the index or the other shards' names imply it */
    size_t promised; /* tensors that it holds according to the index; 0: there is no
                        index, or the file is numbered like its shards but not listed */
};

struct shards {
    char *folder;
    struct shard *list; /* in order of name */
    size_t count, capacity;
    char *index;               /* its name in the folder, or NULL */
    struct read_text as_read;  /* the index */
    struct json_t *weight_map; /* of the index, or NULL */
    struct json_t *metadata;   /* of the index, or NULL; borrowed from the root */
    struct json_t *root;
    struct other_files others; /* other files of weights in the folder */
    struct json_t *places;     /* while the list grows: name of a shard to its index */
};

/* Finds the files of the checkpoint at `path`. Returns 1 if it is a folder, the index in
 * one or a part of a split GGUF file, and fills the shards; 0 if it is a single file. INVALID_ARGUMENT: the folder
 * has no weights, or several files of weights without an index; the index is invalid or
 * names files outside its folder. Call shards_fini in every case. */
int shards_find(struct shards *shards, const char *path, struct failure *failure);
void shards_fini(struct shards *shards); /* harmless on a zeroed one */

/* The shard of this name, or NULL. */
const struct shard *shards_named(const struct shards *shards, const char *name);

/* The shard that holds a tensor according to the index; NULL: there is no index, or it
 * does not list the tensor. */
const char *shards_promise(const struct shards *shards, const char *tensor);

#endif
