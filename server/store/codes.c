/* SPDX-License-Identifier: Apache-2.0 */
#include "store/codes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "kernels/kernels.h"
#include "store/place.h"
#include "store/statements.h"

/* ---- writing --------------------------------------------------------------- */

/* Makes room for so many bytes in the buffer. That of a whole chunk is aligned, so that a
 * slot is written from it without a copy. */
static bool grow(struct codes *codes, size_t needed)
{
    uint8_t *buffer;

    if (codes->buffer && needed <= codes->capacity)
        return true;
    if (needed <= CODES_CHUNK_BYTES / 2) {
        buffer = array_grow(codes->buffer, &codes->capacity, needed, 1);
        if (buffer)
            codes->buffer = buffer;
        return buffer != NULL;
    }
    buffer = aligned_alloc(SLOT_ALIGNMENT, CODES_CHUNK_BYTES);
    if (!buffer)
        return false;
    if (codes->count > 0)
        memcpy(buffer, codes->buffer, codes->count);
    free(codes->buffer);
    codes->buffer = buffer;
    codes->capacity = CODES_CHUNK_BYTES;
    return true;
}

size_t codes_take(struct codes *codes, const uint8_t *bytes, size_t count)
{
    size_t space = CODES_CHUNK_BYTES - codes->count;

    if (count > space)
        count = space;
    if (count == 0 || !grow(codes, codes->count + count))
        return 0;
    memcpy(codes->buffer + codes->count, bytes, count);
    codes->count += count;
    codes->bytes += count;
    return count;
}

static int flush_to_row(const struct codes *codes, struct db *db, int64_t upload,
                        struct failure *failure)
{
    sqlite3_stmt *insert = statement(db, ST_CODES_INSERT, failure);

    if (!insert)
        return -1;
    int bound =
        db_bind_i64(insert, 1, upload) | db_bind_i64(insert, 2, codes->chunks) |
        db_bind_blob(insert, 3, codes->buffer, codes->count) |
        db_bind_i64(insert, 4,
                    codes_row_crc(upload, codes->chunks, codes->buffer, codes->count));

    return db_run_bound(db, insert, bound, failure);
}

static int flush_to_slot(struct codes *codes, struct db *db, int64_t upload,
                         struct failure *failure)
{
    sqlite3_stmt *insert = statement(db, ST_CODES_INSERT, failure);
    uint8_t data[PLACE_DATA_BYTES];
    struct place place;
    uint32_t crc;

    if (!codes->in_slots)
        codes->losses = slots_losses(db->slots);
    codes->in_slots = true;
    if (!insert || place_write(db, upload, codes->chunks, codes->buffer, &place, data,
                               &crc, failure))
        return -1;
    int bound = db_bind_i64(insert, 1, upload) | db_bind_i64(insert, 2, codes->chunks) |
                db_bind_blob(insert, 3, data, sizeof(data)) |
                db_bind_i64(insert, 4, crc) | db_bind_i64(insert, 5, place.slot);

    return db_run_bound(db, insert, bound, failure);
}

bool codes_lost(const struct codes *codes, const struct db *db)
{
    return codes->in_slots && codes->losses != slots_losses(db->slots);
}

int codes_flush(struct codes *codes, struct db *db, int64_t *next_upload,
                struct failure *failure)
{
    int64_t upload = codes->upload ? codes->upload : *next_upload;
    int result;

    if (codes->count == 0)
        return 0;
    result = codes->count == CODES_CHUNK_BYTES && db->slots
                 ? flush_to_slot(codes, db, upload, failure)
                 : flush_to_row(codes, db, upload, failure);
    if (result)
        return -1;
    if (codes->upload == 0)
        codes->upload = (*next_upload)++;
    codes->chunks++;
    codes->count = 0;
    return 0;
}

void codes_free_buffer(struct codes *codes)
{
    free(codes->buffer);
    codes->buffer = NULL;
    codes->count = codes->capacity = 0;
}

