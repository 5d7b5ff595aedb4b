/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps reports in SQLite, under the data directory or in memory. One thread writes; it
 * commits all queued puts as one transaction. A put's done() is called after its
 * transaction is on disk.
 *
 * The interface is asynchronous and shows no SQL type, so that another database can
 * replace SQLite. Results return to the loop through the mailbox.
 *
 * A put:  begin -> codes()* -> commit -> done()     or   begin -> codes()* -> abort
 * The newest step of each layer keeps its codes, others within a bound. They serve to count
 * flips and to compare. */
#ifndef STORE_H
#define STORE_H

#include "async/loop.h"
#include "base/status.h"
#include "shards/join.h"
#include "trit/types.h"

struct health_rules;
struct kernels;
struct log;
struct metrics;
struct store;

/* Which reports are deleted without being asked for. */
enum store_retain_kind {
    STORE_RETAIN_AGE,   /* those that are older than `value` nanoseconds */
    STORE_RETAIN_COUNT, /* those that are not among the newest `value` of their layer */
    STORE_RETAIN_BYTES, /* the oldest, until the store has at most `value` bytes */
    STORE_RETAIN_THIN,  /* behind the newest `value` of a layer: those whose step is no
                           multiple of `every` */
};
struct store_rule {
    enum store_retain_kind kind;
    uint64_t value, every;
};
enum { STORE_RULES_MAX = 16 };
struct store_retention {
    struct store_rule rules[STORE_RULES_MAX];
    size_t count;
};

/* Adds the rules of a text: "age=30d", "count=1000", "bytes=10G" or "thin=100:10", or
 * several with commas. INVALID_ARGUMENT names the part that is wrong. */
int store_retention_add(struct store_retention *retention, const char *text,
                        struct failure *failure);

struct store_config {
    const char *directory;   /* created with mode 0700 if missing. NULL: in memory, and
                              the reports are lost when the process ends */
    struct mailbox *mailbox; /* of puts and changes that name none */
    const struct kernels *kernels; /* they count transitions */
    struct log *log;
    struct metrics *metrics;
    uint32_t queue_max;
    uint64_t codes_max; /* bytes of codes and scales of reports that are not the newest of
                           their layer and replica; the oldest are deleted first */
    uint64_t shards_max; /* bytes of shards that wait for others; RESOURCE_EXHAUSTED */
    struct store_retention retention;
    const struct health_rules *rules; /* copied; NULL: the default ones */
    /* Called after new reports are on disk, once for all that were filed together, on the
     * loop of one of their puts. NULL: not called. */
    void (*filed)(void *arg);
    void *filed_arg;
};

/* Opens the store and starts its writer. `directory` is copied, the rest is borrowed.
 * UNAVAILABLE: storage or memory. DATA_LOSS: the database is damaged.
 * FAILED_PRECONDITION: another process holds the directory, or the file belongs to
 * another program or to a newer tritd. */
int store_open(struct store **store, const struct store_config *config,
               struct failure *failure);

/* Finishes what is queued, closes and frees. Before: commit or abort every put, and
 * close every reader. Messages may still be in the mailbox. NULL is harmless. */
void store_close(struct store *store);

/* For how long the writer has been busy with one batch or one slice of other work; 0: it is
 * not. Any thread. */
uint64_t store_busy_ns(const struct store *store);

/* Which method made a report. The numbers are on disk. */
enum store_method {
    STORE_METHOD_UNKNOWN = 0,
    STORE_METHOD_PROJECT = 1,
    STORE_METHOD_VERIFY = 2,
};

/* The question that a report answers. A unary call and a stream ask the same one. */
struct store_question {
    enum store_method method;
    enum trit_verify_mode mode;      /* VERIFY only */
    float tolerance;                 /* VERIFY only: the value used, after defaults */
    enum trit_partial_group partial; /* group_size and dtype are in the report */
    bool has_latents;
    bool joined;         /* of shards: then `latents` are not known */
    uint8_t latents[16]; /* XXH3-128 of the latents' bytes; zeros without latents */
};

