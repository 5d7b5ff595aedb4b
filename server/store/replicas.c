/* SPDX-License-Identifier: Apache-2.0 */
/* Compares a report with those of other replicas at the same step. Whichever is filed
 * later gets the finding: a difference, or the note that the digests are equal. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/commit_steps.h"
#include "store/difference.h"

/* How hints of these findings begin. */
#define DIFFERS "replica %" PRIu32 " differs from replica 0 since step %" PRIu64

/* ---- findings -------------------------------------------------------------- */

bool replica_finding(const struct trit_finding *finding, uint32_t *replica,
                     uint64_t *since)
{
    return sscanf(finding->hint,
                  "replica %" SCNu32 " differs from replica 0 since step %" SCNu64,
                  replica, since) == 2;
}

/* Whether comparing with another replica made it. */
static bool is_of_replicas(const struct trit_finding *finding)
{
    uint32_t replica;
    uint64_t since;

    return finding->kind == TRIT_FINDING_REPLICA_EQUAL ||
           replica_finding(finding, &replica, &since);
}

void replica_findings_strip(struct trit_report *report)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < report->finding_count; i++)
        if (!is_of_replicas(&report->findings[i]))
            report->findings[kept++] = report->findings[i];
    report->finding_count = kept;
}

/* Behind the errors that are there. If there is no room, the last finding goes. */
static void add_finding(struct trit_report *report, const struct trit_finding *finding)
{
    uint32_t at = 0;

    while (at < report->finding_count && at < TRIT_FINDINGS_MAX - 1 &&
           report->findings[at].severity == TRIT_SEVERITY_ERROR)
        at++;
    if (report->finding_count < TRIT_FINDINGS_MAX)
        report->finding_count++;
    for (uint32_t i = report->finding_count - 1; i > at; i--)
        report->findings[i] = report->findings[i - 1];
    report->findings[at] = *finding;
}

/* Behind all others, if there is room. */
static void add_note(struct trit_report *report, const struct trit_finding *finding)
{
    if (report->finding_count < TRIT_FINDINGS_MAX)
        report->findings[report->finding_count++] = *finding;
}

void replica_findings_copy(struct trit_report *to, const struct trit_report *from)
{
    for (uint32_t i = 0; i < from->finding_count; i++) {
        if (from->findings[i].kind == TRIT_FINDING_REPLICA_EQUAL)
            add_note(to, &from->findings[i]);
        else if (is_of_replicas(&from->findings[i]))
            add_finding(to, &from->findings[i]);
    }
}

/* `count` replicas, of which `replica` is one, have the digest of replica 0. */
static void note_equal(struct trit_report *report, uint32_t count, uint32_t replica)
{
    struct trit_finding note = {.kind = TRIT_FINDING_REPLICA_EQUAL,
                                .severity = TRIT_SEVERITY_NOTE};

    if (count == 1)
        snprintf(note.hint, sizeof(note.hint), "replica %" PRIu32 " equals replica 0",
                 replica);
    else
        snprintf(note.hint, sizeof(note.hint), "%" PRIu32 " replicas equal replica 0",
                 count);
    add_note(report, &note);
}

/* ---- since when ------------------------------------------------------------ */

/* If the report at `step` of this layer has the finding already, *since becomes its
 * step. */
static int look_back(struct db *db, const struct layer_row *layer, int64_t step,
                     uint32_t replica, uint64_t *since, struct failure *failure)
{
    struct trit_report report;
    struct report_row row;

    if (step == STEP_NONE)
        return 0;
    int found = find_report(db, layer, step, &row, failure);

    if (found < 0)
        return -1;
    int result = found == 1 ? report_row_decode(&row, &report, failure) : 0;

    report_row_release(&row);
    for (uint32_t i = 0; found == 1 && result == 0 && i < report.finding_count; i++) {
        uint32_t which;
        uint64_t when;

        if (replica_finding(&report.findings[i], &which, &when) && which == replica &&
            when < *since)
            *since = when;
    }
    return result;
}

/* ---- one other replica ----------------------------------------------------- */

/* What the store has of the other one. */
struct other {
    struct layer_row layer;
    struct trit_report report;
    struct kept_row kept;
    int64_t previous;
};

/* 1: it has a report at this step. */
static int read_other(struct commit *commit, struct other *other, struct failure *failure)
{
    struct report_row row;
    int found = find_report(commit->db, &other->layer, (int64_t)commit->put->report->step,
                            &row, failure);

    if (found < 0)
        return commit_does_without(commit, failure) ? 0 : -1;
    other->kept = (struct kept_row){.upload = 0};
    if (found == 1) {
        other->previous = row.previous;
        if (report_row_decode(&row, &other->report, failure) ||
            find_kept(commit->db, row.sequence, &other->kept, failure) < 0)
            found = -1;
    }
    report_row_release(&row);
    return found < 0 && commit_does_without(commit, failure) ? 0 : found;
}

