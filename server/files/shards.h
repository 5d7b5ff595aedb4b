/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a checkpoint that is a folder, as Hugging Face lays one out: one
 * safetensors file, or shards and an index (https://huggingface.co/docs/safetensors,
 * `model.safetensors.index.json`: {"weight_map": {tensor: file}}). */
#ifndef FILES_SHARDS_H
#define FILES_SHARDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct json_t;

enum { SHARDS_MAX = 4096 }; /* files of one checkpoint */

struct shard {
    char *name;      /* in the folder */
    bool missing;    /* the index, or the other names, promise it */
    size_t promised; /* tensors that the index promises in it; 0: there is no index, or it
                        does not list the file, whose number belongs to those it lists */
};

struct shards {
    char *folder;
    struct shard *list; /* in order of name */
    size_t count, room;
    char *index;               /* its name in the folder, or NULL */
    struct json_t *weight_map; /* of the index, or NULL */
    struct json_t *metadata;   /* of the index, or NULL; borrowed from the root */
    struct json_t *root;
    struct json_t *places; /* while the list grows: name of a shard to its index */
};

/* What `path` stands for. Returns 1 where it is a folder or the index in one; then the
 * shards are filled. Returns 0 where it is one file. INVALID_ARGUMENT: a folder without
 * weights, or with several that no index binds together; an index that is no index, or
 * that names files outside its folder. shards_fini is due in every case. */
int shards_find(struct shards *shards, const char *path, struct failure *failure);
void shards_fini(struct shards *shards); /* harmless on a zeroed one */

/* The shard of this name, or NULL. */
const struct shard *shards_named(const struct shards *shards, const char *name);

/* The shard in which the index promises a tensor; NULL: there is no index, or it does
 * not list the tensor. */
const char *shards_promise(const struct shards *shards, const char *tensor);

#endif
