/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the uploads of all shards of a layer side by side, in the order of the layer's
 * groups. Each upload is checked first; then it is read in pieces, so that memory has a
 * bound whatever the number of shards. */
#include <stdlib.h>
#include <string.h>

#include "store/join.h"
#include "store/slots.h"
#include "store/statements.h"

enum {
    JOIN_BYTES_MAX = 32 << 20, /* of all pieces together */
    PIECE_BYTES_MIN = JOIN_BYTES_MAX / (2 * WAITING_SHARDS_MAX),
};

/* An upload, read from its begin to its end. */
struct stream {
    int64_t upload, chunk;
    int64_t next;   /* byte of the chunk, from 0 */
    uint8_t *bytes; /* a piece, of which `count` are left from `at` on */
    size_t at, count, capacity;
};

struct part {
    struct stream codes, groups;
    uint64_t left; /* groups that were not read */
};

struct joining {
    struct join *join;
    struct part *parts;
    size_t piece;  /* bytes */
    bool has_sums; /* in what the groups leave behind */
    struct shard_found found;
};

/* ---- reading ---------------------------------------------------------------------- */

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to join shards");
}

static int reserve(struct stream *stream, size_t count, struct failure *failure)
{
    if (count > stream->capacity) {
        uint8_t *grown = realloc(stream->bytes, count);

        if (!grown)
            return no_memory(failure);
        stream->bytes = grown;
        stream->capacity = count;
    }
    return 0;
}

/* `whole`: bytes of the chunk. */
static void took_piece(struct stream *stream, size_t count, int64_t whole)
{
    stream->at = 0;
    stream->count = count;
    stream->next += (int64_t)count;
    if (stream->next >= whole) {
        stream->chunk++;
        stream->next = 0;
    }
}

static int take_from_slot(struct joining *joining, struct stream *stream, int64_t slot,
                          struct failure *failure)
{
    const size_t at = (size_t)stream->next, left = SLOT_BYTES - at;
    const size_t count = left < joining->piece ? left : joining->piece;

    if (reserve(stream, count, failure) ||
        slots_read_part(joining->join->db->slots, slot, at, stream->bytes, count,
                        failure))
        return -1;
    took_piece(stream, count, SLOT_BYTES);
    return 0;
}

/* Copies the piece that `select` is at. */
static int take_piece(struct joining *joining, struct stream *stream,
                      sqlite3_stmt *select, struct failure *failure)
{
    const void *bytes = sqlite3_column_blob(select, 0);
    const size_t count = (size_t)sqlite3_column_bytes(select, 0);

    if (sqlite3_column_type(select, 2) != SQLITE_NULL)
        return take_from_slot(joining, stream, sqlite3_column_int64(select, 2), failure);
    if (!bytes || count == 0 || count > joining->piece)
        return fail(failure, TRIT_DATA_LOSS, NULL, "the codes of a shard are damaged");
    if (reserve(stream, count, failure))
        return -1;
    memcpy(stream->bytes, bytes, count);
    took_piece(stream, count, sqlite3_column_int64(select, 1));
    return 0;
}

static int fill(struct joining *joining, struct stream *stream, struct failure *failure)
{
    struct db *db = joining->join->db;
    sqlite3_stmt *select = statement(db, ST_CODES_PIECE, failure);

    if (!select)
        return -1;
    db_bind_i64(select, 1, stream->upload);
    db_bind_i64(select, 2, stream->chunk);
    db_bind_i64(select, 3, stream->next + 1);
    db_bind_u64(select, 4, joining->piece);
    int found = db_step(db, select, failure);

    if (found == 0)
        found = fail(failure, TRIT_DATA_LOSS, NULL, "the codes of a shard end too early");
    else if (found == 1)
        found = take_piece(joining, stream, select, failure);
    db_reset(select);
    return found;
}

/* The next bytes, at most `max`, without a copy. */
static int next_bytes(struct joining *joining, struct stream *stream, uint64_t max,
                      const uint8_t **bytes, size_t *count, struct failure *failure)
{
    if (stream->count == 0 && fill(joining, stream, failure))
        return -1;
    *bytes = stream->bytes + stream->at;
    *count = stream->count < max ? stream->count : (size_t)max;
    stream->at += *count;
    stream->count -= *count;
    return 0;
}

static int read_bytes(struct joining *joining, struct stream *stream, uint8_t *out,
                      size_t left, struct failure *failure)
{
    while (left > 0) {
        const uint8_t *bytes;
        size_t count;

        if (next_bytes(joining, stream, left, &bytes, &count, failure))
            return -1;
        memcpy(out, bytes, count);
        out += count;
        left -= count;
    }
    return 0;
}

static void close_part(struct part *part)
{
    free(part->codes.bytes);
    free(part->groups.bytes);
    part->codes.bytes = part->groups.bytes = NULL;
}

/* ---- writing ---------------------------------------------------------------------- */

