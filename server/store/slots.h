/* SPDX-License-Identifier: Apache-2.0 */
/* The file of slots, `codes.slots` beside the database: chunks of codes and scales that are
 * full, each of CODES_CHUNK_BYTES. In the database they would be written twice, to its log
 * and from there, page by page.
 *
 * A row of the table `codes` names the slot of its chunk and has the checksum of what is in
 * it. A slot that no row names is free; which ones these are is known in memory only. A slot
 * that a transaction frees is not used again before that transaction is on disk and no
 * reader sees what was before it:
 *
 *   FREE --slots_write--> TAKEN --slots_free--> LEAVING --on disk, no readers--> FREE
 *
 * A rollback takes back what its transaction did. The file is read and written past the
 * page cache where the file system allows it (O_DIRECT): a chunk is needed once again, when
 * the next step of its layer comes.
 *
 * The writer's thread calls these functions; slots_read, slots_read_begin and
 * slots_read_end may be called by any thread. `slots` NULL: a store in memory has none. */
#ifndef STORE_SLOTS_H
#define STORE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    SLOT_BYTES = 256 << 10,
    SLOTS_LEFT = 64,       /* free ones at the end of the file that it may keep; 16 MiB */
    SLOT_ALIGNMENT = 4096, /* of memory that is read into or written from at best */
};

struct slots;

/* Opens the file, with O_RDWR or O_RDONLY. It exists (directory.h). UNAVAILABLE. */
int slots_open(struct slots **slots, const char *path, int access,
               struct failure *failure);
void slots_close(struct slots *slots);

/* Notes at the start that a row of that upload names the slot. DATA_LOSS: another row names
 * it, too, or it cannot be one; it is never given away then. RESOURCE_EXHAUSTED. */
int slots_claim(struct slots *slots, int64_t slot, int64_t upload,
                struct failure *failure);

/* After damage to the rows that claim slots: none of those that the file has, or had when it
 * was longer, is free. */
int slots_claim_rest(struct slots *slots, struct failure *failure);

/* Writes SLOT_BYTES into a free slot, for the upload, in the open transaction. UNAVAILABLE:
 * storage or memory. */
int slots_write(struct slots *slots, int64_t upload, const uint8_t *bytes, int64_t *slot,
                struct failure *failure);

/* A row of that upload, which names the slot, is deleted in the open transaction. Does
 * nothing if the slot is not that upload's: then the row is damaged. */
void slots_free(struct slots *slots, int64_t slot, int64_t upload);

/* Waits until all that was written is on disk. UNAVAILABLE: it may be lost, also what was
 * written in earlier transactions; slots_losses counts up. */
int slots_sync(struct slots *slots, struct failure *failure);

/* How often slots_sync failed. What was written before the last failure is not to be
 * acknowledged any more. */
uint64_t slots_losses(const struct slots *slots);

/* The transaction is committed. `durable`: it is on disk, and so are all before it. */
void slots_committed(struct slots *slots, bool durable);
void slots_rolled_back(struct slots *slots);

/* COMMIT has failed, so that the transaction may be on disk all the same, until a later one
 * takes its place there. Before slots_rolled_back: what it took is not free before that. */
void slots_doubt(struct slots *slots);

/* Gives free slots at the end of the file back if they are many. */
void slots_trim(struct slots *slots);

/* Bytes of the file; of those that rows name. */
uint64_t slots_file_bytes(const struct slots *slots);
uint64_t slots_used_bytes(const struct slots *slots);

/* Reads a part of a slot. UNAVAILABLE: the disk. DATA_LOSS: the file ends before. `whole`
 * reads go past the page cache if `bytes` has SLOT_ALIGNMENT. */
int slots_read(const struct slots *slots, int64_t slot, void *bytes,
               struct failure *failure);
int slots_read_part(const struct slots *slots, int64_t slot, size_t at, void *bytes,
                    size_t count, struct failure *failure);

/* Between these two, what a reader's transaction sees in slots stays there. Begin before the
 * transaction does. */
void slots_read_begin(struct slots *slots);
void slots_read_end(struct slots *slots);

#endif
