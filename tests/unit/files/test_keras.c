/* SPDX-License-Identifier: Apache-2.0 */
/* Files of Keras: a model that Keras saved is read; each rule of zip and HDF5 is broken once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files/reader.h"
#include "files/zip.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

static const char MODEL[] = "tests/data/keras_ternary.keras";

/* ---- a file in memory ---------------------------------------------------------------- */

struct image {
    uint8_t *bytes;
    uint64_t count;
};

static struct image image_load(void)
{
    FILE *file = fopen(MODEL, "rb");
    struct image image = {malloc(1 << 16), 0};

    CHECK(file && image.bytes);
    image.count = fread(image.bytes, 1, 1 << 16, file);
    fclose(file);
    return image;
}

/* The HDF5 file in it. */
static struct image weights_load(void)
{
    struct image image = image_load();
    struct failure failure = {.status = TRIT_OK};
    struct zip_member member;
    struct source *source;

    CHECK(source_memory(&source, image.bytes, image.count, "m.keras", &failure) == 0);
    CHECK_EQ(zip_find(source, "model.weights.h5", 1 << 20, &member, &failure), 1);
    source_close(source);
    memmove(image.bytes, image.bytes + member.offset, member.bytes);
    image.count = member.bytes;
    return image;
}

/* Occurrence `number` (from 0) of some bytes. */
static uint8_t *find(const struct image *image, const void *bytes, size_t count,
                     unsigned number)
{
    for (uint64_t i = 0; i + count <= image->count; i++)
        if (memcmp(image->bytes + i, bytes, count) == 0 && number-- == 0)
            return image->bytes + i;
    check_failed(__FILE__, __LINE__, "the model has no such bytes");
    return NULL;
}

static int image_open(struct reader **reader, const struct image *image,
                      struct failure *failure)
{
    struct source *source = NULL;

    *failure = (struct failure){.status = TRIT_OK};
    if (source_memory(&source, image->bytes, image->count, "m", failure) < 0)
        return -1;
    return reader_open_source(reader, source, NULL, failure);
}

/* It is refused with this in the message; frees it. */
static void refused(struct image image, const char *words)
{
    struct failure failure;
    struct reader *reader;

    if (image_open(&reader, &image, &failure) == 0) {
        reader_close(reader);
        check_failed(__FILE__, __LINE__, "taken, \"%s\" was due", words);
    }
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    if (!strstr(failure.message, words))
        check_failed(__FILE__, __LINE__, "\"%s\" is not in: %s", words, failure.message);
    free(image.bytes);
}

static const struct tensor_entry *entry_of(const struct reader *reader, const char *name)
{
    const struct tensor_entry *entry = table_find(reader_table(reader), name);

    if (!entry)
        check_failed(__FILE__, __LINE__, "%s is missing", name);
    return entry;
}

/* ---- what is read ---------------------------------------------------------------------- */

CASE(reads_a_model,
     "types, shapes and the inputs of packed kernels are those of the model")
{
    struct image image = image_load();
    struct failure failure;
    struct reader *reader;
    float scale;

    CHECK(image_open(&reader, &image, &failure) == 0);
    CHECK_STR(reader_format(reader), "keras");
    CHECK_EQ(reader_table(reader)->count, 12);
    const struct tensor_entry *kernel = entry_of(reader, "layers/ternary_dense/vars/0");
    CHECK_STR(kernel->type->name, "U8");
    CHECK_EQ(kernel->rank, 2);
    CHECK_EQ(kernel->shape[0], 3);
    CHECK_EQ(kernel->shape[1], 6);
    CHECK_EQ(kernel->unpacked, 13);
    CHECK_EQ(entry_of(reader, "layers/dense/vars/0")->unpacked, 6);
    CHECK_EQ(entry_of(reader, "layers/ternary_dense_1/vars/0")->unpacked, 10);
    kernel = entry_of(reader, "layers/ternary_dense_1/vars/1");
    CHECK_STR(kernel->type->name, "F32");
    CHECK_EQ(kernel->rank, 0);
    CHECK(reader_read(reader, kernel, 0, &scale, sizeof(scale), &failure) == 0);
    CHECK(scale == 1.0f); /* of a layer with a threshold */
    reader_close(reader);
    free(image.bytes);
}

CASE(reads_weights_alone, "weights without config.json do not tell the inputs of kernels")
{
    struct image image = weights_load();
    struct failure failure;
    struct reader *reader;

    CHECK(image_open(&reader, &image, &failure) == 0);
    CHECK_EQ(reader_table(reader)->count, 12);
    CHECK_EQ(entry_of(reader, "layers/ternary_dense/vars/0")->unpacked, 0);
    reader_close(reader);
    free(image.bytes);
}

