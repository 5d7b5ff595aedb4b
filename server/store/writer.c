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
    report_title(&put->report, title);
    fail_context(&put->failure, "%s: not stored", title);
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
    while (list_pop(&writer->touched))
        ;
    while ((link = list_pop(&writer->finished))) {
        struct order *order = LIST_OWNER(link, struct order, link);

        if (writer->state == BATCH_FAILED)
            remember_garbage(writer, order->upload->codes.upload);
        if (order->kind == ORDER_COMMIT)
            set_failure(writer, order->upload);
        list_push(&writer->settled, link);
    }
}

/* ---- one put's writes --------------------------------------------------------- */

/* 0: they may begin. -1: the batch has failed. */
static int begin_writes(struct writer *writer)
{
    if (need_transaction(writer))
        return -1;
    if (run(writer, ST_SAVEPOINT, &writer->failure)) {
        roll_back(writer);
        return -1;
    }
    return 0;
}

/* After damage: the transaction without the writes since the savepoint, committed.
 * Until it has rolled back something, SQLite would then write nothing more. */
static void undo_writes(struct writer *writer)
{
    struct failure ignored = {0};

    if (run(writer, ST_UNDO, &writer->failure) ||
        run(writer, ST_RELEASE, &writer->failure)) {
        roll_back(writer);
        return;
    }
    end_transaction(writer);
    if (writer->state == BATCH_IDLE && run(writer, ST_LOOK, &ignored) == 0)
        run(writer, ST_ROLLBACK, &ignored);
}

/* Ends what begin_writes began. `outcome` and `failure`: how the writes went. 0: they
 * stand. -1: they do not, for *failure; the batch has failed unless that is
 * DATA_LOSS. */
static int end_writes(struct writer *writer, int outcome, struct failure *failure)
{
    if (outcome == 0 && run(writer, ST_RELEASE, failure) == 0)
        return 0;
    if (failure->status == TRIT_DATA_LOSS && !sqlite3_get_autocommit(writer->db.sqlite)) {
        undo_writes(writer);
        if (writer->damage.status == TRIT_OK)
            writer->damage = *failure;
        return -1;
    }
    writer->failure = *failure;
    roll_back(writer);
    return -1;
}

/* ---- orders ---------------------------------------------------------------- */

/* Where it fails the upload is broken, and perhaps the batch. */
static void flush(struct writer *writer, struct store_upload *upload)
{
    size_t count = upload->codes.count;
    struct failure failure = {0};

    if (begin_writes(writer)) {
        break_upload(upload, &writer->failure);
        return;
    }
    int flushed =
        codes_flush(&upload->codes, &writer->db, &writer->next_upload, &failure);

    if (end_writes(writer, flushed, &failure)) {
        break_upload(upload, &failure);
        return;
    }
    writer->buffered -= count;
    if (list_empty(&upload->touched))
        list_push(&writer->touched, &upload->touched);
}

static void free_buffer(struct writer *writer, struct store_upload *upload)
{
    writer->buffered -= upload->codes.count;
    codes_free_buffer(&upload->codes);
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
    if (upload->codes.upload == 0 || begin_writes(writer))
        return;
    int deleted = codes_delete(&writer->db, upload->codes.upload, &failure);

    end_writes(writer, deleted, &failure);
}

/* The put met damage: it has failed, alone. */
static void refuse(struct writer *writer, struct store_upload *upload,
                   const struct failure *failure)
{
    struct store_put *put = upload->put;
    char title[REPORT_TITLE_BYTES];

    report_title(&put->report, title);
    put->existed = false;
    put->failure = *failure;
    fail_context(&put->failure, "%s: not stored", title);
    remember_garbage(writer, upload->codes.upload);
}

static void take_commit(struct writer *writer, struct store_upload *upload)
{
    struct store_put *put = upload->put;
    struct failure failure = {0};
    enum filing filing = FILING_REFUSED;

    if (upload->end.count > 0 && upload->state == UPLOAD_OPEN)
        break_for_memory(upload);
    if (upload->state == UPLOAD_BROKEN || begin_writes(writer)) {
        discard(writer, upload);
        return;
    }
    writer->buffered -= upload->codes.count;
    int filed = filing_commit(&writer->db, writer->kernels, &writer->next_upload, put,
                              &upload->codes, &filing, &failure);

    if (end_writes(writer, filed, &failure)) {
        if (failure.status == TRIT_DATA_LOSS)
            refuse(writer, upload, &failure);
    } else if (filing == FILING_NEW) {
        writer->filed++;
    } else if (filing == FILING_EXISTED) {
        put->existed = true;
    }
    codes_free_buffer(&upload->codes);
}

void writer_order(struct writer *writer, struct order *order)
{
    switch (order->kind) {
    case ORDER_CODES:
        take_codes(writer, order);
        return;
    case ORDER_COMMIT:
        take_commit(writer, order->upload);
        break;
    case ORDER_ABORT:
        discard(writer, order->upload);
        break;
    }
    list_push(&writer->finished, &order->link);
}

/* ---- the batch ------------------------------------------------------------- */

void writer_begin(struct writer *writer, bool durable)
{
    writer->state = BATCH_IDLE;
    writer->failure = writer->damage = (struct failure){0};
    writer->filed = writer->transactions = writer->reports = 0;
    remove_garbage(writer);
    db_exec(&writer->db,
            durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
            &writer->failure);
    if (writer->failure.status != TRIT_OK)
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
