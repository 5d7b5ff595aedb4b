/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "checkpoint/decode.h"
#include "checkpoint/plan_json.h"
#include "checkpoint/plan_pack.h"
#include "checkpoint/regroup.h"
#include "client/lib/client.h"
#include "client/lib/parts.h"
#include "client/lib/plan.h"
#include "drive/planned.h"
#include "kernels/kernels.h"
#include "proto/finding.h"
#include "proto/json_value.h"

/* What a plan is made of. `target` NULL: a projection. */
static int make(struct trit_plan *plan, const struct trit_checkpoint *checkpoint,
                const struct options_given *given, const struct pack_target *target,
                struct failure *failure)
{
    const struct tensor_table *table = checkpoint->table;
    struct record record = {.layers = NULL};
    int result;

    findings_init(&plan->findings);
    plan->input = checkpoint;
    plan->again = given->all.again;
    plan->packs = target != NULL;
    plan->examined = CONTENT_NONE;
    plan->noted = calloc(table->count + 1, sizeof(*plan->noted));
    if (!plan->noted)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (!target)
        return plan_create(&plan->plan, &given->rules, plan->again, table, failure);
    result = record_read(&record, table, failure);
    if (result == 0)
        result =
            plan_create_pack(&plan->plan, &given->rules, target, table, &record, failure);
    record_fini(&record);
    return result;
}

/* Makes it a plan of the output that the options name. */
static int prepare(struct trit_plan *plan, const char *output, struct failure *failure)
{
    /* Reading changes nothing that a caller sees. */
    struct reader *reader = (struct reader *)(uintptr_t)plan->input->reader;

    if (!output)
        return 0;
    if (!reader)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.output",
                          "the checkpoint is not that of a file");
    plan->output = strdup(output);
    if (!plan->output)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    return planned_prepare(&plan->plan, output, reader, failure);
}

static enum trit_status create(struct trit_plan **plan,
                               struct trit_checkpoint *checkpoint,
                               const struct trit_checkpoint_options *options,
                               const struct pack_target *target, struct failure *failure,
                               struct trit_error *error)
{
    struct options_given given = {.rules = {.config = NULL}};
    struct trit_plan *made = NULL;

    if (!plan || !checkpoint) {
        fail_null(failure, !plan ? "plan" : "checkpoint");
    } else if (options_take(options, checkpoint, &given, failure) == 0 &&
               checkpoint_seal(checkpoint, failure) == 0 &&
               options_check_patterns(&given.rules, checkpoint->table, NULL, failure) ==
                   0) {
        made = calloc(1, sizeof(*made));
        if (!made) {
            fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        } else if (make(made, checkpoint, &given, target, failure) == 0 &&
                   prepare(made, given.all.output, failure) == 0) {
            *plan = made;
            made = NULL;
        }
    }
    trit_plan_free(made);
    options_drop(&given);
    return client_answer(failure, error);
}

enum trit_status trit_plan_create(struct trit_plan **plan,
                                  struct trit_checkpoint *checkpoint,
                                  const struct trit_checkpoint_options *options,
                                  struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    return create(plan, checkpoint, options, NULL, &failure, error);
}

enum trit_status trit_plan_create_pack(struct trit_plan **plan,
                                       struct trit_checkpoint *checkpoint,
                                       const struct trit_checkpoint_options *options,
                                       const struct trit_pack_target *target,
                                       struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_pack_target given;

    if (error_check(error, &failure) < 0 ||
        sized_take(&sized_pack_target, "target", target, &given, &failure) < 0)
        return client_answer(&failure, error);
    const struct pack_target wanted = {
        .encoding = given.encoding, .group_size = given.group_size, .dtype = given.dtype};
    if (!encoding_layout(given.encoding) ||
        (given.dtype != TRIT_DTYPE_UNSPECIFIED && given.dtype != TRIT_F32 &&
         given.dtype != TRIT_F16 && given.dtype != TRIT_BF16)) {
        fail_field(&failure, TRIT_INVALID_ARGUMENT, "target",
                   "encoding %d or dtype %d is unknown", (int)given.encoding,
                   (int)given.dtype);
        return client_answer(&failure, error);
    }
    return create(plan, checkpoint, options, &wanted, &failure, error);
}

static int decode(const struct trit_plan *plan, size_t index,
                  const struct trit_examined *packed, void *values, uint64_t bytes,
                  struct failure *failure)
{
    const struct contents *contents = &plan->plan.contents;