/* A put of a shard. The shards of a layer make one report when the last has come; until
 * then they wait in the store. Owned by the caller, like the put. */
struct store_shard {
    struct shard_state state; /* valid at commit; its box at begin */
    /* On the writer's thread, when this is the last shard: makes the report of the layer.
     * First begin, with what was found in all shards together. Then for the groups of the
     * layer in order: their codes in pieces, and group() for each of them, which returns the
     * scale as a reader of the output finds it. Last end, always after begin; without a
     * report it only frees. begin, end: -1: no memory. */
    int (*begin)(struct store_shard *shard, const struct shard_found *layer,
                 struct failure *failure);
    void (*codes)(struct store_shard *shard, const uint8_t *bytes, size_t count);
    float (*group)(struct store_shard *shard, const struct shard_group_row *group);
    int (*end)(struct store_shard *shard, struct trit_report *report,
               struct failure *failure);
};

/* One report on its way to disk. The caller owns it and must not touch it between
 * begin and done(), except the fields that commit takes. */
struct store_put {
    struct mailbox_message message;
    struct store *store;
    struct store_upload *upload; /* the writer's state */
    /* in */
    struct mailbox *mailbox;         /* of the loop of this put; NULL: the store's */
    struct trit_report *report;      /* borrowed until done(). Its step is valid at begin,
                                       all else at commit; commit fills some fields.
                                       attempt: 0 the run's newest; newest + 1 begins the
                                       next attempt */
    struct store_question question;  /* valid at commit */
    struct store_shard *shard;       /* NULL: the report is of a whole layer */
    const struct shard_list *joined; /* the store's: the shards of this report */
    bool counts_early; /* at begin the report's run, layer, attempt, replica and geometry
                          are valid, and question.partial: flips are counted while the
                          codes arrive. Should they change, flips are counted at commit */
    void (*done)(struct store_put *put);
    /* out, valid in done() */
    struct failure failure; /* OK; ALREADY_EXISTS; RESOURCE_EXHAUSTED (memory, or too
                               many attempts); UNAVAILABLE (storage);
                               FAILED_PRECONDITION (of an older attempt);
                               INVALID_ARGUMENT (an attempt beyond the next); DATA_LOSS
                               (a stored row of this layer is damaged, and nothing was
                               stored) */
    bool existed;           /* the same answer was stored before; see store_commit */
    uint32_t asked_attempt; /* the store's: report->attempt at commit */
};

/* -1: there is nothing to abort. RESOURCE_EXHAUSTED: the queue is full, or no memory.
 * INVALID_ARGUMENT: the step is above 2^63-1. A taken key is found at commit only. */
int store_begin(struct store_put *put, struct store *store, struct failure *failure);

/* Copies the next bytes of the tensor's 2-bit codes, at most 1 MiB. A put brings all of
 * its codes or none; if only a part of them came, its commit fails with INTERNAL. Returns
 * how many bytes wait for the writer: those of this put, or those of all puts if they
 * exceed the bound for all. If it is above STORE_CODES_PENDING_MAX, wait for drained().
 * */
enum { STORE_CODES_PENDING_MAX = 4 << 20 };
size_t store_codes(struct store_put *put, const void *bytes, size_t count);

/* The same for the f32 scales, one per group in order. All of them or none. Without them the
 * report cannot be compared with one whose digest differs. */
size_t store_scales(struct store_put *put, const float *scales, size_t count);

/* In place of scales, for a shard: what its groups leave behind (shards/join.h), in order. */
size_t store_groups(struct store_put *put, const void *bytes, size_t count);

/* `drained` is called on the loop when the waiting bytes fall below half of the bound,
 * once each time that they were above it. Not called after commit or abort. May be
 * NULL. */
void store_on_drained(struct store_put *put, void (*drained)(struct store_put *));

