/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of shards and other files, made in /tmp and removed with all in it. */
#ifndef TESTS_FILES_MODEL_H
#define TESTS_FILES_MODEL_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/check.h"

struct model {
    char folder[64];
    char path[512];
};

static inline void model_init(struct model *model)
{
    strcpy(model->folder, "/tmp/test_model_XXXXXX");
    CHECK(mkdtemp(model->folder));
}

/* FOLDER/NAME, valid until the next call. */
static inline const char *model_path(struct model *model, const char *name)
{
    snprintf(model->path, sizeof(model->path), "%s/%s", model->folder, name);
    return model->path;
}

static inline void model_put(struct model *model, const char *name, const void *bytes,
                             size_t count)
{
    FILE *file = fopen(model_path(model, name), "w");

    CHECK(file);
    CHECK(fwrite(bytes, 1, count, file) == count);
    CHECK(fclose(file) == 0);
}

static inline void model_text(struct model *model, const char *name, const char *text)
{
    model_put(model, name, text, strlen(text));
}

/* A safetensors file: its header and `count` bytes of data, all `value`. */
static inline void model_shard(struct model *model, const char *name, const char *header,
                               size_t count, char value)
{
    const uint64_t length = strlen(header);
    char *bytes = malloc(8 + length + count);

    CHECK(bytes);
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (char)(length >> 8 * i);
    memcpy(bytes + 8, header, length);
    memset(bytes + 8 + length, value, count);
    model_put(model, name, bytes, 8 + length + count);
    free(bytes);
}

/* A shard of one tensor "name" of 4 bytes U8, all `value`. */
static inline void model_tensor(struct model *model, const char *file, const char *name,
                                char value)
{
    char header[256];

    snprintf(header, sizeof(header),
             "{\"%s\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", name);
    model_shard(model, file, header, 4, value);
}

static inline void model_fini(struct model *model)
{
    DIR *stream = opendir(model->folder);
    const struct dirent *entry;

    CHECK(stream);
    while ((entry = readdir(stream)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            CHECK(remove(model_path(model, entry->d_name)) == 0);
    closedir(stream);
    CHECK(rmdir(model->folder) == 0);
}

#endif
