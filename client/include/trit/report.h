/* SPDX-License-Identifier: Apache-2.0 */
/* Reports: what is known about a projected or verified tensor (struct trit_report in
 * trit/types.h), and those that the daemon has stored. */
#ifndef TRIT_REPORT_H
#define TRIT_REPORT_H

#include <trit/client.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRIT_REPORT_INIT TRIT_INIT(trit_report)

/* FAIL where the tensor is not ternary, differs from its reference or has a finding of
 * severity error; else INCONCLUSIVE where a finding is undecided, and for NULL or a
 * report without its size; else PASS. */
TRIT_API enum trit_verdict trit_report_verdict(const struct trit_report *report);

/* Where a tensor lies in its layer: all shards of a layer at one step make one report. A
 * shard may not cut a group. */
struct trit_shard {
    size_t size;
    uint32_t rank; /* of the two arrays: the tensor's */
    uint32_t reserved;
    uint64_t global_shape[TRIT_RANK_MAX]; /* of the whole layer */
    uint64_t offset[TRIT_RANK_MAX];       /* of the shard's first element */
};
#define TRIT_SHARD_INIT TRIT_INIT(trit_shard)

/* Under which name the daemon stores a report. Strings are borrowed for the call. */
struct trit_layer_ref {
    size_t size;
    const char *run; /* NULL or "": the report is not stored */
    const char *layer;
    uint64_t step;
    uint32_t attempt; /* of the run, from 1; 0: the newest; newest + 1 starts
                                       the next, which may begin at any step */
    uint32_t replica; /* which copy of the layer; 0 is the reference */
    const struct trit_shard *shard; /* NULL: the tensor is the whole layer */
};
#define TRIT_LAYER_REF_INIT TRIT_INIT(trit_layer_ref)

/* Gets the report of (run, layer) at *step, or the newest where `step` is NULL.
 * NOT_FOUND: there is none. DATA_LOSS: it is damaged. `options` may be NULL. */
TRIT_API enum trit_status trit_report_get(struct trit_client *client, const char *run,
                                          const char *layer, const uint64_t *step,
                                          const struct trit_call_options *options,
                                          struct trit_report *report,
                                          struct trit_error *error);

/* Is called when reports of a layer are damaged in the daemon's store; the last of them is at
 * or before this step. `run` and `layer` are valid during the call. */
typedef void (*trit_damaged)(void *arg, const char *run, const char *layer, uint64_t step,
                             uint32_t attempt, uint32_t replica);

/* Which reports are listed. */
struct trit_report_query {
    size_t size;
    const char *run, *layer;     /* NULL or "": all */
    bool has_from, has_to;       /* whether step_from and step_to limit the steps */
    bool latest_only;            /* the newest step of each layer in the range */
    uint64_t step_from, step_to; /* inclusive */
    const struct trit_call_options *call;
    uint32_t attempt; /* 0: each run's newest, with what it resumed from */
    uint32_t replica;
    uint32_t waiting; /* 1: layers whose shards have not all come, in place of reports; of
                         all attempts where that is 0, and of all replicas */
    uint32_t reserved; /* 0 */
    /* NULL: the first report that is damaged in the daemon's store ends the list with
     * DATA_LOSS. Otherwise it is called for each place in the list where some are, after
     * the reports of the same page, with the `arg` of the list. With latest_only it is the
     * newest one of the layer, and no older report is listed in its place. After `visit` has
     * ended the list it is not called any more. With waiting it is never called. */
    trit_damaged damaged;
};
#define TRIT_REPORT_QUERY_INIT TRIT_INIT(trit_report_query)

/* Writes each stored report that matches into `report`, in the order (run, layer, step),
 * and calls `visit` with it; other than 0 from `visit` ends the list with TRIT_OK.
 * `query` NULL: all reports. NOT_FOUND: it names a run, a layer, an attempt or a replica that
 * is not there; a range of steps without reports is TRIT_OK. `arg` may be NULL. */
TRIT_API enum trit_status
trit_report_list(struct trit_client *client, const struct trit_report_query *query,
                 struct trit_report *report,
                 int (*visit)(void *arg, const struct trit_report *report), void *arg,
                 struct trit_error *error);

/* ---- the history -------------------------------------------------------------------- */

