/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a rotated basis, and the rotation. */
#include "checkpoint/rotation.h"

#include <math.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"

/* ---- keys and values as a GGUF file has them -------------------------------------------- */

struct image {
    uint8_t bytes[4096];
    size_t count;
};

static void put(struct image *image, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        image->bytes[image->count++] = (uint8_t)(number >> 8 * i);
}

static void put_text(struct image *image, const char *text)
{
    put(image, strlen(text), 8);
    memcpy(image->bytes + image->count, text, strlen(text));
    image->count += strlen(text);
}

static int read_image(void *arg, const struct tensor_pair *pair, void *buffer,
                      struct failure *failure)
{
    const struct image *image = arg;

    (void)failure;
    memcpy(buffer, image->bytes + pair->offset, pair->bytes);
    return 0;
}

/* The key of which `put_value` has put the value. */
static void add_pair(struct tensor_table *table, struct image *image, const char *key,
                     void (*put_value)(struct image *image))
{
    const size_t start = image->count;

    put_text(image, key);
    put_value(image);
    CHECK(table_add_pair(table, key, "x", NULL) == 0);
    table->pairs[table->pair_count - 1].offset = start;
    table->pairs[table->pair_count - 1].bytes = image->count - start;
}

static void put_one(struct image *image)
{
    put(image, 4, 4); /* u32 */
    put(image, 1, 4);
}

static void put_four(struct image *image)
{
    put(image, 4, 4);
    put(image, 4, 4);
}

static void put_transform(struct image *image)
{
    put(image, 8, 4); /* a text */
    put_text(image, "normalized-sylvester-walsh-hadamard");
}

static void put_axis(struct image *image)
{
    put(image, 8, 4);
    put_text(image, "input-last-dimension");
}

static void put_explicit(struct image *image)
{
    put(image, 8, 4);
    put_text(image, "explicit");
}

static void put_array(struct image *image, uint32_t type, uint64_t count)
{
    put(image, 9, 4);
    put(image, type, 4);
    put(image, count, 8);
}

static void put_widths(struct image *image)
{
    put_array(image, 5, 2); /* i32 */
    put(image, 4, 4);
    put(image, 8, 4);
}

static void put_signs(struct image *image)
{
    static const int8_t signs[] = {1, 1, 1, 1, 1, -1, 1, 1, -1, 1, 1, -1};

    put_array(image, 1, sizeof(signs)); /* i8 */
    for (size_t i = 0; i < sizeof(signs); i++)
        put(image, (uint8_t)signs[i], 1);
}

static void put_names(struct image *image)
{
    put_array(image, 8, 3);
    put_text(image, "b.weight");
    put_text(image, "a.weight");
    put_text(image, "blk.0.ssm_out.weight");
}

static void put_true(struct image *image)
{
    put(image, 7, 4);
    put(image, 1, 1);
}

