/* SPDX-License-Identifier: Apache-2.0 */
/* Opens what the writer works on. */
#include <fcntl.h>

#include "store/directory.h"
#include "store/newest.h"
#include "store/place.h"
#include "store/row_cache.h"
#include "store/schema.h"
#include "store/slots.h"
#include "store/statements.h"
#include "store/waiting.h"
#include "store/writer.h"

/* Uploads and reports are numbered from 1. The next number is above those of all rows; a
 * number beyond 2^48 can only be damage. */
static int find_next(struct writer *writer, struct failure *failure)
{
    int64_t upload = 0, sequence = 0;

    if (db_number(&writer->db,
                  "SELECT COALESCE(MAX(upload), 0) FROM (SELECT upload FROM codes"
                  " UNION ALL SELECT upload FROM layers UNION ALL SELECT upload FROM kept"
                  " UNION ALL SELECT scales FROM kept UNION ALL SELECT upload FROM shards"
                  " UNION ALL SELECT scales FROM shards)"
                  " WHERE upload BETWEEN 0 AND 1 << 48",
                  &upload, failure) ||
        newest_number(&writer->db, &sequence, failure))
        return -1;
    writer->next = (struct counters){.upload = upload + 1, .sequence = sequence + 1};
    return 0;
}

static void note_first(void *arg, const struct failure *failure)
{
    fail_as(arg, failure);
}

/* After schema_prepare, which deletes rows whose slots then are free. */
static int open_slots(struct writer *writer, const char *path, struct failure *damage,
                      struct failure *failure)
{
    if (!path)
        return 0;
    return slots_open(&writer->db.slots, path, O_RDWR, failure) ||
                   places_claim(&writer->db, note_first, damage, failure)
               ? -1
               : 0;
}

/* A store of which rows are damaged opens nevertheless. */
static int check_newest(struct writer *writer, struct failure *damage,
                        struct failure *failure)
{
    const struct directory *directory = writer->directory;
    const int64_t there = writer->next.sequence - 1;
    struct failure reason = {0};
    bool whole = true;

    if (!directory || newest_check(&writer->db, directory, there, &whole, &reason) == 0)
        return 0;
    if (reason.status != TRIT_DATA_LOSS || (whole && damage->status == TRIT_OK))
        return fail_as(failure, &reason);
    fail_as(damage, &reason);
    writer->next.sequence = directory_newest(directory->lock_fd) + 1;
    return 0;
}

int writer_open(struct writer *writer, const char *path,
                const struct directory *directory, const struct kernels *kernels,
                const struct health_rules *rules, struct failure *damage,
                struct failure *failure)
{
    *writer = (struct writer){.directory = directory,
                              .kernels = kernels,
                              .rules = rules,
                              .mender = {.all = {.stage = MENDING_DONE}}};
    list_init(&writer->touched);
    list_init(&writer->in_commit);
    list_init(&writer->finished);
    if (db_open(&writer->db, path, DB_WRITES, failure))
        return -1;
    writer->db.rules = rules;
    writer->db.passed = &writer->damage;
    const enum schema_place place = directory_place(directory);

    if (schema_prepare(&writer->db, place, damage, failure) ||
        open_slots(writer, directory ? directory->slots : NULL, damage, failure) ||
        find_next(writer, failure) || check_newest(writer, damage, failure) ||
        kept_sum(&writer->db, failure) || waiting_sum(&writer->db, failure))
        goto close;
    db_note_log(&writer->db);
    writer->db.cache = row_cache_create(); /* without memory it works, too */
    /* Prepare all now: a rollback must not fail for lack of memory. */
    for (unsigned id = 0; id < STATEMENT_COUNT; id++)
        if (!statement(&writer->db, (enum statement_id)id, failure))
            goto close;
    return 0;

close:
    slots_close(writer->db.slots);
    db_close(&writer->db);
    return -1;
}
