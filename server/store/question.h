/* SPDX-License-Identifier: Apache-2.0 */
/* What a report answers, at rest, and whether two reports under one key are the same
 * answer to the same question. */
#ifndef STORE_QUESTION_H
#define STORE_QUESTION_H

#include "store/store.h"

enum {
    QUESTION_BYTES = 25,
    DIFFERENCE_BYTES = 640,
};

/* What does not count (a projection's mode, absent latents) is left out. */
void question_encode(const struct store_question *question,
                     uint8_t bytes[QUESTION_BYTES]);

/* One side of a comparison. */
struct answer {
    const struct trit_report *report;
    const uint8_t *question; /* encoded; NULL: an older tritd did not keep it */
    size_t question_bytes;
};

/* True where digest, verdict, findings and question are equal. Else `difference` says
 * what differs where the digests do not, as "; the verdict differs: ...", or is empty. */
bool same_answer(const struct answer *stored, const struct answer *given,
                 char difference[DIFFERENCE_BYTES]);

#endif
