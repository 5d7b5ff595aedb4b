/* SPDX-License-Identifier: Apache-2.0 */
/* trit jobs inspect, plan, verify, project, pack, unpack, diff and attach: start a job, or watch one, until it
 * ends. Without --detach the daemon cancels a job whose command is interrupted. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "checkpoint/form.h"
#include "client/cli/bar.h"
#include "client/cli/escape.h"
#include "client/cli/job_result.h"
#include "client/cli/jobs.h"
#include "client/cli/summary.h"

struct watching {
    const struct options *options;
    struct bar bar;
    bool has_bar;
    struct grid *grid; /* of the layers; NULL with --json */
    size_t layers;
    char job[64], verdict[32];
    char *result;
    size_t result_bytes, result_capacity;
    bool lost; /* memory ran out */
};

/* ---- while it runs --------------------------------------------------------------------- */

static void show_bar(struct watching *w, const struct trit_job_progress *progress)
{
    struct progress *shown = &w->bar.progress;

    if (!w->has_bar)
        bar_start(&w->bar, progress->bytes_total);
    w->has_bar = true;
    pthread_mutex_lock(&shown->lock);
    shown->total = progress->bytes_total;
    shown->done = progress->bytes_done;
    snprintf(shown->label, sizeof(shown->label), "%.*s", PROGRESS_LABEL_BYTES - 1,
             progress->layer);
    shown->ops->changed(shown, false);
    pthread_mutex_unlock(&shown->lock);
}

static void take_result(struct watching *w, const char *part)
{
    const size_t bytes = strlen(part);
    char *grown;

    if (bytes == 0)
        return;
    grown = array_grow(w->result, &w->result_capacity, w->result_bytes + bytes + 1, 1);
    if (!grown) {
        w->lost = true;
        return;
    }
    w->result = grown;
    memcpy(w->result + w->result_bytes, part, bytes + 1);
    w->result_bytes += bytes;
}

static int visit(void *arg, const struct trit_job_progress *progress)
{
    struct watching *w = arg;
    char shape[SHAPE_TEXT_BYTES];

    snprintf(w->job, sizeof(w->job), "%s", progress->job);
    if (option_given(w->options, OPTION_DETACH))
        return 1;
    show_bar(w, progress);
    if (progress->has_report && w->grid) {
        const struct trit_report *report = progress->report;

        w->layers++;
        summary_row(w->grid, progress->layer,
                    shape_text(shape, report->rank, report->shape), report);
    }
    snprintf(w->verdict, sizeof(w->verdict), "%s", progress->verdict);
    take_result(w, progress->result);
    return w->lost;
}

/* ---- at its end ------------------------------------------------------------------------ */

static enum exit_code code_of(const char *verdict)
{
    return strcmp(verdict, "pass") == 0   ? DONE
           : strcmp(verdict, "fail") == 0 ? MISMATCH
                                          : INCONCLUSIVE;
}

static enum exit_code show_result(struct watching *w)
{
    const enum exit_code code = code_of(w->verdict);
    char shown[ESCAPED_BYTES];
    json_t *result = json_loads(w->result ? w->result : "", 0, NULL);

    if (!result)
        return complain(FAILED, "the daemon's result is no JSON, or memory ran out");
    if (!w->grid)
        return print_json(result, code);
    if (w->layers > 0 && grid_print(w->grid, stdout) != 0) {
        json_decref(result);
        return complain(FAILED, "out of memory");
    }
    job_result_print(result);
    printf("%s: %s (job %s; --json prints the result)\n",
           escaped(shown, w->options->argument_count ? w->options->arguments[0] : w->job),
           w->verdict, w->job);
    json_decref(result);
    return code;
}

/* Exit codes of the same command without jobs. */
static enum exit_code failed(const struct trit_error *error)
{
    const bool is_source =
        strcmp(error->field, "path") == 0 || strcmp(error->field, "against") == 0;

