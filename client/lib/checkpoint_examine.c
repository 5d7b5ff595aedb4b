/* SPDX-License-Identifier: Apache-2.0 */
/* The examined tensors and results of a verification. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "checkpoint/biases.h"
#include "checkpoint/explain.h"
#include "checkpoint/not_ternary.h"
#include "client/lib/client.h"
#include "client/lib/matrix_handle.h"
#include "client/lib/parts.h"
#include "client/lib/verification.h"
#include "drive/explain_matrix.h"
#include "kernels/kernels.h"
#include "proto/finding.h"
#include "proto/json_value.h"

/* ---- what was examined ---------------------------------------------------------- */

/* A step for the tensor that is not done yet. */
static int find_step(const struct trit_verification *v, const char *tensor, bool bytes,
                     size_t *index, struct failure *failure)
{
    if (checkpoint_find(v->table, tensor, index, failure) < 0)
        return -1;
    const struct step *step = &v->steps[*index];

    if (step->check == CHECK_NOTHING || (step->check == CHECK_BYTES) != bytes)
        return fail_field(failure, TRIT_NOT_FOUND, "tensor", "\"%s\" needs no %s", tensor,
                          bytes ? "comparison" : "verification");
    if (step->done)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "tensor",
                          "\"%s\" was examined already", tensor);
    return 0;
}

static const struct tensor_entry *entry_of(const struct tensor_table *table, size_t index)
{
    return index == CONTENT_NONE ? NULL : &table->entries[index];
}

/* How many matrices the tensor of the latents has. */
static uint64_t latents_matrices(const struct trit_verification *v,
                                 const struct match_pair *pair)
{
    if (pair->kind != MATCH_PROJECTION)
        return 1;
    const struct tensor_entry *entry = &v->latents->entries[pair->latents];
    return matrices_of(pair->layout, entry->rank, entry->shape).count;
}

static int check_parts(const struct trit_verification *v, size_t index,
                       const struct trit_examined *examined, struct failure *failure)
{
    const struct content *item = &v->claim.items[index];
    const struct match_pair *pair = v->steps[index].pair;
    const bool foreign = content_is_foreign(item); /* decoded: without tables */
    const bool biases = !foreign && item->biases != CONTENT_NONE;
    const bool scales = !foreign && item->scales != CONTENT_NONE;
    const bool all = v->reciprocal && v->steps[index].check == CHECK_PROJECTION;
    const struct matrix_part parts[] = {
        {"data", foreign ? item->dense.bytes : tensor_bytes(v->table, index),
         examined->data, examined->data_bytes, all && !examined->data_matrix},
        {"scales", scales ? tensor_bytes(v->table, item->scales) : 0, examined->scales,
         examined->scale_bytes, biases || (all && scales)},
        {"biases", biases ? tensor_bytes(v->table, item->biases) : 0, examined->biases,
         examined->bias_bytes, biases},
    };
    const struct matrix_part latents = {
        "latents", pair ? tensor_bytes(v->latents, pair->latents) : 0, examined->latents,
        examined->latents_bytes, all};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (part_check(&parts[i], content_matrices(item).count, failure) < 0)
            return -1;
    return part_check(&latents, pair ? latents_matrices(v, pair) : 1, failure);
}

/* What is given in memory, or by the matrix of a file. */
static struct matrix given_matrix(const void *data, uint64_t bytes,
                                  const struct trit_matrix *matrix)
{
    return data || !matrix
               ? (struct matrix){.data = (void *)(uintptr_t)data, .bytes = bytes}
               : matrix->matrix;
}

static int explain(struct trit_verification *v, size_t index, const char *name,
                   const struct trit_examined *examined, struct failure *failure)
{
    const struct content *item = &v->claim.items[index];
    const struct tensor_entry *scales =
        content_is_foreign(item) ? NULL : entry_of(v->table, item->scales);
    const struct match_pair *pair = v->steps[index].pair;
    struct matrix data =
        given_matrix(examined->data, examined->data_bytes, examined->data_matrix);
    struct matrix latents = given_matrix(examined->latents, examined->latents_bytes,
                                         examined->latents_matrix);
    const struct explain_parts parts = {
        .name = name,
        .content = item,
        .dtype = content_dtype(&v->claim, index),
        .latents_dtype = v->latents->entries[pair->latents].type->dtype,
        .matrices = content_matrices(item),
        .data = &data,
        .latents = &latents,
        .scales = scales ? examined->scales : NULL,
        .scale_bytes = examined->scale_bytes,
        .scales_dtype = scales ? scales->type->dtype : TRIT_DTYPE_UNSPECIFIED,
        .reciprocal = v->reciprocal,
    };
    int result = 0;

    if ((!examined->data && !examined->data_matrix) ||
        (!examined->latents && !examined->latents_matrix) ||
        (scales && !examined->scales) ||
        (v->explained >= EXPLAINED_MAX && !v->reciprocal &&
         !matrix_is_whole(item->terms.encoding)))
        return 0;
    v->explained++;
    data.failure = latents.failure = failure;
    result = explain_matrix(&v->findings, &parts, examined->report);
    /* What they allocated while they were read again is theirs. */
    if (examined->data_matrix && !examined->data)
        examined->data_matrix->matrix.block = data.block;
    if (examined->latents_matrix && !examined->latents)
        examined->latents_matrix->matrix.block = latents.block;
    return result;
}

