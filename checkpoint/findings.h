/* SPDX-License-Identifier: Apache-2.0 */
/* The findings about a file: those in the reports of its layers, and those about tensors.
 * */
#ifndef CHECKPOINT_FINDINGS_H
#define CHECKPOINT_FINDINGS_H

#include "base/arena.h"
#include "base/status.h"
#include "checkpoint/match.h"
#include "trit/types.h"

struct json_t;

struct file_finding {
    struct trit_finding finding;
    const char *layer;  /* the layer concerned; NULL: not about a layer */
    const char *tensor; /* the other tensor concerned; NULL: not about another tensor */
    const char *hint;   /* a hint that is too long for finding.hint, else NULL */
};

struct file_findings {
    struct file_finding *list; /* in the order in which they were added */
    size_t count, capacity;
    struct arena strings;
    bool lost; /* memory ran out and a finding is not in the list */
};

void findings_init(struct file_findings *findings);
void findings_fini(struct file_findings *findings);

/* Adds a finding with the default severity of its kind. Copies the names, each of which
 * may be NULL. The caller fills in the returned finding before it adds the next one.
 * NULL: memory ran out, and `lost` is set. */
struct trit_finding *findings_add(struct file_findings *findings,
                                  enum trit_finding_kind kind, const char *layer,
                                  const char *tensor);

/* missing_layer of the layer `name`, or else missing_tensor. As findings_add. */
struct trit_finding *findings_add_missing(struct file_findings *findings, bool is_layer,
                                          const char *name);

/* Whether a finding tells already that the file lacks tensors: it is truncated, a layer is
 * missing, or the index names others. */
bool findings_tell_lack(const struct file_findings *findings);

/* Whether a finding tells that the file is one shard of several, of which the others were not
 * read: they may hold what this one lacks. It comes before the findings about tensors. */
bool findings_tell_part(const struct file_findings *findings);

/* Adds the findings of a layer's report. An old daemon reports no findings; they are then
 * derived from the report's fields. `allow_dead`: dead_layer becomes a warning. */
void findings_add_report(struct file_findings *findings, const char *layer,
                         const struct trit_report *report, bool allow_dead);

/* Adds the findings that follow from the table alone: foreign packings, unknown types,
 * layers without their scales, layers that the record names but the file lacks, and
 * layers that the record does not name. `latents` is the other side of a comparison, or
 * NULL; tensors that the comparison will check are left to it. `accept_record` accepts
 * layers that the record does not name. */
void findings_add_contents(struct file_findings *findings,
                           const struct checkpoint_options *options,
                           const struct contents *claim, const struct contents *latents,
                           bool accept_record);

/* A claim in a rotated basis says nothing about latents in another one: layers that differ
 * become undecided. `latents`: the table of the other side. Call it after the last report. */
void findings_judge_rotated(struct file_findings *findings,
                            const struct tensor_table *claim,
                            const struct tensor_table *latents);

/* Adds a finding for each missing, extra or renamed tensor of a comparison. */
void findings_add_match(struct file_findings *findings, const struct match *match,
                        const struct contents *claim, const struct contents *latents);

/* The newest finding of this kind about the layer, or NULL; valid until the next one is
 * added. */
struct file_finding *findings_find(struct file_findings *findings,
                                   enum trit_finding_kind kind, const char *layer);

/* Sets the hint of the newest finding of this kind about the layer, if there is one. */
void findings_hint(struct file_findings *findings, enum trit_finding_kind kind,
                   const char *layer, const char *hint);

/* Sets the hint of a finding, cut to its bound; harmless on NULL. */
void finding_set_hint(struct trit_finding *finding, const char *text);

/* The verdict that follows from the worst finding; FAIL if `lost` is set. */
enum trit_verdict findings_verdict(const struct file_findings *findings);

enum { FINDING_TEXT_BYTES = 8192 };

/* "error: fc.weight: scales_differ, group 7, expected 0.5, got 0.25 (3 in all): ..." */
const char *finding_text(char text[FINDING_TEXT_BYTES],
                         const struct file_finding *finding);

/* The findings as a JSON array, which the caller decrefs. NULL: memory ran out. */
struct json_t *findings_json(const struct file_findings *findings);

#endif
