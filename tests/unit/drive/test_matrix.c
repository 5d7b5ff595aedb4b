/* SPDX-License-Identifier: Apache-2.0 */
/* One matrix of a layer at a time. */
#include "drive/matrix.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/unit/files/model.h"

CASE(names, "a matrix has a number in its name if the layer has several")
{
    const struct matrices one = {.count = 1}, several = {.count = 8};
    char name[MATRIX_NAME_BYTES], longest[FILES_NAME_BYTES_MAX + 1];

    CHECK_STR(matrix_name(name, "l", &one, 0), "l");
    CHECK_STR(matrix_name(name, "l", &several, 7), "l[7]");
    memset(longest, 'n', FILES_NAME_BYTES_MAX);
    longest[FILES_NAME_BYTES_MAX] = '\0';
    CHECK_EQ(strlen(matrix_name(name, longest, &several, UINT64_MAX)),
             FILES_NAME_BYTES_MAX + strlen("[18446744073709551615]"));
}

/* Two matrices [2, 3] of U8: 0 to 5 and 6 to 11. */
static struct reader *opened(void)
{
    static const char header[] =
        "{\"l\":{\"dtype\":\"U8\",\"shape\":[2,2,3],\"data_offsets\":[0,12]}}";
    static char bytes[8 + sizeof(header) - 1 + 12];
    struct source *source;
    struct reader *reader;

    bytes[0] = sizeof(header) - 1;
    memcpy(bytes + 8, header, sizeof(header) - 1);
    for (size_t i = 0; i < 12; i++)
        bytes[8 + sizeof(header) - 1 + i] = (char)i;
    CHECK(source_memory(&source, bytes, sizeof(bytes), "a", NULL) == 0);
    CHECK(reader_open_source(&reader, source, NULL, NULL) == 0);
    return reader;
}

CASE(loads_one, "a matrix is its own part of the tensor, as [out, in]")
{
    static const char straight[] = {6, 7, 8, 9, 10, 11}, turned[] = {6, 9, 7, 10, 8, 11};
    struct reader *reader = opened();
    const struct tensor_entry *entry = &reader_table(reader)->entries[0];

    for (int transposed = 0; transposed < 2; transposed++) {
        const struct matrices matrices = matrices_of(
            transposed ? LAYOUT_EXPERTS_IN_OUT : LAYOUT_EXPERTS_OUT_IN, 3, entry->shape);
        void *data;
        uint64_t bytes;

        CHECK(matrix_load(reader, entry, &matrices, 1, &data, &bytes, NULL) == 0);
        CHECK_EQ(bytes, 6);
        CHECK_MEM(data, transposed ? turned : straight, 6);
        free(data);
    }
    reader_close(reader);
}

/* One tensor [IN, OUT] of U16 as large as several blocks. */
enum { IN = 1500, OUT = 3000 };

static struct reader *opened_large(void)
{
    static char bytes[128 + 2 * IN * OUT];
    const int count = snprintf(bytes + 8, 120,
                               "{\"l\":{\"dtype\":\"U16\",\"shape\":[%d,%d],"
                               "\"data_offsets\":[0,%d]}}",
                               IN, OUT, 2 * IN * OUT);
    struct source *source;
    struct reader *reader;

    bytes[0] = (char)count;
    for (uint32_t i = 0; i < IN * OUT; i++) {
        const uint16_t value = (uint16_t)(i * 2654435761u >> 16);

        memcpy(bytes + 8 + count + 2 * i, &value, 2);
    }
    CHECK(source_memory(&source, bytes, 8 + (size_t)count + 2 * IN * OUT, "a", NULL) ==
          0);
    CHECK(reader_open_source(&reader, source, NULL, NULL) == 0);
    return reader;
}

