/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints of several files, as one table. */
#include "files/reader.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/fault.h"
#include "tests/unit/files/model.h"

static const char INDEX[] = "model.safetensors.index.json";

static struct reader *opened(const char *path)
{
    struct failure failure = {.status = TRIT_OK};
    struct reader *reader;

    if (reader_open(&reader, path, NULL, &failure) < 0)
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    return reader;
}

static unsigned char byte_of(struct reader *reader, const char *name)
{
    const struct tensor_entry *entry = table_find(reader_table(reader), name);
    unsigned char *bytes;

    CHECK(entry);
    CHECK(reader_load(reader, entry, (void **)&bytes, NULL) == 0);
    const unsigned char first = bytes[0];
    free(bytes);
    return first;
}

CASE(reads_shards, "a folder has one table, and each tensor is read from its own shard")
{
    struct failure failure = {.status = TRIT_OK};
    struct model model;
    char bytes[4];
    size_t count;

    model_init(&model);
    model_tensor(&model, "m-00001-of-00002.safetensors", "b", 1);
    model_tensor(&model, "m-00002-of-00002.safetensors", "a", 2);
    struct reader *reader = opened(model.folder);
    CHECK_EQ(reader_table(reader)->count, 2);
    CHECK_EQ(byte_of(reader, "b"), 1);
    CHECK_EQ(byte_of(reader, "a"), 2);
    CHECK(reader_is_folder(reader));
    CHECK_STR(reader_folder(reader), model.folder);
    CHECK_STR(reader_format(reader), "safetensors");
    reader_notes(reader, &count);
    CHECK_EQ(count, 0);
    CHECK_EQ(reader_unchanged(reader, NULL), 0);
    const struct tensor_entry *entry = table_find(reader_table(reader), "a");
    CHECK_EQ(reader_read(reader, entry, 3, bytes, 2, &failure), -1);
    CHECK_EQ(failure.status, TRIT_OUT_OF_RANGE);
    failure.status = TRIT_OK;
    CHECK_EQ(reader_read(reader, entry, UINT64_MAX, bytes, 1, &failure), -1);
    CHECK_EQ(reader_read(reader, entry, 4, bytes, 0, &failure), 0);
    reader_close(reader);
    model_fini(&model);
}

static void check_note(const struct reader *reader, size_t index,
                       enum reader_note_kind kind, const char *tensor, const char *shard,
                       uint64_t number)
{
    size_t count;
    const struct reader_note *notes = reader_notes(reader, &count);

    CHECK(index < count);
    CHECK_EQ(notes[index].kind, kind);
    CHECK_STR(notes[index].tensor ? notes[index].tensor : "", tensor);
    CHECK_STR(notes[index].shard, shard);
    CHECK_EQ(notes[index].count, number);
}

CASE(notes, "disagreements between index and shards are noted, and the rest is read")
{
    struct model model;
    size_t count;

    model_init(&model);
    model_tensor(&model, "a", "listed", 1);
    model_tensor(&model, "b", "elsewhere", 2);
    model_tensor(&model, "c", "unlisted", 3);
    model_tensor(&model, "d", "listed", 4);
    model_text(&model, INDEX,
               "{\"weight_map\":{\"listed\":\"a\",\"elsewhere\":\"a\",\"absent\":\"b\","
               "\"x\":\"c\",\"y\":\"d\",\"z\":\"gone\",\"w\":\"gone\"}}");
    struct reader *reader = opened(model.folder);
    CHECK_EQ(reader_table(reader)->count, 3);
    CHECK_EQ(byte_of(reader, "listed"), 1);
    CHECK_EQ(byte_of(reader, "elsewhere"), 2);
    CHECK_EQ(byte_of(reader, "unlisted"), 3);
    check_note(reader, 0, READER_INDEX_DISAGREES, "elsewhere", "a", 0);
    check_note(reader, 1, READER_NOT_IN_INDEX, "unlisted", "c", 0);
    check_note(reader, 2, READER_DUPLICATE, "listed", "d", 0);
    CHECK_STR(reader_notes(reader, &count)[2].other, "a");
    check_note(reader, 3, READER_INDEX_DISAGREES, "", "gone", 2);
    check_note(reader, 4, READER_INDEX_DISAGREES, "absent", "b", 0);
    check_note(reader, 5, READER_INDEX_DISAGREES, "x", "c", 0);
    check_note(reader, 6, READER_INDEX_DISAGREES, "y", "d", 0);
    reader_notes(reader, &count);
    CHECK_EQ(count, 7);
    reader_close(reader);
    model_tensor(&model, "adapter.safetensors", "x", 5);
    reader = opened(model.folder);
    CHECK_EQ(reader_table(reader)->count, 3);
    check_note(reader, 4, READER_NOT_READ, "", "adapter.safetensors", 1);
    reader_close(reader);
    model_fini(&model);
}

