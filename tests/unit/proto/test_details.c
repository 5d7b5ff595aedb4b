/* SPDX-License-Identifier: Apache-2.0 */
/* google.rpc details of a status. */
#include "proto/codec/codec.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "vectors.h"

CASE(details, "status details have protobuf's bytes, and the field is read back")
{
    static const char message[] = "tensor.shape: rank 0";
    uint8_t bytes[STATUS_DETAILS_BYTES_MAX];
    char field[64];
    size_t count = encode_status_details(TRIT_INVALID_ARGUMENT, message, "tensor.shape",
                                         bytes, sizeof(bytes));
    CHECK_EQ(count, sizeof(vector_details));
    CHECK_MEM(bytes, vector_details, count);
    CHECK_EQ(decode_status_details(bytes, count, field), 0);
    CHECK_STR(field, "tensor.shape");
    for (size_t less = 0; less < count; less++)
        CHECK_EQ(encode_status_details(TRIT_INVALID_ARGUMENT, message, "tensor.shape",
                                       bytes, less),
                 0);
}

CASE(details_without_field, "details without a field violation give an empty field")
{
    uint8_t bytes[STATUS_DETAILS_BYTES_MAX];
    char field[64] = "before", long_field[201];
    CHECK_EQ(encode_status_details(TRIT_INTERNAL, "", "", bytes, sizeof(bytes)), 2);
    CHECK_EQ(encode_status_details(TRIT_INTERNAL, "", NULL, bytes, sizeof(bytes)), 2);
    CHECK_EQ(decode_status_details(bytes, 2, field), 0);
    CHECK_STR(field, "");
    CHECK_EQ(decode_status_details(vector_details_foreign, sizeof(vector_details_foreign),
                                   field),
             0);
    CHECK_STR(field, "");
    memset(long_field, 'f', 200);
    long_field[200] = '\0';
    size_t count =
        encode_status_details(TRIT_INTERNAL, "m", long_field, bytes, sizeof(bytes));
    CHECK_EQ(decode_status_details(bytes, count, field), 0);
    CHECK_EQ(strlen(field), 63);
}

CASE(longest_details, "the longest message's details fit")
{
    char message[TRIT_MESSAGE_BYTES_MAX + 1], field[64], back[64];
    uint8_t bytes[STATUS_DETAILS_BYTES_MAX];
    memset(message, 'm', sizeof(message) - 1);
    memset(field, 'f', sizeof(field) - 1);
    message[sizeof(message) - 1] = field[sizeof(field) - 1] = '\0';
    size_t count =
        encode_status_details(TRIT_UNAUTHENTICATED, message, field, bytes, sizeof(bytes));
    CHECK(count > 0);
    CHECK_EQ(decode_status_details(bytes, count, back), 0);
    CHECK_STR(back, field);
}

CASE(damaged_details, "damaged details are refused")
{
    /* Only cuts between fields of the outermost message leave it well-formed. */
    char field[64];
    for (size_t count = 0; count < sizeof(vector_details); count++) {
        uint8_t *copy = malloc(count ? count : 1);
        CHECK(copy);
        memcpy(copy, vector_details, count);
        int expected = count == 0 || count == 2 || count == 24 ? 0 : -1;
        int got = decode_status_details(copy, count, field);
        free(copy);
        CHECK_EQ(got, expected);
    }
}