static bool same_layout(const struct trit_report *a, const struct trit_report *b)
{
    char shape_a[SHAPE_TEXT_BYTES], shape_b[SHAPE_TEXT_BYTES];

    codes_shape(a, shape_a);
    codes_shape(b, shape_b);
    return strcmp(shape_a, shape_b) == 0 && a->group_size == b->group_size;
}

static void digest_text(const uint8_t *digest, char *text, size_t space)
{
    for (size_t i = 0; i < 6; i++)
        snprintf(text + 2 * i, space - 2 * i, "%02x", digest[i]);
}

/* Counts what differs, where both have codes. */
static int measure(struct commit *commit, const struct other *other,
                   struct trit_finding *finding, char *measured, size_t space,
                   struct failure *failure)
{
    const struct trit_report *report = commit->put->report;
    const struct kept_row own = {.upload = commit->codes->upload,
                                 .scales = commit->scales->upload};
    struct store_difference difference;
    uint64_t scales = 0;

    snprintf(measured, space, "the codes are not kept");
    if (!same_layout(report, &other->report))
        snprintf(measured, space, "the shapes differ");
    else if (own.upload != 0 && other->kept.upload != 0) {
        if (difference_of(commit->db, report, &own, &other->kept, &difference, &scales,
                          failure))
            return -1;
        finding->has_group = difference.has_first_group;
        finding->group = difference.first_group;
        finding->has_count = true;
        finding->count = difference.codes_differing ? difference.codes_differing : scales;
        if (difference.codes_differing == 0 && scales > 0)
            finding->kind = TRIT_FINDING_SCALES_DIFFER;
        snprintf(measured, space, "%" PRIu64 " codes and %" PRIu64 " scales differ",
                 difference.codes_differing, scales);
    }
    return 0;
}

/* Adds the finding if the digests differ. 1: they are equal. */
static int compare_with(struct commit *commit, const struct other *other,
                        struct failure *failure)
{
    struct trit_report *report = commit->put->report;
    uint32_t replica = report->replica ? report->replica : other->report.replica;
    uint64_t since = report->step;
    struct trit_finding finding = {.kind = TRIT_FINDING_CODES_DIFFER,
                                   .severity = TRIT_SEVERITY_ERROR};
    const uint8_t *reference = report->replica ? other->report.digest : report->digest;
    char measured[96];

    if (memcmp(report->digest, other->report.digest, TRIT_DIGEST_BYTES) == 0)
        return 1;
    if ((look_back(commit->db, &commit->layer, commit->previous, replica, &since,
                   failure) ||
         look_back(commit->db, &other->layer, other->previous, replica, &since,
                   failure)) &&
        !commit_does_without(commit, failure))
        return -1;
    if (measure(commit, other, &finding, measured, sizeof(measured), failure)) {
        if (!commit_does_without(commit, failure))
            return -1;
        snprintf(measured, sizeof(measured), "the codes that are kept are damaged");
    }
    digest_text(reference, finding.expected, sizeof(finding.expected));
    digest_text(report->replica ? report->digest : other->report.digest, finding.got,
                sizeof(finding.got));
    snprintf(finding.hint, sizeof(finding.hint), DIFFERS ": %s", replica, since,
             measured);
    add_finding(report, &finding);
    return 0;
}

/* ---- all others ------------------------------------------------------------ */

/* Compares with replica 0. */
static int compare_reference(struct commit *commit, struct failure *failure)
{
    struct layer_key key = commit->layer.key;
    struct other other;

    key.replica = 0;
    int found = find_layer(commit->db, &key, &other.layer, failure);

    if (found == 1)
        found = read_other(commit, &other, failure);
    if (found == 1)
        found = compare_with(commit, &other, failure);
    if (found == 1)
        note_equal(commit->put->report, 1, commit->put->report->replica);
    return found < 0 ? -1 : 0;
}

/* This is replica 0: compares with each other one. */
static int compare_all(struct commit *commit, struct failure *failure)
{
    struct layer_key at = commit->layer.key;
    struct other other;
    uint32_t equal = 0, replica = 0;

    for (at.replica = 1, at.attempt = 0;; at.attempt++) {
        int found = find_layer(commit->db, &at, &other.layer, failure);

        at.attempt = other.layer.key.attempt;
        at.replica = other.layer.key.replica;
        if (found < 0)
            return -1;
        if (!layer_key_same_replica(&at, &other.layer.key))
            break;
        if (at.attempt != commit->layer.key.attempt)
            continue;
        found = read_other(commit, &other, failure);
        if (found == 1)
            found = compare_with(commit, &other, failure);
        if (found < 0)
            return -1;
        if (found == 1) {
            equal++;
            replica = other.report.replica;
        }
    }
    if (equal > 0)
        note_equal(commit->put->report, equal, replica);
    return 0;
}

int commit_replicas(struct commit *commit, struct failure *failure)
{
    struct run_row *run = &commit->run;

    if (commit->put->report->replica != 0) {
        commit->run_changed = commit->run_changed || !(run->state & RUN_REPLICATED);
        run->state |= RUN_REPLICATED;
        return compare_reference(commit, failure);
    }
    return run->state & RUN_REPLICATED ? compare_all(commit, failure) : 0;
}
