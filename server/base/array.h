/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that grow. */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { ARRAY_BYTES_FIRST = 512 };

/* The next capacity of an array that needs `needed` elements, and its size. False: the
 * size overflows. */
static inline bool array_size(size_t capacity, size_t needed, size_t element_bytes,
                              size_t *wanted, size_t *bytes)
{
    *wanted = capacity;
    if (*wanted == 0)
        *wanted =
            element_bytes < ARRAY_BYTES_FIRST ? ARRAY_BYTES_FIRST / element_bytes : 1;
    while (*wanted < needed)
        if (__builtin_mul_overflow(*wanted, 2, wanted))
            return false;
    return !__builtin_mul_overflow(*wanted, element_bytes, bytes) &&
           *bytes <= PTRDIFF_MAX;
}

/* The array with memory for at least `needed` elements, which may have moved. The first
 * capacity is ARRAY_BYTES_FIRST bytes; a larger one doubles it. NULL: out of memory, or
 * the size overflows; the array and *capacity are unchanged then. The caller bounds
 * `needed`, and frees the array with free(). */
static inline void *array_grow(void *array, size_t *capacity, size_t needed,
                               size_t element_bytes)
{
    size_t wanted, bytes;
    void *grown;

    if (array && needed <= *capacity)
        return array;
    if (!array_size(*capacity, needed, element_bytes, &wanted, &bytes))
        return NULL;
    grown = realloc(array, bytes);
    if (grown)
        *capacity = wanted;
    return grown;
}

#endif
