/* SPDX-License-Identifier: Apache-2.0 */
#include "store/writer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "store/commit.h"
#include "store/commit_shard.h"
#include "store/mending.h"
#include "store/newest.h"
#include "store/past.h"
#include "store/row_cache.h"
#include "store/statements.h"
#include "store/waiting.h"

static const struct state_row rows[BATCH_STATES] = {
    [BATCH_IDLE] = {"idle", STATE_TO(BATCH_OPEN) | STATE_TO(BATCH_FAILED)},
    [BATCH_OPEN] = {"open", STATE_TO(BATCH_IDLE) | STATE_TO(BATCH_FAILED)},
    [BATCH_FAILED] = {"failed", STATE_TO(BATCH_IDLE)},
};
const struct states batch_states = STATES("batch", rows);

/* ---- the transaction ------------------------------------------------------- */

static void break_upload(struct store_upload *upload, const struct failure *cause)
{
    state_move(&upload_states, &upload->state, UPLOAD_BROKEN);
    upload->cause = *cause;
}

/* What the database holds again after a rollback is not what was cached. */
static void undo(struct writer *writer)
{
    if (!sqlite3_get_autocommit(writer->db.sqlite))
        statement_run(&writer->db, ST_ROLLBACK, NULL);
    slots_rolled_back(writer->db.slots);
    row_cache_clear(writer->db.cache);
    kept_sum(&writer->db, NULL);
    waiting_sum(&writer->db, NULL);
}

static int begin_transaction(struct writer *writer, struct failure *failure)
{
    if (db_check_place(&writer->db, failure) ||
        statement_run(&writer->db, ST_BEGIN, failure))
        return -1;
    const int64_t version = statement_number(&writer->db, ST_DATA_VERSION);

    if (version != writer->data_version)
        row_cache_clear(writer->db.cache);
    writer->data_version = version;
    writer->changes = sqlite3_total_changes(writer->db.sqlite);
    writer->begun_with = writer->next.sequence;
    return 0;
}

/* Nothing of the open transaction gets to disk; writer->failure says why. */
static void roll_back(struct writer *writer)
{
    struct list *link;

    undo(writer);
    state_move(&batch_states, &writer->state, BATCH_FAILED);
    while ((link = list_pop(&writer->touched)))
        break_upload(LIST_OWNER(link, struct store_upload, touched), &writer->failure);
}

/* 0: a transaction is open. -1: the batch has failed. */
static int need_transaction(struct writer *writer)
{
    if (writer->state == BATCH_IDLE) {
        writer->db.damaged = false;
        if (begin_transaction(writer, &writer->failure)) {
            roll_back(writer);
            return -1;
        }
        state_move(&batch_states, &writer->state, BATCH_OPEN);
    }
    return writer->state == BATCH_OPEN ? 0 : -1;
}

/* In a failed batch no commit succeeds, also where its own statements did. */
static void set_failure(struct writer *writer, struct store_upload *upload)
{
    struct store_put *put = upload->put;
    char title[REPORT_TITLE_BYTES];

    if (upload->state == UPLOAD_BROKEN)
        put->failure = upload->cause;
    else if (writer->state == BATCH_FAILED)
        put->failure = writer->failure;
    else
        return;
    put->existed = false;
    report_title(put->report, title);
    fail_context(&put->failure, "%s: not stored", title);
}

static void free_buffer(struct writer *writer, struct store_upload *upload)
{
    writer->buffered -= upload->codes.count + upload->scales.count;
    codes_free_buffer(&upload->codes);
    codes_free_buffer(&upload->scales);
}

/* What is in slots is on disk before the rows that name them, if COMMIT waits for it. A
 * transaction without changes has nothing to wait for. */
static int commit_transaction(struct writer *writer, struct failure *failure)
{
    const bool waits = writer->flush == FLUSH_FULL;
    const int64_t last = writer->next.sequence - 1;
    const bool adds = waits && writer->directory && last >= writer->begun_with;
    const int64_t newest = adds ? newest_of_transaction(&writer->db, last) : 0;

    if (waits && slots_sync(writer->db.slots, failure))
        return -1;
    if (statement_run(&writer->db, ST_COMMIT, failure)) {
        slots_doubt(writer->db.slots);
        return -1;
    }
    slots_committed(writer->db.slots,
                    waits && sqlite3_total_changes(writer->db.sqlite) != writer->changes);
    if (newest > 0)
        directory_note_newest(writer->directory, newest);
    return 0;
}

