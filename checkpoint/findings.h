/* SPDX-License-Identifier: Apache-2.0 */
/* The findings of a file: those of its layers' reports and those about tensors. */
#ifndef CHECKPOINT_FINDINGS_H
#define CHECKPOINT_FINDINGS_H

#include "base/arena.h"
#include "base/status.h"
#include "checkpoint/match.h"
#include "trit/types.h"

struct json_t;

struct file_finding {
    struct trit_finding finding;
    const char *layer;  /* of findings about a layer, else NULL */
    const char *tensor; /* of findings about another tensor, else NULL */
    const char *hint;   /* where it is longer than finding.hint holds, else NULL */
};

struct file_findings {
    struct file_finding *list; /* in the order in which they were added */
    size_t count, room;
    struct arena strings;
    bool lost; /* memory ran out and a finding is not in the list */
};

void findings_init(struct file_findings *findings);
void findings_fini(struct file_findings *findings);

/* Adds one of the kind's own severity; names are copied, either may be NULL. Returns
 * it to be filled in, valid until the next; NULL (and `lost`) where memory ran out. */
struct trit_finding *findings_add(struct file_findings *findings,
                                  enum trit_finding_kind kind, const char *layer,
                                  const char *tensor);

/* Adds the findings of a layer's report. What a report of a daemon without findings
 * says by its fields is made a finding of its own. `allow_dead`: dead_layer becomes
 * a warning. */
void findings_add_report(struct file_findings *findings, const char *layer,
                         const struct trit_report *report, bool allow_dead);

/* Adds what a file's contents say without their data: foreign packings, unknown
 * types, layers without their scales, layers that the record names and the file lacks,
 * and layers that the record does not name. `latents`: what the file is compared with,
 * or NULL; what the comparison meets is then left to it. `accept_record`: what the
 * record does not name is accepted. */
void findings_add_contents(struct file_findings *findings,
                           const struct checkpoint_options *options,
                           const struct contents *claim, const struct contents *latents,
                           bool accept_record);

/* Adds what a comparison says without the data of tensors: missing and extra ones. */
void findings_add_match(struct file_findings *findings, const struct match *match,
                        const struct contents *claim, const struct contents *latents);

/* The newest finding of this kind about the layer, or NULL; valid until the next one is
 * added. */
struct file_finding *findings_find(struct file_findings *findings,
                                   enum trit_finding_kind kind, const char *layer);

/* Sets the hint of the newest finding of this kind about the layer, where there is one. */
void findings_hint(struct file_findings *findings, enum trit_finding_kind kind,
                   const char *layer, const char *hint);

/* By the worst finding; fail where one was lost. */
enum trit_verdict findings_verdict(const struct file_findings *findings);

enum { FINDING_TEXT_BYTES = 8192 };

/* "error: fc.weight: scales_differ, group 7, expected 0.5, got 0.25 (3 in all): ..." */
const char *finding_text(char text[FINDING_TEXT_BYTES],
                         const struct file_finding *finding);

/* An array of the findings, NULL on lack of memory. */
struct json_t *findings_json(const struct file_findings *findings);

#endif
