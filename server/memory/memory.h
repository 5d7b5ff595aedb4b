/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that processes of this machine share with the daemon (trit/v1/memory.proto). A
 * *client* is a connection of the memory socket; net carries its packets. A *buffer* is a
 * file of memfd_create that the client has registered. It is mapped once, known by a
 * random id until its client releases it or is closed, and unmapped when no call holds it
 * any more.
 *
 * What makes it safe to read and write this memory:
 * - The file has the seals F_SEAL_SHRINK and F_SEAL_GROW, so every mapped page stays within
 *   it: no access raises SIGBUS. It is of memfd_create without huge pages, so that a page
 *   that its owner gives back is there again, zeroed, at the next access. Under strict
 *   overcommit (vm.overcommit_memory = 2) it may not be, so nothing is registered there.
 * - All its pages are allocated when it is registered. So who registers much memory has
 *   paid for it, and the daemon does not allocate on a client's behalf.
 * - Its bytes are charged to the account of its client as long as they are mapped.
 * - Its content may change at any time. Who reads it copies it first, and reads each byte
 *   only once (services/ternary/pipeline.h).
 *
 * Clients belong to one loop, whose thread calls all functions. Those for regions may be
 * called by other loops too, if memory_share was called. The bytes of a buffer that is held
 * may be used on any thread. */
#ifndef MEMORY_MEMORY_H
#define MEMORY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

struct account;
struct limits;
struct mailbox;
struct memory;
struct memory_buffer;
struct memory_client;
struct metrics;
struct wire_region;

/* Borrows both: memory_buffers_max, memory_buffer_bytes_max; metrics may be NULL. NULL: out
 * of memory. */
struct memory *memory_create(const struct limits *limits, struct metrics *metrics);

/* From now on other loops may hold and drop buffers. One that is dropped for the last time is
 * unmapped on the loop of its client, which `mailbox` reaches. Borrows it. */
void memory_share(struct memory *memory, struct mailbox *mailbox);

/* After every client was closed and every buffer dropped. NULL is harmless. */
void memory_destroy(struct memory *memory);

/* Sends one packet to the client. */
typedef void (*memory_send)(void *arg, const uint8_t *bytes, size_t count);

/* A client of user `uid`. Borrows the account; it may be closed after the client. NULL: no
 * memory, or the account has no room. */
struct memory_client *memory_client_open(struct memory *memory, struct account *account,
                                         uid_t uid, memory_send send, void *arg);

/* Forgets the client's buffers. `send` is not called any more. */
void memory_client_close(struct memory_client *client);

/* Does what a packet asks for. Takes ownership of `fd`; -1: the packet has none. `send` gets
 * the reply, from here, or from memory_buffer_drop when a buffer is released that calls
 * use. */
void memory_client_request(struct memory_client *client, const uint8_t *bytes,
                           size_t count, int fd);

/* The buffer of a region that a process of user `uid` names, held, and where the region
 * begins in it. FAILED_PRECONDITION: there is no such buffer. INVALID_ARGUMENT: the region
 * is empty or does not lie within the buffer. `field` names the region in messages. */
int memory_region_hold(struct memory *memory, uid_t uid, const struct wire_region *region,
                       const char *field, struct memory_buffer **buffer, uint8_t **bytes,
                       struct failure *failure);

/* Ends what memory_region_hold began. */
void memory_buffer_drop(struct memory_buffer *buffer);

/* How many buffers are mapped, and their bytes. */
size_t memory_buffer_count(const struct memory *memory);
uint64_t memory_bytes(const struct memory *memory);

#endif