/* COMMITs the open transaction and gives its puts their results. */
static void end_transaction(struct writer *writer)
{
    struct list *link;

    if (writer->state == BATCH_OPEN) {
        if (commit_transaction(writer, &writer->failure)) {
            roll_back(writer);
        } else {
            state_move(&batch_states, &writer->state, BATCH_IDLE);
            writer->transactions++;
            writer->reports += writer->added;
        }
    }
    writer->added = 0;
    writer->kept = 0;
    while (list_pop(&writer->touched))
        ;
    while ((link = list_pop(&writer->in_commit))) {
        struct command *command = LIST_OWNER(link, struct command, link);

        codes_free_buffer(&command->upload->codes);
        codes_free_buffer(&command->upload->scales);
        if (writer->state == BATCH_FAILED)
            orphans_remember(&writer->orphans, command->upload);
        if (command->kind == COMMAND_COMMIT)
            set_failure(writer, command->upload);
        list_push(&writer->finished, link);
    }
}

/* ---- damage ------------------------------------------------------------------ */

/* Fails this put alone. */
static void refuse(struct writer *writer, struct store_upload *upload,
                   const struct failure *failure)
{
    struct store_put *put = upload->put;
    char title[REPORT_TITLE_BYTES];

    fail_as(&writer->damage, failure);
    report_title(put->report, title);
    put->existed = false;
    put->failure = (struct failure){0};
    fail(
        &put->failure, failure->status, NULL,
        "%s: not stored: %s; use another run, delete this one, or restore the data directory",
        title, failure->message);
    orphans_remember(&writer->orphans, upload);
}

/* The rollback lost codes of this upload. */
static void break_by_rollback(struct store_upload *upload)
{
    struct failure failure = {0};

    fail(&failure, TRIT_UNAVAILABLE, NULL,
         "the store found damage while it stored another report; send this one again");
    break_upload(upload, &failure);
}

static void write_report(struct writer *writer, struct store_upload *upload);

/* SQLite has found damage in the open transaction. Rolls back and repeats its end
 * commands, each in its own transaction. The one that met the damage has its result
 * already and is not in the list. */
static void start_over(struct writer *writer)
{
    struct list commands, *link;

    list_init(&commands);
    list_append(&commands, &writer->in_commit);
    undo(writer);
    state_move(&batch_states, &writer->state, BATCH_IDLE);
    writer->careful = true;
    writer->added = writer->kept = 0;
    while ((link = list_pop(&writer->touched)))
        break_by_rollback(LIST_OWNER(link, struct store_upload, touched));
    while ((link = list_pop(&commands))) {
        struct command *command = LIST_OWNER(link, struct command, link);
        struct store_upload *upload = command->upload;

        if (command->kind == COMMAND_ABORT || upload->state == UPLOAD_BROKEN) {
            orphans_remember(&writer->orphans, upload);
        } else if (!upload->repeatable) {
            break_by_rollback(upload);
            orphans_remember(&writer->orphans, upload);
        } else {
            upload->codes = upload->codes_before;
            upload->scales = upload->scales_before;
            upload->put->failure = (struct failure){0};
            upload->put->existed = false;
            if (need_transaction(writer) == 0)
                write_report(writer, upload);
        }
        list_push(&writer->in_commit, link);
        end_transaction(writer);
    }
}

/* Handles writes that failed. 0: they met damage, and the rest of the batch is intact or
 * has been repeated. -1: the batch has failed. */
static int recover(struct writer *writer, const struct failure *failure)
{
    if (failure->status != TRIT_DATA_LOSS) {
        writer->failure = *failure;
        roll_back(writer);
        return -1;
    }
    fail_as(&writer->damage, failure);
    if (writer->db.damaged)
        start_over(writer);
    return 0;
}

/* ---- commands ---------------------------------------------------------------- */

/* Counts the flips of a chunk before it is written. If that fails, its commit counts, and
 * meets the same damage. -1: SQLite has found damage. */
