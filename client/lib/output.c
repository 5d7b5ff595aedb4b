/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void output_init(struct output *output, const char *name, uint64_t size, void *memory)
{
    *output = (struct output){.name = name, .bytes = memory, .size = size};
}

void output_init_write(struct output *output, const char *name, uint64_t size,
                       trit_write write, void *write_arg)
{
    *output = (struct output){
        .name = name, .size = size, .write = write, .write_arg = write_arg};
}

void output_init_open(struct output *output, const char *name)
{
    *output = (struct output){.name = name, .open = true};
}

void output_init_room(struct output *output, const char *name, void *memory,
                      uint64_t room)
{
    *output = (struct output){.name = name, .bytes = memory, .open = true, .room = room};
}

void output_fini(struct output *output)
{
    if (output->owned)
        free(output->bytes);
    output->bytes = NULL;
    output->owned = false;
}

void *output_give(struct output *output)
{
    output->owned = false;
    return output->bytes;
}

int output_allocate(struct output *output, struct failure *failure)
{
    output->bytes = malloc((size_t)output->size);
    if (!output->bytes)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "out of memory for %" PRIu64 " bytes of %s", output->size,
                    output->name);
    output->owned = true;
    return 0;
}

static int write_bytes(struct sink *sink, const uint8_t *bytes, size_t count,
                       struct failure *failure)
{
    const struct output *output = sink->output;
    const int rc =
        output->write(output->write_arg, sink->from + sink->filled, bytes, count);

    if (rc != 0)
        return fail_field(failure, TRIT_ABORTED, "options.write",
                          "returned %d for %zu bytes at %" PRIu64, rc, count,
                          sink->from + sink->filled);
    sink->filled += count;
    return 0;
}

bool output_overlaps(const struct output *output, const void *bytes, uint64_t count)
{
    const uintptr_t ours = (uintptr_t)output->bytes, theirs = (uintptr_t)bytes;

    return ours < theirs + count && theirs < ours + output->size;
}

int output_apart(const char *field, const struct output *output,
                 const struct request_memory *request, struct failure *failure)
{
    if (!output->bytes || !request->bytes ||
        !output_overlaps(output, request->bytes, request->count) ||
        (request->replaceable && output->bytes == request->bytes &&
         output->size <= request->count))
        return 0;
    return fail_field(
        failure, TRIT_INVALID_ARGUMENT, field,
        "%" PRIu64 " bytes overlap the %" PRIu64
        " bytes of %s, which may not be sent yet; use memory of their own%s",
        output->size, request->count, request->name,
        request->replaceable ? ", or no more bytes that begin where it begins" : "");
}

bool sink_may_rewind(const struct sink *sink, const void *request, uint64_t count)
{
    const struct output *output = sink->output;

    if (sink->filled == 0 || output->rewinds)
        return true;
    return !output->write && (output->owned || !output_overlaps(output, request, count));
}

void sink_rewind(struct sink *sink)
{
    sink->filled = 0;
    if (!sink->output->open)
        return;
    if (sink->output->owned)
        output_fini(sink->output);
    sink->size = sink->output->size = 0;
}

int sink_begin(struct sink *sink, uint64_t length, struct failure *failure)
{
    if (!sink->output->open)
        return 0;
    if (sink->size > 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the reply holds %s twice",
                    sink->output->name);
    if (sink->output->bytes && length > sink->output->room)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.out",
                          "has %" PRIu64 " bytes, but %s needs %" PRIu64,
                          sink->output->room, sink->output->name, length);
    sink->size = sink->output->size = length;
    return 0;
}

int sink_write(struct sink *sink, const uint8_t *bytes, size_t count,
               struct failure *failure)
{
    if (count == 0)
        return 0;
    if (count > sink->size - sink->filled)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "the reply holds more than the %" PRIu64
                    " bytes of %s that the request implies",
                    sink->size, sink->output->name);
    if (sink->output->write)
        return write_bytes(sink, bytes, count, failure);
    if (!sink->output->bytes && output_allocate(sink->output, failure) < 0)
        return -1;
    memcpy(sink->output->bytes + sink->from + sink->filled, bytes, count);
    sink->filled += count;
    return 0;
}

int sink_whole(const struct sink *sink, struct failure *failure)
{
    if (sink->filled == sink->size)
        return 0;
    return fail(failure, TRIT_DATA_LOSS, NULL,
                "the reply holds %" PRIu64 " of the %" PRIu64
                " bytes of %s that the request implies",
                sink->filled, sink->size, sink->output->name);
}