    complain_of_call(error);
    if (strcmp(error->field, TRIT_JOB_FIELD_LAYERS) == 0)
        return MISMATCH;
    if (error->status == TRIT_ALREADY_EXISTS ||
        (error->status == TRIT_INVALID_ARGUMENT && error->field[0] && !is_source))
        return USAGE;
    return FAILED;
}

static enum exit_code end(struct watching *w, enum trit_status status,
                          const struct trit_error *error)
{
    if (w->has_bar)
        bar_stop(&w->bar);
    if (w->lost)
        return complain(FAILED, "out of memory");
    if (status != TRIT_OK)
        return failed(error);
    if (!option_given(w->options, OPTION_DETACH))
        return show_result(w);
    if (option_given(w->options, OPTION_JSON))
        return print_json(json_pack("{s:s}", "job", w->job), DONE);
    puts(w->job);
    return DONE;
}

/* `request` NULL: attaches to the job that the argument names. */
static enum exit_code watch(const struct options *options,
                            const struct trit_job_request *request)
{
    struct watching w = {.options = options};
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_job_progress progress = TRIT_JOB_PROGRESS_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_client *client;
    enum trit_status status;
    enum exit_code code = cli_connect(options, &client);

    if (code != DONE)
        return code;
    progress.report = &report;
    w.grid = option_given(options, OPTION_JSON) ? NULL : summary_create();
    w.lost = !w.grid && !option_given(options, OPTION_JSON);
    status = request ? trit_job_run(client, request, &progress, visit, &w, &error)
                     : trit_job_attach(client, options->arguments[0], NULL, &progress,
                                       visit, &w, &error);
    code = end(&w, status, &error);
    trit_close(client);
    grid_destroy(w.grid);
    free(w.result);
    return code;
}

static enum exit_code run_attach(const struct options *options)
{
    return watch(options, NULL);
}

/* ---- starting ---------------------------------------------------------------------------- */

/* What the options say of how the input is read. */
static struct trit_checkpoint_options rules_of(const struct options *options)
{
    return (struct trit_checkpoint_options){
        .size = sizeof(struct trit_checkpoint_options),
        .include = options->include.patterns,
        .include_count = options->include.count,
        .exclude = options->exclude.patterns,
        .exclude_count = options->exclude.count,
        .transposed = options->transposed.patterns,
        .transposed_count = options->transposed.count,
        .rename = options->rename.patterns,
        .rename_count = options->rename.count,
        .strip_prefix = options->strip_prefix.patterns,
        .strip_prefix_count = options->strip_prefix.count,
        .convolutions = option_given(options, OPTION_CONVOLUTIONS),
        .experts = (enum trit_experts)options->experts,
        .bits = options->bits,
        .has_encoding = option_given(options, OPTION_ENCODING),
        .encoding = options->encoding,
        .group_size = options->group_size,
        .has_partial_group = option_given(options, OPTION_PARTIAL),
        .partial_group = options->partial_group,
        .mode = options->mode,
        .again = option_given(options, OPTION_AGAIN),
        .allow_dead = option_given(options, OPTION_ALLOW_DEAD),
        .accept_record = option_given(options, OPTION_ACCEPT_RECORD),
    };
}

static struct trit_job_request request_of(const struct options *options,
                                          enum trit_job_method method,
                                          const struct trit_checkpoint_options *rules)
{
    return (struct trit_job_request){
        .size = sizeof(struct trit_job_request),
        .method = method,
        .detach = option_given(options, OPTION_DETACH),
        .npy_bf16 = option_given(options, OPTION_NPY_BF16),
        .has_tolerance = option_given(options, OPTION_TOLERANCE),
        .tolerance = options->tolerance,
        .force = option_given(options, OPTION_FORCE),
        .allow_lost_scales = option_given(options, OPTION_ALLOW_LOST),
        .path = options->arguments[0],
        .against = options->against,
        .output = options->output,
        .shard_bytes = options->shard_bytes,
        .allow_rounded_scales = option_given(options, OPTION_ROUND_SCALES),
        .dry_run = option_given(options, OPTION_DRY_RUN),
        .keep_names = option_given(options, OPTION_KEEP_NAMES),
        .options = rules,
        .report = options->report_detail,
    };
}