static void check_alone(struct model *model, const char *file, const char *other,
                        uint64_t others)
{
    struct reader *reader = opened(model_path(model, file));
    size_t count;

    reader_notes(reader, &count);
    CHECK_EQ(count, others > 0);
    if (count > 0)
        check_note(reader, 0, READER_ONE_OF_SHARDS, "", other, others);
    reader_close(reader);
}

CASE(
    one_of_shards,
    "a file that is one shard of a model by its name, an index or files beside it is noted")
{
    struct model model;

    model_init(&model);
    model_tensor(&model, "m-00001-of-00003.safetensors", "a", 1);
    check_alone(&model, "m-00001-of-00003.safetensors", "m-00002-of-00003.safetensors",
                2);
    model_tensor(&model, "m-00003-of-00003.safetensors", "a", 1);
    check_alone(&model, "m-00001-of-00003.safetensors", "m-00003-of-00003.safetensors",
                2);
    model_tensor(&model, "n-00001-of-00001.safetensors", "a", 1);
    check_alone(&model, "n-00001-of-00001.safetensors", "", 0);
    model_tensor(&model, "m-00001-of-000163.safetensors", "a", 1); /* of DeepSeek-V3 */
    check_alone(&model, "m-00001-of-000163.safetensors", "m-*-of-000163.safetensors",
                162);
    model_tensor(&model, "m_1_of_2.safetensors", "a", 1);
    check_alone(&model, "m_1_of_2.safetensors", "m_*_of_2.safetensors", 1);
    model_tensor(&model, "proof-of-9.safetensors", "a", 1);
    check_alone(&model, "proof-of-9.safetensors", "", 0);
    model_tensor(&model, "rank0.safetensors", "a", 1);
    check_alone(&model, "rank0.safetensors", "", 0);
    model_tensor(&model, "rank1.safetensors", "a", 1);
    check_alone(&model, "rank0.safetensors", "rank1.safetensors", 1);
    model_tensor(&model, "x.safetensors", "a", 1);
    check_alone(&model, "x.safetensors", "", 0);
    model_text(&model, INDEX,
               "{\"weight_map\":{\"a\":\"x.safetensors\",\"b\":\"y\","
               "\"c\":\"z\",\"d\":\"y\"}}");
    check_alone(&model, "x.safetensors", "y", 2);
    model_tensor(&model, "whole.safetensors", "a", 1);
    check_alone(&model, "whole.safetensors", "", 0);
    model_text(&model, INDEX, "{\"weight_map\":[\"x.safetensors\"]}");
    check_alone(&model, "x.safetensors", "", 0);
    model_fini(&model);
}

CASE(other_kinds, "other files of weights are one note for each kind, with their number")
{
    struct model model;
    size_t count;

    model_init(&model);
    model_tensor(&model, "model.safetensors", "a", 1);
    model_text(&model, "mp_rank_00_model_states.pt", "x");
    model_text(&model, "mp_rank_01_model_states.pt", "x");
    model_text(&model, "__0_0.distcp", "x");
    model_text(&model, "optimizer.pt", "x");
    model_text(&model, "training_args.bin", "x");
    CHECK(mkdir(model_path(&model, "global_step1000"), 0700) == 0);
    CHECK(mkdir(model_path(&model, "tokenizer"), 0700) == 0);
    struct reader *reader = opened(model.folder);
    reader_notes(reader, &count);
    CHECK_EQ(count, 3);
    check_note(reader, 0, READER_NOT_READ, "", "mp_rank_00_model_states.pt", 2);
    check_note(reader, 1, READER_NOT_READ, "", "__0_0.distcp", 1);
    check_note(reader, 2, READER_NOT_READ, "", "global_step1000", 1);
    reader_close(reader);
    model_fini(&model);
}

CASE(all_shards_missing,
     "an index whose shards are all missing opens as an empty table with notes")
{
    struct model model;
    size_t count;

    model_init(&model);
    model_text(&model, INDEX, "{\"weight_map\":{\"a\":\"x\",\"b\":\"y\"}}");
    struct reader *reader = opened(model.folder);
    CHECK_EQ(reader_table(reader)->count, 0);
    CHECK_STR(reader_format(reader), "safetensors");
    reader_notes(reader, &count);
    CHECK_EQ(count, 2);
    reader_close(reader);
    model_fini(&model);
}