static int put_bytes(struct join *join, struct codes *codes, const uint8_t *bytes,
                     size_t left, struct failure *failure)
{
    while (left > 0) {
        const size_t taken = codes_take(codes, bytes, left);

        if (taken == 0)
            return no_memory(failure);
        bytes += taken;
        left -= taken;
        if (codes->count == CODES_CHUNK_BYTES &&
            codes_flush(codes, join->db, &join->next->upload, failure))
            return -1;
    }
    return 0;
}

/* ---- groups ----------------------------------------------------------------------- */

static int take_codes(struct joining *joining, struct part *part, uint64_t left,
                      struct failure *failure)
{
    struct join *join = joining->join;

    while (left > 0) {
        const uint8_t *bytes;
        size_t count;

        if (next_bytes(joining, &part->codes, left, &bytes, &count, failure))
            return -1;
        join->shard->codes(join->shard, bytes, count);
        if (put_bytes(join, join->codes, bytes, count, failure))
            return -1;
        left -= count;
    }
    return 0;
}

static int take_group(struct joining *joining, struct part *part, struct failure *failure)
{
    struct join *join = joining->join;
    uint8_t bytes[SHARD_GROUP_BYTES_MAX];
    struct shard_group_row group = {.scale = 0};

    if (read_bytes(joining, &part->groups, bytes, SHARD_GROUP_HEAD_BYTES, failure))
        return -1;
    const size_t rest = shard_group_head(bytes, joining->has_sums, &group);

    if (read_bytes(joining, &part->groups, bytes, rest, failure))
        return -1;
    shard_group_rest(bytes, joining->has_sums, &group);
    const float held = join->shard->group(join->shard, &group);
    uint8_t scale[sizeof(held)];

    memcpy(scale, &held, sizeof(scale));
    return put_bytes(join, join->scales, scale, sizeof(scale), failure);
}

static int take_stretch(void *arg, size_t index, uint64_t group, uint64_t groups,
                        struct failure *failure)
{
    struct joining *joining = arg;
    struct part *part = &joining->parts[index];
    const struct shard_box *box = &joining->join->waiting->list.entries[index].box;

    if (take_codes(joining, part, shard_code_bytes(box, group, groups), failure))
        return -1;
    for (uint64_t i = 0; i < groups; i++)
        if (take_group(joining, part, failure))
            return -1;
    part->left -= groups;
    if (part->left == 0)
        close_part(part);
    return 0;
}

/* ---- all of it -------------------------------------------------------------------- */

static void open_part(struct joining *joining, size_t index, int64_t upload,
                      int64_t groups, const struct shard_state *state)
{
    joining->parts[index] = (struct part){.codes.upload = upload,
                                          .groups.upload = groups,
                                          .left = shard_groups(&state->box)};
    shard_found_add(&joining->found, &state->box, &state->found);
}

static int open_waiting(void *arg, size_t index, const struct waiting_part *part,
                        struct failure *failure)
{
    struct joining *joining = arg;

    if (index + 1 >= joining->join->waiting->list.count)
        return fail(failure, TRIT_DATA_LOSS, NULL, "there are too many shards");
    if (codes_check(joining->join->db, part->upload, failure) ||
        codes_check(joining->join->db, part->groups, failure))
        return fail_context(failure, "a shard that waits");
    open_part(joining, index, part->upload, part->groups, &part->state);
    return 1;
}

/* The last shard is in the list, but not in the table. */
static int open_parts(struct joining *joining, struct failure *failure)
{
    struct join *join = joining->join;
    const size_t last = join->waiting->list.count - 1;

    shard_found_init(&joining->found);
    if (last > 0 &&
        waiting_parts(join->db, join->waiting, open_waiting, joining, failure))
        return -1;
    for (size_t i = 0; i < last; i++)
        if (joining->parts[i].left == 0)
            return fail(failure, TRIT_DATA_LOSS, NULL, "shards that wait are missing");
    open_part(joining, last, join->upload, join->groups, &join->shard->state);
    return 0;
}

static int join_groups(struct joining *joining, struct trit_report *report,
                       struct failure *failure)
{
    struct store_shard *shard = joining->join->shard;
    const struct shard_walk walk = {.take = take_stretch, .arg = joining};

    if (shard->begin(shard, &joining->found, failure) < 0)
        return -1;
    if (shard_join(&joining->join->waiting->list, &walk, failure) == 0)
        return shard->end(shard, report, failure);
    shard->end(shard, NULL, NULL);
    return -1;
}

int join_shards(struct join *join, struct trit_report *report, struct failure *failure)
{
    const size_t count = join->waiting->list.count;
    struct joining joining = {
        .join = join,
        .parts = calloc(count, sizeof(*joining.parts)),
        .piece = JOIN_BYTES_MAX / (2 * count),
        .has_sums = join->shard->state.terms[SHARD_DETAIL] != 0,
    };
    int result = -1;

    if (joining.piece > CODES_CHUNK_BYTES)
        joining.piece = CODES_CHUNK_BYTES;
    if (!joining.parts)
        no_memory(failure);
    else if (open_parts(&joining, failure) == 0)
        result = join_groups(&joining, report, failure);
    for (size_t i = 0; joining.parts && i < count; i++)
        close_part(&joining.parts[i]);
    free(joining.parts);
    return result;
}
