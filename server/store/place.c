/* SPDX-License-Identifier: Apache-2.0 */
#include "store/place.h"

#include <inttypes.h>
#include <stdlib.h>

#include "kernels/kernels.h"
#include "store/row.h"
#include "store/slots.h"
#include "store/statements.h"

enum { ROW_PLACE = 12 }; /* goes on with the kinds of shard_crc.c */

static uint32_t place_crc(int64_t upload, int64_t chunk, const struct place *place)
{
    const int64_t numbers[] = {ROW_PLACE, upload, chunk, place->slot, place->content};

    return row_crc_numbers(numbers, sizeof(numbers) / sizeof(numbers[0]));
}

int place_write(struct db *db, int64_t upload, int64_t chunk, const uint8_t *bytes,
                struct place *place, uint8_t data[PLACE_DATA_BYTES], uint32_t *crc,
                struct failure *failure)
{
    if (slots_write(db->slots, upload, bytes, &place->slot, failure))
        return -1;
    place->content = crc32c(0, bytes, SLOT_BYTES);
    for (unsigned i = 0; i < PLACE_DATA_BYTES; i++)
        data[i] = (uint8_t)(place->content >> 8 * i);
    *crc = place_crc(upload, chunk, place);
    return 0;
}

int place_of_row(sqlite3_stmt *select, int64_t upload, struct place *place,
                 struct failure *failure)
{
    const int64_t chunk = sqlite3_column_int64(select, 0);
    const uint8_t *data = sqlite3_column_blob(select, 1);

    *place = (struct place){.slot = PLACE_IN_ROW};
    if (sqlite3_column_type(select, 3) == SQLITE_NULL)
        return 0;
    place->slot = sqlite3_column_int64(select, 3);
    if (data && sqlite3_column_bytes(select, 1) == PLACE_DATA_BYTES)
        place->content = (uint32_t)data[0] | (uint32_t)data[1] << 8 |
                         (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
    if (data && place->slot >= 0 && sqlite3_column_type(select, 2) == SQLITE_INTEGER &&
        sqlite3_column_int64(select, 2) == (int64_t)place_crc(upload, chunk, place))
        return 0;
    return fail(failure, TRIT_DATA_LOSS, NULL, "row %" PRId64 " of the codes is damaged",
                chunk);
}

int place_read(struct db *db, const struct place *place, unsigned room,
               const uint8_t **bytes, struct failure *failure)
{
    if (!db->rooms[room])
        db->rooms[room] = aligned_alloc(SLOT_ALIGNMENT, SLOT_BYTES);
    if (!db->rooms[room])
        return fail(failure, TRIT_UNAVAILABLE, NULL, "no memory for a chunk of codes");
    if (slots_read(db->slots, place->slot, db->rooms[room], failure))
        return -1;
    *bytes = db->rooms[room];
    if (crc32c(0, *bytes, SLOT_BYTES) == place->content)
        return 0;
    return fail(failure, TRIT_DATA_LOSS, NULL,
                "slot %" PRId64 " of codes.slots is damaged", place->slot);
}

int places_free(struct db *db, int64_t upload, struct failure *failure)
{
    sqlite3_stmt *select = db->slots ? statement(db, ST_CODES_SLOTS, failure) : NULL;
    int row = 1;

    if (!select)
        return db->slots ? -1 : 0;
    db_bind_i64(select, 1, upload);
    while (row == 1 && (row = db_step(db, select, failure)) == 1) {
        struct place place;

        if (place_of_row(select, upload, &place, NULL) == 0)
            slots_free(db->slots, place.slot, upload);
    }
    db_reset(select);
    return row;
}

static int claim_row(struct db *db, sqlite3_stmt *select, struct failure *failure)
{
    const int64_t upload = sqlite3_column_int64(select, 4);
    struct place place;

    return place_of_row(select, upload, &place, failure) ||
                   slots_claim(db->slots, place.slot, upload, failure)
               ? -1
               : 0;
}

int places_claim(struct db *db, void (*damaged)(void *arg, const struct failure *failure),
                 void *arg, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_CODES_ALL_SLOTS, failure);
    bool sound = true, more = select != NULL;
    int result = select ? 0 : -1;

    while (more) {
        struct failure reason = {0};
        const int row = db_step(db, select, &reason);

        more = row == 1;
        if (row == 0 || (row == 1 && claim_row(db, select, &reason) == 0))
            continue;
        sound = false;
        if (reason.status == TRIT_DATA_LOSS) {
            damaged(arg, &reason);
        } else {
            result = fail_as(failure, &reason);
            more = false;
        }
    }
    if (select)
        db_reset(select);
    return result || sound ? result : slots_claim_rest(db->slots, failure);
}