int codes_delete(struct db *db, int64_t upload, struct failure *failure)
{
    sqlite3_stmt *delete;

    if (upload == 0)
        return 0;
    delete = statement(db, ST_CODES_DELETE, failure);
    if (!delete || places_free(db, upload, failure))
        return -1;
    db_bind_i64(delete, 1, upload);
    return db_run(db, delete, failure);
}

/* ---- layout ---------------------------------------------------------------- */

static uint64_t code_bytes(uint64_t elements)
{
    return div_up(elements, 4);
}

bool codes_cross_rows(const struct trit_report *report)
{
    return report->groups == 1 && report->rank > 0 && report->rank <= TRIT_RANK_MAX &&
           report->elements != report->shape[report->rank - 1] &&
           report->shape[report->rank - 1] % 4 != 0;
}

/* Without printf, as each report that is filed needs this twice. */
static size_t put_decimal(uint64_t number, char *text)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (size_t i = 0; i < count; i++)
        text[i] = digits[count - 1 - i];
    return count;
}

void codes_shape(const struct trit_report *report, char text[SHAPE_TEXT_BYTES])
{
    size_t at = 0;

    for (uint32_t i = 0; i < report->rank && i < TRIT_RANK_MAX; i++) {
        if (i > 0)
            text[at++] = ',';
        at += put_decimal(report->shape[i], text + at);
    }
    strcpy(text + at, codes_cross_rows(report) ? " flat" : "");
}

int codes_layout_init(struct codes_layout *layout, const struct trit_report *report)
{
    struct codes_layout l = {.rows = 1, .group_len = report->group_size};
    uint64_t row_len, row_bytes;

    if (report->rank == 0 || report->rank > TRIT_RANK_MAX || report->group_size == 0)
        return -1;
    row_len = report->shape[report->rank - 1];
    for (uint32_t i = 0; i + 1 < report->rank; i++)
        if (mul_overflows(l.rows, report->shape[i], &l.rows))
            return -1;
    if (l.rows == 0 || row_len == 0)
        return -1;
    if (codes_cross_rows(report)) {
        if (mul_overflows(l.rows, row_len, &row_len))
            return -1;
        l.rows = 1;
    }
    if (l.group_len % 4 == 0 || l.group_len > row_len)
        l.group_len = row_len;
    l.groups_per_row = row_len / l.group_len;
    l.tail_len = row_len % l.group_len;
    row_bytes = l.groups_per_row * code_bytes(l.group_len) + code_bytes(l.tail_len);
    if (mul_overflows(l.rows, row_bytes, &l.bytes))
        return -1;
    *layout = l;
    return 0;
}

/* ---- reading --------------------------------------------------------------- */

/* The bytes of one upload, row after row. */
struct stream {
    sqlite3_stmt *select;  /* NULL: all of them are in memory */
    int64_t upload, chunk; /* of the next row */
    unsigned room;         /* of the connection, for what is in slots */
    const uint8_t *bytes;  /* the rest of the current row; not the stream's own */
    size_t count;
};

static int stream_open(struct stream *stream, struct db *db, enum statement_id id,
                       int64_t upload, int64_t chunk, struct failure *failure)
{
    *stream = (struct stream){.select = statement(db, id, failure),
                              .upload = upload,
                              .chunk = chunk,
                              .room = id == ST_CODES_SELECT_NEW};
    if (!stream->select)
        return -1;
    db_bind_i64(stream->select, 1, upload);
    db_bind_i64(stream->select, 2, chunk);
    return 0;
}

static void stream_close(struct stream *stream)
{
    if (stream->select)
        db_reset(stream->select);
}

