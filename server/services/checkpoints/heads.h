/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory it takes to open a checkpoint, from the lengths that its files declare. */
#ifndef CHECKPOINTS_HEADS_H
#define CHECKPOINTS_HEADS_H

#include <stdbool.h>
#include <stdint.h>

/* About the largest amount for the tables, JSON texts and results of the file or folder,
 * which was found below the root. `tokenizer`: also for its tokenizer's files, which an
 * output in GGUF needs. 0: it cannot be read, which opening it will say. */
uint64_t heads_bytes(const char *path, bool tokenizer);

#endif