CASE(contradicting_config, "a config.json of other shapes tells no inputs")
{
    struct image image = image_load();
    struct failure failure;
    struct reader *reader;
    static const char shape[] = "\"input_shape\": [null, 13]";

    memcpy(find(&image, shape, sizeof(shape) - 1, 0), "\"input_shape\": [null, 43]",
           sizeof(shape) - 1);
    CHECK(image_open(&reader, &image, &failure) == 0);
    CHECK_EQ(entry_of(reader, "layers/ternary_dense/vars/0")->unpacked, 0);
    CHECK_EQ(entry_of(reader, "layers/dense/vars/0")->unpacked, 6);
    reader_close(reader);
    free(image.bytes);
}

/* ---- the rules --------------------------------------------------------------------------- */

/* The model with bytes at a place of its HDF5 file, or of the archive, replaced. */
struct broken {
    const char *what; /* the bytes that mark the place */
    size_t count;
    unsigned number; /* of their occurrence */
    int at;          /* from the mark */
    const char *bytes;
    size_t length;
    const char *words; /* of the refusal */
};

#define BYTES(text) text, sizeof(text) - 1

static void refuse_all(struct image (*load)(void), const struct broken *cases,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct image image = load();

        memcpy(find(&image, cases[i].what, cases[i].count, cases[i].number) + cases[i].at,
               cases[i].bytes, cases[i].length);
        refused(image, cases[i].words);
    }
}

CASE(refuses_hdf5, "every rule of HDF5 that is broken is named")
{
    static const struct broken cases[] = {
        {BYTES("\x89HDF"), 0, 8, BYTES("\2"), "superblock has the form of newer"},
        {BYTES("\x89HDF"), 0, 13, BYTES("\4"), "do not have 8 bytes"},
        {BYTES("\x89HDF"), 0, 24, BYTES("\1"), "do not have 8 bytes"},
        {BYTES("\x89HDF"), 0, 42, BYTES("\1"), "shorter than its superblock says"},
        {BYTES("\x89HDF"), 0, 70, BYTES("\1"), "beyond the end"},
        {BYTES("\x89HDF"), 0, 96, BYTES("\2"), "an object header is malformed"},
        {BYTES("\x89HDF"), 0, 96, BYTES("OHDR"), "form of newer versions"},
        {BYTES("TREE"), 0, 0, BYTES("EERT"), "the tree of a group is malformed"},
        {BYTES("TREE"), 0, 4, BYTES("\1"), "the tree of a group is malformed"},
        {BYTES("TREE"), 0, 5, BYTES("\x40"), "the tree of a group is malformed"},
        {BYTES("HEAP"), 0, 0, BYTES("PEAH"), "the heap of a group is malformed"},
        {BYTES("HEAP"), 0, 10, BYTES("\1"), "the heap of a group is malformed"},
        {BYTES("HEAP"), 0, 24, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff"),
         "the heap of a group is malformed"},
        {BYTES("SNOD"), 0, 0, BYTES("DONS"), "a node of symbols is malformed"},
        {BYTES("SNOD"), 0, 10, BYTES("\1"), "a name is not in the heap"},
        {BYTES("SNOD"), 0, 24, BYTES("\2"), "symbolic link"},
        {BYTES("SNOD"), 0, 18, BYTES("\1"), "beyond the end"},
        {BYTES("GCOL"), 0, 0, BYTES("LOCG"), "a global heap is malformed"},
        {BYTES("GCOL"), 0, 10, BYTES("\1"), "a global heap is malformed"},
        {BYTES("GCOL"), 0, 16, BYTES("\x99"), "a text is not in its global heap"},
    };

    refuse_all(weights_load, cases, sizeof(cases) / sizeof(cases[0]));
}

CASE(refuses_datasets, "every rule of a dataset that is broken is named")
{
    /* The messages of the first kernel: type, size, flags, then its data. */
    static const char space[] = "\1\0\x28\0\0\0\0\0\1\2\1\0\0\0\0\0\3\0\0\0\0\0\0\0\6";
    static const char type[] = "\3\0\x10\0\1\0\0\0\x10\0\0\0\1\0\0\0\0\0\x08\0";
    static const char layout[] = "\x08\0\x18\0\0\0\0\0\3\1";
    static const struct broken cases[] = {
        {BYTES(space), 0, 2, BYTES("\xff\xff"), "a message is longer"},
        {BYTES(space), 0, 8, BYTES("\3"), "dataspace has an unknown version"},
        {BYTES(space), 0, 8, BYTES("\2\2\0\2"), "null dataspace"},
        {BYTES(space), 0, 9, BYTES("\x09"), "more than 8 axes"},
        {BYTES(space), 0, 9, BYTES("\x08"), "a dataspace is cut off"},
        {BYTES(space), 0, 16, BYTES("\4"),
         "the size of a dataset is not that of its shape"},
        {BYTES(space), 0, 22, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
         "the size of a dataset is not that of its shape"},
        {BYTES(space), 0, 0, BYTES("\2\0"), "form of newer versions"},
        {BYTES(space), 0, 0, BYTES("\x07\0"), "in another file"},
        {BYTES(space), 0, 0, BYTES("\x0b\0"), "compressed"},
        {BYTES(space), 0, 0, BYTES("\x99\0"), "neither a group nor a dataset"},
        {BYTES(type), 0, 8, BYTES("\x12"), "a type that is not read"},
        {BYTES(type), 0, 12, BYTES("\3"), "a type that is not read"},
        {BYTES(type), 0, 16, BYTES("\1"), "a type that is not read"},
        {BYTES(type), 0, 8, BYTES("\x15"), "opaque"},
        {BYTES(type), 0, 4, BYTES("\2"), "a type of another object"},
        {BYTES(layout), 0, 8, BYTES("\2"), "a data layout has an unknown version"},
        {BYTES(layout), 0, 9, BYTES("\2"), "a dataset is in chunks"},
        {BYTES(layout), 0, 12, BYTES("\1"), "ends beyond the end of the file"},
        {BYTES(layout), 0, 18, BYTES("\1"),
         "the size of a dataset is not that of its shape"},
    };

    refuse_all(weights_load, cases, sizeof(cases) / sizeof(cases[0]));
}

