/* SPDX-License-Identifier: Apache-2.0 */
/* Names as they are compared, and pairs whose names differ. */
#include "checkpoint/rename.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/fault.h"
#include "tests/unit/checkpoint/tables.h"

CASE(valid_renames, "a rename has one '=', text on both sides, and stars to fill in")
{
    static const char *const valid[] = {"a=b",    "*=*",     "a*b*=*c*", "a*=b",
                                        "**=x**", "a.b=c d", "*=x"};
    static const char *const others[] = {
        "", "a", "=", "=b", "a=", "a==b", "a=b=c", "a=*", "a*=**", "*"};
    char stars[64];

    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
        CHECK(rename_is_valid(valid[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK(!rename_is_valid(others[i]));
    snprintf(stars, sizeof(stars), "%.16s=a", "*****************");
    CHECK(rename_is_valid(stars));
    snprintf(stars, sizeof(stars), "%.17s=a", "*****************");
    CHECK(!rename_is_valid(stars));
}

CASE(matching, "a star matches any text, every other character only itself")
{
    static const struct {
        const char *rule, *name;
        bool matches;
    } cases[] = {
        {"a=b", "a", true},
        {"a=b", "ab", false},
        {"a=b", "", false},
        {"*=b", "", true},
        {"*=b", "anything", true},
        {"a*=b", "a", true},
        {"a*=b", "ab", true},
        {"a*=b", "ba", false},
        {"*a=b", "a", true},
        {"*a=b", "ba", true},
        {"*a=b", "ab", false},
        {"a*a=b", "a", false},
        {"a*a=b", "aa", true},
        {"*ab*b=c", "xabab", true},
        {"*ab*ab=c", "abab", true},
        {"*ab*ab=c", "ab", false},
        {"a*b*c=d", "abbc", true},
        {"a*b*c=d", "acb", false},
        {"**=b", "x", true},
        {"a**b=c", "ab", true},
        {"a?[b]=c", "a?[b]", true},
        {"a?[b]=c", "axb", false},
        {"*.weight=*", ".weight", true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (rename_matches(cases[i].rule, cases[i].name) != cases[i].matches)
            check_failed(__FILE__, __LINE__, "%s and %s", cases[i].rule, cases[i].name);
}

CASE(matching_is_quick,
     "matching sixteen stars against a name of 1024 bytes takes no exponential time")
{
    char rule[64] = "", name[FILES_NAME_BYTES_MAX + 1];

    for (size_t i = 0; i < 16; i++)
        strcat(rule, "*aa");
    strcat(rule, "b=x");
    memset(name, 'a', FILES_NAME_BYTES_MAX);
    name[FILES_NAME_BYTES_MAX] = '\0';
    for (size_t i = 0; i < 10000; i++)
        CHECK(!rename_matches(rule, name));
}

struct fixture {
    struct tensor_table table;
    struct checkpoint_options options;
    struct compared_names names;
};

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.options = {.group_size = 0}};
    table_init(&f->table);
}

static void fixture_fini(struct fixture *f)
{
    compared_names_fini(&f->names);
    table_fini(&f->table);
}

#define PATTERNS(...)                                                                    \
    (struct name_patterns)                                                               \
    {                                                                                    \
        (const char *const[]){__VA_ARGS__},                                              \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)            \
    }

CASE(compared_names,
     "prefixes are stripped first, then the first rename that matches is applied")
{
    struct fixture f;

    fixture_init(&f);
    add(&f.table, "module.a.x.weight", "F32", 4, 4, 0);
    add(&f.table, "b.weight", "F32", 4, 4, 0);
    add(&f.table, "module.", "F32", 4, 4, 0);
    seal(&f.table);
    f.options.strip_prefixes = PATTERNS("module.", "a.");
    f.options.renames = PATTERNS("a.*.weight=c.*.w", "a.*=never", "b*=*b");
    CHECK(compared_names_init(&f.names, &f.options, true, &f.table, NULL) == 0);
    CHECK_EQ(compared_names_find(&f.names, "c.x.w"),
             index_of(&f.table, "module.a.x.weight"));
    CHECK_EQ(compared_names_find(&f.names, ".weightb"), index_of(&f.table, "b.weight"));
    CHECK_EQ(compared_names_find(&f.names, "module."), index_of(&f.table, "module."));
    CHECK_EQ(compared_names_find(&f.names, "b.weight"), SIZE_MAX);
    compared_names_fini(&f.names);
    CHECK(compared_names_init(&f.names, &f.options, false, &f.table, NULL) == 0);
    CHECK(compared_names_find(&f.names, "a.x.weight") != SIZE_MAX);
    CHECK(compared_names_find(&f.names, "b.weight") != SIZE_MAX);
    fixture_fini(&f);
}

CASE(one_name_for_two,
     "two tensors that would get the same name are refused, and both are named")
{
    struct failure failure = {.status = TRIT_OK};
    struct fixture f;

    fixture_init(&f);
    add(&f.table, "x.a", "F32", 4, 4, 0);
    add(&f.table, "a", "F32", 4, 4, 0);
    seal(&f.table);
    f.options.strip_prefixes = PATTERNS("x.");
    CHECK(compared_names_init(&f.names, &f.options, true, &f.table, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK(strstr(failure.message, "x.a") && strstr(failure.message, "compared as a"));
    fixture_fini(&f);
}

CASE(names_too_long, "a renamed tensor may have a name of 1024 bytes but no longer one")
{
    struct failure failure = {.status = TRIT_OK};
    char name[FILES_NAME_BYTES_MAX + 1];
    struct fixture f;

    fixture_init(&f);
    memset(name, 'n', FILES_NAME_BYTES_MAX);
    name[0] = 'a';
    name[FILES_NAME_BYTES_MAX] = '\0';
    add(&f.table, name, "F32", 4, 4, 0);
    seal(&f.table);
    f.options.renames = PATTERNS("a*=b*");
    CHECK(compared_names_init(&f.names, &f.options, true, &f.table, &failure) == 0);
    name[0] = 'b';
    CHECK_EQ(compared_names_find(&f.names, name), 0);
    compared_names_fini(&f.names);
    f.options.renames = PATTERNS("a*=bb*");
    CHECK(compared_names_init(&f.names, &f.options, true, &f.table, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    compared_names_fini(&f.names);
    f.options.renames = PATTERNS("*b*=*");
    name[0] = 'a';
    CHECK(compared_names_init(&f.names, &f.options, true, &f.table, NULL) == 0);
    fixture_fini(&f);
}

CASE(empty_names, "a rename whose stars match nothing cannot make an empty name")
{
    struct failure failure = {.status = TRIT_OK};
    struct fixture f;

    fixture_init(&f);
    add(&f.table, "a", "F32", 4, 4, 0);
    seal(&f.table);
    f.options.renames = PATTERNS("a*=*");
    CHECK(compared_names_init(&f.names, &f.options, true, &f.table, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    fixture_fini(&f);
}

CASE(unused_renames, "a prefix or rename that matches nothing is named")
{
    struct tensor_table latents;
    struct fixture f;

    fixture_init(&f);
    table_init(&latents);
    add(&f.table, "m.a", "F32", 4, 4, 0);
    add(&latents, "n.a", "F32", 4, 4, 0);
    seal(&f.table);
    seal(&latents);
    f.options.strip_prefixes = PATTERNS("m.", "n.");
    f.options.renames = PATTERNS("a=b");
    CHECK(!rename_unused(&f.options, &f.table, &latents));
    CHECK_STR(rename_unused(&f.options, &f.table, NULL), "n.");
    f.options.strip_prefixes = PATTERNS("m.");
    f.options.renames = PATTERNS("a=b", "m.a=c");
    CHECK_STR(rename_unused(&f.options, &f.table, &latents), "m.a=c");
    table_fini(&latents);
    fixture_fini(&f);
}

CASE(finds_experts, "an expert's tensor is found by the name of the one that has all")
{
    static const struct {
        const char *name;
        uint64_t number;
        const char *found; /* NULL: none */
    } cases[] = {
        {"m.experts.up.weight", 0, "m.experts.0.up.weight"},
        {"m.experts.up.weight", 10, "m.experts.10.up.weight"},
        {"m.experts.up", 10, "m.experts.10.up.weight"},
        {"m.switch_mlp.up.weight", 0, "m.experts.0.up.weight"},
        {"m.experts.bias", 0, "m.experts.0.bias"},
        {"m.experts.up.weight", 1, NULL},
        {"m.up.weight", 0, NULL},
        {"experts.up.weight", 0, NULL},
    };
    char longest[FILES_NAME_BYTES_MAX + 1];
    struct fixture f;

    fixture_init(&f);
    add(&f.table, "m.experts.0.up.weight", "F32", 4, 4, 0);
    add(&f.table, "m.experts.10.up.weight", "F32", 4, 4, 0);
    add(&f.table, "m.experts.0.bias", "F32", 4, 4, 0);
    seal(&f.table);
    CHECK(compared_names_init(&f.names, &f.options, false, &f.table, NULL) == 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const size_t found =
            compared_names_expert(&f.names, cases[i].name, cases[i].number);

        CHECK((found == SIZE_MAX) == !cases[i].found);
        if (cases[i].found)
            CHECK_STR(f.table.entries[found].name, cases[i].found);
    }
    for (size_t i = 0; i < 3; i++) {
        uint64_t number = 7;

        CHECK(compared_names_experts(&f.names, f.names.names[i], &number) == SIZE_MAX);
    }
    memset(longest, 'e', FILES_NAME_BYTES_MAX);
    memcpy(longest, "m.experts.", 10);
    longest[FILES_NAME_BYTES_MAX] = '\0';
    CHECK(compared_names_expert(&f.names, longest, 0) == SIZE_MAX);
    fixture_fini(&f);
}

CASE(finds_all_experts, "the tensor that has all experts is found by the name of one")
{
    static const struct {
        const char *name, *found;
        uint64_t number;
    } cases[] = {
        {"m.experts.0.up.weight", "m.experts.up", 0},
        {"m.experts.12.down.weight", "m.experts.down.weight", 12},
        {"m.experts.3.gate.weight", "m.switch_mlp.gate.weight", 3},
        {"m.experts.3.other.weight", NULL, 0},
        {"m.experts.up", NULL, 0},
        {"m.experts.3", NULL, 0},
        {"m.experts.-3.up.weight", NULL, 0},
        {"m.experts.3x.up.weight", NULL, 0},
        {"n.experts.3.up.weight", NULL, 0},
        {"m.3.up.weight", NULL, 0},
    };
    struct fixture f;

    fixture_init(&f);
    add(&f.table, "m.experts.up", "F32", 4, 4, 0);
    add(&f.table, "m.experts.down.weight", "F32", 4, 4, 0);
    add(&f.table, "m.switch_mlp.gate.weight", "F32", 4, 4, 0);
    seal(&f.table);
    CHECK(compared_names_init(&f.names, &f.options, false, &f.table, NULL) == 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t number = 0;
        const size_t found = compared_names_experts(&f.names, cases[i].name, &number);

        CHECK((found == SIZE_MAX) == !cases[i].found);
        if (cases[i].found) {
            CHECK_STR(f.table.entries[found].name, cases[i].found);
            CHECK_EQ(number, cases[i].number);
        }
    }
    fixture_fini(&f);
}

CASE(memory, "if memory runs out, renaming fails")
{
    struct fixture f;

    fixture_init(&f);
    add(&f.table, "a.1", "F32", 4, 4, 0);
    add(&f.table, "a.2", "F32", 4, 4, 0);
    seal(&f.table);
    f.options.renames = PATTERNS("a.*=b.*");
    for (uint64_t n = 1;; n++) {
        struct failure failure = {.status = TRIT_OK};

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result =
            compared_names_init(&f.names, &f.options, true, &f.table, &failure);
        const bool hit = fault_disarm();
        CHECK(result == (hit ? -1 : 0));
        if (!hit)
            break;
        CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
        compared_names_fini(&f.names);
    }
    CHECK(compared_names_find(&f.names, "b.2") != SIZE_MAX);
    fixture_fini(&f);
}
