/* SPDX-License-Identifier: Apache-2.0 */
#include "web/pattern.h"

#include <stddef.h>
#include <string.h>

bool pattern_is_wild(const char *pattern)
{
    return strpbrk(pattern, "*?") != NULL;
}

bool pattern_matches(const char *pattern, const char *name)
{
    const char *star = NULL, *resume = NULL;

    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            resume = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star) { /* the last star takes one byte more */
            pattern = star + 1;
            name = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool pattern_filters(const char *filter, const char *name)
{
    return pattern_is_wild(filter) ? pattern_matches(filter, name)
                                   : strstr(name, filter) != NULL;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Compares the numbers at *a and *b and moves behind them. */
static int compare_numbers(const char **a, const char **b)
{
    const char *from[2];
    size_t lengths[2];
    int order;

    *a += strspn(*a, "0");
    *b += strspn(*b, "0");
    from[0] = *a, from[1] = *b;
    lengths[0] = strspn(*a, "0123456789");
    lengths[1] = strspn(*b, "0123456789");
    *a += lengths[0];
    *b += lengths[1];
    if (lengths[0] != lengths[1])
        return lengths[0] < lengths[1] ? -1 : 1;
    order = memcmp(from[0], from[1], lengths[0]);
    return order;
}

int natural_compare(const char *a, const char *b)
{
    const char *left = a, *right = b;

    while (*left && *right) {
        if (digit(*left) && digit(*right)) {
            int order = compare_numbers(&left, &right);

            if (order)
                return order;
        } else if (*left != *right) {
            break;
        } else {
            left++;
            right++;
        }
    }
    if (*left != *right)
        return (unsigned char)*left < (unsigned char)*right ? -1 : 1;
    return strcmp(a, b); /* 01 and 1 are different names */
}
