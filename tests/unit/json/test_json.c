/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as text, both ways, also when memory runs out. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "json/json.h"

static json_t *read_text(const char *text, unsigned flags, struct json_fault *fault)
{
    return json_read(text, strlen(text), flags, fault);
}

static void check_same(const char *text, unsigned flags, const char *expected)
{
    struct json_fault fault;
    json_t *json = read_text(text, 0, &fault);
    char *printed = json_print(json, flags, NULL);

    CHECK(json);
    CHECK_EQ(fault.kind, JSON_FAULT_NONE);
    CHECK_STR(printed, expected);
    free(printed);
    json_decref(json);
}

CASE(round_trip, "what is read is printed again, in the order of the text")
{
    check_same("{\"b\": [1, -2, 2.5, true, false, null], \"a\": {}, \"c\": []}", 0,
               "{\"b\":[1,-2,2.5,true,false,null],\"a\":{},\"c\":[]}");
    check_same("\"a\\u00e9\\n\\\"\"", 0, "\"a\xc3\xa9\\n\\\"\"");
    check_same(" 9223372036854775807 ", 0, "9223372036854775807");
    check_same("{\"b\":1,\"a\":{\"d\":2,\"c\":[3]}}",
               JSON_PRINT_INDENTED | JSON_PRINT_SORTED | JSON_PRINT_NEWLINE,
               "{\n  \"a\": {\n    \"c\": [\n      3\n    ],\n    \"d\": 2\n  },\n"
               "  \"b\": 1\n}\n");
}

CASE(infinity, "the infinities that Python writes are kept where a flag says so")
{
    static const char text[] =
        "{\"a\":[NaN,Infinity,-Infinity],\"b\":\"NaN\",\"c\":\"\\u0001x\"}";
    struct json_fault fault;

    CHECK(!read_text(text, 0, &fault));
    CHECK_EQ(fault.kind, JSON_FAULT_SYNTAX);
    json_t *json = read_text(text, JSON_READ_INFINITY, &fault);
    CHECK(json);
    char *printed = json_print(json, JSON_PRINT_INFINITY, NULL);
    CHECK_STR(printed, text);
    free(printed);
    json_decref(json);
}

CASE(shortest_numbers, "a number is printed as the shortest text that reads back")
{
    static const double values[] = {0.1,    1.0 / 3, 1e300,
                                    5e-324, 1.0,     0.30000000000000004};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        json_t *json = json_real(values[i]);
        char *printed = json_print(json, 0, NULL);

        CHECK(strtod(printed, NULL) == values[i]);
        free(printed);
        json_decref(json);
    }
    check_same("0.1", 0, "0.1");
    check_same("1.0", 0, "1.0");
}

static void check_fault(const char *text, size_t bytes, enum json_fault_kind kind,
                        size_t position, size_t line)
{
    struct json_fault fault;

    CHECK(!json_read(text, bytes, JSON_READ_UNIQUE_KEYS, &fault));
    CHECK_EQ(fault.kind, kind);
    CHECK_EQ(fault.position, position);
    CHECK_EQ(fault.line, line);
    CHECK(fault.words[0]);
    CHECK_EQ(json_fault_status(&fault), TRIT_INVALID_ARGUMENT);
}

#define CHECK_FAULT(text, kind, position, line)                                          \
    check_fault(text, sizeof(text) - 1, kind, position, line)

CASE(faults, "each fault is named, with its place where it is known")
{
    CHECK_FAULT("", JSON_FAULT_END, 0, 1);
    CHECK_FAULT("{\"a\": [1,", JSON_FAULT_END, 9, 1);
    CHECK_FAULT("{\n\"a\": x}", JSON_FAULT_SYNTAX, 7, 2);
    CHECK_FAULT("[1,]", JSON_FAULT_SYNTAX, 2, 1);
    CHECK_FAULT("[1] 2", JSON_FAULT_SYNTAX, 4, 1);
    CHECK_FAULT("[01]", JSON_FAULT_SYNTAX, 1, 1);
    CHECK_FAULT("[NaN]", JSON_FAULT_SYNTAX, 1, 1);
    CHECK_FAULT("// c\n1", JSON_FAULT_SYNTAX, 0, 1);
    CHECK_FAULT("\"\xff\"", JSON_FAULT_UTF8, 1, 1);
    CHECK_FAULT("[\"a\\u0000\"]", JSON_FAULT_NUL, 0, 1);
    CHECK_FAULT("{\"a\\u0000\":1}", JSON_FAULT_NUL, 0, 1);
    CHECK_FAULT("[9223372036854775808]", JSON_FAULT_NUMBER, 0, 1);
    CHECK_FAULT("{\"a\":1,\"a\":2}", JSON_FAULT_DUPLICATE_KEY, 0, 1);
}

CASE(duplicates_may_pass, "without the flag a later value replaces an earlier one")
{
    check_same("{\"a\":1,\"a\":2}", 0, "{\"a\":2}");
}

CASE(depth, "nesting is bounded")
{
    char text[4 * JSON_DEPTH_MAX];
    struct json_fault fault;
    json_t *json;

    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    json = json_read(text, 2 * JSON_DEPTH_MAX, 0, &fault);
    CHECK(json);
    json_decref(json);
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    CHECK(!json_read(text, 2 * JSON_DEPTH_MAX + 2, 0, &fault));
    CHECK_EQ(fault.kind, JSON_FAULT_DEPTH);
}

/* Names and texts around the sizes at which buffers grow. */
static const char memory_text[] =
    "{\"a name of thirty-one characters.\": \"and a text that is longer than that is\","
    "\"n\": [1, 2.5, {\"another name of more than sixteen\": null}]}";

CASE(memory, "when any allocation fails, the answer is whole or says so")
{
    struct json_fault fault;

    json_set_alloc_funcs(fault_malloc, free);
    for (uint64_t nth = 1;; nth++) {
        json_t *json;
        char *printed;
        bool failed;

        fault_arm(FAULT_MEMORY, nth, FAULT_ONCE);
        json = read_text(memory_text, JSON_READ_UNIQUE_KEYS, &fault);
        printed = json_print(json, 0, NULL);
        failed = fault_disarm();
        CHECK(json || fault.kind == JSON_FAULT_MEMORY);
        CHECK(printed || failed);
        if (printed)
            CHECK_STR(printed,
                      "{\"a name of thirty-one characters.\":\"and a text that is "
                      "longer than that is\",\"n\":[1,2.5,{\"another name of more "
                      "than sixteen\":null}]}");
        free(printed);
        json_decref(json);
        if (!failed)
            break;
    }
    json_set_alloc_funcs(malloc, free);
}
