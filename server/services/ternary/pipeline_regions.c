/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles of tensors that lie in the client's memory. A region waits until fewer than
 * in_flight_max tiles are under way; then its tiles are given to the pool, and the
 * workers copy their bytes. A tile that lies in two regions is filled on the loop, and so
 * is one whose latents the loop hashes for the store. */
#include <inttypes.h>

#include "obs/metrics.h"
#include "services/ternary/pipeline_impl.h"

/* The tile from which on the newest chunks are not read any more; NULL: they are read. */
static struct tile *later(struct tile *a, struct tile *b)
{
    if (!a || !b)
        return a ? a : b;
    return a->span.index > b->span.index ? a : b;
}

/* Chunks are done in the order in which they came. */
static void chunk_taken(struct regions *regions)
{
    if (regions->last)
        regions->last->chunks++;
    else
        regions->done++;
}

/* The output of a tile of the tensor may be written over its input. */
static void find_place(struct pipeline *pipeline, struct tile *tile,
                       const struct region_waiting *waiting)
{
    if (!pipeline->replies_in_memory || !pipeline->task.plan.spec.has_out ||
        waiting->input != &pipeline->tensor || tile->span.out_bytes > tile->span.in_bytes)
        return;
    tile->place = (uint8_t *)(uintptr_t)(waiting->bytes + waiting->at);
    tile->place_region = waiting->region;
    tile->place_region.offset += waiting->at;
    tile->place_region.bytes = tile->span.out_bytes;
}

/* Chunks are done in order, so one whose tiles wait for the other tensor holds back all that
 * came after it. A chunk of packed weights covers many chunks of latents, more than a client
 * has room for. So it does not wait: its few bytes are copied. */
static bool waits_for_many(const struct pipeline *pipeline, const struct input *input,
                           const struct tile *tile)
{
    enum { CHUNKS_MANY = 4 };
    const struct input *other =
        input == &pipeline->tensor ? &pipeline->reference : &pipeline->tensor;

    return pipeline->emits_chunks && pipeline->task.has_reference &&
           input->expected <= other->expected / CHUNKS_MANY &&
           other->next <= tile->span.index;
}

/* Takes bytes of the region for one tile. -1: call->failure. */
static int take_tile(struct pipeline *pipeline, struct region_waiting *waiting)
{
    /* Pieces of a tensor are computed on the loop. */
    bool copied_here = pipeline->twice || pipeline_hashes(pipeline, waiting->input);
    const uint64_t left = waiting->region.bytes - waiting->at;
    struct tile *tile;
    uint64_t needed;

    if (waiting->input->fill) {
        waiting->at = waiting->region.bytes;
        return waiting->input->fill(pipeline, waiting->bytes + waiting->at - left,
                                    (size_t)left);
    }
    tile = pipeline_next_tile(pipeline, waiting->input);
    if (!tile)
        return memory_spent(pipeline->call);
    copied_here = copied_here || waits_for_many(pipeline, waiting->input, tile);
    needed = pipeline_tile_needs(pipeline, waiting->input, tile);
    if (pipeline_tile_is_empty(pipeline, waiting->input, tile) && needed <= left) {
        find_place(pipeline, tile, waiting);
        /* The chunk is not done before the tile: it is read, or written, until then. */
        if (!copied_here || tile->place)
            pipeline->regions->last = later(pipeline->regions->last, tile);
        if (!copied_here) {
            const uint8_t *source = waiting->bytes + waiting->at;

            waiting->at += needed;
            return pipeline_fill_from(pipeline, waiting->input, tile, source);
        }
    }
    needed = needed < left ? needed : left;
    waiting->at += needed;
    return pipeline_fill(pipeline, waiting->input, waiting->bytes + waiting->at - needed,
                         (size_t)needed);
}

static bool goes_on(const struct call *call)
{
    return call->state != CALL_ENDED && call->state != CALL_CLOSED &&
           !atomic_load(&call->cancelled);
}

/* With a reference, tiles of one tensor wait for those of the other. */
static int check_apart(struct pipeline *pipeline)
{
    const struct input *tensor = &pipeline->tensor, *reference = &pipeline->reference;
    const bool tensor_leads = tensor->next > reference->next;
    const struct input *ahead = tensor_leads ? tensor : reference;
    const uint64_t tiles =
        tensor_leads ? tensor->next - reference->next : reference->next - tensor->next;
    const uint64_t tile_bytes = ahead->expected / pipeline->task.plan.tiles;

    if (!pipeline->emits_chunks || !pipeline->task.has_reference || pipeline->twice ||
        tiles * tile_bytes <= AHEAD_BYTES_MAX)
        return 0;
    metric_limit(pipeline->call->config->metrics, L_AHEAD);
    return fail(
        &pipeline->call->failure, TRIT_INVALID_ARGUMENT,
        tensor_leads ? "chunk" : "reference",
        "%s: more than %u bytes ahead of the other tensor; interleave their chunks",
        tensor_leads ? "chunk" : "reference", (unsigned)AHEAD_BYTES_MAX);
}

