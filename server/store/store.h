/* SPDX-License-Identifier: Apache-2.0 */
/* Reports, kept: SQLite under the data directory, one writer thread, group
 * commit. A put's done() comes after its transaction is on disk.
 *
 * The interface is that of a service elsewhere, so that PostgreSQL can stand
 * behind it: everything is asynchronous, letters return through the mailbox,
 * no SQL type shows.
 *
 * A put:  begin -> codes()* -> commit -> done()     or   begin -> abort
 * The codes of the newest step of each layer are kept, to count flips. */
#ifndef STORE_H
#define STORE_H

#include "async/loop.h"
#include "base/status.h"
#include "trit/types.h"

struct kernels;
struct log;
struct metrics;
struct store;

struct store_config {
    const char *directory; /* made if missing, mode 0700; NULL = in memory only:
                              reports live as long as the process */
    struct mailbox *mailbox;
    const struct kernels *kernels; /* for counting transitions */
    struct log *log;
    struct metrics *metrics;
    uint32_t queue_max;
};

int store_open(struct store **store, const struct store_config *config,
               struct failure *failure);

/* Finishes what is queued, closes, frees. Every put has been committed or
 * aborted and every reader closed before; letters may still be in the mailbox.
 * NULL is harmless. */
void store_close(struct store *store);

/* Which method made a report. Numbers are kept on disk. */
enum store_method {
    STORE_METHOD_UNKNOWN = 0,
    STORE_METHOD_PROJECT = 1,
    STORE_METHOD_VERIFY = 2,
};

/* What a report answers. Unary and streamed calls ask the same. */
struct store_question {
    enum store_method method;
    enum trit_verify_mode mode; /* of VERIFY */
    float tolerance;            /* of VERIFY: the one that was used, after defaults */
    enum trit_partial_group partial; /* group_size and dtype stand in the report */
    bool has_latents;
    uint8_t latents[16]; /* XXH3-128 of the latents' bytes; zeros without */
};

/* One report on its way to disk. Lives in the caller; hands off between begin
 * and done()/aborted. */
struct store_put {
    struct letter letter;
    struct store *store;
    struct store_upload *upload; /* writer thread's state */
    /* in */
    struct trit_report *report;     /* borrowed until done(); read and filled between
                                       commit and done(); step valid at begin */
    struct store_question question; /* complete at commit */
    void (*done)(struct store_put *put);
    /* out, valid in done() */
    struct failure failure; /* OK; ALREADY_EXISTS; RESOURCE_EXHAUSTED (queue);
                               UNAVAILABLE (disk); DATA_LOSS (what is stored of this
                               layer is damaged: nothing was filed) */
    bool existed;           /* an equal report was there (store_commit) */
};

/* 0, or -1 with nothing to abort: RESOURCE_EXHAUSTED (queue full);
 * INVALID_ARGUMENT (step above 2^63-1). Cheap conflicts are only found at
 * commit. */
int store_begin(struct store_put *put, struct store *store, struct failure *failure);

/* The next bytes of the tensor's 2-bit codes, in order, any size up to 1 MiB;
 * copied. All of them or none: a part fails the commit with INTERNAL. `pending`
 * (letters not yet written) bounds memory: above STORE_CODES_PENDING_MAX bytes
 * wait for drained(). Returns bytes pending: of this put, or of all puts where
 * those together are too many. */
enum { STORE_CODES_PENDING_MAX = 4 << 20 };
size_t store_codes(struct store_put *put, const void *bytes, size_t count);

/* Called on the loop when pending falls below half, once for each time that it
 * was above the bound; not after commit or abort; may be NULL. */
void store_on_drained(struct store_put *put, void (*drained)(struct store_put *));

/* Files the report: fills previous_step, flips, flip_fraction, transitions
 * where the latest earlier step is the layer's newest and its codes are kept
 * with the same shape, group size and partial. time_unix_ns is the caller's.
 * done() follows, after the transaction is on disk.
 *
 * Where the key (run, layer, step) is taken, nothing is filed. A stored report that
 * is equal in digest, verdict, findings and question (dtype and group size included)
 * makes `existed` true: `report` stays the caller's, but for has_previous,
 * previous_step, flips, flip_fraction, transitions and time_unix_ns, which are the
 * stored ones. Any other is ALREADY_EXISTS, with both digests and what differs; so
 * is one of an older tritd, which kept no question. */
void store_commit(struct store_put *put);

/* Forgets the upload; the struct is free again on return. Not after commit. */
void store_abort(struct store_put *put);

/* A report that is read is the one that was filed: each row is checked, and that no
 * row is missing. What damage has touched is DATA_LOSS naming the key, never NOT_FOUND
 * and never a shorter list; whatever does not need the damaged row stays readable.
 * Visits that came before a failure are to be dropped.
 *
 * Reading: synchronous, its own connection, for any one thread at a time. The
 * web has one, the services' queries run on the pool with another. */
struct store_reader;
int store_reader_open(struct store_reader **reader, struct store *store,
                      struct failure *failure);
void store_reader_close(struct store_reader *reader);

/* The report of (run, layer, step), or the latest step where has_step is
 * false. NOT_FOUND names what is missing; DATA_LOSS. */
int store_read_report(struct store_reader *reader, const char *run, const char *layer,
                      bool has_step, uint64_t step, struct trit_report *report,
                      struct failure *failure);

/* Visits reports in (run, layer, step) order; empty run or layer = all. Stops
 * when visit returns false or `limit` were seen. `after` (exclusive) pages on:
 * NULL, or the last report of the page before. */
struct store_query {
    const char *run, *layer;
    uint64_t step_from, step_to; /* inclusive; 0 and UINT64_MAX = all */
    bool latest_only;            /* the newest step of each layer, if in range */
    bool newest_first;           /* reverses the order (and the sense of `after`) */
    uint32_t limit;
    const struct trit_report *after; /* its run, layer and step count */
};
int store_read_reports(struct store_reader *reader, const struct store_query *query,
                       bool (*visit)(void *arg, const struct trit_report *report),
                       void *arg, struct failure *failure);

struct store_run_info {
    const char *run;
    uint64_t layers, reports, step_min, step_max;
    int64_t time_unix_ns; /* of the newest report */
};
int store_read_runs(struct store_reader *reader,
                    bool (*visit)(void *arg, const struct store_run_info *info),
                    void *arg, struct failure *failure);

#endif
