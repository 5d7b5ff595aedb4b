/* SPDX-License-Identifier: Apache-2.0 */
/* A main() that replays files and folders, for compilers without libFuzzer:
 *
 *   gcc -DFUZZ_STANDALONE -I. -Iproto -Iserver tests/fuzz/proto/fuzz_scan.c \
 *       tests/lib/corpus.c build/release/proto.a -lprotobuf-nanopb -ljansson
 *
 * Included at the end of each target. */
#ifdef FUZZ_STANDALONE
#include <stdio.h>

#include "tests/lib/corpus.h"

int main(int argc, char **argv)
{
    long total = 0;
    for (int i = 1; i < argc; i++) {
        long ran = corpus_replay(argv[i], LLVMFuzzerTestOneInput);
        if (ran < 0) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            return 1;
        }
        total += ran;
    }
    printf("%ld inputs\n", total);
    return 0;
}
#endif
