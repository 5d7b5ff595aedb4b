/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: jobs over files on the daemon's own disk, below its --checkpoint-root. The
 * daemon does what the commands of `trit` do, with the same rules, bits, findings and
 * results; no tensor is sent. proto/trit/v1/checkpoints.proto has the details. */
#ifndef TRIT_JOBS_H
#define TRIT_JOBS_H

#include <trit/base.h>
#include <trit/checkpoint.h>
#include <trit/client.h>

#ifdef __cplusplus
extern "C" {
#endif

enum trit_job_method {
    TRIT_JOB_INSPECT, /* what the tensors are */
    TRIT_JOB_PLAN,    /* what a projection would do */
    TRIT_JOB_VERIFY,
    TRIT_JOB_PROJECT,
    TRIT_JOB_PACK, /* another encoding of layers that are ternary already, or dense ones */
    TRIT_JOB_DIFF, /* what differs between two checkpoints */
};

/* Strings are borrowed for the call; paths are relative to the daemon's root. */
struct trit_job_request {
    size_t size;
    enum trit_job_method method;
    bool detach;        /* the job goes on when its client goes */
    bool npy_bf16;      /* .npy: 2-byte void is bf16 */
    bool has_tolerance; /* else 1e-5 */
    bool force;         /* PROJECT, PACK: replace an output that exists */
    float tolerance;    /* VERIFY */
    /* PROJECT, VERIFY, PACK. TRIT_REPORT_NONE: no report comes and no digest is computed, which
     * takes most of the time; output, findings and verdict do not change. */
    enum trit_report_detail report;
    bool allow_lost_scales;    /* PROJECT */
    bool allow_rounded_scales; /* PACK: scales that the encoding does not hold */
    bool dry_run;              /* PACK: only the plan */
    bool keep_names;     /* PLAN, PROJECT, PACK, of a GGUF file: llama.cpp's names stay */
    bool reserved[4];    /* false */
    const char *path;    /* the input */
    const char *against; /* VERIFY: the latents; NULL: none. DIFF: the second input */
    const char *output;  /* PROJECT, PACK; of PLAN or NULL */
    uint64_t shard_bytes; /* PROJECT, PACK, of a file in a folder; 0: 5 GB */
    const struct trit_pack_target *target; /* PACK: what the layers become */
    /* As for local checkpoints, except `config`, which must be NULL. NULL: none. With PACK,
     * `encoding` is that of the input if its record does not say. */
    const struct trit_checkpoint_options *options;
    const struct trit_call_options *call; /* its timeout is for the whole stream */
};
#define TRIT_JOB_REQUEST_INIT TRIT_INIT(trit_job_request)

/* The field of a trit_error where a job refuses its input: a layer that PACK cannot hold or a
 * folder whose index and shards contradict each other (INVALID_ARGUMENT), scales that PROJECT
 * would lose (FAILED_PRECONDITION). Nothing is written. */
#define TRIT_JOB_FIELD_LAYERS "layers"

/* What became of a job so far. Strings are never NULL, and valid until `visit` returns. */
struct trit_job_progress {
    size_t size;
    /* Set it before the call to a report of the caller, initialized with
     * TRIT_REPORT_INIT, or leave it NULL. */
    struct trit_report *report;
    bool has_report; /* `report` has that of a layer that is done; DIFF and unpacking
                        have none */
    bool reserved[7];
    const char *job;
    const char *layer; /* of the report; else the tensor that began last */
    const char *state; /* "waiting", "running", "done" */
    const char
        *verdict; /* of the last message, else "": "pass", "fail", "inconclusive" */
    /* A part of the result, as `trit --json` prints it. The parts of all messages, in their
     * order, are the text. */
    const char *result;
    uint64_t tensors_done, tensors_total;
    uint64_t tensors_reused; /* of tensors_done: done before the daemon restarted */
    uint64_t bytes_done, bytes_total;
    double bytes_per_second;
    double seconds_left; /* estimated; 0: not known */
};
#define TRIT_JOB_PROGRESS_INIT TRIT_INIT(trit_job_progress)

/* Starts a job, and calls `visit` with each message that the daemon sends about it: first
 * one that names the job, then one for each layer and others. Returns when the job has ended,
 * with its failure or TRIT_OK, or when `visit` returns other than 0 (TRIT_OK), which cancels
 * the job unless it is detached. FAILED_PRECONDITION: the daemon has no checkpoint root.
 * RESOURCE_EXHAUSTED: too many jobs wait already, or 48 watches and jobs of the client run; each
 * keeps one of its 64 connections until this returns. */
TRIT_API enum trit_status
trit_job_run(struct trit_client *client, const struct trit_job_request *request,
             struct trit_job_progress *progress,
             int (*visit)(void *arg, const struct trit_job_progress *progress), void *arg,
             struct trit_error *error);

/* The same for a job that was started before, from its first message on. To stop does not
 * cancel the job. NOT_FOUND: the daemon has no such job, or no longer. RESOURCE_EXHAUSTED: as
 * trit_job_run. */
TRIT_API enum trit_status
trit_job_attach(struct trit_client *client, const char *job,
                const struct trit_call_options *options,
                struct trit_job_progress *progress,
                int (*visit)(void *arg, const struct trit_job_progress *progress),
                void *arg, struct trit_error *error);

/* Cancels a job. One that has ended stays as it is. NOT_FOUND: as above. */
TRIT_API enum trit_status trit_job_cancel(struct trit_client *client, const char *job,
                                          const struct trit_call_options *options,
                                          struct trit_error *error);

/* A job that waits, runs, or has ended and is still kept. */
struct trit_job {
    size_t size;
    const char *job, *method; /* "Verify" */
    const char *path, *against, *output;
    const char *state;   /* "waiting", "running", "done", "failed", "cancelled",
                            "interrupted" */
    const char *verdict; /* of a job that is done, else "" */
    const char *message; /* why a job failed, else "" */
    enum trit_status status;
    bool detach;
    bool reserved[3];
    int64_t created_unix_ns;
    int64_t started_unix_ns; /* 0: it still waits */
    int64_t ended_unix_ns;   /* 0: it has not ended */
    uint64_t tensors_done, tensors_total, tensors_reused, bytes_done, bytes_total;
};
#define TRIT_JOB_INIT TRIT_INIT(trit_job)

/* Writes each job into `job` and calls `visit`, the newest job first. Returns when all were
 * visited, or when `visit` returns other than 0. */
TRIT_API enum trit_status
trit_job_list(struct trit_client *client, const struct trit_call_options *options,
              struct trit_job *job, int (*visit)(void *arg, const struct trit_job *job),
              void *arg, struct trit_error *error);

#ifdef __cplusplus
}
#endif

#endif
