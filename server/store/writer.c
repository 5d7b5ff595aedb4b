/* SPDX-License-Identifier: Apache-2.0 */
#include "store/writer.h"

#include <stdlib.h>

#include "store/filing.h"
#include "store/schema.h"
#include "store/statements.h"

/* The next upload's number, above those of all rows: they count up from 1, and
 * what is beyond 2^48 is damage. */
static int find_next_upload(struct writer *writer, struct failure *failure)
{
    int64_t codes = 0, layers = 0;

    if (db_number(&writer->db,
                  "SELECT COALESCE(MAX(upload), 0) FROM codes"
                  " WHERE upload BETWEEN 0 AND 1 << 48",
                  &codes, failure) ||
        db_number(&writer->db,
                  "SELECT COALESCE(MAX(upload), 0) FROM layers"
                  " WHERE upload BETWEEN 0 AND 1 << 48",
                  &layers, failure))
        return -1;
    writer->next_upload = 1 + (codes > layers ? codes : layers);
    return 0;
}

int writer_open(struct writer *writer, const char *path, bool in_memory,
                const struct kernels *kernels, struct failure *damage,
                struct failure *failure)
{
    *writer = (struct writer){.kernels = kernels};
    list_init(&writer->touched);
    list_init(&writer->finished);
    list_init(&writer->settled);
    if (db_open(&writer->db, path, DB_WRITES, failure))
        return -1;
    if (schema_prepare(&writer->db, in_memory, damage, failure) ||
        find_next_upload(writer, failure))
        goto close;
    /* All at once: a rollback must not lack memory for its own statement. */
    for (unsigned id = 0; id < STATEMENT_COUNT; id++)
        if (statement(&writer->db, (enum statement_id)id, failure) == NULL)
            goto close;
    return 0;

close:
    db_close(&writer->db);
    return -1;
}

void writer_close(struct writer *writer)
{
    db_close(&writer->db);
}

/* ---- garbage --------------------------------------------------------------- */

static void remember_garbage(struct writer *writer, int64_t upload)
{
    if (upload != 0 && writer->garbage_count < WRITER_GARBAGE_MAX)
        writer->garbage[writer->garbage_count++] = upload;
}

/* In transactions of their own: a full disk may refuse them, and then they stay
 * for the next batch. Where the rows are damaged they wait for the next start. */
static void remove_garbage(struct writer *writer)
{
    while (writer->garbage_count > 0) {
        struct failure failure = {0};

        if (codes_delete(&writer->db, writer->garbage[writer->garbage_count - 1],
                         &failure) &&
            failure.status != TRIT_DATA_LOSS)
            return;
        writer->garbage_count--;
    }
}

/* ---- the transaction ------------------------------------------------------- */

static int run(struct writer *writer, enum statement_id id, struct failure *failure)
{
    sqlite3_stmt *prepared = statement(&writer->db, id, failure);

    return prepared ? db_run(&writer->db, prepared, failure) : -1;
}

static void break_upload(struct store_upload *upload, const struct failure *cause)
{
    upload->state = UPLOAD_BROKEN;
    upload->cause = *cause;
}

/* Nothing of the batch is on disk; writer->failure says why. */
static void roll_back(struct writer *writer)
{
    struct list *link;

    if (writer->state == BATCH_OPEN && !sqlite3_get_autocommit(writer->db.sqlite))
        run(writer, ST_ROLLBACK, NULL);
    writer->state = BATCH_FAILED;
    while ((link = list_pop(&writer->touched)))
        break_upload(LIST_OWNER(link, struct store_upload, touched), &writer->failure);
}

/* 0: a transaction is open. -1: the batch has failed. */
static int need_transaction(struct writer *writer)
{
    if (writer->state == BATCH_IDLE) {
        writer->db.damaged = false;
        if (run(writer, ST_BEGIN, &writer->failure)) {
            roll_back(writer);
            return -1;
        }
        writer->state = BATCH_OPEN;
    }
    return writer->state == BATCH_OPEN ? 0 : -1;
}