/* One stored report. */
struct trit_report_key {
    size_t size;
    const char *run, *layer;
    bool has_step; /* false: the newest step */
    bool reserved[7];
    uint64_t step;
    uint32_t attempt; /* 0: the run's newest, with what it resumed from */
    uint32_t replica;
};
#define TRIT_REPORT_KEY_INIT TRIT_INIT(trit_report_key)

/* As trit_report_get, of any attempt and replica. `options` may be NULL. */
TRIT_API enum trit_status trit_reports_get(struct trit_client *client,
                                           const struct trit_report_key *key,
                                           const struct trit_call_options *options,
                                           struct trit_report *report,
                                           struct trit_error *error);

/* Starts the run's next attempt, which goes on after `step`. Later steps of the older
 * attempts stay readable, as superseded. *attempt, which may be NULL, becomes the new
 * attempt. NOT_FOUND: there is no such run. PERMISSION_DENIED: the caller lacks the policy
 * admin, here and below. `options` may be NULL. */
TRIT_API enum trit_status trit_reports_rewind(struct trit_client *client, const char *run,
                                              uint64_t step,
                                              const struct trit_call_options *options,
                                              uint32_t *attempt,
                                              struct trit_error *error);

/* Starts the run `new_run` with the reports of `run` up to `step`, which is taken along.
 * *reports, which may be NULL, becomes their number. NOT_FOUND: there is no such run.
 * ALREADY_EXISTS: new_run is a run. */
TRIT_API enum trit_status trit_reports_fork(struct trit_client *client, const char *run,
                                            uint64_t step, const char *new_run,
                                            const struct trit_call_options *options,
                                            uint64_t *reports, struct trit_error *error);

/* Reports of one run, of all attempts and replicas. */
struct trit_report_range {
    size_t size;
    const char *run;
    const char *layer;     /* NULL or "": all */
    bool has_from, has_to; /* whether step_from and step_to limit the steps */
    bool reserved[6];
    uint64_t step_from, step_to; /* inclusive */
};
#define TRIT_REPORT_RANGE_INIT TRIT_INIT(trit_report_range)

/* Deletes reports for good. *reports, which may be NULL, becomes their number. NOT_FOUND:
 * there is no such run or layer. */
TRIT_API enum trit_status trit_reports_delete(struct trit_client *client,
                                              const struct trit_report_range *range,
                                              const struct trit_call_options *options,
                                              uint64_t *reports,
                                              struct trit_error *error);

struct trit_comparison {
    size_t size;
    bool equal; /* the digests are equal */
    /* Codes or scales differ: first_group is the first such group. */
    bool has_first_group;
    bool reserved[6];
    uint64_t elements, codes_differing;
    double scale_ratio_max; /* largest ratio of two scales of a group, above 1; else 1 */
    uint64_t first_group;
};
#define TRIT_COMPARISON_INIT TRIT_INIT(trit_comparison)

/* Compares the ternary tensors of two reports. NOT_FOUND: there is no such report.
 * FAILED_PRECONDITION: the daemon no longer has the codes of one. */
TRIT_API enum trit_status trit_reports_compare(struct trit_client *client,
                                               const struct trit_layer_ref *a,
                                               const struct trit_layer_ref *b,
                                               const struct trit_call_options *options,
                                               struct trit_comparison *comparison,
                                               struct trit_error *error);

struct trit_watch_options {
    size_t size;
    const char *run; /* NULL or "": all runs */
    /* That of the last report seen. "0", or one beyond all reports: all that are kept. NULL or
     * "": only those that are filed from now on. */
    const char *cursor;
    const struct trit_call_options *call; /* its timeout is for the whole watch */
};
#define TRIT_WATCH_OPTIONS_INIT TRIT_INIT(trit_watch_options)

/* Writes each report into `report` when it is filed, and calls `visit` with it and its
 * cursor, from which a later watch can go on. Returns when `visit` returns other than 0
 * (TRIT_OK), or with the failure of the call. If the daemon restarts or drains after the
 * first report, the watch waits for it and goes on after the last report, unless the call's
 * options say `no_retry`; before, it is UNAVAILABLE. RESOURCE_EXHAUSTED: 48 watches and
 * jobs of the client run already; each keeps one of its 64 connections. `options` may be NULL. */
TRIT_API enum trit_status trit_reports_watch(
    struct trit_client *client, const struct trit_watch_options *options,
    struct trit_report *report,
    int (*visit)(void *arg, const struct trit_report *report, const char *cursor),
    void *arg, struct trit_error *error);

#ifdef __cplusplus
}
#endif

#endif
