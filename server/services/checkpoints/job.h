/* SPDX-License-Identifier: Apache-2.0 */
/* A job: one run over a checkpoint, on a thread of its own. It outlives the call that
 * started it.
 *
 *   WAITING --a place is free--> RUNNING --+--> DONE
 *      |                           |       +--> FAILED
 *      +---------cancelled---------+----------> CANCELLED <-- INTERRUPTED
 *
 * A job of an earlier daemon (kept.h) is WAITING again if it was detached, otherwise
 * INTERRUPTED: the same request goes on where it was.
 *
 * Calls use the table of jobs (jobs.h), under its lock, and move a job to RUNNING. From then on
 * the job's thread writes what `lock` guards, and tells the loop by `news`. What calls show
 * of a job is its *log*: one encoded CheckpointProgress for each layer, then those with the
 * result. It only grows, so that a call that attaches later shows the same. */
#ifndef CHECKPOINTS_JOB_H
#define CHECKPOINTS_JOB_H

#include <pthread.h>
#include <stdatomic.h>

#include "async/loop.h"
#include "base/states.h"
#include "drive/progress.h"
#include "files/output_mark.h"
#include "proto/codec/checkpoints.h"

struct budget;
struct checkpoint_job;
struct job_context;
struct json_t;
struct jobs;
struct tensor_entry;

enum job_state {
    JOB_WAITING,
    JOB_RUNNING,
    JOB_DONE,
    JOB_FAILED,
    JOB_CANCELLED,
    JOB_INTERRUPTED, /* its daemon ended before it did */
    JOB_STATES,
};
extern const struct states job_states;

enum {
    JOB_LOG_BYTES_MAX = 64 << 20, /* of one job; RESOURCE_EXHAUSTED */
    JOB_NEWS_MS = 100,            /* between two messages without a report */
};

/* The field that a failure names where the job refuses its input's layers (trit/jobs.h). */
#define JOB_FIELD_LAYERS "layers"

/* What a job does. `run` returns 0 after job_finish, or -1 with *failure. On the job's
 * thread. */
struct job_kind {
    const char *name; /* of the method: "Verify" */
    uint32_t fields;  /* of its request (proto/codec/checkpoints.h) */
    bool writes;      /* `output` of its request, unless that is a dry run */
    int (*run)(struct checkpoint_job *job, struct failure *failure);
};

struct job_message {
    size_t bytes;
    uint8_t *data;
};

struct checkpoint_job {
    struct list link; /* in the table */
    struct list streams;
    _Atomic unsigned references; /* of the table, of calls, of news that are posted */
    char id[JOB_ID_BYTES_MAX + 1];
    const struct job_kind *kind;
    const struct job_context *context; /* what runs use */
    struct wire_checkpoint asked;
    struct jobs *_Atomic jobs; /* NULL once it is forgotten */
    uint64_t starts;           /* how often a daemon started it */
    bool earlier;              /* an earlier daemon may have left a part of the output */
    pthread_t thread;
    bool has_thread;
    struct mailbox_message news; /* to the loop: there is something to show */
    _Atomic bool news_posted;
    _Atomic bool cancelled;
    _Atomic bool interrupted;                 /* the daemon stops; another one goes on */
    int64_t created_ns, started_ns, ended_ns; /* Unix time; 0: not yet */
    uint64_t begun_ns, told_ns;               /* monotonic */
    uint64_t read_bytes;                      /* that are counted; as `told_ns` */
    uint64_t output_bytes; /* of the output's tensors; the job's thread */
    /* Of a job of an earlier daemon: it is done if its output has its name. */
    struct output_mark named;
    struct progress progress; /* its lock guards it, and `told_ns` */
    pthread_mutex_t lock;     /* guards the rest, and the times above */
    enum job_state state;
    struct failure failure;
    enum trit_verdict verdict;
    bool has_result; /* the log's last messages are, or will be, the result */
    bool prepared;   /* messages from `log_shown` on are a result that no call sees yet */
    uint64_t tensors_total;
    struct job_message *log;
    size_t log_count, log_shown, log_capacity, log_bytes;
    /* The reports of layers as JSON, joined by commas; the job's thread alone. */
    char *layers;
    size_t layers_bytes, layers_capacity;
    /* Of the memory budget, beyond JOB_BYTES: until the job's thread has ended, and until
     * the job is freed. The job's thread adds to them. */
    struct budget *budget;
    uint64_t work_charged, log_charged;
};

/* Has one reference. NULL: no memory. */
struct checkpoint_job *job_create(const struct job_kind *kind,
                                  const struct job_context *context);
void job_hold(struct checkpoint_job *job);
void job_release(struct checkpoint_job *job); /* NULL is harmless */

bool job_has_ended(enum job_state state);
bool job_waits(struct checkpoint_job *job);       /* it is JOB_WAITING. Any thread */
const char *job_state_name(enum job_state state); /* "waiting" */

/* Tells the loop that there is something to show. On the job's thread. */
void job_tell(struct checkpoint_job *job);

/* The job's thread has ended: gives back what only it needed. On the loop. */
void job_settle(struct checkpoint_job *job);

/* How a job ended. */
struct job_end {
    enum job_state state;
    struct failure failure; /* of one that is not done */
    int64_t ended_ns;       /* Unix time */
    /* NULL: it has ended. Otherwise it ends so when its output gets its name. */
    const struct output_mark *named;
};

/* ---- for runs, on the job's thread ------------------------------------------------------ */

/* Charges memory that the job needs until it ends. RESOURCE_EXHAUSTED. */
int job_charge(struct checkpoint_job *job, uint64_t bytes, struct failure *failure);

/* The run is about to do this much: `tensors` are the pieces of the run, whose ends the
 * progress counts. */
void job_expect(struct checkpoint_job *job, uint64_t bytes, uint64_t tensors);

/* A layer is done: fits struct verifying and struct projecting, whose owner the job is. */
int job_layer(void *job, const char *name, const struct tensor_entry *dense,
              struct trit_report *report, struct failure *failure);

/* The result. Takes the reference to `result`, in which an empty array "layers" is the last
 * member if `has_layers`: the layers' reports are put there. -1: NULL, or no memory. */
int job_finish(struct checkpoint_job *job, enum trit_verdict verdict,
               struct json_t *result, bool has_layers, struct failure *failure);

/* job_finish in two steps: a prepared result is in the log, but calls do not see it before
 * it is shown. One that is dropped leaves the log as it was. */
int job_prepare(struct checkpoint_job *job, enum trit_verdict verdict,
                struct json_t *result, bool has_layers, struct failure *failure);
void job_show_result(struct checkpoint_job *job);
void job_drop_result(struct checkpoint_job *job);

/* ---- for calls, on the loop -------------------------------------------------------------- */

/* What the job shows now, without a report. Texts are valid while the job is held. */
struct job_snapshot {
    struct wire_progress progress;
    char label[PROGRESS_LABEL_BYTES];
    enum job_state state;
    struct failure failure;
    int64_t started_ns, ended_ns;
    bool has_result; /* no other message comes after it */
    size_t log_count;
};
void job_snapshot(struct checkpoint_job *job, struct job_snapshot *snapshot);

/* Adds a message to the log. */
int job_log(struct checkpoint_job *job, const uint8_t *bytes, size_t count,
            struct failure *failure);

/* A message of the log, which lives as long as the job; `index` < log_count. */
struct job_message job_message(struct checkpoint_job *job, size_t index);

#endif
