/* SPDX-License-Identifier: Apache-2.0 */
/* trit.h alone: first here, so that it must bring all it needs. */
#include <trit.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/check.h"

static void compiles_as_c(void)
{
    struct trit_projection projection = TRIT_PROJECTION_INIT;

    CHECK(projection.data == NULL && !projection.data_owned);
    trit_projection_free(&projection);
    trit_projection_free(NULL);
    trit_close(NULL);
    trit_free(NULL);
}

static void compiles_as_cxx(void)
{
    if (system("command -v c++ >/dev/null") != 0) {
        printf("(no C++ compiler here)\n");
        return;
    }
    CHECK(system(
              "echo '#include <trit.h>' | c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror"
              " -Iclient/include -Iproto -fsyntax-only -x c++ -") == 0);
}

/* The initializers too, under every standard from C99 and C++11 on. */
static void compiles_under_every_standard(void)
{
    CHECK(
        system("set -e; check='-Wall -Wextra -Wpedantic -Werror -Iclient/include -Iproto"
               " -fsyntax-only';"
               " program() { printf '%s\\n' '#include <trit.h>' 'int main(void) {"
               " struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;"
               " return options.size == 0; }'; };"
               " for std in c99 c11 c17 c2x; do program | cc -std=$std $check -x c -;"
               " done;"
               " command -v c++ >/dev/null || exit 0;"
               " for std in c++11 c++14 c++17 c++20 c++2b; do"
               " program | c++ -std=$std $check -x c++ -; done") == 0);
}

/* Every function the header declares is in the version script, and no other. */
static void is_exported(void)
{
    CHECK(system("bash -c 'diff <(grep -o \"trit_[a-z_]*(\" client/include/trit.h | tr "
                 "-d \"(\""
                 " | sort -u) <(grep -o \"trit_[a-z_]*\" client/lib/libtrit.map | sort "
                 "-u)'") == 0);
}

static void names(void)
{
    CHECK_STR(trit_status_name(TRIT_DATA_LOSS), "DATA_LOSS");
    CHECK_STR(trit_dtype_name(TRIT_BF16), "bf16");
    CHECK_STR(trit_encoding_name(TRIT_ENCODING_PQ2_0), "pq2_0");
    CHECK_EQ(trit_dtype_bytes(TRIT_BF16), 2);
    CHECK_STR(trit_version(), TRITD_VERSION);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"trit.h compiles alone as C", compiles_as_c},
        {"trit.h compiles alone as C++", compiles_as_cxx},
        {"the initializers compile as C99 to C23 and C++11 to C++23",
         compiles_under_every_standard},
        {"the library exports what trit.h declares", is_exported},
        {"the enums have names", names},
    };
    return CHECK_RUN(cases, argc, argv);
}