static int check_report(const struct trit_verification *v, size_t index,
                        const struct trit_report *report, struct failure *failure)
{
    if (report->finding_count > TRIT_FINDINGS_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "report",
                          "has %u findings, at most %d are possible",
                          report->finding_count, TRIT_FINDINGS_MAX);
    if (v->steps[index].check == CHECK_PROJECTION && !report->has_reference)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "report",
                          "of \"%s\" compares with no reference; verify it with its "
                          "latents",
                          v->table->entries[index].name);
    return 0;
}

/* All matrices of `examined` have their reports. */
static int add_matrix(struct trit_verification *v, const char *tensor,
                      const struct trit_examined *examined, struct failure *failure)
{
    size_t index;

    if (find_step(v, tensor, false, &index, failure) < 0 ||
        check_report(v, index, examined->report, failure) < 0 ||
        check_parts(v, index, examined, failure) < 0)
        return -1;
    const struct content *item = &v->claim.items[index];
    const struct matrices matrices = content_matrices(item);
    const size_t first = v->findings.count;
    struct step *step = &v->steps[index];
    char name[MATRIX_NAME_BYTES];

    matrix_name(name, tensor, &matrices, step->noted);
    if (attested_add_layer(&v->digests, name, examined->report->digest, &item->terms,
                           examined->report->max_round_error, failure) < 0)
        return -1;
    snprintf(v->daemon, sizeof(v->daemon), "%s", examined->report->version);
    findings_add_report(&v->findings, name, examined->report, v->allow_dead);
    findings_hint_not_ternary(&v->findings, v->has_config, &v->claim, index, name);
    if (item->biases != CONTENT_NONE && !content_is_foreign(item)) {
        const struct bias_check found =
            bias_check(v->table->entries[item->biases].type->dtype, examined->scales,
                       examined->biases, examined->bias_bytes);

        findings_add_biases(&v->findings, name, &found);
    }
    findings_add_scale_faults(&v->findings, name, &step->faults);
    step->faults = (struct scale_faults){.lost = {.count = 0}};
    if (step->check == CHECK_PROJECTION &&
        (findings_have_mismatch(&v->findings, first) || v->reciprocal) &&
        explain(v, index, name, examined, failure) < 0)
        return -1;
    const bool counts = step->check == CHECK_PROJECTION || content_may_fail(item);

    v->reports += counts;
    if (++step->noted < matrices.count)
        return 0;
    step->done = true;
    if (counts)
        v->examined += content_parameters(&v->claim, index);
    return 0;
}

/* ---- layers that other programs packed ------------------------------------------ */

static int decode(const struct trit_verification *v, const char *tensor,
                  const struct trit_examined *packed, void *values, uint64_t bytes,
                  struct failure *failure)
{
    size_t index;

    if (find_step(v, tensor, false, &index, failure) < 0 ||
        parts_decode(&v->claim, index, packed, values, bytes, failure) < 0)
        return -1;
    v->steps[index].faults = parts_faults(&v->claim, index, packed);
    return 0;
}

enum trit_status trit_verification_decode(const struct trit_verification *verification,
                                          const char *tensor,
                                          const struct trit_examined *packed,
                                          void *values, uint64_t bytes,
                                          struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_examined full;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!verification || !tensor || !values)
        fail_null(&failure, !verification ? "verification"
                            : !tensor     ? "tensor"
                                          : "values");
    else if (sized_take(&sized_examined, "packed", packed, &full, &failure) == 0)
        decode(verification, tensor, &full, values, bytes, &failure);
    return client_answer(&failure, error);
}

/* ---- reports -------------------------------------------------------------------- */