static int count_early(struct writer *writer, struct store_upload *upload,
                       const struct codes *codes, struct failure *failure)
{
    struct codes_early *early = &upload->early;
    struct db *db = &writer->db;
    struct failure reason = {0};
    int result = 0;

    if (!upload->expected || codes != &upload->codes)
        return 0;
    if (codes->chunks == 0) {
        const struct store_put expected = {
            .report = upload->expected,
            .question = {.partial = upload->expected_partial}};

        result = flips_begin(db, &expected, early, &reason);
    }
    if (codes->count != CODES_CHUNK_BYTES || early->chunks != codes->chunks)
        early->from = 0;
    if (result == 0 && early->from != 0)
        result = codes_count_chunk(db, writer->kernels, early, codes->buffer, &reason);
    if (result < 0)
        early->from = 0;
    if (result < 0 && db->damaged)
        return fail_as(failure, &reason);
    return 0;
}

/* Writes the buffer. On failure the upload is broken, and perhaps the batch failed. */
static void flush(struct writer *writer, struct store_upload *upload, struct codes *codes)
{
    size_t count = codes->count;
    struct failure failure = {0};

    if (need_transaction(writer)) {
        break_upload(upload, &writer->failure);
        return;
    }
    if (count_early(writer, upload, codes, &failure) ||
        codes_flush(codes, &writer->db, &writer->next.upload, &failure)) {
        recover(writer, &failure);
        break_upload(upload, &failure);
        return;
    }
    writer->buffered -= count;
    if (list_empty(&upload->touched))
        list_push(&writer->touched, &upload->touched);
}

static void break_for_memory(struct store_upload *upload)
{
    struct failure failure = {0};

    fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for the codes");
    break_upload(upload, &failure);
}

static void take_codes(struct writer *writer, struct command *command)
{
    struct store_upload *upload = command->upload;
    struct codes *codes =
        command->kind == COMMAND_SCALES ? &upload->scales : &upload->codes;
    const uint8_t *bytes = command->bytes;
    size_t left = command->count;

    while (left > 0 && upload->state == UPLOAD_SOUND) {
        size_t taken = codes_take(codes, bytes, left);

        writer->buffered += taken;
        bytes += taken;
        left -= taken;
        if (taken == 0)
            break_for_memory(upload);
        else if (codes->count == CODES_CHUNK_BYTES ||
                 writer->buffered > CODES_BUFFERED_BYTES_MAX)
            flush(writer, upload, codes);
    }
    if (upload->state == UPLOAD_BROKEN)
        free_buffer(writer, upload);
}

/* Deletes the rows of an upload whose codes will not be used. */
static void discard(struct writer *writer, struct store_upload *upload)
{
    struct failure failure = {0};

    free_buffer(writer, upload);
    if ((upload->codes.upload != 0 || upload->scales.upload != 0) &&
        need_transaction(writer) == 0 &&
        (codes_delete(&writer->db, upload->codes.upload, &failure) ||
         codes_delete(&writer->db, upload->scales.upload, &failure)))
        recover(writer, &failure);
}

static int commit_put(struct writer *writer, struct store_upload *upload,
                      enum commit_outcome *outcome, struct failure *failure)
{
    return (upload->put->shard ? commit_shard : commit_report)(
        &writer->db, writer->kernels, &writer->next, writer->rules, upload->put,
        &upload->codes, &upload->scales, outcome, failure);
}

/* Commits the report of an upload, in the open transaction. Keeps the buffer. */
static void write_report(struct writer *writer, struct store_upload *upload)
{
    struct failure failure = {0};
    enum commit_outcome outcome = COMMIT_REFUSED;
    int failed = commit_put(writer, upload, &outcome, &failure);

    if (failed && mend_met(&writer->db, &writer->mender, upload->put->report, &failure,
                           clock_monotonic_ns())) {
        fail_as(&writer->damage, &failure);
        failure = (struct failure){0};
        failed = commit_put(writer, upload, &outcome, &failure);
    }
    if (failed) {
        if (failure.status == TRIT_DATA_LOSS)
            refuse(writer, upload, &failure);
        recover(writer, &failure);
    } else if (outcome == COMMIT_NEW) {
        writer->added++;
    } else if (outcome == COMMIT_EXISTED) {
        upload->put->existed = true;
    }
}

