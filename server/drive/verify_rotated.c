/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/verify_rotated.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "kernels/kernels.h"

enum { ROWS_BYTES_MAX = 4 << 20 }; /* of latents at a time; at least one row */

static int read_pair(void *reader, const struct tensor_pair *pair, void *buffer,
                     struct failure *failure)
{
    return reader_read_pair(reader, pair, buffer, failure);
}

int verify_read_rotation(struct verifying *v)
{
    struct rotation latents;
    bool same;

    if (!v->against.reader)
        return 0;
    if (rotation_read(&latents, reader_table(v->against.reader), read_pair,
                      v->against.reader, &v->failure) < 0) {
        rotation_fini(&latents);
        return -1;
    }
    same = latents.named;
    rotation_fini(&latents);
    return same ? 0
                : rotation_read(&v->rotation, reader_table(v->file.reader), read_pair,
                                v->file.reader, &v->failure);
}

void verify_note_rotation(struct verifying *v)
{
    char text[ROTATION_TEXT_BYTES + 64];

    if (!v->rotation.named)
        return;
    snprintf(text, sizeof(text), "%s%s",
             v->rotation.given ? "the latents are rotated for the comparison"
                               : "the rotation is not applied: ",
             v->rotation.why);
    for (size_t i = 0; i < v->findings.count; i++)
        if (v->findings.list[i].finding.kind == TRIT_FINDING_ROTATED_BASIS)
            finding_set_hint(&v->findings.list[i].finding, text);
}

enum rotation_state verify_rotation_of(const struct verifying *v,
                                       const struct match_pair *pair, uint64_t columns,
                                       struct rotated_basis *basis)
{
    const struct content *content = &v->claim.items[pair->claim];
    enum rotation_state state = ROTATION_NONE;

    *basis = (struct rotated_basis){.block = 0};
    if (pair->latents != CONTENT_NONE)
        state = rotation_of(&v->rotation, v->claim.table->entries[pair->claim].name,
                            columns, basis);
    /* The codes of an encoding with one scale are not read by rows. */
    if (state == ROTATION_KNOWN && matrix_is_whole(content->terms.encoding)) {
        *basis = (struct rotated_basis){.block = 0};
        return ROTATION_UNKNOWN;
    }
    return state;
}

static bool differs(const struct trit_report *report)
{
    for (uint32_t i = 0; i < report->finding_count; i++)
        if (report->findings[i].kind == TRIT_FINDING_CODES_DIFFER ||
            report->findings[i].kind == TRIT_FINDING_SCALES_DIFFER)
            return true;
    return report->reference_mismatches > 0;
}

static int compare_rows(struct verify_piece *piece, const struct kernels *kernels,
                        struct subject *subject, uint64_t first, uint64_t count,
                        struct failure *failure)
{
    const uint64_t rows = subject->matrices.rows;
    const uint64_t each = subject->data.bytes / rows;
    const uint64_t latents_each = subject->reference_data.bytes / rows;
    struct explained what = {.claim = {.rows = count,
                                       .columns = subject->matrices.columns,
                                       .terms = subject->content->terms,
                                       .dtype = subject->dtype},
                             .latents_dtype = TRIT_F32};
    void *data = NULL, *latents = NULL;
    int result = matrix_piece(&subject->data, first * each, count * each, &data);

    if (result == 0)
        result = matrix_piece(&subject->reference_data, first * latents_each,
                              count * latents_each, &latents);
    what.claim.data = data;
    what.latents = latents;
    if (subject->scales) {
        what.claim.scales_dtype = subject->scales->type->dtype;
        what.claim.scales = (const char *)subject->scale_data.data +
                            first * (subject->scale_data.bytes / rows);
    }
    /* Codes that are not ternary are findings of their own. */
    if (result == 0)
        piece->rotated.compared &= rotated_feed(&piece->rotated, kernels, &what);
    free(data);
    free(latents);
    return result < 0 && failure->status == TRIT_OK
               ? fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory")
               : result;
}

int verify_rotated_run(struct verify_piece *piece, struct subject *subject,
                       struct failure *failure)
{
    const uint64_t rows = subject->matrices.rows, columns = subject->matrices.columns;
    uint64_t count = ROWS_BYTES_MAX / (columns * sizeof(float));
    const struct kernels *kernels;

    piece->rotated = (struct rotated_difference){.compared = false};
    if (piece->rotation != ROTATION_KNOWN || !differs(&piece->report))
        return 0;
    piece->rotated.compared = true;
    kernels = kernels_select(NULL);
    count = count ? count : 1;
    for (uint64_t first = 0; piece->rotated.compared && first < rows; first += count)
        if (compare_rows(piece, kernels, subject, first, u64_min(count, rows - first),
                         failure) < 0)
            return -1;
    return 0;
}

void verify_rotated_take(struct verifying *v, const struct verify_piece *piece,
                         size_t first)
{
    if (piece->rotation == ROTATION_UNKNOWN)
        findings_judge_unknown(&v->findings, first, v->rotation.why);
    else if (piece->rotation == ROTATION_KNOWN)
        findings_judge_difference(&v->findings, first, &piece->rotated);
}
