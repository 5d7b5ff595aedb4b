/* A tensor that is no layer, beside that of the latents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/difference.h"
#include "client/cli/verify.h"

enum { COMPARE_BYTES = 1 << 20 };

static struct trit_finding *find_difference(struct verifying *v, size_t index)
{
    const enum content_kind kind = v->claim.items[index].kind;
    struct trit_finding *added =
        findings_add(&v->findings, TRIT_FINDING_OTHER_TENSOR_DIFFERS, NULL,
                     v->claim.table->entries[index].name);

    if (added && kind == CONTENT_KEPT_BY_RECORD)
        snprintf(added->hint, sizeof(added->hint),
                 "the file's record does not name it as a layer, so it should be as the "
                 "latents have it");
    if (added && kind == CONTENT_EXCLUDED)
        snprintf(added->hint, sizeof(added->hint),
                 "a pattern excludes it from the layers, so it should be as the latents "
                 "have it");
    return added;
}

static bool same_form(const struct tensor_entry *a, const struct tensor_entry *b)
{
    return a->type == b->type && a->rank == b->rank &&
           memcmp(a->shape, b->shape, a->rank * sizeof(a->shape[0])) == 0;
}

static void find_other_form(struct verifying *v, size_t index,
                            const struct tensor_entry *wanted)
{
    const struct tensor_entry *entry = &v->claim.table->entries[index];
    struct trit_finding *added = find_difference(v, index);
    char shape[SHAPE_TEXT_BYTES];

    if (!added)
        return;
    snprintf(added->expected, sizeof(added->expected), "%s %s", wanted->type->name,
             shape_text(shape, wanted->rank, wanted->shape));
    snprintf(added->got, sizeof(added->got), "%s %s", entry->type->name,
             shape_text(shape, entry->rank, entry->shape));
}

static int read_both(struct verifying *v, const struct tensor_entry *wanted,
                     const struct tensor_entry *entry, struct difference *difference)
{
    uint8_t *left = malloc(2 * (size_t)COMPARE_BYTES);
    int result =
        left ? 0 : fail(&v->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    for (uint64_t at = 0; result == 0 && at < entry->bytes; at += COMPARE_BYTES) {
        uint64_t rest = entry->bytes - at;
        uint64_t piece = rest < COMPARE_BYTES ? rest : COMPARE_BYTES;

        result = reader_read(v->reference, wanted, at, left, piece, &v->failure);
        if (result == 0)
            result = reader_read(v->reader, entry, at, left + COMPARE_BYTES, piece,
                                 &v->failure);
        if (result == 0)
            difference_feed(difference, left, left + COMPARE_BYTES, piece);
    }
    free(left);
    return result;
}

int verify_other(struct verifying *v, const struct match_pair *pair)
{
    const struct tensor_entry *entry = &v->claim.table->entries[pair->claim];
    const struct tensor_entry *wanted = &v->latents.table->entries[pair->latents];
    struct difference difference;
    struct trit_finding *added;

    v->compared++;
    if (!same_form(entry, wanted)) {
        find_other_form(v, pair->claim, wanted);
        return 0;
    }
    difference_init(&difference, entry->type);
    if (read_both(v, wanted, entry, &difference) != 0)
        return -1;
    if (difference.count == 0)
        return 0;
    added = find_difference(v, pair->claim);
    if (!added)
        return 0;
    added->has_index = added->has_count = true;
    added->index = difference.first;
    added->count = difference.count;
    memcpy(added->expected, difference.expected, sizeof(added->expected));
    memcpy(added->got, difference.got, sizeof(added->got));
    return 0;
}
