/* SPDX-License-Identifier: Apache-2.0 */
/* The fuzz target's kept inputs, so that every compiler and sanitizer of the suite
 * sees them. */
#include "tests/fuzz/files/fuzz_keras.c"

#include "tests/lib/check.h"
#include "tests/lib/corpus.h"

CASE(kept_inputs, "fuzz_keras passes on its corpus")
{
    CHECK(corpus_replay("tests/fuzz/corpus/fuzz_keras", LLVMFuzzerTestOneInput) > 0);
}
