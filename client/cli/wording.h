/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the daemon in words of the command line: they name fields of a request, and a
 * user has options. */
#ifndef CLI_WORDING_H
#define CLI_WORDING_H

#include <stddef.h>
#include <trit.h>

#include "base/status.h"
#include "checkpoint/findings.h"

/* Copies the message, with options in place of fields and without the name of a tensor's
 * bytes at its start. Cut to `size` bytes. */
void option_words(char *to, size_t size, const char *message);

/* finding_text in such words. Returns `words`. */
const char *finding_words(char words[FINDING_TEXT_BYTES],
                          const struct file_finding *finding);

/* 0, or -1 with *failure: a call about a matrix of a file failed. A failure that is set
 * already, because the file could not be read or written, stays. */
int call_ended(enum trit_status status, const struct trit_error *error,
               struct failure *failure);

#endif
