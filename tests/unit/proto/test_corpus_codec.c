/* SPDX-License-Identifier: Apache-2.0 */
/* The fuzz target's kept inputs, so that every compiler and sanitizer of the suite
 * sees them. */
#include "tests/fuzz/proto/fuzz_codec.c"

#include "tests/lib/check.h"
#include "tests/lib/corpus.h"

static void kept_inputs(void)
{
    CHECK(corpus_replay("tests/fuzz/corpus/fuzz_codec", LLVMFuzzerTestOneInput) > 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"fuzz_codec holds on its kept inputs", kept_inputs},
    };
    return CHECK_RUN(cases, argc, argv);
}
