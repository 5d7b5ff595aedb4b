/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "obs/metrics.h"
#include "services/checkpoints/errand.h"
#include "services/checkpoints/matrix_run.h"
#include "services/ternary/report.h"
#include "services/ternary/tile_pack.h"

static const float tolerance_default = 1e-5F;

/* ---- one matrix ---------------------------------------------------------------------- */

static int compute(struct matrix_run *run, enum trit_report_detail detail)
{
    struct task *task = &run->task;
    int result;

    task->kernels = run->engine->kernels;
    task->wants_codes = detail != TRIT_REPORT_NONE;
    task->wants_sums &= detail == TRIT_REPORT_FULL;
    if (merge_init(&run->merge, task->wants_codes, run->failure) < 0)
        return -1;
    if (task_gathers(task))
        result = matrix_run_gather(run);
    else if (task->plan.whole && task->op != TASK_UNPACK)
        result = matrix_run_whole(run);
    else
        result = matrix_run_tiles(run);
    metric_add(run->engine->metrics, M_TILES, task->plan.tiles);
    metric_add(run->engine->metrics, M_ELEMENTS, run->merge.elements);
    return result;
}

static void make_report(struct matrix_run *run, const char *name,
                        struct trit_report *report)
{
    *report = (struct trit_report){.size = 0};
    report_of_merge(report, &run->merge, &run->task);
    report->time_unix_ns = clock_unix_ns();
    snprintf(report->version, sizeof(report->version), "%s", run->engine->version);
    snprintf(report->layer, sizeof(report->layer), "%.*s", TRIT_NAME_BYTES_MAX, name);
    if (!report->is_ternary)
        metric_add(run->engine->metrics, M_NOT_TERNARY, 1);
    if (report->non_finite)
        metric_add(run->engine->metrics, M_NON_FINITE, 1);
}

static int refuse_non_finite(const struct matrix_run *run)
{
    const struct ternary_counts *counts = &run->merge.counts;

    if (counts->non_finite == 0)
        return 0;
    metric_add(run->engine->metrics, M_NON_FINITE, 1);
    return fail_field(run->failure, TRIT_INVALID_ARGUMENT, "tensor.data",
                      "%" PRIu64
                      " values are NaN or infinite, the first at index %" PRIu64,
                      counts->non_finite, counts->first_non_finite);
}