/* Stores the report; done() follows on the loop after the transaction is on disk. Fills
 * attempt, and, if there is a report of an earlier step in the lineage, this step is
 * newer than all of them, and codes of the same shape, group size and partial-group rule
 * are kept of it: previous_step, flips, flip_fraction and transitions. The caller fills
 * time_unix_ns.
 *
 * Attempts: a report of the newest attempt, or of 0, goes there. Newest + 1 begins the next
 * attempt, which resumes after the step before this one; reports of lower steps that name
 * this attempt move that point down. A step up to the point at which an attempt resumed
 * belongs to the attempt before: an equal report `existed`, all else is refused.
 *
 * If the key (run, layer, attempt, replica, step) is taken, nothing is stored. If the
 * stored report has the same digest, verdict, findings and question (with dtype and group
 * size), the put `existed`: the caller's report stays as it is, except that attempt,
 * has_previous, previous_step, flips, flip_fraction, transitions and time_unix_ns become
 * the stored ones. If not, the put fails with ALREADY_EXISTS, and the message names both
 * digests and what differs. A report of an older tritd that kept no question also makes it
 * ALREADY_EXISTS.
 *
 * If another replica has a report of the same step and attempt with another digest, this
 * one gets a finding codes_differ or scales_differ of severity error: replica 0 is
 * compared with each other replica, each other one with replica 0. Its hint begins with
 * "replica R differs from replica 0 since step S". If the digests are equal it gets the
 * note replica_equal. These findings are no part of the answer: for `existed` they are not
 * compared.
 *
 * A shard waits until the shards of its layer cover it. Then they become one report, as if
 * the whole layer had come at once, and take part in all of the above. The put's report
 * stays that of the shard, with shards_present and shards_expected. The same shard again
 * `existed`, also after the layer is complete. ALREADY_EXISTS: another shard in the same
 * place, or the report of a whole layer. FAILED_PRECONDITION: it overlaps another shard, or
 * differs in what shards have in common; or the put is of a whole layer, and shards of it
 * wait. RESOURCE_EXHAUSTED: shards_max, or WAITING_SHARDS_MAX. A shard needs codes. */
void store_commit(struct store_put *put);

/* Drops the upload. The put is the caller's again on return. Not after commit. */
void store_abort(struct store_put *put);

/* ---- changes of a run ---- */

/* A change on its way to disk. The caller owns it and must not touch it before done(). It
 * is done in slices between the batches of puts, so that no put waits for more than one
 * slice of it. After a failure a part of a deletion may have been done. */
struct store_change {
    struct store *store; /* the store's */
    /* in */
    struct mailbox *mailbox; /* of the loop of this change; NULL: the store's */
    char run[TRIT_NAME_BYTES_MAX + 1];
    char layer[TRIT_NAME_BYTES_MAX + 1];   /* delete: empty: all layers */
    char new_run[TRIT_NAME_BYTES_MAX + 1]; /* fork */
    uint64_t step;                         /* rewind, fork: the last one that stays */
    uint64_t step_from, step_to;           /* delete: inclusive; 0 and UINT64_MAX: all */
    void (*done)(struct store_change *change);
    /* out, valid in done() */
    struct failure failure;
    uint32_t attempt; /* rewind: the one that was started */
    uint64_t reports; /* fork: copied; delete: deleted */
};

/* Each returns -1 with RESOURCE_EXHAUSTED (the queue is full, or no memory) or
 * INVALID_ARGUMENT, and then done() is not called.
 *
 * Rewind starts the run's next attempt after `step`. NOT_FOUND: no such run.
 * RESOURCE_EXHAUSTED: it has too many attempts. */
int store_rewind(struct store_change *change, struct store *store,
                 struct failure *failure);

/* Fork copies the reports of the newest attempt, with what it resumed from, of all
 * replicas, up to `step`, as attempt 1 of new_run. Codes are shared, not copied. new_run
 * appears when it is complete. NOT_FOUND: no such run, or no report up to `step`.
 * ALREADY_EXISTS: new_run is a run. */
int store_fork(struct store_change *change, struct store *store, struct failure *failure);

/* Deletes the reports of all attempts and replicas. A layer or run without reports is
 * gone. NOT_FOUND: no such run or layer. */
int store_delete(struct store_change *change, struct store *store,
                 struct failure *failure);

