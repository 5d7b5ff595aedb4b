/* SPDX-License-Identifier: Apache-2.0 */
/* A small test runner. A test program is a file of cases; a case is a function
 * with one sentence that says what is true:
 *
 *   CASE(adds, "one and one is two")
 *   {
 *       CHECK(1 + 1 == 2);
 *   }
 *
 * Cases run in the order of the file. A failed check prints where and why, marks
 * the case failed and leaves it. main() is check_main.c's, unless a test program
 * has its own, which ends with check_main().
 *
 * Arguments: words that a case's sentence must contain. Each case prints
 * `ok <sentence>` or `FAIL <sentence>`; tests/run.py counts these lines. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check_case {
    const char *sentence;
    void (*run)(void);
    int line;
    struct check_case *next;
};

/* A constructor registers the case before main() starts. */
#define CASE(name, says)                                                                 \
    static void name(void);                                                              \
    __attribute__((constructor)) static void name##_register(void)                       \
    {                                                                                    \
        static struct check_case entry = {says, name, __LINE__, NULL};                   \
        check_register(&entry);                                                          \
    }                                                                                    \
    static void name(void)

void check_register(struct check_case *entry);

/* Runs the registered cases that the arguments name. Returns main()'s exit code. */
int check_main(int argc, char **argv);

/* Leaves the case. */
void check_failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/* A seed for random input: TEST_SEED, or new each run; printed when a case fails. */
uint64_t check_seed(void);
/* The next number of a splitmix64 sequence. */
uint64_t check_random(uint64_t *state);

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition))                                                                \
            check_failed(__FILE__, __LINE__, "%s", #condition);                          \
    } while (0)

#define CHECK_EQ(a, b)                                                                   \
    do {                                                                                 \
        unsigned long long check_a = (unsigned long long)(a),                            \
                           check_b = (unsigned long long)(b);                            \
        if (check_a != check_b)                                                          \
            check_failed(__FILE__, __LINE__, "%s is %llu, %s is %llu", #a, check_a, #b,  \
                         check_b);                                                       \
    } while (0)

#define CHECK_STR(a, b) check_str(__FILE__, __LINE__, #a, (a), (b))
#define CHECK_MEM(a, b, n) check_mem(__FILE__, __LINE__, #a, (a), (b), (n))

void check_str(const char *file, int line, const char *what, const char *a,
               const char *b);
void check_mem(const char *file, int line, const char *what, const void *a, const void *b,
               size_t n);

#endif