CASE(links_to_one_file, "a shard under two names holds every tensor twice")
{
    struct model model;
    size_t count;

    model_init(&model);
    model_tensor(&model, "a", "t", 1);
    CHECK(symlink("a", model_path(&model, "b")) == 0);
    model_text(&model, INDEX, "{\"weight_map\":{\"t\":\"a\",\"u\":\"b\"}}");
    struct reader *reader = opened(model.folder);
    check_note(reader, 0, READER_DUPLICATE, "t", "b", 0);
    check_note(reader, 1, READER_INDEX_DISAGREES, "u", "b", 0);
    reader_notes(reader, &count);
    CHECK_EQ(count, 2);
    reader_close(reader);
    model_fini(&model);
}

CASE(metadata, "metadata of shards and index are merged, each pair once")
{
    struct model model;

    model_init(&model);
    model_shard(&model, "a", "{\"__metadata__\":{\"format\":\"pt\",\"k\":\"1\"}}", 0, 0);
    model_shard(&model, "b", "{\"__metadata__\":{\"format\":\"pt\",\"k\":\"2\"}}", 0, 0);
    model_text(&model, INDEX,
               "{\"metadata\":{\"total_size\":8,\"note\":\"text\",\"o\":{\"p\":1}},"
               "\"weight_map\":{\"x\":\"a\",\"y\":\"b\"}}");
    struct reader *reader = opened(model.folder);
    const struct tensor_table *table = reader_table(reader);
    CHECK_EQ(table->pair_count, 4);
    CHECK_STR(table_pair(table, "format"), "pt");
    CHECK_STR(table_pair(table, "k"), "1");
    CHECK_STR(table->pairs[2].value, "2");
    CHECK_STR(table_pair(table, "note"), "text");
    reader_close(reader);
    model_text(&model, INDEX, "{\"metadata\":[1],\"weight_map\":{\"x\":\"a\"}}");
    reader_close(opened(model.folder));
    model_fini(&model);
}

CASE(broken_shards, "a shard that is not a safetensors file is named")
{
    static const char *const texts[] = {
        "", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
        "<!DOCTYPE html><html></html>", "GGUF\3\0\0\0", "\x10\0\0\0\0\0\0\0{}"};
    struct model model;

    model_init(&model);
    model_tensor(&model, "a", "x", 1);
    model_text(&model, INDEX, "{\"weight_map\":{\"x\":\"a\",\"y\":\"broken\"}}");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct failure failure = {.status = TRIT_OK};
        struct reader *reader;

        model_text(&model, "broken", texts[i]);
        CHECK_EQ(reader_open(&reader, model.folder, NULL, &failure), -1);
        CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
        CHECK(strncmp(failure.message, "broken: ", 8) == 0);
    }
    model_fini(&model);
}

CASE(changed_shard, "a shard that changes after it was opened is noticed")
{
    struct failure failure = {.status = TRIT_OK};
    struct model model;

    model_init(&model);
    model_tensor(&model, "m-00001-of-00002.safetensors", "b", 1);
    model_tensor(&model, "m-00002-of-00002.safetensors", "a", 2);
    struct reader *reader = opened(model.folder);
    CHECK(truncate(model_path(&model, "m-00002-of-00002.safetensors"), 9) == 0);
    CHECK_EQ(reader_unchanged(reader, &failure), -1);
    reader_close(reader);
    model_tensor(&model, "m-00002-of-00002.safetensors", "a", 2);
    model_text(&model, "config.json", "{}");
    reader = opened(model.folder);
    CHECK_EQ(reader_unchanged(reader, NULL), 0);
    CHECK(remove(model_path(&model, "config.json")) == 0);
    model_text(&model, "config.json", "{\"bits\": 2}");
    failure = (struct failure){.status = TRIT_OK};
    CHECK_EQ(reader_unchanged(reader, &failure), -1);
    CHECK_EQ(failure.status, TRIT_ABORTED);
    CHECK(strstr(failure.message, "config.json changed while it was read"));
    reader_close(reader);
    model_fini(&model);
}

CASE(one_file, "a single file knows its folder and has no notes")
{
    struct model model;
    size_t count;

    model_init(&model);
    model_tensor(&model, "a.safetensors", "t", 7);
    struct reader *reader = opened(model_path(&model, "a.safetensors"));
    CHECK(!reader_is_folder(reader));
    CHECK_STR(reader_folder(reader), model.folder);
    reader_notes(reader, &count);
    CHECK_EQ(count, 0);
    CHECK_EQ(byte_of(reader, "t"), 7);
    reader_close(reader);
    model_fini(&model);
}

