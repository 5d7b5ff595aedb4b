/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the client that a call uses (memory/memory.h): the buffers that it has named, which
 * stay mapped as long as this exists, and what is written to them.
 *
 * A client may change its memory at any time. So who reads it copies each byte once, and
 * computes from the copy. */
#ifndef SERVICES_CLIENT_MEMORY_H
#define SERVICES_CLIENT_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "proto/codec/codec.h"

struct call;
struct client_memory;

enum { CALL_BUFFERS_MAX = 8 }; /* that one call names; INVALID_ARGUMENT */

/* NULL: out of memory. */
struct client_memory *client_memory_create(struct call *call);

/* Drops the buffers. No worker may use them. NULL is harmless. */
void client_memory_destroy(struct client_memory *memory);

/* Where the region is. Fills call->failure: FAILED_PRECONDITION (the peer is not on a Unix
 * socket, or has no such buffer), INVALID_ARGUMENT (out of bounds, too many buffers). */
int client_memory_map(struct client_memory *memory, const struct wire_region *region,
                      const char *field, uint8_t **bytes);

/* Between these two a thread may write to the client's memory. False: it may not, because the
 * call has failed or ended; then there is nothing to end. */
bool client_memory_write_begin(struct client_memory *memory);
void client_memory_write_end(struct client_memory *memory);

/* The call has failed or ended: returns when nothing is written any more. It waits for those
 * that write now. NULL is harmless. */
void client_memory_stop(struct client_memory *memory);

#endif
