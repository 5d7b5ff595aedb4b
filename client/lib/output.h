/* Where the bytes of a reply go: an output of known size, filled front to back
 * by one sink, or region by region by several. Sizes come from the request; those of
 * a layer, which it does not tell, from the reply, whose length is bounded. Memory is
 * taken when the first byte is there. */
#ifndef LIB_OUTPUT_H
#define LIB_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct output {
    const char *name; /* "data", "scales" */
    uint8_t *bytes;   /* the caller's, or allocated */
    uint64_t size;
    bool owned;
    bool open; /* only the daemon knows the size: the reply tells it */
};

/* `room` NULL: allocate `size` bytes when the first arrives. */
void output_init(struct output *output, const char *name, uint64_t size, void *room);
/* Filled by one sink of the whole; empty where the reply lacks it. */
void output_init_open(struct output *output, const char *name);
void output_fini(struct output *output); /* frees what was allocated */
/* Gives the bytes to the caller. An empty output is NULL. */
void *output_give(struct output *output);

/* One region of an output and how far it is filled. */
struct sink {
    struct output *output;
    uint64_t from, size; /* of the region */
    uint64_t filled;
};

/* As before the first byte. */
void sink_rewind(struct sink *sink);
/* A field of that many bytes begins. -1 (INTERNAL): an open output had one. */
int sink_begin(struct sink *sink, uint64_t length, struct failure *failure);
/* -1: more bytes than the region holds (INTERNAL), or no memory for it
 * (RESOURCE_EXHAUSTED). */
int sink_write(struct sink *sink, const uint8_t *bytes, size_t count,
               struct failure *failure);
/* -1 (DATA_LOSS) where bytes are missing. */
int sink_whole(const struct sink *sink, struct failure *failure);

#endif
