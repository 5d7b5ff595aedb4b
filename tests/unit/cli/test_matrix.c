/* SPDX-License-Identifier: Apache-2.0 */
/* One matrix of a layer at a time. */
#include "client/cli/matrix.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"

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

CASE(loads_one, "each matrix is loaded from its own part of the tensor")
{
    static const char straight[] = {6, 7, 8, 9, 10, 11}, turned[] = {6, 9, 7, 10, 8, 11};
    struct reader *reader = opened();
    const struct tensor_entry *entry = &reader_table(reader)->entries[0];

    for (int transposed = 0; transposed < 2; transposed++) {
        const struct matrices matrices = matrices_of(
            transposed ? LAYOUT_EXPERTS_IN_OUT : LAYOUT_EXPERTS_OUT_IN, 3, entry->shape);
        void *data, *copy = NULL;
        uint64_t bytes;

        CHECK(matrix_load(reader, entry, &matrices, 1, &data, &bytes, NULL) == 0);
        CHECK_EQ(bytes, 6);
        CHECK_MEM(data, transposed ? turned : straight, 6);
        const void *stored = matrix_stored(data, bytes, &matrices, 1, &copy);
        CHECK_MEM(stored, straight, 6);
        CHECK((copy != NULL) == transposed);
        free(copy);
        free(data);
    }
    reader_close(reader);
}

CASE(memory, "if memory runs out, a matrix is not loaded")
{
    struct reader *reader = opened();
    const struct tensor_entry *entry = &reader_table(reader)->entries[0];
    const struct matrices matrices = matrices_of(LAYOUT_EXPERTS_IN_OUT, 3, entry->shape);
    uint64_t n = 1, bytes;

    for (;; n++) {
        struct failure failure = {.status = TRIT_OK};
        void *data = NULL;

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result =
            matrix_load(reader, entry, &matrices, 1, &data, &bytes, &failure);
        if (!fault_disarm()) {
            void *copy = NULL;

            CHECK(result == 0);
            fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
            CHECK(!matrix_stored(data, bytes, &matrices, 1, &copy));
            CHECK(fault_disarm() && !copy);
            free(data);
            break;
        }
        CHECK(result < 0);
        CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    }
    CHECK(n > 1);
    reader_close(reader);
}
