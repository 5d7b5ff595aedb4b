/* SPDX-License-Identifier: Apache-2.0 */
#include "app/option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "obs/log.h"

enum { COUNT_MAX = 4096 };

/* The index of a word is the value of its enum. */
static const char *const level_words[] = {"debug", "info", "warn", "error", NULL};
static const char *const format_words[] = {"logfmt", "json", NULL};

int option_refuse(const struct option_row *row, const char *source, const char *value,
                  const char *allowed, struct failure *failure)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, row->name, "%s: \"%.200s\" is not %s",
                source, value, allowed);
}

/* An empty variable of the environment is mostly a mistake of whoever set it. */
static int refuse_empty(const struct option_row *row, const char *source,
                        struct failure *failure)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, row->name,
                "%s: is empty; give %s, or leave the option out", source, row->value);
}

/* "K" and "KiB" are both 2^10. Returns the shift, or -1. */
static int unit_shift(const char *unit)
{
    static const char units[] = "KMGT";
    const char *at = *unit ? strchr(units, *unit) : NULL;

    if (*unit == '\0' || strcmp(unit, "B") == 0)
        return 0;
    if (!at || (unit[1] != '\0' && strcmp(unit + 1, "iB") != 0))
        return -1;
    return 10 * (int)(at - units + 1);
}

static bool parse_bytes(const char *text, uint64_t *bytes)
{
    uint64_t value;
    size_t digits = parse_digits(text, SIZE_MAX, &value);
    int shift = digits ? unit_shift(text + digits) : -1;

    if (shift < 0 || value > UINT64_MAX >> shift)
        return false;
    *bytes = value << shift;
    return true;
}

static int parse_word(const char *text, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    return -1;
}

static int set_number(const struct option_row *row, void *at, const char *source,
                      const char *value, struct failure *failure)
{
    uint64_t number = 0;

    switch (row->kind) {
    case OPTION_COUNT:
        if (!parse_u64(value, COUNT_MAX, &number))
            return option_refuse(row, source, value, "a number from 0 to 4096", failure);
        *(unsigned *)at = (unsigned)number;
        return 0;
    case OPTION_COUNT32:
    case OPTION_NUMBER:
        if (!parse_u64(value, UINT32_MAX, &number))
            return option_refuse(row, source, value, "a number from 0 to 4294967295",
                                 failure);
        if (row->kind == OPTION_COUNT32)
            *(uint32_t *)at = (uint32_t)number;
        else
            *(uint64_t *)at = number;
        return 0;
    default:
        if (!parse_bytes(value, at))
            return option_refuse(row, source, value,
                                 "a size: a number and K, M, G, T, KiB, MiB, GiB or TiB",
                                 failure);
        return 0;
    }
}

static int set_word(const struct option_row *row, void *at, const char *source,
                    const char *value, struct failure *failure)
{
    int word;

    switch (row->kind) {
    case OPTION_LEVEL:
        word = parse_word(value, level_words);
        if (word < 0)
            return option_refuse(row, source, value, "one of debug, info, warn, error",
                                 failure);
        *(enum log_level *)at = (enum log_level)word;
        return 0;
    case OPTION_FORMAT:
        word = parse_word(value, format_words);
        if (word < 0)
            return option_refuse(row, source, value, "one of logfmt, json", failure);
        *(enum log_format *)at = (enum log_format)word;
        return 0;
    default:
        if (!parse_flag(value, at))
            return option_refuse(row, source, value, "one of true, false", failure);
        return 0;
    }
}

static int add_text(const struct option_row *row, struct option_list *list,
                    const char *source, const char *value, struct failure *failure)
{
    if (list->older)
        *list = (struct option_list){.count = 0};
    if (*value == '\0')
        return refuse_empty(row, source, failure);
    if (list->count == OPTION_LIST_MAX)
        return option_refuse(row, source, value, "one of at most 16 texts", failure);
    list->values[list->count++] = value;
    return 0;
}

static bool list_equal(const struct option_list *a, const struct option_list *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (strcmp(a->values[i], b->values[i]) != 0)
            return false;
    return a->count == b->count;
}

static int set_mode(const struct option_row *row, unsigned *mode, const char *source,
                    const char *value, struct failure *failure)
{
    const size_t digits = strspn(value, "01234567");

    if (digits == 0 || digits > 4 || value[digits] || strtoul(value, NULL, 8) > 0777)
        return option_refuse(row, source, value, "a mode from 0000 to 0777, in octal",
                             failure);
    *mode = (unsigned)strtoul(value, NULL, 8);
    return 0;
}

int option_read(void *config, const struct option_row *row, const char *source,
                const char *value, struct failure *failure)
{
    void *at = (char *)config + row->offset;

    switch (row->kind) {
    case OPTION_TEXT:
        if (*value == '\0')
            return refuse_empty(row, source, failure);
        *(const char **)at = value;
        return 0;
    case OPTION_LIST:
        return add_text(row, at, source, value, failure);
    case OPTION_MODE:
        return set_mode(row, at, source, value, failure);
    case OPTION_COUNT:
    case OPTION_COUNT32:
    case OPTION_NUMBER:
    case OPTION_BYTES:
        return set_number(row, at, source, value, failure);
    case OPTION_LEVEL:
    case OPTION_FORMAT:
    case OPTION_FLAG:
        return set_word(row, at, source, value, failure);
    case OPTION_LISTEN:
    case OPTION_ACTION:
    case OPTION_CONFIG:
        break;
    }
    return 0;
}

void option_environment_name(const struct option_row *row, char *name, size_t bytes)
{
    size_t at = (size_t)snprintf(name, bytes, "TRITD_");

    for (const char *c = row->name; *c && at + 1 < bytes; c++)
        name[at++] = *c == '-' ? '_' : (char)(*c - 'a' + 'A');
    name[at] = '\0';
}

static size_t member_bytes(const struct option_row *row)
{
    switch (row->kind) {
    case OPTION_MODE:
    case OPTION_COUNT:
    case OPTION_COUNT32:
        return sizeof(uint32_t);
    case OPTION_NUMBER:
    case OPTION_BYTES:
        return sizeof(uint64_t);
    case OPTION_LEVEL:
        return sizeof(enum log_level);
    case OPTION_FORMAT:
        return sizeof(enum log_format);
    case OPTION_FLAG:
        return sizeof(bool);
    case OPTION_TEXT:
    case OPTION_LIST:
    case OPTION_LISTEN:
    case OPTION_ACTION:
    case OPTION_CONFIG:
        break;
    }
    return 0;
}

bool option_equal(const void *a, const void *b, const struct option_row *row)
{
    const char *left = (const char *)a + row->offset;
    const char *right = (const char *)b + row->offset;
    const char *x, *y;

    if (row->kind == OPTION_LIST)
        return list_equal((const struct option_list *)(const void *)left,
                          (const struct option_list *)(const void *)right);
    if (row->kind != OPTION_TEXT)
        return memcmp(left, right, member_bytes(row)) == 0;
    memcpy(&x, left, sizeof(x));
    memcpy(&y, right, sizeof(y));
    return x == y || (x && y && strcmp(x, y) == 0);
}

void option_copy(void *to, const void *from, const struct option_row *row)
{
    memcpy((char *)to + row->offset, (const char *)from + row->offset, member_bytes(row));
}

int option_health_rules(const struct option_list *list, struct health_rules *rules,
                        struct failure *failure)
{
    *rules = health_rules_default();
    for (size_t i = 0; i < list->count; i++)
        if (health_rules_set(rules, list->values[i], failure) < 0)
            return -1;
    return 0;
}