/* Reading. A reader has its own connection; any one thread at a time may use it, and
 * each call waits for its answer. The web has one reader, the services another.
 *
 * Every row that is read is checked, and so is that no row is missing. Damage is
 * DATA_LOSS naming the key, never NOT_FOUND and never a shorter list. What does not
 * depend on a damaged row stays readable. If a read fails, discard what it visited. */
struct store_reader;
int store_reader_open(struct store_reader **reader, struct store *store,
                      struct failure *failure);
void store_reader_close(struct store_reader *reader);

/* Names one report, or the newest of a layer. Attempt 0: the run's newest attempt with
 * what it resumed from. Another attempt: its own reports only, superseded ones too. */
struct store_get {
    const char *run, *layer;
    uint32_t attempt, replica;
    bool has_step; /* false: the newest step */
    uint64_t step;
    int64_t now_unix_ns; /* the newest report of a layer then says whether the layer is
                            stale at this time; 0: it does not say so */
};

/* Reads a report. As every report that is read here, it says that it is stored. Sets its
 * attempt, replica and `superseded`. NOT_FOUND names what is missing. DATA_LOSS. If there is
 * no report, but shards of it wait: what is known of the layer, with the finding
 * shards_missing; the shards are stored. */
int store_read_report(struct store_reader *reader, const struct store_get *get,
                      struct trit_report *report, struct failure *failure);

/* Names one report; a page's end. Attempt 0: the one that has the step. */
struct store_key {
    char run[TRIT_NAME_BYTES_MAX + 1];
    char layer[TRIT_NAME_BYTES_MAX + 1];
    uint32_t attempt, replica;
    uint64_t step;
};

struct store_query {
    const char *run, *layer;     /* NULL or empty: all */
    uint32_t attempt;            /* 0: each run's newest with what it resumed from */
    uint32_t replica;            /* the reports of this replica */
    uint64_t step_from, step_to; /* inclusive; 0 and UINT64_MAX: all */
    bool latest_only;            /* only the newest step of each layer in the range */
    bool all_replicas;           /* with latest_only and without after: of each replica */
    bool newest_first;           /* reverses the order */
    uint32_t limit;
    const struct store_key
        *after;          /* the last report of the page before; NULL: first page */
    int64_t now_unix_ns; /* as in store_get */
    /* NULL: damage fails the query. Otherwise reports that are damaged or missing are
     * skipped, and this is called where they were in the order: reports of this layer,
     * replica and attempt may be missing from the list, the last of them at or before this
     * step. With latest_only: the newest one, and nothing of the layer is visited in its
     * place. `key` is valid during the call. A call does not count towards `limit`. False:
     * the query ends. A layer whose own row is damaged, or in a query of several runs that of
     * its run, is told once, and none of its reports is visited: at the newest step in the
     * range that the table has, or where it has none, at the end of the range. With
     * newest_first only of one layer. */
    bool (*passed)(void *arg, const struct store_key *key);
};

/* Visits layers whose shards have not all come, sorted by run, layer, step, replica and
 * attempt: what is known of each, with the finding shards_missing. Of all replicas, and of
 * all attempts if that is 0; ignores replica, latest_only and newest_first. */
int store_read_waiting(struct store_reader *reader, const struct store_query *query,
                       bool (*visit)(void *arg, const struct trit_report *report),
                       void *arg, struct failure *failure);

/* Visits reports sorted by run, layer and step. Stops when `visit` returns false, or
 * after `limit` reports. */
int store_read_reports(struct store_reader *reader, const struct store_query *query,
                       bool (*visit)(void *arg, const struct trit_report *report),
                       void *arg, struct failure *failure);

/* After a query that gave nothing: NOT_FOUND names a run, a layer of it, or an attempt or
 * replica of the layer, that the query asks for and that is not there. 0: it is, or nothing
 * was named. */
int store_check_listed(struct store_reader *reader, const struct store_query *query,
                       struct failure *failure);

