/* SPDX-License-Identifier: Apache-2.0 */
/* Whole numbers: the smaller of two, rounding up, decimal text, hexadecimal digits; and the
 * words for true and false. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t u64_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t u64_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The next multiple of `alignment`, which is a power of two. UINT64_MAX where that does
 * not fit in 64 bits: no allocation of that size succeeds. */
static inline uint64_t align_up(uint64_t number, uint64_t alignment)
{
    return number > UINT64_MAX - (alignment - 1)
               ? UINT64_MAX
               : (number + alignment - 1) & ~(alignment - 1);
}

/* Reads decimal digits from the first `count` bytes of `text`: no sign, no space.
 * Returns how many bytes they are. 0: no digit, or the number exceeds 64 bits; then
 * *number is untouched. */
static inline size_t parse_digits(const char *text, size_t count, uint64_t *number)
{
    uint64_t value = 0;
    size_t digits = 0;

    for (; digits < count && text[digits] >= '0' && text[digits] <= '9'; digits++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[digits] - '0'), &value))
            return 0;
    if (digits)
        *number = value;
    return digits;
}

/* The whole of a NUL-terminated text as a number of at most `max`. False: *number is
 * untouched. */
static inline bool parse_u64(const char *text, uint64_t max, uint64_t *number)
{
    uint64_t value;
    size_t digits = parse_digits(text, SIZE_MAX, &value);

    if (digits == 0 || text[digits] || value > max)
        return false;
    *number = value;
    return true;
}

/* The value of a hexadecimal digit; -1: it is none. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Reads "true", "yes" or "1" as true, "false", "no" or "0" as false. False: it is another
 * text, and *flag is untouched. */
static inline bool parse_flag(const char *text, bool *flag)
{
    static const char *const words[] = {"false", "true", "no", "yes", "0", "1"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i], text) == 0) {
            *flag = i % 2 == 1;
            return true;
        }
    }
    return false;
}

#endif