CASE(
    parts_of_a_rank,
    "a file with one rank's parts of the tensors is refused, by its name or its metadata")
{
    static const char header[] =
        "{\"__metadata__\":{\"DCP_SHARDING_INFO\":"
        "\"{\\\"t\\\": {\\\"saved_offsets\\\": [%s]}}\"},"
        "\"t\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}";
    static const struct {
        const char *name, *offset;
        bool refused;
    } cases[] = {{"model.safetensors", "0", false},
                 {"model.safetensors", "4", true},
                 {"shard-00001-model.safetensors", "0", true},
                 {"model.safetensors", "x", false}};
    struct model model;

    model_init(&model);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct failure failure = {.status = TRIT_OK};
        struct reader *reader = NULL;
        char text[256];

        snprintf(text, sizeof(text), header, cases[i].offset);
        model_shard(&model, cases[i].name, text, 4, 1);
        CHECK_EQ(reader_open(&reader, model_path(&model, cases[i].name), NULL, &failure),
                 cases[i].refused ? -1 : 0);
        CHECK(!cases[i].refused || strstr(failure.message, "DCP_SHARDING_INFO"));
        reader_close(reader);
    }
    model_fini(&model);
}

CASE(may_be_cut,
     "a file that is cut is read on request, and the notes tell what it lacks")
{
    static const char *const names[] = {"m-00001-of-00002.safetensors",
                                        "m-00002-of-00002.safetensors"};
    const struct read_options options = {.may_be_cut = true};
    struct failure failure = {.status = TRIT_OK};
    struct reader *reader;
    struct model model;
    struct stat status;
    char path[512];
    size_t count;

    model_init(&model);
    model_tensor(&model, names[0], "a", 1);
    model_tensor(&model, names[1], "b", 2);
    model_text(&model, INDEX,
               "{\"weight_map\":{\"a\":\"m-00001-of-00002.safetensors\","
               "\"b\":\"m-00002-of-00002.safetensors\"}}");
    snprintf(path, sizeof(path), "%s/%s", model.folder, names[0]);
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ(truncate(path, status.st_size - 3), 0);
    CHECK_EQ(reader_open(&reader, model.folder, NULL, &failure), -1);
    CHECK_EQ(reader_open(&reader, model.folder, &options, NULL), 0);
    CHECK_EQ(reader_table(reader)->count, 1);
    CHECK_EQ(byte_of(reader, "b"), 2);
    check_note(reader, 0, READER_TRUNCATED, "a", names[0], 0);
    const struct reader_note *notes = reader_notes(reader, &count);
    CHECK_EQ(count, 1);
    CHECK(notes[0].bytes == 4 && notes[0].found == 1);
    reader_close(reader);
    for (uint64_t n = 1;; n++) { /* and memory may run out anywhere */
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = reader_open(&reader, model.folder, &options, NULL);
        const bool hit = fault_disarm();
        if (result == 0)
            reader_close(reader);
        if (!hit)
            break;
    }
    model_fini(&model);
}

CASE(memory,
     "if memory runs out, a folder is not opened without some of its tensors or notes")
{
    struct model model;
    uint64_t n = 1;

    model_init(&model);
    model_tensor(&model, "a", "listed", 1);
    model_tensor(&model, "b", "elsewhere", 2);
    model_shard(&model, "c", "{\"__metadata__\":{\"k\":\"v\"}}", 0, 0);
    model_tensor(&model, "d", "listed", 4);
    model_text(&model, INDEX,
               "{\"metadata\":{\"m\":\"n\"},\"weight_map\":{\"listed\":\"a\","
               "\"elsewhere\":\"a\",\"absent\":\"b\",\"x\":\"c\",\"y\":\"d\","
               "\"z\":\"gone\"}}");
    json_set_alloc_funcs(fault_malloc, free);
    for (;; n++) {
        struct failure failure = {.status = TRIT_OK};
        struct reader *reader = NULL;
        size_t count;

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = reader_open(&reader, model.folder, NULL, &failure);
        if (!fault_disarm()) {
            CHECK_EQ(result, 0);
            CHECK_EQ(reader_table(reader)->count, 2);
            CHECK_EQ(reader_table(reader)->pair_count, 2);
            reader_notes(reader, &count);
            CHECK_EQ(count, 6);
            reader_close(reader);
            break;
        }
        CHECK_EQ(result, -1);
        CHECK(failure.status == TRIT_RESOURCE_EXHAUSTED ||
              failure.status == TRIT_INVALID_ARGUMENT);
        CHECK(n < 10000);
    }
    json_set_alloc_funcs(malloc, free);
    CHECK(n > 50);
    model_fini(&model);
}
