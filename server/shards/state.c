/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a shard as bytes: a version, then numbers of 64 bits, little-endian. One
 * function names the fields for both directions. */
#include <inttypes.h>
#include <string.h>

#include "kernels/kernels.h"
#include "shards/found.h"

enum { STATE_VERSION = 1 };

struct cursor {
    uint8_t *out;      /* NULL: reading */
    const uint8_t *in; /* NULL: writing */
    size_t at, end;
    bool failed;
};

static void u64(struct cursor *cursor, uint64_t *value)
{
    if (cursor->end - cursor->at < 8) {
        cursor->failed = true;
        return;
    }
    if (cursor->in)
        *value = 0;
    for (int i = 0; i < 8; i++) {
        if (cursor->out)
            cursor->out[cursor->at + (size_t)i] = (uint8_t)(*value >> 8 * i);
        else
            *value |= (uint64_t)cursor->in[cursor->at + (size_t)i] << 8 * i;
    }
    cursor->at += 8;
}

static void u32(struct cursor *cursor, uint32_t *value)
{
    uint64_t wide = *value;

    u64(cursor, &wide);
    *value = (uint32_t)wide;
}

static void f32(struct cursor *cursor, float *value)
{
    uint32_t bits;

    memcpy(&bits, value, sizeof(bits));
    u32(cursor, &bits);
    memcpy(value, &bits, sizeof(bits));
}

static void trit(struct cursor *cursor, int8_t *value)
{
    uint64_t wide = (uint64_t)(uint8_t)*value;

    u64(cursor, &wide);
    *value = (int8_t)(uint8_t)wide;
}

static void u64s(struct cursor *cursor, uint64_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        u64(cursor, &values[i]);
}

static void occurrences(struct cursor *cursor, struct occurrences *value)
{
    u64(cursor, &value->count);
    u64(cursor, &value->first);
}

static void samples(struct cursor *cursor, uint32_t *count, float *values, uint64_t *rows)
{
    u32(cursor, count);
    if (*count > TRIT_SAMPLES_MAX) {
        cursor->failed = true;
        return;
    }
    for (uint32_t i = 0; i < *count; i++) {
        f32(cursor, &values[i]);
        u64(cursor, &rows[i]);
    }
}