/* Reads the next row and checks its CRC. 1: a row. 0: no more. -1: failure. */
static int stream_step(struct stream *stream, struct db *db, struct failure *failure)
{
    sqlite3_stmt *select = stream->select;
    struct place place;
    int row = db_step(db, select, failure);

    if (row != 1)
        return row;
    stream->bytes = sqlite3_column_blob(select, 1);
    stream->count = (size_t)sqlite3_column_bytes(select, 1);
    if (!stream->bytes && sqlite3_errcode(db->sqlite) == SQLITE_NOMEM)
        return db_fail(db, SQLITE_NOMEM, failure);
    if (place_of_row(select, stream->upload, &place, failure))
        return -1;
    if (!stream->bytes || sqlite3_column_int64(select, 0) != stream->chunk ||
        sqlite3_column_type(select, 2) != SQLITE_INTEGER ||
        (place.slot == PLACE_IN_ROW &&
         sqlite3_column_int64(select, 2) !=
             codes_row_crc(stream->upload, stream->chunk, stream->bytes, stream->count)))
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "row %" PRId64 " of the codes is damaged", stream->chunk);
    if (place.slot != PLACE_IN_ROW) {
        stream->count = SLOT_BYTES;
        /* Before the store is open only the rows are checked. */
        if (db->slots && place_read(db, &place, stream->room, &stream->bytes, failure))
            return -1;
    }
    stream->chunk++;
    return 1;
}

/* Reads on until there is at least one byte. */
static int stream_fill(struct stream *stream, struct db *db, struct failure *failure)
{
    while (stream->count == 0) {
        int row = stream->select ? stream_step(stream, db, failure) : 0;

        if (row < 0)
            return -1;
        if (row == 0)
            return fail(failure, TRIT_DATA_LOSS, NULL, "the codes end too early");
    }
    return 0;
}

int codes_check(struct db *db, int64_t upload, struct failure *failure)
{
    struct stream stream;
    int row = 1;

    if (upload == 0)
        return 0;
    if (stream_open(&stream, db, ST_CODES_SELECT_OLD, upload, 0, failure))
        return -1;
    while (row == 1)
        row = stream_step(&stream, db, failure);
    stream_close(&stream);
    return row;
}

/* Finds the next upload above *upload that no layer refers to. 1: found. 0: no more. */
static int next_orphan(struct db *db, int64_t *upload, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_CODES_ORPHAN, failure);

    if (!select)
        return -1;
    db_bind_i64(select, 1, *upload);
    int found = db_step(db, select, failure);

    if (found == 1) {
        int64_t next = sqlite3_column_int64(select, 0);

        /* Damage can turn a number into a text. A text sorts behind all numbers. */
        found = next > *upload;
        *upload = next;
    }
    db_reset(select);
    return found;
}

int codes_remove_orphans(struct db *db, struct failure *failure)
{
    int64_t upload = 0;
    int found;

    while ((found = next_orphan(db, &upload, failure)) == 1) {
        struct failure damage = {0};

        if ((codes_check(db, upload, &damage) || codes_delete(db, upload, &damage)) &&
            damage.status != TRIT_DATA_LOSS)
            return fail_as(failure, &damage);
    }
    return found;
}

/* Counts the transitions of `count` bytes of codes. Where a chunk ends inside a group,
 * the group is counted in two pieces. That is exact: a byte has four whole codes. */
static void count_bytes(const struct kernels *kernels, const struct codes_layout *layout,
                        struct code_position *position, const uint8_t *from,
                        const uint8_t *to, size_t count, uint64_t table[9])
{
    while (count > 0) {
        bool tail = position->group == layout->groups_per_row;
        uint64_t len = tail ? layout->tail_len : layout->group_len;
        uint64_t bytes = code_bytes(len), groups = 1, used;

        if (position->byte == 0 && count >= bytes) {
            /* Without tails all groups have the same length, in every row. */
            uint64_t alike = tail ? 1
                             : layout->tail_len > 0
                                 ? layout->groups_per_row - position->group
                                 : UINT64_MAX;

            groups = count / bytes < alike ? count / bytes : alike;
            used = groups * bytes;
            transitions(kernels, from, to, (size_t)groups, (size_t)len, table);
        } else {
            uint64_t left = len - 4 * position->byte;

            used = bytes - position->byte < count ? bytes - position->byte : count;
            transitions(kernels, from, to, 1, (size_t)(left < 4 * used ? left : 4 * used),
                        table);
            position->byte += used;
            groups = position->byte == bytes;
            if (groups)
                position->byte = 0;
        }
        if (layout->tail_len > 0)
            position->group = tail && groups ? 0 : position->group + groups;
        from += used;
        to += used;
        count -= (size_t)used;
    }
}

