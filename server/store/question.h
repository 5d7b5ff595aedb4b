/* SPDX-License-Identifier: Apache-2.0 */
/* How the question of a report is stored, and whether two reports with one key are the
 * same answer to the same question. */
#ifndef STORE_QUESTION_H
#define STORE_QUESTION_H

#include "store/store.h"

enum {
    QUESTION_BYTES = 25,
    DIFFERENCE_BYTES = 640,
};

/* Fields that do not apply (a projection's mode, absent latents) are encoded as 0. */
void question_encode(const struct store_question *question,
                     uint8_t bytes[QUESTION_BYTES]);

/* -1: NULL, or of another layout. */
int question_decode(const uint8_t *bytes, size_t count, struct store_question *question);

/* One side of a comparison. */
struct answer {
    const struct trit_report *report;
    const uint8_t *question; /* encoded; NULL: an older tritd did not store it */
    size_t question_bytes;
};

/* True: digest, verdict, findings and question are equal. Else, if the digests are
 * equal, `difference` tells what differs, as "; the verdict differs: ..."; if not, it is
 * empty. */
bool same_answer(const struct answer *stored, const struct answer *given,
                 char difference[DIFFERENCE_BYTES]);

#endif