/* In a failed batch no commit has succeeded, whatever it looked like. */
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
    writer->buffered -= upload->codes.count;
    codes_free_buffer(&upload->codes);
}

/* COMMITs what is open. What finished in it has its result. */
static void end_transaction(struct writer *writer)
{
    struct list *link;

    if (writer->state == BATCH_OPEN) {
        if (run(writer, ST_COMMIT, &writer->failure)) {
            roll_back(writer);
        } else {
            writer->state = BATCH_IDLE;
            writer->transactions++;
            writer->reports += writer->filed;
        }
    }
    writer->filed = 0;
    writer->kept = 0;
    while (list_pop(&writer->touched))
        ;
    while ((link = list_pop(&writer->finished))) {
        struct order *order = LIST_OWNER(link, struct order, link);

        codes_free_buffer(&order->upload->codes);
        if (writer->state == BATCH_FAILED)
            remember_garbage(writer, order->upload->codes.upload);
        if (order->kind == ORDER_COMMIT)
            set_failure(writer, order->upload);
        list_push(&writer->settled, link);
    }
}

/* ---- damage ------------------------------------------------------------------ */

static void note_damage(struct writer *writer, const struct failure *failure)
{
    if (writer->damage.status == TRIT_OK)
        writer->damage = *failure;
}

/* The put has failed, alone. */
static void refuse(struct writer *writer, struct store_upload *upload,
                   const struct failure *failure)
{
    struct store_put *put = upload->put;
    char title[REPORT_TITLE_BYTES];

    note_damage(writer, failure);
    report_title(put->report, title);
    put->existed = false;
    put->failure = (struct failure){0};
    fail(&put->failure, failure->status, NULL,
         "%s: not stored: %s; file it under another run, or restore the data directory",
         title, failure->message);
    remember_garbage(writer, upload->codes.upload);
}

/* Its codes, or a part, went with the transaction. */
static void lose(struct store_upload *upload)
{
    struct failure failure = {0};

    fail(&failure, TRIT_UNAVAILABLE, NULL,
         "the store met damage while it filed another report; file this one again");
    break_upload(upload, &failure);
}

static void file(struct writer *writer, struct store_upload *upload);

/* SQLite has found damage in the open transaction, so everything in it is done again,
 * order by order, each in a transaction of its own. What met the damage has its
 * result, and is not in the list of finished orders. */
static void start_over(struct writer *writer)
{
    struct list orders, *link;

    list_init(&orders);
    list_append(&orders, &writer->finished);
    if (!sqlite3_get_autocommit(writer->db.sqlite))
        run(writer, ST_ROLLBACK, NULL);
    writer->state = BATCH_IDLE;
    writer->careful = true;
    writer->filed = writer->kept = 0;
    while ((link = list_pop(&writer->touched)))
        lose(LIST_OWNER(link, struct store_upload, touched));
    while ((link = list_pop(&orders))) {
        struct order *order = LIST_OWNER(link, struct order, link);
        struct store_upload *upload = order->upload;

        if (order->kind == ORDER_ABORT || upload->state == UPLOAD_BROKEN) {
            remember_garbage(writer, upload->codes.upload);
        } else if (!upload->repeatable) {
            lose(upload);
            remember_garbage(writer, upload->codes.upload);
        } else {
            upload->codes = upload->before;
            upload->put->failure = (struct failure){0};
            upload->put->existed = false;
            if (need_transaction(writer) == 0)
                file(writer, upload);
        }
        list_push(&writer->finished, link);
        end_transaction(writer);
    }
}

/* After writes that failed: 0 where the damage they met concerns them alone, and the
 * rest of the batch stands or has been done again. -1: the batch has failed. */
static int survive(struct writer *writer, const struct failure *failure)
{
    if (failure->status != TRIT_DATA_LOSS) {
        writer->failure = *failure;
        roll_back(writer);
        return -1;
    }
    note_damage(writer, failure);
    if (writer->db.damaged)
        start_over(writer);
    return 0;
}

/* ---- orders ---------------------------------------------------------------- */

