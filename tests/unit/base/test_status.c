/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/status.h"
#include "tests/lib/check.h"

CASE(first_failure_wins, "the first failure is kept as the cause")
{
    struct failure failure = {0};

    CHECK(fail(&failure, TRIT_NOT_FOUND, "layer.run", "run %d is unknown", 7) == -1);
    CHECK(fail(&failure, TRIT_INTERNAL, "x", "later") == -1);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    CHECK_STR(failure.field, "layer.run");
    CHECK_STR(failure.message, "run 7 is unknown");
}

CASE(null_is_allowed, "a NULL failure is allowed")
{
    CHECK(fail(NULL, TRIT_INTERNAL, NULL, "nobody hears this") == -1);
    CHECK(fail_context(NULL, "nor this") == -1);
}

CASE(no_field_is_empty, "a failure without a field has an empty one")
{
    struct failure failure = {0};

    fail(&failure, TRIT_INTERNAL, NULL, "broken");
    CHECK_STR(failure.field, "");
}

CASE(field_leads_the_message, "a field is named once, at the start of the message")
{
    struct failure failure = {0};
    char text[3000];

    CHECK(fail_field(&failure, TRIT_INVALID_ARGUMENT, "spec.bias", "%d is %s", 2,
                     "odd") == -1);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK_STR(failure.field, "spec.bias");
    CHECK_STR(failure.message, "spec.bias: 2 is odd");
    CHECK(fail_field(&failure, TRIT_INTERNAL, "x", "later") == -1);
    CHECK_STR(failure.field, "spec.bias");
    failure = (struct failure){.status = TRIT_OK};
    fail_field(&failure, TRIT_INTERNAL, "", "of no field");
    CHECK_STR(failure.message, "of no field");
    CHECK(fail_field(NULL, TRIT_INTERNAL, "x", "nobody hears this") == -1);

    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    failure = (struct failure){0};
    fail_field(&failure, TRIT_INTERNAL, text, "%s", text);
    CHECK_EQ(strlen(failure.message), TRIT_MESSAGE_BYTES_MAX);
    CHECK(strncmp(failure.message, failure.field, strlen(failure.field)) == 0);
}

CASE(another_failure_is_the_cause,
     "a failure takes all that its reason says, if it is empty")
{
    struct failure reason = {.retry_ms = 500}, failure = {0};

    fail(&reason, TRIT_RESOURCE_EXHAUSTED, "layer.run", "100 %% are used");
    CHECK(fail_as(&failure, &reason) == -1);
    CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK_STR(failure.field, "layer.run");
    CHECK_STR(failure.message, "100 % are used");
    CHECK_EQ(failure.retry_ms, 500);

    failure = (struct failure){0};
    fail(&failure, TRIT_NOT_FOUND, NULL, "no run");
    CHECK(fail_as(&failure, &reason) == -1);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    CHECK_STR(failure.message, "no run");
    CHECK_EQ(failure.retry_ms, 0);
    CHECK(fail_as(NULL, &reason) == -1);
}

CASE(context_is_prepended, "each caller can put its context before the message")
{
    struct failure failure = {0};

    fail(&failure, TRIT_UNAVAILABLE, NULL, "disk is full");
    CHECK(fail_context(&failure, "writing %s", "reports.db") == -1);
    fail_context(&failure, "store");
    CHECK_STR(failure.message, "store: writing reports.db: disk is full");
    CHECK_EQ(failure.status, TRIT_UNAVAILABLE);
}

CASE(long_message_is_cut, "a message beyond the bound is cut to it")
{
    struct failure failure = {0};
    char text[3000];

    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    fail(&failure, TRIT_INTERNAL, text, "%s", text);
    CHECK_EQ(strlen(failure.message), TRIT_MESSAGE_BYTES_MAX);
    CHECK_EQ(strlen(failure.field), sizeof(failure.field) - 1);
    fail_context(&failure, "ctx");
    CHECK_EQ(strlen(failure.message), TRIT_MESSAGE_BYTES_MAX);
    CHECK(strncmp(failure.message, "ctx: aaa", 8) == 0);
    fail_context(&failure, "%s", text);
    CHECK(strlen(failure.message) <= TRIT_MESSAGE_BYTES_MAX);
}

/* Every way in which the cut can hit a character of 1 to 4 bytes. */
CASE(cut_leaves_whole_characters, "a cut message ends in a whole UTF-8 character")
{
    static const char *const characters[] = {"a", "\xc3\xa4", "\xe2\x82\xac",
                                             "\xf0\x9f\x98\x80"};

    for (size_t width = 1; width <= 4; width++) {
        for (size_t shift = 0; shift < 5; shift++) {
            struct failure failure = {0};
            char text[1200] = "";
            size_t length, lost;

            memset(text, 'x', shift);
            for (size_t at = shift; at + 4 < sizeof(text) - 1; at += width)
                memcpy(text + at, characters[width - 1], width);
            fail(&failure, TRIT_INTERNAL, NULL, "%s", text);
            length = strlen(failure.message);
            lost = TRIT_MESSAGE_BYTES_MAX - length;
            CHECK(lost < width);
            CHECK_EQ((length - shift) % width, 0);
            fail_context(&failure, "ab");
            length = strlen(failure.message);
            CHECK(length <= TRIT_MESSAGE_BYTES_MAX && length + 2 * width > 1023);
            CHECK_EQ((length - 4 - shift) % width, 0);
        }
    }
}

CASE(names_are_grpc, "status codes have their gRPC names")
{
    CHECK_STR(status_name(TRIT_OK), "OK");
    CHECK_STR(status_name(TRIT_INVALID_ARGUMENT), "INVALID_ARGUMENT");
    CHECK_STR(status_name(TRIT_UNAUTHENTICATED), "UNAUTHENTICATED");
    CHECK_STR(status_name((enum trit_status)17), "UNKNOWN");
    CHECK_STR(status_name((enum trit_status) - 1), "UNKNOWN");
    for (int i = 0; i <= 16; i++)
        CHECK(status_name((enum trit_status)i));
}
