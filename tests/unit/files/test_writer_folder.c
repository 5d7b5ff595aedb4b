/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of weights: laid out as transformers reads them; the name shows the old folder
 * or the new one, never half of one, whatever fails. */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "files/reader.h"
#include "files/writer.h"
#include "tests/lib/fault.h"
#include "tests/lib/fault_file.h"
#include "tests/unit/files/place.h"

/* ---- a folder in a folder ---------------------------------------------------------- */

struct stage {
    struct place place;
    char out[96];       /* the target */
    char tokenizer[96]; /* a file that is copied */
};

static const char *in(const struct stage *stage, const char *name)
{
    static char path[4][256];
    static unsigned next;

    next = (next + 1) % 4;
    snprintf(path[next], sizeof(path[next]), "%s/%s", stage->out, name);
    return path[next];
}

static void stage_init(struct stage *stage)
{
    place_init(&stage->place);
    snprintf(stage->out, sizeof(stage->out), "%s/out", stage->place.folder);
    snprintf(stage->tokenizer, sizeof(stage->tokenizer), "%s/tokenizer",
             stage->place.folder);
    put_text(stage->tokenizer, "{\"tokens\": 1}");
}

static void remove_all(const char *path)
{
    char command[256];

    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    CHECK(system(command) == 0);
}

static void stage_fini(struct stage *stage)
{
    remove_all(stage->place.folder);
}

/* A checkpoint that is to be replaced. */
static void put_old(const struct stage *stage)
{
    CHECK(mkdir(stage->out, 0750) == 0);
    put_text(in(stage, "model.safetensors"), "old");
    CHECK(symlink("nowhere", in(stage, "link")) == 0);
}

static bool is_old(const struct stage *stage)
{
    char text[TEXT_BYTES];

    return strcmp(get_text(in(stage, "model.safetensors"), text), "old") == 0 &&
           files_in(stage->out) == 2;
}

/* ---- writing ------------------------------------------------------------------------ */

static const uint8_t BYTES[40] = "forty bytes, each with its own place...";

static void add(struct tensor_table *table, const char *name, const char *type,
                uint64_t count)
{
    struct tensor_entry entry = {
        .name = name, .type = element_type_by_name(type), .rank = 1, .shape = {count}};

    CHECK(table_add(table, &entry, NULL) == 0);
}

/* Bytes of the tensors: 16, 40, 4, 0. */
static void fill_table(struct tensor_table *table)
{
    table_init(table);
    add(table, "a", "F32", 4);
    add(table, "b.large", "U8", 40);
    add(table, "c", "BF16", 2);
    add(table, "d.empty", "F32", 0);
    CHECK(table_add_pair(table, "format", "pt", NULL) == 0);
    CHECK(table_add_pair(table, "trit", "{}", NULL) == 0);
}

static int put_tensors(struct writer *writer, struct failure *failure)
{
    if (writer_put(writer, 2, BYTES, 4, failure) < 0 ||
        writer_put(writer, 3, NULL, 0, failure) < 0 ||
        writer_put(writer, 0, BYTES, 10, failure) < 0 ||
        writer_put(writer, 1, BYTES, 40, failure) < 0)
        return -1;
    return writer_put(writer, 0, BYTES + 10, 6, failure);
}

static struct folder_options options_of(const struct stage *stage, uint64_t shard_bytes)
{
    static struct folder_copy copy;
    static const struct folder_text text = {"config.json", "{\"a\": 1}\n", 9};

    copy = (struct folder_copy){stage->tokenizer, "tokenizer.json"};
    return (struct folder_options){.shard_bytes_max = shard_bytes,
                                   .copies = &copy,
                                   .copy_count = 1,
                                   .texts = &text,
                                   .text_count = 1};
}