static int walk_streams(struct db *db, struct stream *old, struct stream *new,
                        uint64_t bytes, const struct codes_visit *visit,
                        struct failure *failure)
{
    for (uint64_t left = bytes; left > 0;) {
        size_t count;

        if (stream_fill(old, db, failure) || stream_fill(new, db, failure))
            return -1;
        count = old->count < new->count ? old->count : new->count;
        if (count > left)
            count = (size_t)left;
        visit->visit(visit->arg, old->bytes, new->bytes, count);
        old->bytes += count;
        new->bytes += count;
        old->count -= count;
        new->count -= count;
        left -= count;
    }
    return 0;
}

int codes_walk_pair(struct db *db, int64_t from, int64_t to, uint64_t bytes,
                    const struct codes_visit *visit, struct failure *failure)
{
    struct stream old = {0}, new = {0};
    int outcome = -1;

    if (stream_open(&old, db, ST_CODES_SELECT_OLD, from, 0, failure) == 0 &&
        stream_open(&new, db, ST_CODES_SELECT_NEW, to, 0, failure) == 0)
        outcome = walk_streams(db, &old, &new, bytes, visit, failure);
    stream_close(&new);
    stream_close(&old);
    return outcome;
}

struct counting {
    const struct kernels *kernels;
    struct codes_early *early;
};

static void count_piece(void *arg, const uint8_t *from, const uint8_t *to, size_t count)
{
    struct counting *counting = arg;
    struct codes_early *early = counting->early;

    count_bytes(counting->kernels, &early->layout, &early->position, from, to, count,
                early->table);
}

int codes_count_chunk(struct db *db, const struct kernels *kernels,
                      struct codes_early *early, const uint8_t *bytes,
                      struct failure *failure)
{
    struct counting counting = {.kernels = kernels, .early = early};
    struct stream old = {0};
    int found = -1;

    if (stream_open(&old, db, ST_CODES_SELECT_OLD, early->from, early->chunks, failure) ==
            0 &&
        (found = stream_step(&old, db, failure)) == 1 && old.count == CODES_CHUNK_BYTES) {
        count_piece(&counting, old.bytes, bytes, CODES_CHUNK_BYTES);
        early->chunks++;
    } else {
        early->from = 0;
    }
    stream_close(&old);
    return found < 0 ? -1 : 0;
}

/* Whether all that was not counted early is in the buffer. */
static bool has_rest(const struct codes *to, const struct codes_early *early,
                     uint64_t left)
{
    return left == 0 ? to->chunks == early->chunks
                     : to->buffer && to->chunks == early->chunks + 1 &&
                           left <= CODES_CHUNK_BYTES;
}

int codes_transitions(struct db *db, const struct kernels *kernels, int64_t from,
                      const struct codes *to, const struct codes_layout *layout,
                      struct codes_early *early, struct failure *failure)
{
    struct codes_early fresh = {.from = from, .layout = *layout};
    struct counting counting = {.kernels = kernels, .early = early};
    const struct codes_visit visit = {count_piece, &counting};
    struct stream old = {0}, new = {.bytes = to->buffer};
    uint64_t left;
    int outcome = -1;

    if (early->from != from || memcmp(&early->layout, layout, sizeof(*layout)) != 0)
        *early = fresh;
    left = layout->bytes - (uint64_t)early->chunks * CODES_CHUNK_BYTES;
    /* What was flushed stays in the buffer. */
    if (!has_rest(to, early, left)) {
        *early = fresh;
        return codes_walk_pair(db, from, to->upload, layout->bytes, &visit, failure);
    }
    new.count = (size_t)left;
    if (stream_open(&old, db, ST_CODES_SELECT_OLD, from, early->chunks, failure) == 0)
        outcome = walk_streams(db, &old, &new, left, &visit, failure);
    stream_close(&old);
    return outcome;
}
