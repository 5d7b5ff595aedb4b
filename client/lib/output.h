/* SPDX-License-Identifier: Apache-2.0 */
/* An output receives bytes of a reply. One sink fills it from front to back, or several
 * sinks fill one region each. Its size follows from the request. Only the daemon knows
 * the size of a layer: there the reply gives it, and the length of a reply is bounded.
 * Memory is allocated when the first byte arrives. */
#ifndef LIB_OUTPUT_H
#define LIB_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <trit.h>

#include "base/status.h"

struct output {
    const char *name; /* "data", "scales" */
    uint8_t *bytes;   /* the caller's memory, or allocated */
    uint64_t size;
    trit_write write; /* gets the bytes instead of memory, or NULL */
    void *write_arg;
    bool rewinds; /* `write` may get bytes again, from the first one on */
    bool owned;
    bool open;     /* the reply gives the size, */
    uint64_t room; /* and the caller's memory has so many bytes */
};

/* `memory` NULL: `size` bytes are allocated when the first byte arrives. */
void output_init(struct output *output, const char *name, uint64_t size, void *memory);
/* Allocates it before the first byte. -1: RESOURCE_EXHAUSTED. */
int output_allocate(struct output *output, struct failure *failure);
/* An output whose bytes go to a function of the caller. One sink fills it. */
void output_init_write(struct output *output, const char *name, uint64_t size,
                       trit_write write, void *write_arg);
/* An output whose size the reply gives. One sink fills it; it stays empty when the
 * reply does not have it. */
void output_init_open(struct output *output, const char *name);
/* The same in memory of the caller. INVALID_ARGUMENT, naming options.out: the reply has more than
 * `room` bytes. */
void output_init_room(struct output *output, const char *name, void *memory,
                      uint64_t room);
void output_fini(struct output *output); /* frees allocated memory */
/* Gives the bytes to the caller; NULL when the output is empty. */
void *output_give(struct output *output);

/* Whether its memory has some of these bytes. */
bool output_overlaps(const struct output *output, const void *bytes, uint64_t count);

/* Where a result may lie that replaces the request while that is sent. A result that is no
 * longer than the request may begin where it begins: each byte was sent before it is replaced. */
struct request_memory {
    const char *name;
    const void *bytes; /* NULL: no memory */
    uint64_t count;
    bool replaceable; /* a result may replace it so */
};
/* -1 (INVALID_ARGUMENT, naming `field`): the output would replace bytes that are not sent yet. */
int output_apart(const char *field, const struct output *output,
                 const struct request_memory *request, struct failure *failure);

/* One region of an output, and how many of its bytes are filled. */
struct sink {
    struct output *output;
    uint64_t from, size; /* of the region */
    uint64_t filled;
};

/* Whether the bytes so far can be taken back: they were not given to a function that takes
 * each byte once, and did not replace some of the `count` bytes of a request. */
bool sink_may_rewind(const struct sink *sink, const void *request, uint64_t count);
/* Starts again before the first byte. */
void sink_rewind(struct sink *sink);
/* A field of `length` bytes begins. -1 (INTERNAL): an open output gets a second one. */
int sink_begin(struct sink *sink, uint64_t length, struct failure *failure);
/* -1: the region has fewer bytes (INTERNAL), out of memory (RESOURCE_EXHAUSTED), or the
 * caller's function failed (ABORTED). */
int sink_write(struct sink *sink, const uint8_t *bytes, size_t count,
               struct failure *failure);
/* -1 (DATA_LOSS): bytes are missing. */
int sink_whole(const struct sink *sink, struct failure *failure);

#endif