enum trit_status trit_verification_add_matrix(struct trit_verification *verification,
                                              const char *tensor,
                                              const struct trit_examined *examined,
                                              struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_report report;
    struct trit_examined full;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!verification || !tensor)
        fail_null(&failure, !verification ? "verification" : "tensor");
    else if (sized_take(&sized_examined, "examined", examined, &full, &failure) == 0 &&
             sized_read(&sized_report, "report", full.report, &report, &failure) == 0) {
        full.report = &report;
        add_matrix(verification, tensor, &full, &failure);
    }
    return client_answer(&failure, error);
}

enum trit_status trit_verification_add_report(struct trit_verification *verification,
                                              const char *tensor,
                                              const struct trit_report *report,
                                              struct trit_error *error)
{
    const struct trit_examined examined = {.size = sizeof(examined), .report = report};

    return trit_verification_add_matrix(verification, tensor, &examined, error);
}

static int compare(struct trit_verification *v, const char *tensor, const void *latents,
                   const void *claim, uint64_t bytes, struct failure *failure)
{
    size_t index;

    if (find_step(v, tensor, true, &index, failure) < 0)
        return -1;
    const struct tensor_entry *entry = &v->table->entries[index];
    const size_t width = element_bytes(entry->type);

    if (v->compared != CONTENT_NONE && v->compared != index)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "tensor",
                          "\"%s\" is given before \"%s\" is complete", tensor,
                          v->table->entries[v->compared].name);
    if (v->compared == CONTENT_NONE) {
        v->compared = index;
        v->fed = 0;
        difference_init(&v->difference,
                        v->latents->entries[v->steps[index].pair->latents].type,
                        entry->type);
    }
    if (bytes % width || bytes > entry->bytes - v->fed)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "bytes",
                          "%" PRIu64 " after %" PRIu64 " of %s, which has %" PRIu64,
                          bytes, v->fed, tensor, entry->bytes);
    difference_feed(&v->difference, latents, claim, bytes);
    v->fed += bytes;
    if (v->fed < entry->bytes)
        return 0;
    findings_add_difference(&v->findings, &v->claim, index, &v->difference);
    v->steps[index].done = true;
    v->compared = CONTENT_NONE;
    return 0;
}

enum trit_status trit_verification_compare(struct trit_verification *verification,
                                           const char *tensor, const void *latents,
                                           const void *claim, uint64_t bytes,
                                           struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!verification || !tensor || ((!latents || !claim) && bytes))
        fail_null(&failure, !verification ? "verification"
                            : !tensor     ? "tensor"
                            : !latents    ? "latents"
                                          : "claim");
    else if (bytes)
        compare(verification, tensor, latents, claim, bytes, &failure);
    return client_answer(&failure, error);
}

/* ---- the result ----------------------------------------------------------------- */

int verification_conclude(struct trit_verification *v, struct failure *failure)
{
    for (size_t i = 0; i < v->table->count; i++)
        if (v->steps[i].check != CHECK_NOTHING && !v->steps[i].done)
            return fail_field(failure, TRIT_FAILED_PRECONDITION, "tensor",
                              "\"%s\" has not been examined", v->table->entries[i].name);
    if (!v->concluded && v->reports == 0)
        findings_add_nothing(&v->findings);
    if (v->latents)
        findings_judge_rotated(&v->findings, v->table, v->latents);
    v->concluded = true;
    return 0;
}

uint64_t verification_kept(const struct trit_verification *v)
{
    uint64_t all = 0;

    for (size_t i = 0; i < v->table->count; i++)
        all += content_parameters(&v->claim, i);
    return all - v->examined;
}

static json_t *result_json(const struct trit_verification *v)
{
    const uint64_t all = v->examined + verification_kept(v);
    json_t *object = json_object();

    if (json_put(object, "verdict",
                 json_string(verdict_name(findings_verdict(&v->findings)))) &&
        json_put(object, "findings", findings_json(&v->findings)) &&
        json_put(object, "examined", json_uint64(v->examined)) &&
        json_put(object, "kept", json_uint64(all - v->examined)) &&
        json_put(object, "share_examined",
                 json_real(all ? (double)v->examined / (double)all : 0.0)))
        return object;
    json_decref(object);
    return NULL;
}

enum trit_status trit_verification_result(struct trit_verification *verification,
                                          enum trit_verdict *verdict, char **json,
                                          struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!verification)
        fail_null(&failure, "verification");
    else if (verification_conclude(verification, &failure) == 0 &&
             (!json || json_give(result_json(verification), json, &failure) == 0) &&
             verdict)
        *verdict = findings_verdict(&verification->findings);
    return client_answer(&failure, error);
}