static int allocate_scales(struct matrix_run *run)
{
    const uint64_t bytes = run->task.plan.out_scale_bytes;

    if (bytes == 0)
        return 0;
    run->scales = malloc((size_t)bytes);
    return run->scales
               ? 0
               : fail(run->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

static void give_result(struct matrix_run *run, struct engine_projected *result)
{
    result->data_bytes = run->task.plan.out_bytes;
    result->scale_bytes = run->task.plan.out_scale_bytes;
    result->scales = run->scales;
    run->scales = NULL;
}

static int check_scales(const struct matrix_run *run, uint64_t bytes)
{
    const struct plan *plan = &run->task.plan;

    return bytes == plan->in_scale_bytes
               ? 0
               : fail_field(run->failure, TRIT_INVALID_ARGUMENT, "scales",
                            "%" PRIu64 " bytes, but %" PRIu64 " groups need %" PRIu64
                            " bytes",
                            bytes, plan->groups, plan->in_scale_bytes);
}

/* ---- project ------------------------------------------------------------------------- */

static int project_matrix(struct matrix_run *run, const struct engine_project *what,
                          struct engine_projected *result)
{
    const struct plan_spec spec = {
        .dtype = what->latents.dtype,
        .rank = 2,
        .shape = {what->rows, what->columns},
        .group_size = what->terms.group_size,
        .partial = what->terms.partial_group,
        .in = TRIT_ENCODING_DENSE,
        .out = what->terms.encoding,
        .has_out = true,
        .wide_tiles = true,
    };
    struct plan *plan = &run->task.plan;

    if (plan_init(plan, &spec, run->failure) < 0)
        return -1;
    run->task.op = TASK_TERNARIZE;
    run->task.wants_sums = true;
    run->task.allows_lost = true;
    if (allocate_scales(run) < 0 || compute(run, what->detail) < 0 ||
        refuse_non_finite(run) < 0)
        return -1;
    make_report(run, what->name, &result->report);
    give_result(run, result);
    return 0;
}

static int engine_project(void *arg, const struct engine_project *what,
                          struct progress_piece *progress,
                          struct engine_projected *result, struct failure *failure)
{
    const struct kernel_engine *engine = arg;
    struct matrix_run run = {.engine = engine,
                             .pool = engine->pool,
                             .in = &what->latents,
                             .write = what->write,
                             .write_arg = what->write_arg,
                             .field = "tensor.data",
                             .progress = progress,
                             .failure = failure};
    const int ended = project_matrix(&run, what, result);

    merge_fini(&run.merge);
    free(run.scales);
    return ended;
}

/* ---- verify -------------------------------------------------------------------------- */

/* The dtype of a packed tensor does not describe its bytes; it is only for the report. */
static int verify_plan(struct matrix_run *run, const struct engine_verify *what)
{
    const bool packed = what->terms.encoding != TRIT_ENCODING_DENSE;
    const struct plan_spec spec = {
        .dtype = packed ? TRIT_F32 : what->claim.dtype,
        .rank = 2,
        .shape = {what->rows, what->columns},
        .group_size = what->terms.group_size,
        .partial = what->terms.partial_group,
        .in = what->terms.encoding,
        .in_scales_dtype = what->scales_dtype,
        .out = TRIT_ENCODING_DENSE,
        .wide_tiles = !what->latents,
    };
    struct plan *plan = &run->task.plan;

    if (plan_init(plan, &spec, run->failure) < 0)
        return -1;
    if (packed && dtype_bytes(what->claim.dtype))
        plan->spec.dtype = what->claim.dtype;
    return check_scales(run, what->scale_bytes);
}

static int verify_matrix(struct matrix_run *run, const struct engine_verify *what,
                         struct trit_report *report)
{
    const bool latent = what->mode == TRIT_VERIFY_LATENT;

    if (verify_plan(run, what) < 0)
        return -1;
    run->task.op = latent ? TASK_TERNARIZE : TASK_VERIFY;
    run->task.has_reference = what->latents;
    run->task.reference_dtype =
        what->latents ? what->latents->dtype : TRIT_DTYPE_UNSPECIFIED;
    run->task.tolerance = what->has_tolerance ? what->tolerance : tolerance_default;
    run->task.wants_sums = latent || what->latents;
    run->task.in_scales = what->scales;
    if (compute(run, what->detail) < 0)
        return -1;
    make_report(run, what->name, report);
    return 0;
}

static int engine_verify(void *arg, const struct engine_verify *what,
                         struct progress_piece *progress, struct trit_report *report,
                         struct failure *failure)
{
    const struct kernel_engine *engine = arg;
    struct matrix_run run = {.engine = engine,
                             .pool = engine->pool,
                             .in = &what->claim,
                             .latents = what->latents,
                             .field = "tensor.data",
                             .progress = progress,
                             .failure = failure};
    const int ended = verify_matrix(&run, what, report);

    merge_fini(&run.merge);
    return ended;
}

/* ---- pack ---------------------------------------------------------------------------- */

static int unpack_plan(struct matrix_run *run, const struct engine_pack *what)
{
    const struct plan_spec spec = {
        .dtype = what->dtype,
        .rank = 2,
        .shape = {what->rows, what->columns},
        .group_size = what->group_size,
        .in = what->from,
        .in_scales_dtype = what->scales_dtype,
        .out = TRIT_ENCODING_DENSE,
        .has_out = true,
    };

    run->task.op = TASK_UNPACK;
    return plan_init(&run->task.plan, &spec, run->failure);
}

/* The dtype of a packed tensor does not describe its bytes; it is only for the report. */
static int pack_plan(struct matrix_run *run, const struct engine_pack *what)
{
    const bool packed = what->from != TRIT_ENCODING_DENSE;
    const struct plan_spec spec = {
        .dtype = packed ? TRIT_F32 : what->source.dtype,
        .rank = 2,
        .shape = {what->rows, what->columns},
        .group_size = what->group_size,
        .in = what->from,
        .in_scales_dtype = what->scales_dtype,
        .out = what->to,
        .has_out = true,
        .regroups = true,
    };
    struct plan *plan = &run->task.plan;

    run->task.op = TASK_PACK;
    run->task.allows_rounded = what->allow_rounded;
    if (plan_init(plan, &spec, run->failure) < 0 ||
        tile_pack_check_groups(plan, "group_size", run->failure) < 0)
        return -1;
    if (packed && dtype_bytes(what->source.dtype))
        plan->spec.dtype = what->source.dtype;
    run->task.in_pieces = plan->whole;
    return 0;
}

/* A source with one scale that becomes an encoding with several is in memory (held_input.h). */
static int hold_source(struct matrix_run *run, void **held)
{
    const struct plan *plan = &run->task.plan;

    if (run->task.op != TASK_PACK || plan->whole ||
        encoding_layout(plan->spec.in)->scales != SCALES_TENSOR)
        return 0;
    *held = malloc((size_t)plan->in_bytes + 1);
    if (!*held)
        return fail(run->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    run->task.held_in = *held;
    return matrix_run_read(run, run->in, 0, *held, plan->in_bytes);
}

static int pack_matrix(struct matrix_run *run, const struct engine_pack *what,
                       struct engine_projected *result)
{
    const bool unpacks = what->to == TRIT_ENCODING_DENSE;
    void *held = NULL;
    int ended;

    if ((unpacks ? unpack_plan : pack_plan)(run, what) < 0 ||
        check_scales(run, what->scale_bytes) < 0 || allocate_scales(run) < 0)
        return -1;
    run->task.in_scales = what->scales;
    ended = hold_source(run, &held);
    if (ended == 0)
        ended = compute(run, unpacks ? TRIT_REPORT_NONE : what->detail);
    free(held);
    if (ended < 0)
        return -1;
    if (!unpacks)
        make_report(run, what->name, &result->report);
    give_result(run, result);
    return 0;
}

static int engine_pack(void *arg, const struct engine_pack *what,
                       struct progress_piece *progress, struct engine_projected *result,
                       struct failure *failure)
{
    const struct kernel_engine *engine = arg;
    struct matrix_run run = {.engine = engine,
                             .pool = engine->pool,
                             .in = &what->source,
                             .write = what->write,
                             .write_arg = what->write_arg,
                             .field = "", /* what is packed is named by its layer */
                             .progress = progress,
                             .failure = failure};
    const int ended = pack_matrix(&run, what, result);

    merge_fini(&run.merge);
    free(run.scales);
    return ended;
}

static int engine_errand(void *arg, uint64_t elements, void (*run)(void *run_arg),
                         void *run_arg, struct failure *failure)
{
    const struct kernel_engine *engine = arg;

    return errand_run(engine->pool, elements, run, run_arg, failure);
}

void kernel_engine_init(struct kernel_engine *engine, const struct kernels *kernels,
                        struct pool *pool, struct metrics *metrics, const char *version)
{
    *engine = (struct kernel_engine){.engine = {.arg = engine,
                                                .project = engine_project,
                                                .verify = engine_verify,
                                                .pack = engine_pack,
                                                .compute = engine_errand},
                                     .kernels = kernels,
                                     .pool = pool,
                                     .metrics = metrics,
                                     .version = version};
}