struct store_run_info {
    const char *run;
    uint32_t attempt; /* the newest */
    uint64_t reports; /* of all replicas and attempts */
    uint64_t
        damaged; /* rows of layers, or of the run: they are not in `reports`, the steps
                       * and the time */
    /* The following of the newest attempt with what it resumed from. */
    uint64_t layers; /* names, not replicas */
    bool has_steps;  /* false: all reports are superseded */
    /* step_max: of a layer whose newest report before a rewind is damaged, the step to which
     * the run was rewound. */
    uint64_t step_min, step_max;
    int64_t time_unix_ns; /* of the newest report of all */
};
int store_read_runs(struct store_reader *reader,
                    bool (*visit)(void *arg, const struct store_run_info *info),
                    void *arg, struct failure *failure);

/* One run; *info has the caller's `run`. With an attempt all but info->attempt is of the
 * reports of that one alone. NOT_FOUND: there is no such run, or no such attempt. */
int store_read_run(struct store_reader *reader, const char *run, uint32_t attempt,
                   struct store_run_info *info, struct failure *failure);

/* Visits reports of all replicas and attempts in order of filing: those whose sequence is
 * above the given one. `run` NULL or empty: of all runs. Stops as store_read_reports.
 * DATA_LOSS names a damaged report of these runs, and its sequence: "filed as number 7". One
 * of another run is skipped if other rows show that it is. */
int store_read_since(struct store_reader *reader, const char *run, uint64_t sequence,
                     uint32_t limit,
                     bool (*visit)(void *arg, uint64_t sequence,
                                   const struct trit_report *report),
                     void *arg, struct failure *failure);

/* Visits the newest report of each layer and replica that became stale, or stale enough
 * for the next severity, after `after_unix_ns` and not after now, with the time at which it
 * did. Sorted by run, layer and replica. The report says so. Stops when `visit` returns
 * false. A layer whose newest report is damaged is skipped. */
struct store_stale_query {
    const char *run; /* NULL or empty: all */
    int64_t after_unix_ns, now_unix_ns;
    const struct store_key *after; /* the last report that was visited; NULL: none */
};
int store_read_stale(struct store_reader *reader, const struct store_stale_query *query,
                     bool (*visit)(void *arg, int64_t since_unix_ns,
                                   const struct trit_report *report),
                     void *arg, struct failure *failure);

/* What differs between the ternary tensors of two reports. */
struct store_difference {
    bool equal; /* equal digests */
    uint64_t elements;
    uint64_t codes_differing;
    double scale_ratio_max; /* of b/a and a/b, over groups whose scales are above 0; 1:
                               none differ */
    bool has_first_group;
    uint64_t first_group; /* whose codes or scale differ */
};

/* Compares two reports. If their digests differ, it needs their codes and scales.
 * NOT_FOUND names what is missing. INVALID_ARGUMENT: other shapes or group sizes.
 * FAILED_PRECONDITION: codes or scales are not kept; the message names --codes-max.
 * DATA_LOSS. */
int store_compare(struct store_reader *reader, const struct store_get *a,
                  const struct store_get *b, struct store_difference *difference,
                  struct failure *failure);

/* The sequence of the newest report; 0: there was none. */
int store_read_sequence(struct store_reader *reader, uint64_t *sequence,
                        struct failure *failure);

/* ---- checking everything ---- */

struct store_counts {
    uint64_t layers, reports, uploads; /* uploads: layers whose newest codes are kept */
    uint64_t damaged;                  /* calls of `damaged` */
};

/* For --check-config: whether store_open would find the directory usable. What is missing
 * is created for a moment. A directory that another process holds passes, and so does
 * damage inside the database. UNAVAILABLE, DATA_LOSS or FAILED_PRECONDITION. */
int store_usable(const char *directory, struct failure *failure);

/* Reads everything that a data directory holds of reports. `damaged` is called for each
 * fault with a sentence that names it. A store must not be open there. Changes nothing.
 * -1: it cannot be checked: FAILED_PRECONDITION (in use, another program's or another
 * version's), UNAVAILABLE. */
int store_check(const char *directory, void (*damaged)(void *arg, const char *message),
                void *arg, struct store_counts *counts, struct failure *failure);

#endif