static enum exit_code start(const struct options *options, enum trit_job_method method)
{
    const struct trit_checkpoint_options rules = rules_of(options);
    const struct trit_job_request request = request_of(options, method, &rules);

    return watch(options, &request);
}

static enum exit_code run_inspect(const struct options *options)
{
    return start(options, TRIT_JOB_INSPECT);
}

static enum exit_code run_plan(const struct options *options)
{
    return start(options, TRIT_JOB_PLAN);
}

static enum exit_code run_verify(const struct options *options)
{
    return start(options, TRIT_JOB_VERIFY);
}

static enum exit_code run_project(const struct options *options)
{
    if (!options->output)
        return complain(USAGE, "jobs project: -o OUT is missing");
    return start(options, TRIT_JOB_PROJECT);
}

/* --from-encoding says how the input is encoded; --encoding is the output's. */
static enum exit_code start_pack(const struct options *options,
                                 enum trit_encoding encoding)
{
    const struct trit_pack_target target = {.size = sizeof(target),
                                            .encoding = encoding,
                                            .group_size = options->group_size,
                                            .dtype = options->dtype};
    struct trit_checkpoint_options rules = rules_of(options);
    struct trit_job_request request = request_of(options, TRIT_JOB_PACK, &rules);

    rules.has_encoding = option_given(options, OPTION_FROM_ENCODING);
    rules.encoding = options->from_encoding;
    rules.group_size = 0;
    request.target = &target;
    return watch(options, &request);
}

static enum exit_code run_pack(const struct options *options)
{
    if (!option_given(options, OPTION_ENCODING) ||
        options->encoding == TRIT_ENCODING_DENSE)
        return complain(USAGE,
                        "jobs pack: -e ENCODING is missing (trit jobs unpack makes "
                        "layers dense)");
    if (!options->output && !option_given(options, OPTION_DRY_RUN))
        return complain(USAGE, "jobs pack: -o OUT is missing");
    return start_pack(options, options->encoding);
}

static enum exit_code run_unpack(const struct options *options)
{
    if (!options->output && !option_given(options, OPTION_DRY_RUN))
        return complain(USAGE, "jobs unpack: -o OUT is missing");
    return start_pack(options, TRIT_ENCODING_DENSE);
}

static enum exit_code run_diff(const struct options *options)
{
    struct trit_checkpoint_options rules = rules_of(options);
    struct trit_job_request request = request_of(options, TRIT_JOB_DIFF, &rules);

    request.against = options->arguments[1];
    return watch(options, &request);
}

/* ---- the commands ------------------------------------------------------------------------- */

#define READING                                                                          \
    (JOBS_OPTIONS | OPTION_BIT(OPTION_DETACH) | OPTION_BIT(OPTION_ENCODING) |            \
     OPTION_BIT(OPTION_GROUP_SIZE) | OPTION_BIT(OPTION_PARTIAL) |                        \
     OPTION_BIT(OPTION_INCLUDE) | OPTION_BIT(OPTION_EXCLUDE) |                           \
     OPTION_BIT(OPTION_CONVOLUTIONS) | OPTION_BIT(OPTION_EXPERTS) |                      \
     OPTION_BIT(OPTION_BITS) | OPTION_BIT(OPTION_TRANSPOSED) |                           \
     OPTION_BIT(OPTION_NPY_BF16))
#define DETAILS                                                                          \
    "Paths are relative to the directory that tritd --checkpoint-root names. With\n"     \
    "--json the result is that of the command of the same name without jobs."

const struct command cmd_jobs_attach = {
    .name = "jobs attach",
    .arguments = "JOB",
    .summary = "watch a job until it ends, and print its result",
    .options = JOBS_OPTIONS,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_attach,
};

const struct command cmd_jobs_inspect = {
    .name = "jobs inspect",
    .arguments = "PATH [OPTION...]",
    .summary = "list the tensors of a checkpoint on the daemon's disk",
    .details = DETAILS,
    .options = READING,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_inspect,
};