    if (parts_decode(contents, index, packed, values, bytes, failure) < 0)
        return -1;
    const bool dense = plan->plan.terms.encoding == TRIT_ENCODING_DENSE;
    const enum trit_dtype dtype = contents->items[index].foreign.dtype;
    uint64_t bad;
    const struct scale_faults faults = parts_faults(contents, index, packed);

    if (scale_faults_refuse(&faults, dense, failure) < 0)
        return -1;
    if (!dense || floats_are_finite(dtype, values, bytes / dtype_bytes(dtype), &bad))
        return 0;
    return refuse_non_finite(dtype, values, bad, 0,
                             content_matrices(&contents->items[index]).columns, failure);
}

enum trit_status trit_plan_decode(const struct trit_plan *plan, const char *tensor,
                                  const struct trit_examined *packed, void *values,
                                  uint64_t bytes, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_examined full;
    size_t index;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!plan || !tensor || !values)
        fail_null(&failure, !plan ? "plan" : !tensor ? "tensor" : "values");
    else if (sized_take(&sized_examined, "packed", packed, &full, &failure) == 0 &&
             checkpoint_find(plan->input->table, tensor, &index, &failure) == 0)
        decode(plan, index, &full, values, bytes, &failure);
    return client_answer(&failure, error);
}

/* How the scales of a matrix of the layer change, `scale_bytes` of which have that width. */
static int regroup_of(const struct trit_plan *plan, size_t index, uint32_t width,
                      uint64_t scale_bytes, struct regroup *out, struct failure *failure)
{
    const struct content *content = &plan->plan.contents.items[index];
    const struct matrices matrices = content_matrices(content);
    const struct regroup how = {.rows = matrices.rows,
                                .columns = matrices.columns,
                                .width = width,
                                .from = content->terms.group_size,
                                .to = plan->plan.terms.group_size};

    if (plan->plan.items[index].action != PLAN_PACK || !how.from || !how.to)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "tensor",
                          "\"%s\" is not packed in groups",
                          plan->input->table->entries[index].name);
    if (width != sizeof(uint16_t) && width != sizeof(float))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "width", "%u; must be 2 or 4",
                          (unsigned)width);
    if (scale_bytes != how.rows * div_up(how.columns, how.from) * width)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "scales",
                          "%" PRIu64 " bytes do not fit groups of %u", scale_bytes,
                          (unsigned)how.from);
    *out = how;
    return 0;
}

enum trit_status trit_plan_regroup(const struct trit_plan *plan, const char *tensor,
                                   uint32_t width, const void *scales,
                                   uint64_t scale_bytes, void *regrouped, uint64_t bytes,
                                   struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct regroup how;
    size_t index;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!plan || !tensor || !scales || !regrouped)
        fail_null(&failure, !plan     ? "plan"
                            : !tensor ? "tensor"
                            : !scales ? "scales"
                                      : "regrouped");
    else if (checkpoint_find(plan->input->table, tensor, &index, &failure) == 0 &&
             regroup_of(plan, index, width, scale_bytes, &how, &failure) == 0) {
        if (bytes != regroup_bytes(&how))
            fail_field(&failure, TRIT_INVALID_ARGUMENT, "bytes",
                       "%" PRIu64 ", but the scales of groups of %u take %" PRIu64, bytes,
                       (unsigned)how.to, regroup_bytes(&how));
        else
            regroup_scales(&how, scales, regrouped, &failure);
    }
    return client_answer(&failure, error);
}

void trit_plan_free(struct trit_plan *plan)
{
    if (!plan)
        return;
    plan_destroy(&plan->plan);
    ternary_probe_destroy(&plan->probe);
    findings_fini(&plan->findings);
    free(plan->noted);
    free(plan->output);
    free(plan);
}

/* ---- layers that are ternary already -------------------------------------------- */

static int examine(struct trit_plan *plan, size_t index, const void *data, uint64_t bytes,
                   bool *done, struct failure *failure)
{
    const struct tensor_entry *entry = &plan->input->table->entries[index];
    const struct content *content = &plan->plan.contents.items[index];

    if (plan->examined != index) {
        plan->examined = CONTENT_NONE;
        ternary_probe_destroy(&plan->probe);
        if (ternary_probe_create(&plan->probe, &content->terms, &content->dense,
                                 content->layout, failure) < 0)
            return -1;
        plan->examined = index;
        plan->fed = 0;
    }
    if (bytes % (entry->type->bits / 8) || bytes > entry->bytes - plan->fed)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "bytes",
                          "%" PRIu64 " after %" PRIu64 " of %s, which has %" PRIu64,
                          bytes, plan->fed, entry->name, entry->bytes);
    plan->fed += bytes;
    const bool may_be = ternary_probe_feed(&plan->probe, data, bytes);
    *done = !may_be || plan->fed == entry->bytes;
    if (*done)
        plan->examined = CONTENT_NONE;
    if (may_be && *done && ternary_probe_refuses(&plan->probe))
        plan_refuse_ternary(&plan->plan, index, ternary_probe_group(&plan->probe));
    return 0;
}