/* Where it fails the upload is broken, and perhaps the batch. */
static void flush(struct writer *writer, struct store_upload *upload)
{
    size_t count = upload->codes.count;
    struct failure failure = {0};

    if (need_transaction(writer)) {
        break_upload(upload, &writer->failure);
        return;
    }
    if (codes_flush(&upload->codes, &writer->db, &writer->next_upload, &failure)) {
        survive(writer, &failure);
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

    fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for codes");
    break_upload(upload, &failure);
}

static void take_codes(struct writer *writer, struct order *order)
{
    struct store_upload *upload = order->upload;
    const uint8_t *bytes = order->bytes;
    size_t left = order->count;

    while (left > 0 && upload->state == UPLOAD_OPEN) {
        size_t taken = codes_take(&upload->codes, bytes, left);

        writer->buffered += taken;
        bytes += taken;
        left -= taken;
        if (taken == 0)
            break_for_memory(upload);
        else if (upload->codes.count == CODES_CHUNK_BYTES ||
                 writer->buffered > CODES_BUFFERED_BYTES_MAX)
            flush(writer, upload);
    }
    if (upload->state == UPLOAD_BROKEN)
        free_buffer(writer, upload);
}

/* An upload whose codes will not be used: its rows go. */
static void discard(struct writer *writer, struct store_upload *upload)
{
    struct failure failure = {0};

    free_buffer(writer, upload);
    if (upload->codes.upload != 0 && need_transaction(writer) == 0 &&
        codes_delete(&writer->db, upload->codes.upload, &failure))
        survive(writer, &failure);
}

/* In the open transaction, from upload->codes. The buffer is kept until COMMIT. */
static void file(struct writer *writer, struct store_upload *upload)
{
    struct failure failure = {0};
    enum filing filing = FILING_REFUSED;

    if (filing_commit(&writer->db, writer->kernels, &writer->next_upload, upload->put,
                      &upload->codes, &filing, &failure)) {
        if (failure.status == TRIT_DATA_LOSS)
            refuse(writer, upload, &failure);
        survive(writer, &failure);
    } else if (filing == FILING_NEW) {
        writer->filed++;
    } else if (filing == FILING_EXISTED) {
        upload->put->existed = true;
    }
}

static void take_commit(struct writer *writer, struct store_upload *upload)
{
    size_t count = upload->codes.count;

    if (upload->end.count > 0 && upload->state == UPLOAD_OPEN)
        break_for_memory(upload);
    if (upload->state == UPLOAD_BROKEN || need_transaction(writer)) {
        discard(writer, upload);
        return;
    }
    writer->buffered -= count;
    upload->before = upload->codes;
    upload->repeatable =
        list_empty(&upload->touched) && writer->kept + count <= WRITER_KEPT_BYTES_MAX;
    file(writer, upload);
    if (upload->repeatable)
        writer->kept += count;
    else
        codes_free_buffer(&upload->codes);
}

void writer_order(struct writer *writer, struct order *order)
{
    switch (order->kind) {
    case ORDER_CODES:
        take_codes(writer, order);
        if (writer->careful)
            end_transaction(writer);
        return;
    case ORDER_COMMIT:
        take_commit(writer, order->upload);
        break;
    case ORDER_ABORT:
        discard(writer, order->upload);
        break;
    }
    list_push(&writer->finished, &order->link);
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

void writer_begin(struct writer *writer, bool durable)
{
    writer->state = BATCH_IDLE;
    writer->failure = writer->damage = (struct failure){0};
    writer->filed = writer->transactions = writer->reports = 0;
    remove_garbage(writer);
    if (set_flush(writer, durable ? FLUSH_FULL : FLUSH_NORMAL))
        writer->state = BATCH_FAILED;
}

void writer_end(struct writer *writer, struct list *finished, struct batch_result *result)
{
    end_transaction(writer);
    list_append(finished, &writer->settled);
    *result = (struct batch_result){.transactions = writer->transactions,
                                    .filed = writer->reports,
                                    .failure = writer->failure,
                                    .damage = writer->damage};
}
