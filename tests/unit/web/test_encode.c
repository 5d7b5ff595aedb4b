/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/lib/check.h"
#include "web/encode.h"
#include "web/reply.h"

/* ---- helpers ---- */

static const struct route page = {.kind = ROUTE_PAGE};

/* Copies a list; '$' stands for the tag. NULL for NULL. */
static const char *with_tag(char *out, const char *list, const char *tag)
{
    char *at = out;

    for (; list && *list; list++)
        if (*list == '$')
            at = stpcpy(at, tag);
        else
            *at++ = *list;
    *at = '\0';
    return list ? out : NULL;
}

/* The status of a page for these conditions; '$' stands for its tag without W/. */
static unsigned status_for(const char *if_match, const char *if_none_match)
{
    struct request request = {.accept = ""};
    struct failure failure = {0};
    struct reply reply;
    char match[256], none_match[256];

    reply_begin(&reply);
    text_put(&reply.body, "a page");
    reply_encode(&reply, &page, &request);
    request.if_match = with_tag(match, if_match, reply.tag + 2);
    request.if_none_match = with_tag(none_match, if_none_match, reply.tag + 2);
    if (reply_check(&reply, &request, &failure) == 0)
        reply_encode(&reply, &page, &request);
    text_fini(&reply.body);
    return reply.http_status;
}

/* ---- cases ---- */

CASE(none_match, "If-None-Match with the tag of the page, alone or in a list, gives 304")
{
    static const char *const same[] = {
        "$",     "W/$", "*", " * ", "\"a\", $", "\"a\",W/$,\"b\"", ",, \"a, b\" ,, $",
        "\"\",$"};
    static const char *const other[] = {"",  "\"a\"",     "x$",   "\"a, $",  "**", "w/$",
                                        ",", "\"a\" *, ", "W/ $", "\"a\"; $"};

    CHECK_EQ(status_for(NULL, NULL), 200);
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        if (status_for(NULL, same[i]) != 304)
            check_failed(__FILE__, __LINE__, "not 304: %s", same[i]);
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        if (status_for(NULL, other[i]) != 200)
            check_failed(__FILE__, __LINE__, "not 200: %s", other[i]);
}

CASE(match, "If-Match gives 412 unless it is *, because the tags are weak")
{
    CHECK_EQ(status_for("*", NULL), 200);
    CHECK_EQ(status_for(" *\t", "$"), 304);
    CHECK_EQ(status_for("$", NULL), 412);
    CHECK_EQ(status_for("W/$", NULL), 412);
    CHECK_EQ(status_for("\"a\"", "$"), 412); /* If-Match comes first */
    CHECK_EQ(status_for("", NULL), 412);
}
