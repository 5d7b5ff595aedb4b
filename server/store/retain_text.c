/* SPDX-License-Identifier: Apache-2.0 */
/* How rules of retention are written. */
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "store/store.h"

static const char allowed[] =
    "a rule: age=30d (s, m, h or d), count=1000, bytes=10G or thin=100:10";

/* Reads digits and a unit of which there is a factor. */
static bool read_value(const char *text, const char *units, const uint64_t *factors,
                       uint64_t *value)
{
    uint64_t number = 0, factor = 1;
    size_t digits = parse_digits(text, SIZE_MAX, &number);
    const char *unit = text + digits;

    if (digits == 0)
        return false;
    if (*unit != '\0') {
        const char *at = strchr(units, *unit);

        if (!at || (unit[1] != '\0' && strcmp(unit + 1, "iB") != 0))
            return false;
        factor = factors[at - units];
    }
    if (number == 0 || number > INT64_MAX / factor)
        return false;
    *value = number * factor;
    return true;
}

static bool read_rule(const char *text, struct store_rule *rule)
{
    static const uint64_t second = 1000000000;
    const uint64_t times[] = {second, 60 * second, 3600 * second, 86400 * second};
    static const uint64_t sizes[] = {1ull << 10, 1ull << 20, 1ull << 30, 1ull << 40};

    *rule = (struct store_rule){.kind = STORE_RETAIN_AGE};
    if (strncmp(text, "age=", 4) == 0)
        return strpbrk(text + 4, "smhd") && !strchr(text + 4, 'i') &&
               read_value(text + 4, "smhd", times, &rule->value);
    if (strncmp(text, "count=", 6) == 0) {
        rule->kind = STORE_RETAIN_COUNT;
        return read_value(text + 6, "", NULL, &rule->value);
    }
    if (strncmp(text, "bytes=", 6) == 0) {
        rule->kind = STORE_RETAIN_BYTES;
        return read_value(text + 6, "KMGT", sizes, &rule->value);
    }
    if (strncmp(text, "thin=", 5) == 0) {
        char newest[24];
        const char *colon = strchr(text, ':');

        rule->kind = STORE_RETAIN_THIN;
        if (!colon || colon - (text + 5) >= (ptrdiff_t)sizeof(newest))
            return false;
        snprintf(newest, sizeof(newest), "%.*s", (int)(colon - (text + 5)), text + 5);
        return read_value(newest, "", NULL, &rule->value) &&
               read_value(colon + 1, "", NULL, &rule->every);
    }
    return false;
}

int store_retention_add(struct store_retention *retention, const char *text,
                        struct failure *failure)
{
    while (*text) {
        size_t length = strcspn(text, ",");
        char part[64];

        if (retention->count == STORE_RULES_MAX)
            return fail_field(failure, TRIT_INVALID_ARGUMENT, "retain",
                              "at most %d rules", STORE_RULES_MAX);
        snprintf(part, sizeof(part), "%.*s", (int)length, text);
        if (length >= sizeof(part) ||
            !read_rule(part, &retention->rules[retention->count]))
            return fail_field(failure, TRIT_INVALID_ARGUMENT, "retain",
                              "\"%.*s\" is not %s", (int)(length < 200 ? length : 200),
                              text, allowed);
        retention->count++;
        text += length + (text[length] == ',');
    }
    return 0;
}