/* The whole, with shards of at most so many bytes; 0 or -1. */
static int write_folder(const struct stage *stage, enum target_mode mode,
                        uint64_t shard_bytes, struct failure *failure)
{
    const struct folder_options options = options_of(stage, shard_bytes);
    struct tensor_table table;
    struct writer *writer = NULL;
    int result;

    *failure = (struct failure){.status = TRIT_OK};
    fill_table(&table);
    result = writer_create_folder(&writer, stage->out, mode, &table, &options, failure);
    if (result == 0)
        result = put_tensors(writer, failure);
    if (result == 0)
        result = writer_commit(writer, failure);
    writer_destroy(writer);
    table_fini(&table);
    return result;
}

/* A shard holds this tensor with these bytes, and so many pairs. */
static bool shard_holds(const struct stage *stage, const char *shard, const char *name,
                        uint64_t bytes, size_t pairs)
{
    struct reader *reader;
    const struct tensor_entry *entry;
    uint8_t got[64];
    bool result;

    if (reader_open(&reader, in(stage, shard), NULL, NULL) < 0)
        return false;
    entry = table_find(reader_table(reader), name);
    result = entry && entry->bytes == bytes &&
             reader_read(reader, entry, 0, got, bytes, NULL) == 0 &&
             memcmp(got, BYTES, bytes) == 0 &&
             reader_table(reader)->pair_count == pairs &&
             strcmp(table_pair(reader_table(reader), "format"), "pt") == 0;
    reader_close(reader);
    return result;
}

static const char *slurp(const char *path, char text[1024])
{
    FILE *file = fopen(path, "r");
    size_t count;

    if (!file)
        return "(absent)";
    count = fread(text, 1, 1023, file);
    text[count] = '\0';
    fclose(file);
    return text;
}

/* The small files are there, and the three shards of at most 20 bytes. */
static bool is_new(const struct stage *stage)
{
    char text[1024];

    return files_in(stage->out) == 6 &&
           shard_holds(stage, "model-00001-of-00003.safetensors", "a", 16, 1) &&
           shard_holds(stage, "model-00002-of-00003.safetensors", "b.large", 40, 1) &&
           shard_holds(stage, "model-00003-of-00003.safetensors", "c", 4, 1) &&
           shard_holds(stage, "model-00003-of-00003.safetensors", "d.empty", 0, 1) &&
           strcmp(slurp(in(stage, "config.json"), text), "{\"a\": 1}\n") == 0 &&
           strcmp(slurp(in(stage, "tokenizer.json"), text), "{\"tokens\": 1}") == 0;
}

/* ---- the layout --------------------------------------------------------------------- */

CASE(writes_shards_and_an_index, "tensors go into shards, and the index lists them")
{
    static const char index[] = "{\n"
                                "  \"metadata\": {\n"
                                "    \"total_size\": 60,\n"
                                "    \"trit\": \"{}\"\n"
                                "  },\n"
                                "  \"weight_map\": {\n"
                                "    \"a\": \"model-00001-of-00003.safetensors\",\n"
                                "    \"b.large\": \"model-00002-of-00003.safetensors\",\n"
                                "    \"c\": \"model-00003-of-00003.safetensors\",\n"
                                "    \"d.empty\": \"model-00003-of-00003.safetensors\"\n"
                                "  }\n"
                                "}\n";
    struct stage stage;
    struct failure failure;
    struct stat there;
    char text[1024];
    mode_t mask = umask(027);

    stage_init(&stage);
    CHECK(write_folder(&stage, TARGET_NEW, 20, &failure) == 0);
    umask(mask);
    CHECK(is_new(&stage));
    CHECK_STR(slurp(in(&stage, "model.safetensors.index.json"), text), index);
    CHECK(stat(in(&stage, "tokenizer.json"), &there) == 0);
    CHECK_EQ(there.st_mode & 0777, 0640);
    CHECK(stat(stage.out, &there) == 0);
    CHECK_EQ(there.st_mode & 0777, 0750);
    CHECK_EQ(files_in(stage.place.folder), 2);
    stage_fini(&stage);
}

