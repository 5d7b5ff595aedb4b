/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of a folder are the shards of its checkpoint. */
#include "files/shards.h"

#include <jansson.h>
#include <time.h>

#include "tests/lib/fault.h"
#include "tests/unit/files/model.h"

static const char INDEX[] = "model.safetensors.index.json";

static void refused(const char *path, const char *words)
{
    struct failure failure = {.status = TRIT_OK};
    struct shards shards;

    CHECK(shards_find(&shards, path, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    if (!strstr(failure.message, words))
        check_failed(__FILE__, __LINE__, "%s does not say %s", failure.message, words);
    shards_fini(&shards);
}

/* The shards of a folder as "NAME", or "NAME?" where it is missing, with commas. */
static const char *listed(const char *path, char text[512])
{
    struct failure failure = {.status = TRIT_OK};
    struct shards shards;
    int found = shards_find(&shards, path, &failure);

    snprintf(text, 512, "%.500s", found < 0 ? failure.message : "");
    for (size_t i = 0; i < shards.count; i++)
        snprintf(text + strlen(text), 512 - strlen(text), "%s%s%s", i ? "," : "",
                 shards.list[i].name, shards.list[i].missing ? "?" : "");
    shards_fini(&shards);
    return text;
}

CASE(one_file, "a path that is neither a folder nor an index is one file")
{
    struct model model;
    struct shards shards;

    model_init(&model);
    model_tensor(&model, "a.safetensors", "a", 1);
    CHECK_EQ(shards_find(&shards, model_path(&model, "a.safetensors"), NULL), 0);
    CHECK(shards.count == 0 && !shards.folder);
    shards_fini(&shards);
    CHECK_EQ(shards_find(&shards, "/nowhere/a.safetensors", NULL), 0);
    shards_fini(&shards);
    model_fini(&model);
}

CASE(index_promises, "an index says how many tensors each shard should have")
{
    struct model model;
    struct shards shards;

    model_init(&model);
    model_tensor(&model, "b.safetensors", "x", 1);
    model_tensor(&model, "unlisted.safetensors", "z", 1);
    model_text(&model, INDEX,
               "{\"metadata\":{\"total_size\":1},\"weight_map\":{\"x\":\"b.safetensors\","
               "\"y\":\"a.safetensors\",\"w\":\"b.safetensors\"}}");
    CHECK_EQ(shards_find(&shards, model.folder, NULL), 1);
    CHECK_EQ(shards.count, 2);
    CHECK_STR(shards.list[0].name, "a.safetensors");
    CHECK(shards.list[0].missing && shards.list[0].promised == 1);
    CHECK_STR(shards.list[1].name, "b.safetensors");
    CHECK(!shards.list[1].missing && shards.list[1].promised == 2);
    CHECK_STR(shards_promise(&shards, "y"), "a.safetensors");
    CHECK(!shards_promise(&shards, "z"));
    CHECK(shards_named(&shards, "b.safetensors") == &shards.list[1]);
    CHECK(!shards_named(&shards, "c.safetensors"));
    shards_fini(&shards);
    CHECK_EQ(shards_find(&shards, model_path(&model, INDEX), NULL), 1);
    CHECK_STR(shards.folder, model.folder);
    shards_fini(&shards);
    model_fini(&model);
}

CASE(unlisted_shards,
     "a file numbered like the shards of the index is a shard, others are not")
{
    struct model model;
    char text[512];

    model_init(&model);
    model_tensor(&model, "m-00001-of-00003.safetensors", "x", 1);
    model_tensor(&model, "m-00002-of-00003.safetensors", "y", 1);
    model_tensor(&model, "m-00002-of-00004.safetensors", "y", 1);
    model_tensor(&model, "n-00002-of-00003.safetensors", "y", 1);
    model_tensor(&model, "consolidated.safetensors", "y", 1);
    model_text(&model, INDEX,
               "{\"weight_map\":{\"x\":\"m-00001-of-00003.safetensors\"}}");
    CHECK_STR(listed(model.folder, text),
              "m-00001-of-00003.safetensors,m-00002-of-00003.safetensors");
    model_fini(&model);
}

CASE(slashes_at_the_end, "trailing slashes in a folder's path change nothing")
{
    struct model model;
    struct shards shards;

    model_init(&model);
    model_tensor(&model, "a.safetensors", "a", 1);
    CHECK_EQ(shards_find(&shards, model_path(&model, "//"), NULL), 1);
    CHECK_STR(shards.folder, model.folder);
    shards_fini(&shards);
    model_fini(&model);
}

CASE(files_outside,
     "an index may not name a file outside its folder, or one file by two spellings")
{
    static const char *const values[] = {
        "\"./a.safetensors\"",
        "\"../a.safetensors\"",
        "\"/etc/passwd\"",
        "\"sub/a.safetensors\"",
        "\"a.safetensors/\"",
        "\"\"",
        "\".\"",
        "\"..\"",
        "1",
        "null",
        "[\"a.safetensors\"]",
        "{}",
    };
    struct model model;
    char text[256];

    model_init(&model);
    model_tensor(&model, "a.safetensors", "a", 1);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        snprintf(text, sizeof(text),
                 "{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":%s}}", values[i]);
        model_text(&model, INDEX, text);
        refused(model.folder, "it must be a name in the folder");
    }
    model_fini(&model);
}

