/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/check.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static jmp_buf leave;
static uint64_t seed;
static struct check_case *cases;

uint64_t check_seed(void)
{
    const char *text = getenv("TEST_SEED");
    struct timespec now;

    if (seed == 0) {
        clock_gettime(CLOCK_REALTIME, &now);
        seed = text ? strtoull(text, NULL, 0) : (uint64_t)now.tv_nsec * 2654435761u + 1;
    }
    return seed;
}

uint64_t check_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void check_failed(const char *file, int line, const char *format, ...)
{
    va_list args;

    printf("%s:%d: ", file, line);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    longjmp(leave, 1);
}

void check_str(const char *file, int line, const char *what, const char *a, const char *b)
{
    if (!a || !b || strcmp(a, b) != 0)
        check_failed(file, line, "%s is \"%s\", not \"%s\"", what, a ? a : "(null)",
                     b ? b : "(null)");
}

void check_mem(const char *file, int line, const char *what, const void *a, const void *b,
               size_t n)
{
    const unsigned char *x = a, *y = b;

    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            check_failed(file, line, "%s: byte %zu of %zu is %02x, not %02x", what, i, n,
                         x[i], y[i]);
}

static bool wanted(const char *sentence, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strstr(sentence, argv[i]))
            return false;
    return true;
}

static bool passes(const struct check_case *entry)
{
    if (setjmp(leave) == 0) {
        entry->run();
        printf("ok %s\n", entry->sentence);
        return true;
    }
    printf("FAIL %s", entry->sentence);
    if (seed)
        printf(" (TEST_SEED=%" PRIu64 ")", seed);
    printf("\n");
    return false;
}

/* Sorted by line: a compiler may emit the constructors of a file in any order. */
void check_register(struct check_case *entry)
{
    struct check_case **at = &cases;

    while (*at && (*at)->line < entry->line)
        at = &(*at)->next;
    entry->next = *at;
    *at = entry;
}

int check_main(int argc, char **argv)
{
    int failures = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (const struct check_case *at = cases; at; at = at->next)
        if (wanted(at->sentence, argc, argv) && !passes(at))
            failures++;
    return failures != 0;
}