/* Puts every fourth byte of each tensor. */
struct putting {
    struct writer *writer;
    uint64_t first;
    int result;
};

static void *put_some(void *arg)
{
    static const uint64_t bytes[] = {16, 40, 4, 0};
    struct putting *putting = arg;

    for (size_t tensor = 0; tensor < 4; tensor++)
        for (uint64_t at = putting->first; at < bytes[tensor]; at += 4)
            putting->result |=
                writer_put_at(putting->writer, tensor, at, BYTES + at, 1, NULL);
    return NULL;
}

CASE(takes_bytes_from_threads, "several threads may fill the same tensors")
{
    struct stage stage;
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table table;
    struct writer *writer;
    struct putting putting[4];
    struct output_mark mark;
    pthread_t threads[4];

    stage_init(&stage);
    fill_table(&table);
    const struct folder_options options = options_of(&stage, 20);
    CHECK(writer_create_folder(&writer, stage.out, TARGET_NEW, &table, &options,
                               &failure) == 0);
    for (uint64_t i = 0; i < 4; i++) {
        putting[i] = (struct putting){writer, i, 0};
        CHECK(pthread_create(&threads[i], NULL, put_some, &putting[i]) == 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK(putting[i].result == 0);
    }
    CHECK(writer_put_at(writer, 0, 0, "x", 1, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INTERNAL);
    CHECK(writer_finish(writer, &mark, &failure) == 0);
    CHECK(access(stage.out, F_OK) != 0);
    CHECK(writer_commit(writer, &failure) == 0);
    CHECK(is_new(&stage));
    CHECK(output_mark_is_at(&mark, stage.out));
    writer_destroy(writer);
    table_fini(&table);
    stage_fini(&stage);
}

CASE(writes_one_shard_without_an_index, "a single shard has all metadata and no index")
{
    struct stage stage;
    struct failure failure;

    stage_init(&stage);
    CHECK(write_folder(&stage, TARGET_NEW, 0, &failure) == 0);
    CHECK(shard_holds(&stage, "model.safetensors", "a", 16, 2));
    CHECK_EQ(files_in(stage.out), 3);
    remove_all(stage.out);
    CHECK(write_folder(&stage, TARGET_NEW, 60, &failure) == 0);
    CHECK_EQ(files_in(stage.out), 3);
    remove_all(stage.out);
    CHECK(write_folder(&stage, TARGET_NEW, 59, &failure) == 0);
    CHECK(shard_holds(&stage, "model-00002-of-00002.safetensors", "c", 4, 1));
    CHECK_EQ(files_in(stage.out), 5);
    stage_fini(&stage);
}

CASE(writes_a_table_without_bytes,
     "a table whose tensors are empty is written as a folder too")
{
    struct stage stage;
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table table;
    struct writer *writer;
    struct reader *reader;

    stage_init(&stage);
    table_init(&table);
    add(&table, "empty", "F32", 0);
    CHECK(writer_create_folder(&writer, stage.out, TARGET_NEW, &table, NULL, &failure) ==
          0);
    CHECK(access(stage.out, F_OK) != 0);
    CHECK(writer_commit(writer, &failure) == 0);
    writer_destroy(writer);
    table_fini(&table);
    CHECK(reader_open(&reader, in(&stage, "model.safetensors"), NULL, &failure) == 0);
    CHECK_EQ(reader_table(reader)->count, 1);
    reader_close(reader);
    stage_fini(&stage);
}

/* ---- names and copies --------------------------------------------------------------- */

/* Refused with this status and word; nothing is left. */
static void refused_options(const struct stage *stage,
                            const struct folder_options *options, enum trit_status status,
                            const char *word)
{
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table table;
    struct writer *writer = NULL;

    fill_table(&table);
    CHECK(writer_create_folder(&writer, stage->out, TARGET_NEW, &table, options,
                               &failure) < 0);
    table_fini(&table);
    CHECK_EQ(failure.status, status);
    if (!strstr(failure.message, word))
        check_failed(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", word,
                     failure.message);
    CHECK_EQ(files_in(stage->place.folder), 1);
}

CASE(refuses_bad_names, "a small file needs a plain name that is not taken")
{
    static const char *const names[] = {"",
                                        ".",
                                        "..",
                                        "a/b",
                                        "../b",
                                        "/b",
                                        "model.safetensors",
                                        "model-00001-of-00002.safetensors",
                                        "model.safetensors.index.json"};
    struct stage stage;

    stage_init(&stage);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct folder_text text = {names[i], "x", 1};
        struct folder_copy copy = {stage.tokenizer, names[i]};

        refused_options(&stage, &(struct folder_options){.texts = &text, .text_count = 1},
                        TRIT_INVALID_ARGUMENT, names[i]);
        refused_options(&stage,
                        &(struct folder_options){.copies = &copy, .copy_count = 1},
                        TRIT_INVALID_ARGUMENT, names[i]);
    }
    struct folder_text text = {"config.json", "x", 1};
    struct folder_copy copy = {stage.tokenizer, "config.json"};
    refused_options(
        &stage,
        &(struct folder_options){
            .texts = &text, .text_count = 1, .copies = &copy, .copy_count = 1},
        TRIT_INVALID_ARGUMENT, "two files for the folder are named config.json");
    stage_fini(&stage);
}

CASE(refuses_too_many_shards, "more than 4096 shards are refused")
{
    struct stage stage;
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table table;
    struct writer *writer;
    const struct folder_options options = {.shard_bytes_max = 1};

    stage_init(&stage);
    table_init(&table);
    for (int i = 0; i < 4097; i++) {
        char name[16];

        snprintf(name, sizeof(name), "%d", i);
        add(&table, name, "U8", 1);
    }
    CHECK(writer_create_folder(&writer, stage.out, TARGET_NEW, &table, &options,
                               &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK(strstr(failure.message, "4097 files"));
    table_fini(&table);
    stage_fini(&stage);
}

CASE(follows_links_of_copies_only_to_files,
     "a file to copy may be a link to a regular file only")
{
    struct stage stage;
    struct failure failure;
    char text[TEXT_BYTES];

    stage_init(&stage);
    CHECK(rename(stage.tokenizer, stage.place.path) == 0);
    CHECK(symlink("out.safetensors", stage.tokenizer) == 0);
    CHECK(write_folder(&stage, TARGET_NEW, 20, &failure) == 0);
    CHECK(is_new(&stage));
    CHECK_STR(get_text(stage.place.path, text), "{\"tokens\": 1}");
    remove_all(stage.out);
    remove_all(stage.place.path);
    static const char *const others[] = {"/dev/null", ".", "nowhere"};
    for (size_t i = 0; i < 3; i++) {
        unlink(stage.tokenizer);
        CHECK(symlink(others[i], stage.tokenizer) == 0);
        CHECK(write_folder(&stage, TARGET_NEW, 20, &failure) < 0);
        CHECK_EQ(failure.status, i == 2 ? TRIT_NOT_FOUND : TRIT_INVALID_ARGUMENT);
        CHECK(strstr(failure.message, stage.tokenizer));
        CHECK_EQ(files_in(stage.place.folder), 1);
    }
    stage_fini(&stage);
}

/* More bytes than one piece of a copy. */
CASE(copies_large_files, "a copied file has every byte")
{
    enum { COUNT = (1 << 20) + 12345 };
    struct stage stage;
    struct failure failure;
    struct stat there;
    FILE *file;

    stage_init(&stage);
    file = fopen(stage.tokenizer, "w");
    for (int i = 0; i < COUNT; i++)
        CHECK(fputc(i % 251, file) != EOF);
    CHECK(fclose(file) == 0);
    CHECK(write_folder(&stage, TARGET_NEW, 20, &failure) == 0);
    CHECK(stat(in(&stage, "tokenizer.json"), &there) == 0);
    CHECK_EQ(there.st_size, COUNT);
    file = fopen(in(&stage, "tokenizer.json"), "r");
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(fgetc(file), i % 251);
    fclose(file);
    stage_fini(&stage);
}

/* ---- what is replaced --------------------------------------------------------------- */

CASE(takes_a_free_name_only, "a new folder never replaces an existing one")
{
    struct stage stage;
    struct failure failure;

    stage_init(&stage);
    put_old(&stage);
    CHECK(write_folder(&stage, TARGET_NEW, 20, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_ALREADY_EXISTS);
    CHECK(is_old(&stage));
    remove_all(stage.out);
    CHECK(symlink("nowhere", stage.out) == 0);
    CHECK(write_folder(&stage, TARGET_NEW, 20, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_ALREADY_EXISTS);
    CHECK_EQ(files_in(stage.place.folder), 2);
    stage_fini(&stage);
}

CASE(replaces_a_checkpoint,
     "a checkpoint and an empty folder are replaced; a missing one is created")
{
    struct stage stage;
    struct failure failure;
    struct stat there;

    stage_init(&stage);
    put_old(&stage);
    CHECK(write_folder(&stage, TARGET_REPLACE, 20, &failure) == 0);
    CHECK(is_new(&stage));
    CHECK(stat(stage.out, &there) == 0);
    CHECK_EQ(there.st_mode & 0777, 0750);
    CHECK_EQ(files_in(stage.place.folder), 2);
    /* An empty folder, and a path that ends with a slash. */
    remove_all(stage.out);
    CHECK(mkdir(stage.out, 0755) == 0);
    strcat(stage.out, "/");
    CHECK(write_folder(&stage, TARGET_REPLACE, 20, &failure) == 0);
    CHECK(is_new(&stage));
    remove_all(stage.out);
    CHECK(write_folder(&stage, TARGET_REPLACE, 20, &failure) == 0);
    CHECK(is_new(&stage));
    stage_fini(&stage);
}

CASE(replaces_a_link_itself, "a link is replaced, and its target stays")
{
    struct stage stage;
    struct failure failure;
    struct stat there;
    char text[TEXT_BYTES], blobs[128], blob[160];

    stage_init(&stage);
    snprintf(blobs, sizeof(blobs), "%s/blobs", stage.place.folder);
    snprintf(blob, sizeof(blob), "%s/photo", blobs);
    CHECK(mkdir(blobs, 0755) == 0);
    put_text(blob, "theirs");
    CHECK(symlink("blobs", stage.out) == 0);
    CHECK(write_folder(&stage, TARGET_REPLACE, 20, &failure) == 0);
    CHECK(lstat(stage.out, &there) == 0 && S_ISDIR(there.st_mode));
    CHECK(is_new(&stage));
    CHECK_STR(get_text(blob, text), "theirs");
    CHECK_EQ(files_in(blobs), 1);
    CHECK_EQ(files_in(stage.place.folder), 3);
    stage_fini(&stage);
}

static void refused_target(const struct stage *stage, const char *word)
{
    struct failure failure;
    const size_t before = files_in(stage->place.folder);

    CHECK(write_folder(stage, TARGET_REPLACE, 20, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    if (!strstr(failure.message, word))
        check_failed(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", word,
                     failure.message);
    CHECK_EQ(files_in(stage->place.folder), before);
}

CASE(refuses_what_is_no_checkpoint, "a folder that is not a checkpoint is never replaced")
{
    struct stage stage;

    stage_init(&stage);
    put_text(stage.out, "a file");
    refused_target(&stage, "it is not a folder");
    remove_all(stage.out);
    CHECK(mkfifo(stage.out, 0600) == 0);
    refused_target(&stage, "it is not a folder");
    remove_all(stage.out);
    CHECK(mkdir(stage.out, 0755) == 0);
    put_text(in(&stage, "thesis.tex"), "x");
    refused_target(&stage, "no *.safetensors");
    put_text(in(&stage, ".safetensors"), "x");
    refused_target(&stage, "no *.safetensors");
    put_text(in(&stage, "model.safetensors"), "x");
    CHECK(mkdir(in(&stage, "photos"), 0755) == 0);
    refused_target(&stage, "it holds photos");
    CHECK_EQ(files_in(stage.out), 4);
    strcpy(stage.out, "/");
    refused_target(&stage, "must end with the name");
    strcpy(stage.out, ".");
    refused_target(&stage, "must end with the name");
    strcpy(stage.out, "/tmp/..");
    refused_target(&stage, "must end with the name");
    strcpy(stage.out, "/tmp/x.gguf");
    refused_target(&stage, "its name says gguf");
    stage_fini(&stage);
}

/* Someone else takes the name, or puts something into the folder, before the commit. */
CASE(sees_what_changed_meanwhile, "changes that others make before the commit are kept")
{
    for (int replace = 0; replace < 2; replace++) {
        struct stage stage;
        struct failure failure = {.status = TRIT_OK};
        struct tensor_table table;
        struct writer *writer;

        stage_init(&stage);
        if (replace)
            put_old(&stage);
        fill_table(&table);
        CHECK(writer_create_folder(&writer, stage.out,
                                   replace ? TARGET_REPLACE : TARGET_NEW, &table, NULL,
                                   &failure) == 0);
        CHECK(put_tensors(writer, &failure) == 0);
        if (!replace)
            CHECK(mkdir(stage.out, 0755) == 0);
        CHECK(mkdir(in(&stage, "theirs"), 0755) == 0);
        CHECK(writer_commit(writer, &failure) < 0);
        CHECK_EQ(failure.status, replace ? TRIT_INVALID_ARGUMENT : TRIT_ALREADY_EXISTS);
        writer_destroy(writer);
        table_fini(&table);
        CHECK_EQ(files_in(stage.out), replace ? 3 : 1);
        CHECK_EQ(files_in(stage.place.folder), 2);
        stage_fini(&stage);
    }
}

CASE(leaves_nothing_without_commit,
     "without a commit nothing is left behind and the old folder stays")
{
    struct stage stage;
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table table;
    struct writer *writer;

    stage_init(&stage);
    put_old(&stage);
    fill_table(&table);
    CHECK(writer_create_folder(&writer, stage.out, TARGET_REPLACE, &table, NULL,
                               &failure) == 0);
    CHECK(writer_put(writer, 0, BYTES, 3, &failure) == 0);
    CHECK_EQ(files_in(stage.place.folder), 3);
    CHECK(writer_commit(writer, &failure) < 0);
    CHECK(strstr(failure.message, "a got 3 of its 16"));
    writer_destroy(writer);
    table_fini(&table);
    CHECK(is_old(&stage));
    CHECK_EQ(files_in(stage.place.folder), 2);
    stage_fini(&stage);
}

/* ---- what fails --------------------------------------------------------------------- */

/* The name shows the old state or the new one. */
static bool is_whole(const struct stage *stage, bool had_old)
{
    return access(stage->out, F_OK) != 0 ? !had_old : is_new(stage) || is_old(stage);
}

/* Every call fails once, in both modes; nothing is left beside the target. */
CASE(survives_every_failing_call,
     "whichever call fails, the folder is the old one or the new one")
{
    static const int codes[] = {EIO, ENOSPC, EINVAL};

    for (size_t c = 0; c < sizeof(codes) / sizeof(codes[0]); c++)
        for (int replace = 0; replace < 2; replace++)
            for (uint64_t n = 1;; n++) {
                struct stage stage;
                struct failure failure;
                int result;
                bool hit, there;

                stage_init(&stage);
                if (replace)
                    put_old(&stage);
                fault_file_arm(FAULT_FILE_ALL & ~(unsigned)FAULT_FILE_CLOSE, n, codes[c],
                               FAULT_FILE_FAIL);
                result = write_folder(&stage, replace ? TARGET_REPLACE : TARGET_NEW, 20,
                                      &failure);
                hit = fault_file_disarm();
                there = access(stage.out, F_OK) == 0;
                CHECK(result == 0 ? is_new(&stage) : is_whole(&stage, replace));
                CHECK(result == 0 || failure.status != TRIT_OK);
                CHECK_EQ(files_in(stage.place.folder), there ? 2 : 1);
                stage_fini(&stage);
                if (!hit) {
                    CHECK(result == 0);
                    CHECK(n > 20);
                    break;
                }
            }
}

/* Each call says what could not be done; the old folder stays. */
CASE(names_the_call_that_failed, "a failure names the file and the cause")
{
    static const struct {
        enum fault_file_call call;
        uint64_t nth;
        int code;
        const char *message;
        enum trit_status status;
    } cases[] = {
        {FAULT_FILE_PWRITE, 4, ENOSPC,
         "model-00003-of-00003.safetensors: cannot write it: No space left on device",
         TRIT_RESOURCE_EXHAUSTED},
        {FAULT_FILE_PWRITE, 1, EIO, "tokenizer.json: cannot write it: Input/output error",
         TRIT_UNAVAILABLE},
        {FAULT_FILE_MKDIRAT, 1, EROFS,
         "cannot create a temporary folder next to it: Read-only file system",
         TRIT_PERMISSION_DENIED},
        {FAULT_FILE_RENAMEAT2, 1, EIO, "cannot rename it: Input/output error",
         TRIT_UNAVAILABLE},
        {FAULT_FILE_OPENAT, 4, EMFILE,
         "config.json: cannot create it: Too many open files", TRIT_UNAVAILABLE},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage stage;
        struct failure failure;
        int result;

        stage_init(&stage);
        put_old(&stage);
        fault_file_arm((unsigned)cases[i].call, cases[i].nth, cases[i].code,
                       FAULT_FILE_FAIL);
        result = write_folder(&stage, TARGET_REPLACE, 20, &failure);
        CHECK(fault_file_disarm());
        CHECK(result < 0);
        CHECK_STR(failure.message, cases[i].message);
        CHECK_EQ(failure.status, cases[i].status);
        CHECK(is_old(&stage));
        CHECK_EQ(files_in(stage.place.folder), 2);
        stage_fini(&stage);
    }
}

/* Each file's fsync, the folder's own, then the parent's. After the last one the new
 * folder has the name, and the old one is kept. */
CASE(tells_of_a_failed_flush, "a failed fsync is reported")
{
    enum { FLUSHES = 8 };

    for (uint64_t n = 1; n <= FLUSHES; n++) {
        struct stage stage;
        struct failure failure;
        int result;

        stage_init(&stage);
        put_old(&stage);
        fault_arm(FAULT_WRITE, n, FAULT_ONCE);
        result = write_folder(&stage, TARGET_REPLACE, 20, &failure);
        CHECK(fault_disarm());
        CHECK(result < 0);
        CHECK_EQ(failure.status, TRIT_UNAVAILABLE);
        CHECK(strstr(failure.message, "flush"));
        CHECK(n < FLUSHES ? is_old(&stage) : is_new(&stage));
        if (n == FLUSHES)
            CHECK(strstr(failure.message, "the old one is kept as .out.old-"));
        CHECK_EQ(files_in(stage.place.folder), n < FLUSHES ? 2 : 3);
        stage_fini(&stage);
    }
}

/* Files are closed five times: two small ones read and written, the index, the shards. */
CASE(tells_of_a_failed_close, "a failed close is reported")
{
    unsigned told = 0;

    for (uint64_t n = 1;; n++) {
        struct stage stage;
        struct failure failure;
        int result;
        bool hit;

        stage_init(&stage);
        put_old(&stage);
        fault_file_arm(FAULT_FILE_CLOSE, n, EIO, FAULT_FILE_FAIL);
        result = write_folder(&stage, TARGET_REPLACE, 20, &failure);
        hit = fault_file_disarm();
        CHECK(result < 0 ? is_old(&stage) : is_new(&stage));
        CHECK_EQ(files_in(stage.place.folder), 2);
        if (result < 0) {
            CHECK(strstr(failure.message, "cannot close it: Input/output error"));
            told++;
        }
        stage_fini(&stage);
        if (!hit)
            break;
    }
    CHECK_EQ(told, 6);
}

/* A file system without renameat2's flags, as NFS. */
CASE(replaces_without_an_exchange,
     "a folder is replaced also where the file system cannot exchange names")
{
    for (int replace = 0; replace < 2; replace++) {
        struct stage stage;
        struct failure failure;
        int result;

        stage_init(&stage);
        if (replace)
            put_old(&stage);
        fault_file_arm(FAULT_FILE_RENAMEAT2, 1, EINVAL, FAULT_FILE_EVERY);
        result = write_folder(&stage, TARGET_REPLACE, 20, &failure);
        CHECK(fault_file_disarm());
        CHECK(result == 0);
        CHECK(is_new(&stage));
        CHECK_EQ(files_in(stage.place.folder), 2);
        fault_file_arm(FAULT_FILE_RENAMEAT2, 1, EINVAL, FAULT_FILE_EVERY);
        result = write_folder(&stage, TARGET_NEW, 20, &failure);
        fault_file_disarm();
        CHECK(result < 0);
        CHECK_EQ(failure.status, TRIT_ALREADY_EXISTS);
        stage_fini(&stage);
    }
}

/* SIGKILL before any call leaves the old folder or the new one; a temporary one may
 * stay. */
CASE(survives_kill_at_any_call, "SIGKILL at any system call leaves a complete folder")
{
    for (uint64_t n = 1;; n++) {
        struct stage stage;
        struct failure failure;
        int status;

        stage_init(&stage);
        put_old(&stage);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            fault_file_arm(FAULT_FILE_ALL, n, 0, FAULT_FILE_KILL);
            _exit(write_folder(&stage, TARGET_REPLACE, 20, &failure) < 0);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        CHECK(is_old(&stage) || is_new(&stage));
        CHECK(files_in(stage.place.folder) <= 3);
        stage_fini(&stage);
        if (WIFEXITED(status)) {
            CHECK_EQ(WEXITSTATUS(status), 0);
            CHECK(n > 30);
            break;
        }
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
}

CASE(survives_lack_of_memory, "whichever allocation fails, nothing is left behind")
{
    json_set_alloc_funcs(fault_malloc, free);
    for (uint64_t n = 1;; n++) {
        const struct folder_options none = {.shard_bytes_max = 20};
        struct stage stage;
        struct failure failure = {.status = TRIT_OK};
        struct folder_options options;
        struct tensor_table table;
        struct writer *writer = NULL;
        int result;
        bool hit;

        stage_init(&stage);
        options = options_of(&stage, none.shard_bytes_max);
        fill_table(&table);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        result = writer_create_folder(&writer, stage.out, TARGET_NEW, &table, &options,
                                      &failure);
        if (result == 0)
            result = put_tensors(writer, &failure);
        if (result == 0)
            result = writer_commit(writer, &failure);
        hit = fault_disarm();
        writer_destroy(writer);
        table_fini(&table);
        /* jansson gets over some failures by itself. */
        CHECK(result == 0 ? is_new(&stage) : hit);
        CHECK(result == 0 || failure.status == TRIT_RESOURCE_EXHAUSTED);
        CHECK_EQ(files_in(stage.place.folder), result == 0 ? 2 : 1);
        stage_fini(&stage);
        if (!hit)
            break;
    }
    json_set_alloc_funcs(malloc, free);
}
