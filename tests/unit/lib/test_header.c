/* SPDX-License-Identifier: Apache-2.0 */
/* trit.h alone: first here, so that it must bring all it needs. */
#include <trit.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/check.h"

CASE(compiles_as_c, "trit.h compiles alone as C")
{
    struct trit_projection projection = TRIT_PROJECTION_INIT;

    CHECK(!projection.data && !projection.data_owned);
    trit_projection_free(&projection);
    trit_projection_free(NULL);
    trit_close(NULL);
    trit_free(NULL);
}

CASE(compiles_as_cxx, "trit.h compiles alone as C++")
{
    if (system("command -v c++ >/dev/null") != 0) {
        printf("(no C++ compiler here)\n");
        return;
    }
    CHECK(system(
              "echo '#include <trit.h>' | c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror"
              " -Iclient/include -Iproto -fsyntax-only -x c++ -") == 0);
}

/* A program with one struct of each type, also where trit.h stands in extern "C". */
CASE(compiles_under_every_standard,
     "the initializers compile as C99 to C23 and C++11 to C++23")
{
    CHECK(system(
              "set -e; check='-O1 -Wall -Wextra -Wpedantic -Werror -Iclient/include"
              " -Iproto -c -o /dev/null';"
              " initializers() { sed -n 's/^#define \\(TRIT_[A-Z_]*_INIT\\)"
              " TRIT_INIT(\\(.*\\))/struct \\2 \\2 = \\1; sum += \\2.size;/p'"
              " client/include/trit/*.h; };"
              " test $(initializers | wc -l) -ge 20;"
              " program() { echo '#ifdef WRAP'; echo 'extern \"C\" {'; echo '#endif';"
              " echo '#include <trit.h>'; echo '#ifdef WRAP'; echo '}'; echo '#endif';"
              " echo '#if !TRIT_VERSION_AT_LEAST(0, 2, 0)'; echo '#error'; echo '#endif';"
              " echo 'int main(void) { size_t sum = 0;'; initializers;"
              " echo 'return sum == 0; }'; };"
              " for cc in gcc clang; do command -v $cc >/dev/null || continue;"
              " for std in c99 c11 c17 c2x; do"
              " program | $cc -std=$std $check -x c -; done; done;"
              " for cxx in g++ clang++; do command -v $cxx >/dev/null || continue;"
              " for std in c++11 c++14 c++17 c++20 c++2b; do"
              " program | $cxx -std=$std $check -x c++ -;"
              " program | $cxx -std=$std $check -DWRAP -x c++ -; done; done") == 0);
}

/* Every struct with an initializer is in the table of sized structs, and no other. */
CASE(every_struct_has_its_size,
     "each struct with an initializer has its size in the library's table")
{
    CHECK(system("bash -c 'diff"
                 " <(sed -n \"s/^#define TRIT_\\([A-Z_]*\\)_INIT TRIT_INIT(trit_\\(.*\\))"
                 "/\\2, \\1/p\" client/include/trit/*.h | sort)"
                 " <(sed -n \"s/^    X(\\([a-z_]*, [A-Z_]*\\), .*/\\1/p\""
                 " client/lib/sized.h | sort)'") == 0);
}

/* Every function that the headers declare is in the version script, and no other. */
CASE(is_exported, "the library exports exactly what trit.h declares")
{
    CHECK(
        system("bash -c 'diff <(cat client/include/trit/*.h | tr \"\\n\" \" \""
               " | grep -o \"TRIT_API [^(]*(\" | grep -o \"trit_[a-z_]*(\" | tr -d \"(\""
               " | sort -u) <(grep -o \"trit_[a-z_]*\" client/lib/libtrit.map | sort "
               "-u)'") == 0);
}

CASE(has_one_version, "headers, library and Makefile have the same version")
{
    char version[32];

    snprintf(version, sizeof(version), "%d.%d.%d", TRIT_VERSION_MAJOR, TRIT_VERSION_MINOR,
             TRIT_VERSION_PATCH);
    CHECK_STR(TRIT_VERSION_STRING, version);
    CHECK_STR(trit_version(), TRIT_VERSION_STRING);
    CHECK_STR(trit_version(), TRITD_VERSION);
    CHECK(TRIT_VERSION_AT_LEAST(0, 2, 0) && TRIT_VERSION_AT_LEAST(0, 1, 9));
    CHECK(!TRIT_VERSION_AT_LEAST(TRIT_VERSION_MAJOR, TRIT_VERSION_MINOR,
                                 TRIT_VERSION_PATCH + 1));
    CHECK(!TRIT_VERSION_AT_LEAST(TRIT_VERSION_MAJOR, TRIT_VERSION_MINOR + 1, 0));
    CHECK(!TRIT_VERSION_AT_LEAST(TRIT_VERSION_MAJOR + 1, 0, 0));
}

CASE(names, "every enum value has a name")
{
    CHECK_STR(trit_status_name(TRIT_DATA_LOSS), "DATA_LOSS");
    CHECK_STR(trit_dtype_name(TRIT_BF16), "bf16");
    CHECK_STR(trit_encoding_name(TRIT_ENCODING_PQ2_0), "pq2_0");
    CHECK_EQ(trit_dtype_bytes(TRIT_BF16), 2);
}