static const struct {
    const char *key;
    void (*put_value)(struct image *image);
} keys[] = {
    {"prism.hadamard.version", put_one},
    {"prism.hadamard.block_size", put_four},
    {"prism.hadamard.transform", put_transform},
    {"prism.hadamard.axis", put_axis},
    {"prism.hadamard.sign_mode", put_explicit},
    {"prism.hadamard.sign_widths", put_widths},
    {"prism.hadamard.sign_values", put_signs},
    {"prism.hadamard.weight_names", put_names},
    {"prism.hadamard.gdn_v_grouped", put_true},
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static void fill(struct tensor_table *table, struct image *image)
{
    table_init(table);
    image->count = 0;
    for (size_t i = 0; i < KEYS; i++)
        add_pair(table, image, keys[i].key, keys[i].put_value);
}

/* ---- what is read ------------------------------------------------------------------------- */

CASE(reads_the_keys, "block, names and the signs of each width come from the keys")
{
    struct rotation rotation;
    struct rotated_basis basis;
    struct tensor_table table;
    struct image image;

    fill(&table, &image);
    CHECK(rotation_read(&rotation, &table, read_image, &image, NULL) == 0);
    CHECK(rotation.named && rotation.given);
    CHECK_EQ(rotation_of(&rotation, "a.weight", 8, &basis), ROTATION_KNOWN);
    CHECK_EQ(basis.block, 4);
    CHECK(basis.signs[1] == -1 && basis.signs[4] == -1 && basis.signs[7] == -1);
    CHECK_EQ(rotation_of(&rotation, "b.weight", 4, &basis), ROTATION_KNOWN);
    CHECK(basis.signs == rotation.signs);
    CHECK_EQ(rotation_of(&rotation, "c.weight", 4, &basis), ROTATION_NONE);
    CHECK_EQ(rotation_of(&rotation, "a.weight", 12, &basis), ROTATION_UNKNOWN);
    CHECK_EQ(rotation_of(&rotation, "a.weight", 6, &basis), ROTATION_UNKNOWN);
    CHECK_EQ(rotation_of(&rotation, "blk.0.ssm_out.weight", 8, &basis), ROTATION_UNKNOWN);
    rotation_fini(&rotation);
    table_fini(&table);
}

CASE(names_nothing, "a file without such keys is in no rotated basis")
{
    struct rotation rotation;
    struct rotated_basis basis;
    struct tensor_table table;

    table_init(&table);
    CHECK(table_add_pair(&table, "general.name", "x", NULL) == 0);
    CHECK(rotation_read(&rotation, &table, read_image, NULL, NULL) == 0);
    CHECK(!rotation.named);
    CHECK_EQ(rotation_of(&rotation, "a.weight", 8, &basis), ROTATION_NONE);
    rotation_fini(&rotation);
    table_fini(&table);
}

CASE(other_formats,
     "keys in the metadata of another format name a basis, but do not give it")
{
    struct rotation rotation;
    struct rotated_basis basis;
    struct tensor_table table;

    table_init(&table);
    CHECK(table_add_pair(&table, "prism.hadamard.block_size", "4", NULL) == 0);
    CHECK(rotation_read(&rotation, &table, read_image, NULL, NULL) == 0);
    CHECK(rotation.named && !rotation.given && strstr(rotation.why, "GGUF"));
    CHECK_EQ(rotation_of(&rotation, "a.weight", 8, &basis), ROTATION_UNKNOWN);
    rotation_fini(&rotation);
    table_fini(&table);
}

CASE(cut_values, "a value that is cut anywhere does not give the rotation")
{
    struct tensor_table table;
    struct image image;

    fill(&table, &image);
    for (size_t i = 0; i < KEYS; i++) {
        struct tensor_pair *pair = &table.pairs[i];
        const uint64_t whole = pair->bytes;

        for (pair->bytes = 1; pair->bytes < whole; pair->bytes++) {
            struct rotation rotation;

            CHECK(rotation_read(&rotation, &table, read_image, &image, NULL) == 0);
            CHECK(rotation.named && !rotation.given && rotation.why[0]);
            rotation_fini(&rotation);
        }
    }
    table_fini(&table);
}

CASE(changed_values, "no byte of a value can make the reader leave its memory")
{
    struct tensor_table table;
    struct image image;

    fill(&table, &image);
    for (size_t at = 0; at < image.count; at++)
        for (int i = 0; i < 3; i++) {
            static const uint8_t changes[] = {0x01, 0x80, 0xff};
            struct rotation rotation;

            image.bytes[at] ^= changes[i];
            CHECK(rotation_read(&rotation, &table, read_image, &image, NULL) == 0);
            rotation_fini(&rotation);
            image.bytes[at] ^= changes[i];
        }
    table_fini(&table);
}

CASE(out_of_memory, "every allocation can fail")
{
    struct tensor_table table;
    struct image image;

    fill(&table, &image);
    for (uint64_t n = 1;; n++) {
        struct failure failure = {.status = TRIT_OK};
        struct rotation rotation;

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = rotation_read(&rotation, &table, read_image, &image, &failure);
        const bool failed = fault_disarm();
        rotation_fini(&rotation);
        CHECK_EQ(result, failed ? -1 : 0);
        if (!failed)
            break;
        CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    }
    table_fini(&table);
}

/* ---- the rotation ---------------------------------------------------------------------------- */

CASE(rotates_by_definition,
     "a single weight becomes the signs of its column of the matrix, in its block alone")
{
    enum { BLOCK = 16, COLUMNS = 48 };
    int8_t signs[COLUMNS];
    const struct rotated_basis basis = {BLOCK, signs};
    double scratch[BLOCK];
    float row[COLUMNS], rotated[COLUMNS];

    for (int i = 0; i < COLUMNS; i++)
        signs[i] = i % 3 ? 1 : -1;
    for (int at = 0; at < COLUMNS; at++) {
        memset(row, 0, sizeof(row));
        row[at] = 4;
        basis_rotate(&basis, TRIT_F32, row, 1, COLUMNS, scratch, rotated);
        for (int i = 0; i < COLUMNS; i++) {
            const int common = __builtin_popcount((unsigned)(i & at) % BLOCK);
            const float wanted = (float)(signs[at] * (common % 2 ? -1 : 1));

            CHECK(rotated[i] == (i / BLOCK == at / BLOCK ? wanted : 0.0f));
        }
    }
}

CASE(rotates_back, "two rotations without signs give the weights back")
{
    enum { BLOCK = 8, COLUMNS = 16, ROWS = 3 };
    const struct rotated_basis basis = {BLOCK, NULL};
    double scratch[BLOCK];
    float rows[ROWS * COLUMNS], once[ROWS * COLUMNS], twice[ROWS * COLUMNS];

    for (int i = 0; i < ROWS * COLUMNS; i++)
        rows[i] = (float)(i * i % 37 - 18) / 8;
    basis_rotate(&basis, TRIT_F32, rows, ROWS, COLUMNS, scratch, once);
    basis_rotate(&basis, TRIT_F32, once, ROWS, COLUMNS, scratch, twice);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        CHECK(fabsf(twice[i] - rows[i]) < 1e-6f);
}
