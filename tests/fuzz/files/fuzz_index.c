/* SPDX-License-Identifier: Apache-2.0 */
/* Any index over a folder with two shards and an unlisted file: every note names what is
 * there or promised, and every tensor of the table can be read. */
#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files/reader.h"
#include "files/shards.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char INDEX[] = "model.safetensors.index.json";
static const char *const files[] = {"a.safetensors", "b.safetensors", "c"};

static void put(const char *folder, const char *name, const void *bytes, size_t count)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    assert(file);
    assert(fwrite(bytes, 1, count, file) == count);
    assert(fclose(file) == 0);
}

static void put_shard(const char *folder, const char *name, const char *tensors)
{
    char bytes[512] = {(char)strlen(tensors)};

    memcpy(bytes + 8, tensors, strlen(tensors));
    put(folder, name, bytes, 8 + strlen(tensors) + 4);
}

/* In memory where there is /dev/shm. */
static void make_folder(char folder[32])
{
    strcpy(folder, "/dev/shm/fuzz_index_XXXXXX");
    if (!mkdtemp(folder)) {
        strcpy(folder, "/tmp/fuzz_index_XXXXXX");
        assert(mkdtemp(folder));
    }
    put_shard(folder, files[0],
              "{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}");
    put_shard(folder, files[1],
              "{\"y\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
              "\"x\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}");
    put(folder, files[2], "{", 1);
}

static void remove_folder(const char *folder)
{
    char path[128];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/%s", folder, INDEX);
    unlink(path);
    rmdir(folder);
}

static void check_shards(const char *folder)
{
    struct shards shards;

    if (shards_find(&shards, folder, NULL) == 1) {
        assert(shards.count > 0 && shards.count <= SHARDS_MAX);
        for (size_t i = 0; i < shards.count; i++) {
            assert(shards_named(&shards, shards.list[i].name) == &shards.list[i]);
            assert(!strchr(shards.list[i].name, '/') &&
                   (shards.list[i].promised > 0 || !shards.list[i].missing));
        }
    }
    shards_fini(&shards);
}

static void check_reader(struct reader *reader)
{
    const struct tensor_table *table = reader_table(reader);
    size_t count;
    const struct reader_note *notes = reader_notes(reader, &count);

    for (size_t i = 0; i < table->count; i++) {
        void *bytes;

        assert(table_find(table, table->entries[i].name) == &table->entries[i]);
        assert(reader_load(reader, &table->entries[i], &bytes, NULL) == 0);
        free(bytes);
    }
    for (size_t i = 0; i < count; i++) {
        assert(notes[i].shard && notes[i].shard[0]);
        const bool of_split = notes[i].kind == READER_SPLIT_DISAGREES;

        assert((notes[i].kind == READER_DUPLICATE || of_split) ==
               (notes[i].other != NULL));
        assert(notes[i].tensor || notes[i].kind == READER_INDEX_DISAGREES ||
               notes[i].kind == READER_NOT_READ || of_split);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader *reader;
    char folder[32];

    make_folder(folder);
    put(folder, INDEX, data, size);
    check_shards(folder);
    if (reader_open(&reader, folder, NULL, NULL) == 0) {
        check_reader(reader);
        reader_close(reader);
    }
    remove_folder(folder);
    return 0;
}