CASE(changed_while_read, "the last piece of a matrix whose file was changed is not read")
{
    static const char header[] =
        "{\"l\":{\"dtype\":\"U8\",\"shape\":[4,8],\"data_offsets\":[0,32]}}";
    const struct matrices matrices = {.count = 1, .rows = 4, .columns = 8};
    const struct timespec past[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct failure failure = {.status = TRIT_OK};
    struct reader *reader;
    struct matrix matrix;
    struct model model;
    char bytes[32];

    model_init(&model);
    for (int loaded = 0; loaded < 2; loaded++) {
        model_shard(&model, "a", header, 32, 1);
        CHECK(reader_open(&reader, model_path(&model, "a"), NULL, NULL) == 0);
        const struct tensor_entry *entry = &reader_table(reader)->entries[0];
        CHECK(matrix_open(&matrix, true, reader, entry, &matrices, 0, &failure) == 0);
        CHECK(matrix_read(&matrix, 0, bytes, 16) == 0);
        model_shard(&model, "a", header, 32, 2);
        CHECK(utimensat(AT_FDCWD, model_path(&model, "a"), past, 0) == 0);
        CHECK(matrix_read(&matrix, 0, bytes, 16) == 0); /* not yet the whole */
        failure = (struct failure){.status = TRIT_OK};
        if (loaded) {
            matrix_close(&matrix);
            CHECK(matrix_open(&matrix, false, reader, entry, &matrices, 0, &failure) < 0);
        } else {
            CHECK(matrix_read(&matrix, 16, bytes, 16) < 0);
        }
        CHECK_EQ(failure.status, TRIT_ABORTED);
        matrix_close(&matrix);
        reader_close(reader);
    }
    model_fini(&model);
}

CASE(reads_pieces, "pieces of a transposed matrix are those of the whole")
{
    struct reader *reader = opened_large();
    const struct tensor_entry *entry = &reader_table(reader)->entries[0];
    const struct matrices matrices = matrices_of(LAYOUT_IN_OUT, 2, entry->shape);
    struct matrix matrix;
    uint64_t seed = check_seed(), bytes;
    void *whole, *piece;

    CHECK_EQ(matrices.rows, OUT);
    CHECK(matrix_load(reader, entry, &matrices, 0, &whole, &bytes, NULL) == 0);
    CHECK(matrix_open(&matrix, true, reader, entry, &matrices, 0, NULL) == 0);
    for (uint64_t at = 0, count; at < bytes; at += count) {
        count = check_random(&seed) % (1 << 20) + 1;
        count = count < bytes - at ? count : bytes - at;
        CHECK(matrix_piece(&matrix, at, count, &piece) == 0);
        CHECK_MEM(piece, (const char *)whole + at, count);
        free(piece);
    }
    CHECK(matrix_piece(&matrix, 7, 100, &piece) == 0); /* a jump back */
    CHECK_MEM(piece, (const char *)whole + 7, 100);
    free(piece);
    matrix_close(&matrix);
    free(whole);
    reader_close(reader);
}

CASE(memory, "without memory a matrix is not loaded")
{
    struct reader *reader = opened();
    const struct tensor_entry *entry = &reader_table(reader)->entries[0];
    const struct matrices matrices = matrices_of(LAYOUT_EXPERTS_IN_OUT, 3, entry->shape);

    for (int streamed = 0; streamed < 2; streamed++) {
        int result = -1;

        for (uint64_t n = 1; result < 0; n++) {
            struct failure failure = {.status = TRIT_OK};
            struct matrix matrix;
            void *piece = NULL;

            fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
            result =
                matrix_open(&matrix, streamed, reader, entry, &matrices, 1, &failure);
            if (result == 0)
                result = matrix_piece(&matrix, 0, 6, &piece);
            CHECK(fault_disarm() == (result < 0));
            CHECK(result == 0 || failure.status == TRIT_RESOURCE_EXHAUSTED);
            CHECK(result == 0 || n < 10);
            free(piece);
            matrix_close(&matrix);
        }
    }
    reader_close(reader);
}
