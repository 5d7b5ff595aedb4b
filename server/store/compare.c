/* SPDX-License-Identifier: Apache-2.0 */
/* Reports.Compare. */
#include <inttypes.h>
#include <string.h>

#include "store/difference.h"
#include "store/kept.h"
#include "store/reader.h"
#include "store/slots.h"

/* One side. */
struct side {
    const char *name;
    struct trit_report report;
    struct kept_row kept;
};

static int read_side(struct db *db, const struct store_get *get, struct side *side,
                     struct failure *failure)
{
    struct layer_row layer;
    struct report_row row;
    struct run_row run;
    int result;

    if (find_get(db, get, &run, &layer, &row, failure))
        return fail_context(failure, "%s", side->name);
    result = report_row_decode(&row, &side->report, failure);
    if (result == 0 && find_kept(db, row.sequence, &side->kept, failure) < 0)
        result = -1;
    report_row_release(&row);
    return result ? fail_context(failure, "%s", side->name) : 0;
}

static int need_kept(const struct side *side, struct failure *failure)
{
    if (side->kept.upload != 0 && side->kept.scales != 0)
        return 0;
    return fail(failure, TRIT_FAILED_PRECONDITION, side->name,
                "%s: the %s of step %" PRIu64 " of layer \"%s\" in run \"%s\" are not "
                "kept; tritd keeps those of the newest step, and older ones up to "
                "--codes-max bytes",
                side->name, side->kept.upload ? "scales" : "codes", side->report.step,
                side->report.layer, side->report.run);
}

static int need_alike(const struct side *a, const struct side *b, struct failure *failure)
{
    char shape_a[SHAPE_TEXT_BYTES], shape_b[SHAPE_TEXT_BYTES];

    codes_shape(&a->report, shape_a);
    codes_shape(&b->report, shape_b);
    if (strcmp(shape_a, shape_b) != 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "b",
                    "the shapes differ: a has %s, b has %s", shape_a, shape_b);
    if (a->report.group_size != b->report.group_size)
        return fail(failure, TRIT_INVALID_ARGUMENT, "b",
                    "the group sizes differ: a has %" PRIu32 ", b has %" PRIu32,
                    a->report.group_size, b->report.group_size);
    return 0;
}

static int compare(struct db *db, const struct store_get *first,
                   const struct store_get *second, struct store_difference *difference,
                   struct failure *failure)
{
    struct side a = {.name = "a"}, b = {.name = "b"};
    uint64_t scales_differing;

    if (read_side(db, first, &a, failure) || read_side(db, second, &b, failure))
        return -1;
    *difference =
        (struct store_difference){.elements = a.report.elements, .scale_ratio_max = 1};
    difference->equal = memcmp(a.report.digest, b.report.digest, TRIT_DIGEST_BYTES) == 0;
    if (difference->equal)
        return 0;
    if (need_alike(&a, &b, failure) || need_kept(&a, failure) || need_kept(&b, failure))
        return -1;
    return difference_of(db, &a.report, &a.kept, &b.kept, difference, &scales_differing,
                         failure);
}

int store_compare(struct store_reader *reader, const struct store_get *a,
                  const struct store_get *b, struct store_difference *difference,
                  struct failure *failure)
{
    struct store_difference found;

    int outcome = -1;

    slots_read_begin(reader->db.slots);
    if (begin_read(&reader->db, failure) == 0) {
        outcome = compare(&reader->db, a, b, &found, failure);
        end_read(&reader->db);
    }
    slots_read_end(reader->db.slots);
    if (outcome == 0)
        *difference = found;
    return outcome;
}
