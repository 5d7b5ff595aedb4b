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

/* Under which name the daemon stores a report. Strings are borrowed for the call. */
struct trit_layer_ref {
    size_t size;
    const char *run; /* NULL or "": the report is not stored */
    const char *layer;
    uint64_t step;
};
#define TRIT_LAYER_REF_INIT TRIT_INIT(trit_layer_ref)

/* Gets the report of (run, layer) at *step, or the newest where `step` is NULL.
 * NOT_FOUND: there is none. DATA_LOSS: it is damaged. `options` may be NULL. */
TRIT_API enum trit_status trit_report_get(struct trit_client *client, const char *run,
                                          const char *layer, const uint64_t *step,
                                          const struct trit_call_options *options,
                                          struct trit_report *report,
                                          struct trit_error *error);

/* Which reports are listed. */
struct trit_report_query {
    size_t size;
    const char *run, *layer;     /* NULL or "": all */
    bool has_from, has_to;       /* whether step_from and step_to limit the steps */
    bool latest_only;            /* the newest step of each layer */
    uint64_t step_from, step_to; /* inclusive */
    const struct trit_call_options *call;
};
#define TRIT_REPORT_QUERY_INIT TRIT_INIT(trit_report_query)

/* Writes each stored report that matches into `report`, in the order (run, layer, step),
 * and calls `visit` with it; other than 0 from `visit` ends the list with TRIT_OK.
 * `query` NULL: all reports. `arg` may be NULL. */
TRIT_API enum trit_status
trit_report_list(struct trit_client *client, const struct trit_report_query *query,
                 struct trit_report *report,
                 int (*visit)(void *arg, const struct trit_report *report), void *arg,
                 struct trit_error *error);

#ifdef __cplusplus
}
#endif

#endif
