/* SPDX-License-Identifier: Apache-2.0 */
/* Where the bytes of a row of codes are: in the row, or, if the chunk is full, in a slot of
 * the file of slots (slots.h). Then the row has the CRC of these bytes as its data, and its
 * own CRC covers this and the slot. So a row that names a wrong slot is known as damaged
 * without reading the slot, and a slot with other bytes when it is read. */
#ifndef STORE_PLACE_H
#define STORE_PLACE_H

#include "store/db.h"

enum { PLACE_DATA_BYTES = 4 }; /* the CRC, the least significant byte first */

struct place {
    int64_t slot;     /* PLACE_IN_ROW: the row has the bytes */
    uint32_t content; /* CRC-32C of the bytes in the slot */
};
enum { PLACE_IN_ROW = -1 };

/* Writes a full chunk into a slot. Returns what its row has: data and, as *crc, its CRC. */
int place_write(struct db *db, int64_t upload, int64_t chunk, const uint8_t *bytes,
                struct place *place, uint8_t data[PLACE_DATA_BYTES], uint32_t *crc,
                struct failure *failure);

/* The place of the row that a statement with CODES_COLUMNS is at. DATA_LOSS: the row is
 * damaged. A row without a slot is not checked. */
int place_of_row(sqlite3_stmt *select, int64_t upload, struct place *place,
                 struct failure *failure);

/* Reads the chunk into one of the connection's rooms, 0 or 1, and checks it. */
int place_read(struct db *db, const struct place *place, unsigned room,
               const uint8_t **bytes, struct failure *failure);

/* Gives the slots of an upload back, before its rows are deleted. A damaged row gives none
 * back. */
int places_free(struct db *db, int64_t upload, struct failure *failure);

/* Claims the slots of all rows, when the store opens. `damaged` is called for each row that
 * is damaged or names a slot of another row; all slots of the file are then kept. */
int places_claim(struct db *db, void (*damaged)(void *arg, const struct failure *failure),
                 void *arg, struct failure *failure);

#endif