enum trit_status trit_plan_examine(struct trit_plan *plan, const char *tensor,
                                   const void *data, uint64_t bytes, bool *done,
                                   struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    size_t index;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!plan || !tensor || (!data && bytes) || !done)
        fail_null(&failure, !plan     ? "plan"
                            : !tensor ? "tensor"
                            : !done   ? "done"
                                      : "data");
    else if (checkpoint_find(plan->input->table, tensor, &index, &failure) == 0) {
        if (plan->again || plan->plan.items[index].action != PLAN_TERNARIZE)
            *done = true;
        else
            examine(plan, index, data, bytes, done, &failure);
    }
    return client_answer(&failure, error);
}

/* ---- what came of it --------------------------------------------------------- */

/* Warnings here: a layer of zeros, and a lost scale if it is allowed. The input allows no
 * other result. */
int plan_note_report(struct trit_plan *plan, size_t index,
                     const struct trit_report *report, bool allow_lost,
                     struct failure *failure)
{
    const struct matrices matrices = content_matrices(&plan->plan.contents.items[index]);
    const char *layer = plan->input->table->entries[index].name;
    const size_t first = plan->findings.count;
    char name[MATRIX_NAME_BYTES];

    if (plan->plan.items[index].action != PLAN_TERNARIZE &&
        plan->plan.items[index].action != PLAN_PACK)
        return fail_field(failure, TRIT_NOT_FOUND, "tensor", "\"%s\" is not projected",
                          layer);
    if (plan->noted[index] == matrices.count)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "tensor",
                          "\"%s\" was reported already", layer);
    if (report->finding_count > TRIT_FINDINGS_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "report",
                          "has %u findings, at most %d are possible",
                          report->finding_count, TRIT_FINDINGS_MAX);
    matrix_name(name, layer, &matrices, plan->noted[index]++);
    findings_add_report(&plan->findings, name, report, true);
    for (size_t i = first; i < plan->findings.count && allow_lost; i++)
        if (plan->findings.list[i].finding.kind == TRIT_FINDING_SCALE_LOST)
            plan->findings.list[i].finding.severity = TRIT_SEVERITY_WARNING;
    return 0;
}

enum trit_status trit_plan_add_report(struct trit_plan *plan, const char *tensor,
                                      const struct trit_report *report, bool allow_lost,
                                      struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_report full;
    size_t index;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!plan || !tensor)
        fail_null(&failure, !plan ? "plan" : "tensor");
    else if (sized_read(&sized_report, "report", report, &full, &failure) == 0 &&
             checkpoint_find(plan->input->table, tensor, &index, &failure) == 0)
        plan_note_report(plan, index, &full, allow_lost, &failure);
    return client_answer(&failure, error);
}

static json_t *result_json(const struct trit_plan *plan)
{
    json_t *object = json_object();

    if (json_put(object, "verdict",
                 json_string(verdict_name(findings_verdict(&plan->findings)))) &&
        json_put(object, "findings", findings_json(&plan->findings)) &&
        (!plan->has_run ||
         json_put(object, "scales_rounded", json_uint64(plan->rounded))))
        return object;
    json_decref(object);
    return NULL;
}

enum trit_status trit_plan_result(const struct trit_plan *plan,
                                  enum trit_verdict *verdict, char **json,
                                  struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!plan)
        fail_null(&failure, "plan");
    else if ((!json || json_give(result_json(plan), json, &failure) == 0) && verdict)
        *verdict = findings_verdict(&plan->findings);
    return client_answer(&failure, error);
}

/* ---- JSON ----------------------------------------------------------------------- */

static json_t *whole_json(const struct trit_plan *plan)
{
    json_t *object = plan_json(&plan->plan);

    if (json_put(object, "findings", notes_json(plan->input)))
        return object;
    json_decref(object);
    return NULL;
}

enum trit_status trit_plan_json(const struct trit_plan *plan, char **json,
                                struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!plan || !json)
        fail_null(&failure, !plan ? "plan" : "json");
    else
        json_give(whole_json(plan), json, &failure);
    return client_answer(&failure, error);
}