static void counts_fields(struct cursor *cursor, struct ternary_counts *counts)
{
    uint64_t *const fields[] = {
        &counts->negatives,      &counts->zeros,
        &counts->positives,      &counts->zero_groups,
        &counts->non_finite,     &counts->first_non_finite,
        &counts->near_threshold, &counts->scales_lossy_fp16,
        &counts->scales_lost,    &counts->first_scale_lost,
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        u64(cursor, fields[i]);
}

static void check_fields(struct cursor *cursor, struct ternary_check *check)
{
    u64(cursor, &check->valid);
    occurrences(cursor, &check->invalid);
    f32(cursor, &check->first_invalid);
    f32(cursor, &check->max_round_error);
    u32(cursor, &check->trits_seen);
    occurrences(cursor, &check->scales_non_finite);
    occurrences(cursor, &check->scales_negative);
    occurrences(cursor, &check->scales_zero);
    f32(cursor, &check->first_non_finite_scale);
    f32(cursor, &check->first_negative_scale);
    u64(cursor, &check->mismatches);
    u64(cursor, &check->first_mismatch);
    occurrences(cursor, &check->code_mismatches);
    occurrences(cursor, &check->scale_mismatches);
    occurrences(cursor, &check->reference_lost);
    occurrences(cursor, &check->reference_infinite);
    trit(cursor, &check->expected_trit);
    trit(cursor, &check->found_trit);
    f32(cursor, &check->expected_scale);
    f32(cursor, &check->found_scale);
    f32(cursor, &check->lost_scale);
}

static void found_fields(struct cursor *cursor, struct shard_found *found)
{
    struct ternary_check *check = &found->check;
    uint32_t byte = found->first_byte;

    counts_fields(cursor, &found->counts);
    check_fields(cursor, check);
    samples(cursor, &check->sample_count, check->samples, found->sample_rows);
    samples(cursor, &check->near_count, check->near, found->near_rows);
    occurrences(cursor, &found->lost);
    occurrences(cursor, &found->rounded);
    occurrences(cursor, &found->subnormal);
    occurrences(cursor, &found->non_canonical);
    f32(cursor, &found->lost_scale);
    f32(cursor, &found->first_subnormal);
    u32(cursor, &byte);
    found->first_byte = (uint8_t)byte;
}

/* A box is stored as the place that it was made from. */
static void box_fields(struct cursor *cursor, struct shard_box *box)
{
    struct shard_place place = {.group_size = box->group_size};
    uint64_t shape[TRIT_RANK_MAX] = {0}, global[TRIT_RANK_MAX], offset[TRIT_RANK_MAX];
    uint32_t rank = box->flat ? 1 : box->rank;

    memcpy(shape, box->shape, sizeof(shape));
    memcpy(global, box->global, sizeof(global));
    memcpy(offset, box->offset, sizeof(offset));
    if (box->flat)
        shape[0] = box->elements;
    place.global_rank = box->rank;
    u32(cursor, &place.group_size);
    u32(cursor, &rank);
    u32(cursor, &place.global_rank);
    if (cursor->failed || rank == 0 || rank > TRIT_RANK_MAX || place.group_size == 0 ||
        place.global_rank == 0 || place.global_rank > TRIT_RANK_MAX) {
        cursor->failed = true;
        return;
    }
    u64s(cursor, shape, rank);
    u64s(cursor, global, place.global_rank);
    u64s(cursor, offset, place.global_rank);
    place.rank = rank;
    place.shape = shape;
    place.global_shape = global;
    place.offset = offset;
    if (cursor->in && !cursor->failed && shard_box_init(box, &place, NULL) < 0)
        cursor->failed = true;
}

static void state_fields(struct cursor *cursor, struct shard_state *state)
{
    uint64_t version = STATE_VERSION;

    u64(cursor, &version);
    if (version != STATE_VERSION) {
        cursor->failed = true;
        return;
    }
    u64s(cursor, state->terms, SHARD_TERMS);
    box_fields(cursor, &state->box);
    found_fields(cursor, &state->found);
}

size_t shard_state_encode(const struct shard_state *state,
                          uint8_t bytes[SHARD_STATE_BYTES_MAX])
{
    struct shard_state copy = *state; /* writing changes nothing, but the type says so */
    struct cursor cursor = {.out = bytes, .end = SHARD_STATE_BYTES_MAX};

    state_fields(&cursor, &copy);
    return cursor.failed ? 0 : cursor.at;
}

int shard_state_decode(const uint8_t *bytes, size_t count, struct shard_state *state)
{
    struct cursor cursor = {.in = bytes, .end = count};

    memset(state, 0, sizeof(*state));
    state_fields(&cursor, state);
    return cursor.failed || cursor.at != count ? -1 : 0;
}

/* ---- what shards have in common ----------------------------------------------------- */

static const char *const term_names[SHARD_TERMS] = {
    [SHARD_METHOD] = "method (1 Project, 2 Verify)",
    [SHARD_MODE] = "options.mode",
    [SHARD_DTYPE] = "dtype",
    [SHARD_GROUP_SIZE] = "group_size",
    [SHARD_PARTIAL] = "options.partial_group",
    [SHARD_ENCODING] = "options.encoding",
    [SHARD_SCALES_DTYPE] = "options.scales_dtype",
    [SHARD_OUTPUT] = "encoding of the output",
    [SHARD_DETAIL] = "detail of the report",
    [SHARD_TOLERANCE] = "options.tolerance",
    [SHARD_REFERENCE] = "dtype of the reference",
};

static int refuse_term(enum shard_term term, uint64_t first, uint64_t value,
                       struct failure *failure)
{
    float old, new;

    if (term != SHARD_TOLERANCE)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "layer.shard",
                          "%s is %" PRIu64 ", but %" PRIu64
                          " in the shards that were sent before; all must be equal",
                          term_names[term], value, first);
    memcpy(&old, &(uint32_t){(uint32_t)first}, sizeof(old));
    memcpy(&new, &(uint32_t){(uint32_t)value}, sizeof(new));
    return fail_field(failure, TRIT_FAILED_PRECONDITION, "layer.shard",
                      "%s is %g, but %g in the shards that were sent before; all must "
                      "be equal",
                      term_names[term], (double)new, (double)old);
}

int shard_state_agrees(const struct shard_state *first, const struct shard_state *shard,
                       struct failure *failure)
{
    char old[SHARD_TEXT_BYTES], new[SHARD_TEXT_BYTES];

    for (int i = 0; i < SHARD_TERMS; i++)
        if (first->terms[i] != shard->terms[i])
            return refuse_term((enum shard_term)i, first->terms[i], shard->terms[i],
                               failure);
    if (first->box.rank != shard->box.rank ||
        memcmp(first->box.global, shard->box.global, sizeof(shard->box.global)) != 0)
        return fail_field(
            failure, TRIT_FAILED_PRECONDITION, "layer.shard.global_shape",
            "%s, but %s in the shards that were sent before; all must be equal",
            shard_axes(shard->box.global, shard->box.rank, new),
            shard_axes(first->box.global, first->box.rank, old));
    if (first->box.flat != shard->box.flat)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "layer.shard",
                          "%s tensor, but the shards that were sent before are %s; send "
                          "all of them in one way",
                          shard->box.flat ? "a flat" : "not a flat",
                          first->box.flat ? "flat" : "not flat");
    return 0;
}