CASE(no_index, "an invalid index is refused, and the message says what is wrong with it")
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "line 1"},
        {"{", "line 1"},
        {"[]", "weight_map"},
        {"\"weight_map\"", "index.json"},
        {"{}", "weight_map"},
        {"{\"weight_map\":[]}", "weight_map"},
        {"{\"weight_map\":{}}", "lists no tensor"},
        {"{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}", "duplicate"},
        {"{\"weight_map\":{\"a\":\"x\\u0000y\"}}", "a NUL character"},
    };
    struct model model;

    model_init(&model);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        model_text(&model, INDEX, cases[i].text);
        refused(model.folder, cases[i].words);
    }
    model_fini(&model);
}

CASE(two_indices,
     "of two indices the one with transformers' name is used; any other must be named")
{
    struct model model;
    char text[512];

    model_init(&model);
    model_text(&model, "a.safetensors.index.json", "{\"weight_map\":{\"a\":\"a\"}}");
    CHECK_STR(listed(model.folder, text), "a?");
    model_text(&model, "z.safetensors.index.json", "{\"weight_map\":{\"a\":\"z\"}}");
    refused(model.folder, "two indices");
    CHECK_STR(listed(model_path(&model, "z.safetensors.index.json"), text), "z?");
    model_text(&model, INDEX, "{\"weight_map\":{\"a\":\"model\"}}");
    CHECK_STR(listed(model.folder, text), "model?");
    model_fini(&model);
}

CASE(folder_without_weights,
     "a folder without safetensors files is refused, and the message says what it holds")
{
    struct model model;

    model_init(&model);
    refused(model.folder, "holds no safetensors or GGUF file");
    CHECK(mkdir(model_path(&model, "global_step1000"), 0700) == 0);
    refused(model.folder, "global_step1000 is not read");
    model_text(&model, "manifest.ocdbt", "x");
    refused(model.folder, "manifest.ocdbt is not read");
    CHECK(unlink(model_path(&model, "manifest.ocdbt")) == 0 &&
          rmdir(model_path(&model, "global_step1000")) == 0);
    model_text(&model, "pytorch_model.bin", "x");
    refused(model.folder, "pytorch_model.bin is not read");
    model_text(&model, ".safetensors", "x");
    model_text(&model, ".hidden.safetensors", "x");
    refused(model.folder, "holds no safetensors or GGUF file");
    model_fini(&model);
}

CASE(other_weights,
     "files of weights that are not read are counted by kind, a trainer's state is not")
{
    static const char *const names[] = {
        "model.gguf",    "pytorch_model.bin", "optimizer.pt",       ".x.gguf",
        "tokenizer.bin", "tf_model.h5",       "flax_model.msgpack", "consolidated.00.pth",
        "other.gguf",
    };
    struct model model;
    struct shards shards;

    model_init(&model);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        model_text(&model, names[i], "x");
    model_tensor(&model, "m.safetensors", "a", 1);
    for (int indexed = 0; indexed < 2; indexed++) {
        CHECK_EQ(shards_find(&shards, model.folder, NULL), 1);
        CHECK_EQ(shards.count, 1);
        size_t kinds = 0;
        for (size_t i = 0; i < OTHER_KINDS; i++)
            kinds += shards.others.kinds[i].count > 0;
        CHECK_EQ(kinds, 5);
        CHECK_STR(shards.others.kinds[1].first, "model.gguf");
        CHECK_EQ(shards.others.kinds[1].count, 2);
        shards_fini(&shards);
        model_text(&model, INDEX, "{\"weight_map\":{\"a\":\"m.safetensors\"}}");
    }
    model_fini(&model);
}

