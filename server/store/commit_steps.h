/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a commit; commit.c says in which order. */
#ifndef STORE_COMMIT_STEPS_H
#define STORE_COMMIT_STEPS_H

#include "store/counters.h"
#include "store/kept.h"
#include "store/layer_link.h"
#include "store/levels.h"
#include "store/question.h"
#include "store/run.h"
#include "store/upload.h"
#include "store/walk.h"

enum commit_outcome {
    COMMIT_NEW,
    COMMIT_EXISTED,
    COMMIT_REFUSED,
    COMMIT_WAITS, /* a shard, which is stored, but others of its layer are missing */
};

/* "report of run \"r\", layer \"l\", step 7", for messages. */
enum { REPORT_TITLE_BYTES = 2 * TRIT_NAME_BYTES_MAX + 128 };
void report_title(const struct trit_report *report, char title[REPORT_TITLE_BYTES]);

/* The report to which flips are counted: the newest of the lineage so far. */
struct before {
    int64_t step; /* STEP_NONE: there is none */
    int64_t upload;
    char shape[SHAPE_TEXT_BYTES];
    int64_t group_size, partial;
};

/* One commit, as far as it has got. */
struct commit {
    struct db *db;
    struct store_put *put;
    struct codes *codes, *scales;
    struct counters *next;
    uint8_t question[QUESTION_BYTES];
    uint32_t asked_attempt; /* of the put; 0: the newest */
    bool run_changed;       /* it is new, or has a new attempt */
    struct layer_row layer; /* the stored row; if new, only key and previous are set */
    bool layer_is_new;
    struct layer_gap gap; /* of a new layer */
    int64_t step_min;     /* of the layer before this report, or STEP_NONE */
    int64_t previous;     /* the step before this report, or STEP_NONE */
    bool has_next;        /* the layer has a later step: */
    int64_t next_step;
    uint32_t next_crc; /* of its row once that names this report as previous */
    struct before before;
    const struct health_rules *rules;
    bool met_damage; /* it does without data that is damaged */
    /* Large, and not zeroed when the commit begins. */
    struct run_row run;
    struct past_row past; /* of the layer's health and history */
    struct cell cell;
};

/* Whether the step is above all that the layer has in this attempt. */
bool is_newest(const struct commit *commit);

/* Whether the commit goes on without what could not be read, because it is damaged. Then
 * notes it for the report's health and for the log, and clears the failure. */
bool commit_does_without(struct commit *commit, struct failure *failure);

/* Finds the run, sets the attempt of the report, and finds its layer. Refuses attempts
 * that the report cannot belong to. */
int commit_find_layer(struct commit *commit, enum commit_outcome *outcome,
                      struct failure *failure);

/* Looks for a report with the same key. COMMIT_NEW: the key is free. */
int commit_find_report(struct commit *commit, enum commit_outcome *outcome,
                       struct failure *failure);

/* The same for a shard: looks for it among those of the stored report. */
int commit_compare_shard(struct commit *commit, const struct report_row *row,
                         enum commit_outcome *outcome, struct failure *failure);

/* What a shard is answered; equal answers are the same shard. */
void commit_shard_answer(const struct store_put *put, uint8_t answer[SHARD_ANSWER_BYTES]);

/* Looks for a shard among others. COMMIT_NEW: there is none in its place. */
void commit_find_shard(struct commit *commit, const struct shard_list *list,
                       bool complete, enum commit_outcome *outcome);

/* Whether shards of this layer wait, of which the put is the whole: COMMIT_REFUSED. */
int commit_find_waiting(struct commit *commit, enum commit_outcome *outcome,
                        struct failure *failure);

/* Compares the put with the stored report: COMMIT_EXISTED or COMMIT_REFUSED. */
int commit_compare(struct commit *commit, const struct report_row *row,
                   enum commit_outcome *outcome, struct failure *failure);

/* Finds the report before this one, if this one is the newest. */
int commit_find_before(struct commit *commit, struct failure *failure);

/* Finds the upload to which flips would be counted if the put came to its commit now;
 * early->from is 0 if there is none. `expected`: its report and question, as far as they
 * are valid at begin. -1: as commit_report; there is nothing to count early. */
int flips_begin(struct db *db, const struct store_put *expected,
                struct codes_early *early, struct failure *failure);

/* Whether the codes of the report before have the same layout. */
bool commit_comparable(const struct commit *commit);

/* Compares with the other replicas at this step: a difference becomes a finding, equal
 * digests a note. After commit_codes. */
int commit_replicas(struct commit *commit, struct failure *failure);

/* The findings that commit_replicas adds are no part of the answer to the question. */
void replica_findings_strip(struct trit_report *report);
void replica_findings_copy(struct trit_report *to, const struct trit_report *from);

/* Writes the rest of the codes. If there are codes to compare with, counts the flips. */
int commit_codes(struct commit *commit, const struct kernels *kernels,
                 const struct codes_layout *layout, struct failure *failure);

/* Reads the layer's past. Of a layer that is new in its attempt: that of the attempt which
 * it resumed from. */
int commit_find_past(struct commit *commit, struct failure *failure);

/* Whether a finding says that a replica differs, which one, and since which step. */
bool replica_finding(const struct trit_finding *finding, uint32_t *replica,
                     uint64_t *since);

/* Judges the report, which is complete, and updates the past in memory. */
void commit_judge(struct commit *commit);

/* Writes the past and the history, after the report. */
int commit_history(struct commit *commit, struct failure *failure);

#endif