CASE(refuses_cycles, "groups that contain themselves are refused")
{
    struct image image = weights_load();
    uint8_t *symbols = find(&image, "SNOD", 4, 0);

    memcpy(symbols + 16, image.bytes + 64, 8); /* the root itself */
    refused(image, "groups are nested too deeply");
}

CASE(refuses_names, "only variables as Keras 3 names them are read")
{
    struct image image = weights_load();

    for (int i = 0; i < 6; i++) /* of the model, its input, and four layers */
        memcpy(find(&image, "vars\0", 5, 0), "vaRs", 4);
    refused(image, "is not a variable as Keras 3 names them");
}

CASE(refuses_zip, "every rule of the archive that is broken is named")
{
    static const char weights[] = "model.weights.h5";
    /* The name's second occurrence is in the directory, behind 46 bytes of its entry. */
    static const struct broken cases[] = {
        {BYTES("PK\5\6"), 0, 0, BYTES("PK\5\5"), "no directory"},
        {BYTES("PK\5\6"), 0, 18, BYTES("\1"), "its directory ends beyond its end"},
        {BYTES("PK\5\6"), 0, 16, BYTES("\xff\xff\xff\xff"), "no end of zip64"},
        {BYTES("PK\5\6"), 0, 10, BYTES("\x99"), "its directory is malformed"},
        {BYTES("PK\1\2"), 0, 28, BYTES("\xff\xff"), "its directory is malformed"},
        {BYTES(weights), 1, 0, BYTES("xodel.weights.h5"), "without model.weights.h5"},
        {BYTES(weights), 1, -38, BYTES("\1"), "encrypted"},
        {BYTES(weights), 1, -36, BYTES("\x08"), "compressed"},
        {BYTES(weights), 1, -22, BYTES("\1"), "sizes of a member differ"},
        {BYTES(weights), 1, -2, BYTES("\1"), "begins beyond its end"},
        {BYTES(weights), 1, -4, BYTES("\1"), "contradict each other"},
        {BYTES(weights), 0, -4, BYTES("\1"), "contradict each other"},
        {BYTES(weights), 0, -2, BYTES("\xff\xff"), "ends beyond its end"},
        {BYTES(weights), 0, 16, BYTES("\x88HDF"), "HDF5's signature"},
        {BYTES("{\"module\""), 0, 0, BYTES("}"), "config.json"},
    };

    refuse_all(image_load, cases, sizeof(cases) / sizeof(cases[0]));
}

CASE(refuses_two_members, "an archive with one name twice is refused")
{
    struct image image = image_load();

    /* The entry of metadata.json is two bytes longer: they become an extra field. */
    uint8_t *first = find(&image, "PK\1\2", 4, 0);
    memcpy(first, find(&image, "PK\1\2", 4, 1), 46 + strlen("config.json"));
    first[30] = 2;
    refused(image, "it has config.json twice");
}

CASE(refuses_cut_files, "a file that ends early is refused wherever it ends")
{
    struct image (*const loads[])(void) = {image_load, weights_load};

    for (size_t i = 0; i < 2; i++) {
        struct image whole = loads[i]();

        for (uint64_t count = 0; count < whole.count; count += 1 + whole.count / 200) {
            struct image cut = {malloc(count + 1), count};
            struct failure failure;
            struct reader *reader;

            memcpy(cut.bytes, whole.bytes, count);
            CHECK(image_open(&reader, &cut, &failure) < 0);
            CHECK(failure.status == TRIT_INVALID_ARGUMENT && failure.message[0]);
            free(cut.bytes);
        }
        free(whole.bytes);
    }
}

CASE(out_of_memory, "every allocation can fail")
{
    struct image image = image_load();

    for (uint64_t n = 1;; n++) {
        struct failure failure;
        struct reader *reader;

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = image_open(&reader, &image, &failure);
        if (!fault_disarm()) {
            CHECK(result == 0);
            reader_close(reader);
            break;
        }
        if (result == 0)
            reader_close(reader);
        else
            CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    }
    free(image.bytes);
}