CASE(a_whole_model_beside_others,
     "model.safetensors is the model, other files of its kind are named")
{
    struct model model;
    struct shards shards;

    model_init(&model);
    model_tensor(&model, "adapter_model.safetensors", "a", 1);
    model_tensor(&model, "consolidated.safetensors", "a", 1);
    CHECK_EQ(shards_find(&shards, model.folder, NULL), -1);
    shards_fini(&shards);
    model_tensor(&model, "model.safetensors", "a", 1);
    CHECK_EQ(shards_find(&shards, model.folder, NULL), 1);
    CHECK_EQ(shards.count, 1);
    CHECK_STR(shards.list[0].name, "model.safetensors");
    CHECK_STR(shards.others.kinds[0].first, "adapter_model.safetensors");
    CHECK_EQ(shards.others.kinds[0].count, 2);
    shards_fini(&shards);
    model_fini(&model);
}

CASE(broken_links, "a link to nothing is no reason to read another file silently")
{
    char text[512];
    struct model model;

    model_init(&model);
    CHECK_EQ(symlink("../../blobs/0", model_path(&model, "model.safetensors")), 0);
    model_text(&model, "model.gguf", "x");
    CHECK_STR(listed(model.folder, text),
              "model.safetensors is a link to a file that does not exist; download it "
              "again, or name another file");
    CHECK_EQ(unlink(model_path(&model, "model.safetensors")), 0);
    CHECK_EQ(symlink("0", model_path(&model, "m-00001-of-00002.safetensors")), 0);
    listed(model.folder, text);
    CHECK(strstr(text, "m-00001-of-00002.safetensors is a link"));
    model_tensor(&model, "m-00002-of-00002.safetensors", "a", 1);
    CHECK_STR(listed(model.folder, text),
              "m-00001-of-00002.safetensors?,m-00002-of-00002.safetensors");
    model_fini(&model);
}

CASE(cache,
     "for a folder of Hugging Face's cache, the message tells which folder to name")
{
    struct model model;

    model_init(&model);
    CHECK_EQ(mkdir(model_path(&model, "snapshots"), 0700), 0);
    refused(model.folder, "name one of its folder snapshots");
    CHECK_EQ(rmdir(model_path(&model, "snapshots")), 0);
    model_fini(&model);
}

CASE(numbered, "the number in a shard's name says how many shards there should be")
{
    static const struct {
        const char *files[3];
        const char *listed;
    } cases[] = {
        {{"m-00002-of-00003.safetensors"},
         "m-00001-of-00003.safetensors?,m-00002-of-00003.safetensors,"
         "m-00003-of-00003.safetensors?"},
        {{"m-00001-of-00001.safetensors"}, "m-00001-of-00001.safetensors"},
        {{"m-00000-of-00002.safetensors", "m-00001-of-00002.safetensors"},
         "m-00000-of-00002.safetensors,m-00001-of-00002.safetensors"},
        {{"m-00000-of-00002.safetensors"},
         "m-00000-of-00002.safetensors,m-00001-of-00002.safetensors?"},
        /* Numbers that make no sense are part of a name. */
        {{"m-00000-of-00000.safetensors"}, "m-00000-of-00000.safetensors"},
        {{"m-00005-of-00003.safetensors"}, "m-00005-of-00003.safetensors"},
        {{"m-00001-of-99999.safetensors"}, "m-00001-of-99999.safetensors"},
        {{"m--0001-of-00003.safetensors"}, "m--0001-of-00003.safetensors"},
        {{"m-00001-of-+0003.safetensors"}, "m-00001-of-+0003.safetensors"},
        {{"m-    1-of-    3.safetensors"}, "m-    1-of-    3.safetensors"},
        {{"00001-of-00003.safetensors"}, "00001-of-00003.safetensors"},
        {{"m-00001-of-00003x.safetensors"}, "m-00001-of-00003x.safetensors"},
        {{"\xff-00001-of-00003.safetensors"}, "\xff-00001-of-00003.safetensors"},
    };
    char text[512];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct model model;

        model_init(&model);
        for (size_t k = 0; k < 3 && cases[i].files[k]; k++)
            model_tensor(&model, cases[i].files[k], "a", 1);
        CHECK_STR(listed(model.folder, text), cases[i].listed);
        model_fini(&model);
    }
}