static int take_all(struct pipeline *pipeline)
{
    struct regions *regions = pipeline->regions;

    while (regions->count > 0 && pipeline->in_flight < pipeline->in_flight_max) {
        struct region_waiting *waiting = &regions->waiting[regions->first];

        if (take_tile(pipeline, waiting) < 0 || check_apart(pipeline) < 0)
            return -1;
        if (!goes_on(pipeline->call))
            return 0;
        if (waiting->at < waiting->region.bytes)
            continue;
        regions->first = (regions->first + 1) % REGIONS_WAITING_MAX;
        regions->count--;
        if (pipeline->emits_chunks)
            chunk_taken(regions);
    }
    return 0;
}

/* Tells the peer which chunks are done. */
static void announce(struct pipeline *pipeline)
{
    struct regions *regions = pipeline->regions;
    uint8_t message[16];

    if (!pipeline->emits_chunks || regions->announced == regions->done)
        return;
    regions->announced = regions->done;
    call_write_message(pipeline->call, message,
                       encode_chunks_done(regions->done, message, sizeof(message)));
}

/* Makes tiles of what waits, as many as there may be. May end the call. */
static int take_regions(struct pipeline *pipeline)
{
    struct regions *regions = pipeline->regions;
    int result;

    if (regions->taking || !goes_on(pipeline->call))
        return 0;
    regions->taking = true;
    result = take_all(pipeline);
    if (result == 0 && goes_on(pipeline->call))
        pipeline_submit_bundle(pipeline);
    regions->taking = false;
    if (result == 0 && goes_on(pipeline->call))
        announce(pipeline);
    return result;
}

/* A tile has left: goes on with what waits. */
static void on_room(struct pipeline *pipeline)
{
    struct call *call = pipeline->call;

    if (take_regions(pipeline) < 0)
        call_end(call);
}

static void on_again(struct timer *timer)
{
    struct regions *regions = LIST_OWNER(timer, struct regions, again);

    on_room(regions->pipeline);
}

static int create(struct pipeline *pipeline)
{
    if (pipeline->regions)
        return 0;
    pipeline->regions = regions_create(pipeline->call, on_again);
    if (!pipeline->regions)
        return memory_spent(pipeline->call);
    pipeline->regions->pipeline = pipeline;
    pipeline->room = on_room;
    return 0;
}

int pipeline_feed_region(struct pipeline *pipeline, struct input *input,
                         const struct wire_region *region, const char *field)
{
    struct call *call = pipeline->call;
    struct regions *regions;
    uint8_t *bytes;

    if (create(pipeline) < 0)
        return -1;
    regions = pipeline->regions;
    if (regions->count == REGIONS_WAITING_MAX) {
        metric_limit(call->config->metrics, L_REGIONS);
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                          "%d chunks in memory wait already; send fewer than that before "
                          "chunks_done counts them",
                          (int)REGIONS_WAITING_MAX);
    }
    if (client_memory_map(regions->memory, region, field, &bytes) < 0)
        return -1;
    regions->waiting[(regions->first + regions->count++) % REGIONS_WAITING_MAX] =
        (struct region_waiting){.input = input, .bytes = bytes, .region = *region};
    regions->chunks++;
    pipeline_received(pipeline, input, region->bytes);
    /* The bytes wait in the client's memory, and a worker mostly lends its own for the copy.
     * So more tiles cost little. */
    pipeline->in_flight_max = pipeline->emits_chunks || pipeline->merge.latents
                                  ? TILES_IN_FLIGHT_MAX
                                  : TILES_BORROWING_MAX;
    return take_regions(pipeline);
}

int pipeline_reply_region(struct pipeline *pipeline, const struct wire_region *region)
{
    const uint64_t wanted = pipeline->task.plan.out_bytes;

    if (!region->present)
        return 0;
    if (region->bytes != wanted)
        return fail_field(&pipeline->call->failure, TRIT_INVALID_ARGUMENT,
                          "options.reply",
                          "%" PRIu64 " bytes, but the encoded tensor has %" PRIu64,
                          region->bytes, wanted);
    if (create(pipeline) < 0)
        return -1;
    pipeline->regions->has_reply = true;
    pipeline->regions->reply = *region;
    return client_memory_map(pipeline->regions->memory, region, "options.reply",
                             &pipeline->regions->reply_bytes);
}