const struct command cmd_jobs_plan = {
    .name = "jobs plan",
    .arguments = "IN [-o OUT] [OPTION...]",
    .summary = "say what a projection on the daemon's disk would do",
    .details = DETAILS,
    .options = READING | OPTION_BIT(OPTION_OUTPUT) | OPTION_BIT(OPTION_AGAIN) |
               OPTION_BIT(OPTION_KEEP_NAMES),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_plan,
};

const struct command cmd_jobs_verify = {
    .name = "jobs verify",
    .arguments = "PATH [--against LATENTS] [OPTION...]",
    .summary = "verify a checkpoint on the daemon's disk",
    .details = DETAILS,
    .options = READING | OPTION_BIT(OPTION_AGAINST) | OPTION_BIT(OPTION_MODE) |
               OPTION_BIT(OPTION_TOLERANCE) | OPTION_BIT(OPTION_RENAME) |
               OPTION_BIT(OPTION_STRIP_PREFIX) | OPTION_BIT(OPTION_ALLOW_DEAD) |
               OPTION_BIT(OPTION_ACCEPT_RECORD) | OPTION_BIT(OPTION_REPORT_DETAIL),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_verify,
};

const struct command cmd_jobs_project = {
    .name = "jobs project",
    .arguments = "IN -o OUT [OPTION...]",
    .summary = "ternarize a checkpoint on the daemon's disk into a new file there",
    .details = DETAILS,
    .options = READING | OPTION_BIT(OPTION_OUTPUT) | OPTION_BIT(OPTION_FORCE) |
               OPTION_BIT(OPTION_AGAIN) | OPTION_BIT(OPTION_ALLOW_LOST) |
               OPTION_BIT(OPTION_SHARD_SIZE) | OPTION_BIT(OPTION_REPORT_DETAIL) |
               OPTION_BIT(OPTION_KEEP_NAMES),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_project,
};

#define PACKING                                                                          \
    (JOBS_OPTIONS | OPTION_BIT(OPTION_DETACH) | OPTION_BIT(OPTION_OUTPUT) |              \
     OPTION_BIT(OPTION_FORCE) | OPTION_BIT(OPTION_FROM_ENCODING) |                       \
     OPTION_BIT(OPTION_INCLUDE) | OPTION_BIT(OPTION_EXCLUDE) |                           \
     OPTION_BIT(OPTION_CONVOLUTIONS) | OPTION_BIT(OPTION_EXPERTS) |                      \
     OPTION_BIT(OPTION_BITS) | OPTION_BIT(OPTION_TRANSPOSED) |                           \
     OPTION_BIT(OPTION_DRY_RUN) | OPTION_BIT(OPTION_SHARD_SIZE) |                        \
     OPTION_BIT(OPTION_NPY_BF16) | OPTION_BIT(OPTION_KEEP_NAMES))

const struct command cmd_jobs_pack = {
    .name = "jobs pack",
    .arguments = "IN -o OUT -e ENCODING [OPTION...]",
    .summary = "change the encoding of a ternary checkpoint on the daemon's disk",
    .details = DETAILS,
    .options = PACKING | OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_GROUP_SIZE) |
               OPTION_BIT(OPTION_ROUND_SCALES) | OPTION_BIT(OPTION_REPORT_DETAIL),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_pack,
};

const struct command cmd_jobs_unpack = {
    .name = "jobs unpack",
    .arguments = "IN -o OUT [OPTION...]",
    .summary = "make the layers of a packed checkpoint on the daemon's disk dense",
    .details = DETAILS,
    .options = PACKING | OPTION_BIT(OPTION_DTYPE),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_unpack,
};

const struct command cmd_jobs_diff = {
    .name = "jobs diff",
    .arguments = "A B [OPTION...]",
    .summary = "compare the layers of two checkpoints on the daemon's disk",
    .details = DETAILS,
    .options = READING | OPTION_BIT(OPTION_RENAME) | OPTION_BIT(OPTION_STRIP_PREFIX),
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run_diff,
};