CASE(files_that_do_not_belong,
     "files are refused if neither an index nor their numbers make them one checkpoint")
{
    static const char *const cases[][2] = {
        {"a.safetensors", "b.safetensors"},
        {"m-00001-of-00002.safetensors", "n-00002-of-00002.safetensors"},
        {"m-00001-of-00002.safetensors", "m-00001-of-00003.safetensors"},
        {"m-00001-of-00002.safetensors", "m.safetensors"},
        {"m-00000-of-00002.safetensors", "m-00002-of-00002.safetensors"},
        {"m-00005-of-00003.safetensors", "m-00001-of-00003.safetensors"},
        {"\xff-00001-of-00002.safetensors", "\xff-00002-of-00002.safetensors"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct model model;

        model_init(&model);
        model_tensor(&model, cases[i][0], "a", 1);
        model_tensor(&model, cases[i][1], "b", 1);
        refused(model.folder, "name the file");
        model_fini(&model);
    }
}

/* An index of `tensors` tensors, one after the other in each of `files` files. */
static void put_large_index(struct model *model, size_t tensors, size_t files)
{
    FILE *file = fopen(model_path(model, INDEX), "w");

    CHECK(file);
    fputs("{\"weight_map\":{", file);
    for (size_t i = 0; i < tensors; i++)
        fprintf(file, "%s\"t%zu\":\"model-with-a-long-common-stem-%zu\"", i ? "," : "", i,
                i % files);
    fputs("}}", file);
    CHECK(fclose(file) == 0);
}

CASE(large_index, "100,000 tensors in 4096 files are found in a second or two")
{
    const clock_t begun = clock();
    struct model model;
    struct shards shards;

    model_init(&model);
    put_large_index(&model, 100000, SHARDS_MAX);
    CHECK_EQ(shards_find(&shards, model.folder, NULL), 1);
    CHECK_EQ(shards.count, SHARDS_MAX);
    CHECK_EQ(shards_named(&shards, "model-with-a-long-common-stem-7")->promised, 25);
    shards_fini(&shards);
    /* A search file by file takes longer even without a sanitizer's checks. */
    CHECK(clock() - begun < 5 * CLOCKS_PER_SEC);
    model_fini(&model);
}

CASE(too_many_files, "4097 files are more than a checkpoint may have")
{
    struct failure failure = {.status = TRIT_OK};
    struct model model;
    struct shards shards;

    model_init(&model);
    put_large_index(&model, SHARDS_MAX + 1, SHARDS_MAX + 1);
    CHECK_EQ(shards_find(&shards, model.folder, &failure), -1);
    CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    shards_fini(&shards);
    model_fini(&model);
}

/* Every allocation of shards_find fails once. */
static uint64_t fail_each(const char *path, size_t count)
{
    struct failure failure = {.status = TRIT_OK};
    struct shards shards;
    uint64_t n = 1;

    json_set_alloc_funcs(fault_malloc, free);
    for (;; n++) {
        failure = (struct failure){.status = TRIT_OK};
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int found = shards_find(&shards, path, &failure);
        const bool hit = fault_disarm();

        if (!hit)
            CHECK_EQ(shards.count, count);
        shards_fini(&shards);
        if (!hit)
            break;
        CHECK(found == -1);
        CHECK(failure.status == TRIT_RESOURCE_EXHAUSTED ||
              failure.status == TRIT_INVALID_ARGUMENT);
        CHECK(n < 10000);
    }
    json_set_alloc_funcs(malloc, free);
    return n;
}

CASE(memory, "if memory runs out, no shard is silently left out")
{
    struct model model;

    model_init(&model);
    model_tensor(&model, "m-00002-of-00003.safetensors", "a", 1);
    CHECK(fail_each(model.folder, 3) > 10);
    model_text(&model, INDEX,
               "{\"metadata\":{\"k\":\"v\"},\"weight_map\":{\"x\":\"b\",\"y\":\"a\"}}");
    CHECK(fail_each(model.folder, 2) > 10);
    CHECK(fail_each(model_path(&model, INDEX), 2) > 10);
    model_fini(&model);
}