static void break_for_loss(struct store_upload *upload)
{
    struct failure failure = {0};

    fail(&failure, TRIT_UNAVAILABLE, NULL,
         "codes.slots: the disk may have lost codes of it; send this report again");
    break_upload(upload, &failure);
}

static void take_commit(struct writer *writer, struct store_upload *upload)
{
    size_t count = upload->codes.count + upload->scales.count;

    if (upload->end.count > 0 && upload->state == UPLOAD_SOUND)
        break_for_memory(upload);
    if (codes_lost(&upload->codes, &writer->db) ||
        codes_lost(&upload->scales, &writer->db))
        break_for_loss(upload);
    if (upload->state == UPLOAD_BROKEN || need_transaction(writer)) {
        discard(writer, upload);
        return;
    }
    writer->buffered -= count;
    upload->codes_before = upload->codes;
    upload->scales_before = upload->scales;
    upload->repeatable =
        list_empty(&upload->touched) && writer->kept + count <= WRITER_KEPT_BYTES_MAX;
    write_report(writer, upload);
    if (upload->repeatable) {
        writer->kept += count;
    } else {
        codes_free_buffer(&upload->codes);
        codes_free_buffer(&upload->scales);
    }
}

void writer_execute(struct writer *writer, struct command *command)
{
    switch (command->kind) {
    case COMMAND_CODES:
    case COMMAND_SCALES:
        take_codes(writer, command);
        if (writer->careful)
            end_transaction(writer);
        return;
    case COMMAND_COMMIT:
        take_commit(writer, command->upload);
        break;
    case COMMAND_ABORT:
        discard(writer, command->upload);
        break;
    }
    list_push(&writer->in_commit, &command->link);
    if (writer->careful)
        end_transaction(writer);
}

/* ---- the batch ------------------------------------------------------------- */

static int set_flush(struct writer *writer, enum flush flush)
{
    if (writer->flush == flush)
        return 0;
    if (db_exec(&writer->db,
                flush == FLUSH_FULL ? "PRAGMA synchronous = FULL"
                                    : "PRAGMA synchronous = NORMAL",
                &writer->failure))
        return -1;
    writer->flush = flush;
    return 0;
}

int writer_slice(struct writer *writer,
                 int (*step)(struct writer *writer, void *arg, struct failure *failure),
                 void *arg, bool durable, struct failure *failure)
{
    int more;

    writer->failure = (struct failure){0};
    writer->db.damaged = false;
    if (set_flush(writer, durable ? FLUSH_FULL : FLUSH_NORMAL) ||
        begin_transaction(writer, &writer->failure))
        return fail_as(failure, &writer->failure);
    more = step(writer, arg, failure);
    if (more >= 0 && commit_transaction(writer, failure))
        more = -1;
    if (more >= 0)
        return more;
    writer->careful = writer->careful || writer->db.damaged;
    undo(writer);
    return -1;
}

void writer_begin(struct writer *writer, bool durable)
{
    writer->failure = writer->damage = (struct failure){0};
    writer->added = writer->transactions = writer->reports = 0;
    orphans_remove(&writer->orphans, &writer->db);
    if (set_flush(writer, durable ? FLUSH_FULL : FLUSH_NORMAL))
        state_move(&batch_states, &writer->state, BATCH_FAILED);
}

void writer_end(struct writer *writer, struct list *finished, struct batch_result *result)
{
    end_transaction(writer);
    list_append(finished, &writer->finished);
    if (writer->state == BATCH_FAILED)
        state_move(&batch_states, &writer->state, BATCH_IDLE);
    *result = (struct batch_result){.transactions = writer->transactions,
                                    .reports = writer->reports,
                                    .failure = writer->failure,
                                    .damage = writer->damage};
}

void writer_close(struct writer *writer)
{
    struct failure ignored = {0};

    if (!writer->careful && begin_transaction(writer, &ignored) == 0)
        past_write_late(&writer->db);
    slots_close(writer->db.slots);
    db_close(&writer->db);
}
