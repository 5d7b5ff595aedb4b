/* SPDX-License-Identifier: Apache-2.0 */
/* trit project: a checkpoint in, the same checkpoint out with its layers ternary.
 *
 * 1. The input's table is read and the output's planned; what cannot be is
 *    refused before a byte is written or sent, and so is a layer whose data are
 *    ternary already.
 * 2. Tensors go one after another, in the input's order: a layer is loaded,
 *    projected by the daemon and put; everything else is copied.
 * 3. The input is asked whether it changed meanwhile, and the layers whether a scale
 *    was lost; the output takes its name.
 * Whatever fails leaves the output's name as it was; what the daemon filed under
 * --run until then stays filed. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/findings.h"
#include "checkpoint/plan.h"
#include "checkpoint/ternary.h"
#include "client/cli/file.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/cli/show.h"
#include "kernels/kernels.h"
#include "proto/finding.h"

enum { COPY_BYTES = 1 << 20, PROBE_BYTES = 1 << 16 };

struct projecting {
    const struct options *options;
    struct trit_client *client;
    struct reader *reader;
    struct plan plan;
    struct writer *writer;
    struct progress progress;
    struct showing showing;
    struct file_findings findings;
    size_t not_ternary; /* layers whose projection is not ternary */
    size_t lost;        /* layers that lose scales and may not */
    struct failure failure;
};

static int copy_tensor(struct projecting *p, const struct tensor_entry *entry,
                       const struct plan_item *item)
{
    uint8_t *buffer = malloc(COPY_BYTES);
    int result =
        buffer ? 0 : fail(&p->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    for (uint64_t at = 0; result == 0 && at < entry->bytes; at += COPY_BYTES) {
        uint64_t left = entry->bytes - at;
        uint64_t piece = left < COPY_BYTES ? left : COPY_BYTES;

        result = reader_read(p->reader, entry, at, buffer, piece, &p->failure);
        if (result == 0)
            result = writer_put(p->writer, item->data, buffer, piece, &p->failure);
    }
    free(buffer);
    return result;
}

/* A dead layer, and a lost scale where that is allowed, are warnings here: nothing
 * else could have come out. */
static int show_layer(struct projecting *p, const struct tensor_entry *entry,
                      struct trit_report *report)
{
    const size_t first = p->findings.count;
    bool failing = false;

    findings_add_report(&p->findings, entry->name, report, true);
    for (size_t i = first; i < p->findings.count; i++) {
        struct trit_finding *finding = &p->findings.list[i].finding;

        if (finding->kind == TRIT_FINDING_SCALE_LOST) {
            if (option_given(p->options, OPTION_ALLOW_LOST))
                finding->severity = TRIT_SEVERITY_WARNING;
            else
                p->lost++;
        }
        failing |= finding->severity == TRIT_SEVERITY_ERROR;
    }
    p->not_ternary += failing;
    return showing_layer(&p->showing, entry->name, entry, report, &p->failure);
}

/* The daemon's answer must have the sizes that the output's header promised. */
static int put_projection(struct projecting *p, const struct plan_item *item,
                          const struct trit_projection *projection)
{
    const struct tensor_entry *entries = p->plan.table.entries;
    uint64_t scale_bytes = item->scales == PLAN_NONE ? 0 : entries[item->scales].bytes;

    if (projection->data_bytes != entries[item->data].bytes ||
        projection->scale_bytes != scale_bytes)
        return fail(&p->failure, TRIT_INTERNAL, NULL,
                    "the daemon sent %" PRIu64 " bytes and %" PRIu64
                    " of scales, not %" PRIu64 " and %" PRIu64,
                    projection->data_bytes, projection->scale_bytes,
                    entries[item->data].bytes, scale_bytes);
    if (writer_put(p->writer, item->data, projection->data, projection->data_bytes,
                   &p->failure) != 0)
        return -1;
    if (item->scales == PLAN_NONE)
        return 0;
    return writer_put(p->writer, item->scales, projection->scales, scale_bytes,
                      &p->failure);
}

static int call_project(struct projecting *p, const struct tensor_entry *entry,
                        const void *data, struct trit_projection *projection)
{
    const struct options *options = p->options;
    struct matrix matrix = matrix_of(entry->rank, entry->shape);
    struct trit_tensor tensor = {.dtype = entry->type->dtype,
                                 .rank = 2,
                                 .shape = {matrix.rows, matrix.columns},
                                 .data = data,
                                 .bytes = entry->bytes};
    struct trit_project_options call = {
        .group_size = options->group_size,
        .partial_group = options->partial_group,
        .encoding = options->encoding,
        .allow_lost_scales = true, /* the finding says so, and names the layer */
        .call = {.progress = progress_update, .progress_arg = &p->progress}};
    struct trit_error error;
    enum trit_status status;

    if (options->run)
        call.layer = (struct trit_layer_ref){options->run, entry->name, options->step};
    status = trit_project(p->client, &tensor, &call, projection, &error);
    return status == TRIT_OK ? 0
                             : fail(&p->failure, status, error.field, "%s: %s",
                                    trit_status_name(status), error.message);
}

static int project_layer(struct projecting *p, const struct tensor_entry *entry,
                         const struct plan_item *item)
{
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    void *data = NULL;
    int result = reader_load(p->reader, entry, &data, &p->failure);

    if (result == 0)
        result = call_project(p, entry, data, &projection);
    free(data);
    if (result == 0)
        result = put_projection(p, item, &projection);
    if (result == 0)
        result = show_layer(p, entry, &projection.report);
    trit_projection_free(&projection);
    return result;
}

static int project_all(struct projecting *p)
{
    const struct tensor_table *table = reader_table(p->reader);

    for (size_t i = 0; i < table->count; i++) {
        const struct tensor_entry *entry = &table->entries[i];
        const struct plan_item *item = &p->plan.items[i];

        progress_piece(&p->progress, entry->name);
        if ((item->action == PLAN_TERNARIZE ? project_layer : copy_tensor)(p, entry,
                                                                           item) != 0)
            return fail_context(&p->failure, "%s", entry->name);
        progress_piece_done(&p->progress, entry->bytes);
    }
    return 0;
}

/* ---- what came of it ------------------------------------------------------------- */

static json_t *result_json(struct projecting *p, const char *verdict)
{
    const struct options *options = p->options;
    const uint64_t all = p->plan.parameters_ternary + p->plan.parameters_kept;
    const size_t passed = reader_table(p->reader)->count - p->plan.layers;

    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:i, s:b, s:I, s:I, s:f, s:o, s:O}", "input",
        options->arguments[0], "output", options->output, "encoding",
        encoding_name(options->encoding), "verdict", verdict, "findings",
        findings_json(&p->findings), "passed_through", (int)passed, "is_ternary",
        p->not_ternary == 0, "ternary", (json_int_t)p->plan.parameters_ternary, "kept",
        (json_int_t)p->plan.parameters_kept, "share_ternary",
        all ? (double)p->plan.parameters_ternary / (double)all : 0.0, "others",
        file_others_json(&p->plan.contents), "layers", p->showing.reports);
}

static enum exit_code show_result(struct projecting *p)
{
    const struct options *options = p->options;
    const enum trit_verdict verdict = findings_verdict(&p->findings);
    const enum exit_code code =
        verdict == TRIT_VERDICT_PASS && p->not_ternary == 0 ? DONE : MISMATCH;
    const uint64_t all = p->plan.parameters_ternary + p->plan.parameters_kept;

    if (!p->showing.grid)
        return print_json(result_json(p, verdict_name(code == DONE ? TRIT_VERDICT_PASS
                                                                   : TRIT_VERDICT_FAIL)),
                          code);
    if (showing_print(&p->showing, &p->findings) < 0)
        return complain(FAILED, "out of memory");
    printf("%s: %zu layers ternary (%s), %zu tensors as they were; %.1f %% of the "
           "parameters are ternary\n",
           options->output, p->plan.layers - p->not_ternary,
           encoding_name(options->encoding),
           reader_table(p->reader)->count - p->plan.layers,
           all ? 100.0 * (double)p->plan.parameters_ternary / (double)all : 0.0);
    file_print_kept(&p->plan.contents, all);
    return code;
}

static enum exit_code refuse_lost(struct projecting *p)
{
    char text[FINDING_TEXT_BYTES];

    for (size_t i = 0; i < p->findings.count; i++)
        if (p->findings.list[i].finding.kind == TRIT_FINDING_SCALE_LOST)
            complain(MISMATCH, "%s", finding_text(text, &p->findings.list[i]));
    return complain(MISMATCH,
                    "%s: nothing is written: %zu layers lose scales (--allow-lost "
                    "writes them nevertheless)",
                    p->options->output, p->lost);
}

/* ---- the steps ------------------------------------------------------------------- */

static int write_output(struct projecting *p)
{
    if (writer_create(&p->writer, p->options->output, output_mode(p->options),
                      &p->plan.table, &p->failure) != 0)
        return fail_context(&p->failure, "%s", p->options->output);
    progress_start(&p->progress, p->plan.bytes);
    int result = project_all(p);
    progress_stop(&p->progress);
    if (result != 0 || reader_unchanged(p->reader, &p->failure) != 0)
        return -1;
    if (p->lost)
        return 0;
    if (writer_commit(p->writer, &p->failure) != 0)
        return fail_context(&p->failure, "%s", p->options->output);
    return 0;
}

static enum exit_code project_planned(struct projecting *p)
{
    p->client = cli_connect(p->options);
    if (!p->client)
        return FAILED;
    if (showing_start(&p->showing, p->options) < 0)
        return complain(FAILED, "out of memory");
    if (write_output(p) != 0)
        return complain(FAILED, "%s", p->failure.message);
    return p->lost ? refuse_lost(p) : show_result(p);
}

/* Reads as much of a layer as it takes to tell. 1: it is ternary already and would
 * change; 0: it is not or would not; -1: it cannot be read. */
static int probe_layer(struct projecting *p, const struct tensor_entry *entry,
                       uint8_t *buffer)
{
    struct ternary_probe probe;

    ternary_probe_init(&probe, &p->plan.contents.terms, entry);
    for (uint64_t at = 0; at < entry->bytes; at += PROBE_BYTES) {
        uint64_t left = entry->bytes - at;
        uint64_t piece = left < PROBE_BYTES ? left : PROBE_BYTES;

        if (reader_read(p->reader, entry, at, buffer, piece, &p->failure) != 0)
            return -1;
        if (!ternary_probe_feed(&probe, buffer, piece))
            return 0;
    }
    return ternary_probe_refuses(&probe);
}

/* Names every layer that is ternary already. */
static enum exit_code check_data(struct projecting *p)
{
    const struct tensor_table *table = reader_table(p->reader);
    uint8_t *buffer = malloc(PROBE_BYTES);
    size_t refused = 0;
    int found = 0;

    if (!buffer)
        return complain(FAILED, "out of memory");
    for (size_t i = 0; i < table->count && found >= 0; i++) {
        if (p->plan.items[i].action != PLAN_TERNARIZE)
            continue;
        found = probe_layer(p, &table->entries[i], buffer);
        if (found > 0)
            complain(MISMATCH, "%s: it is ternary already, projecting it would change it",
                     table->entries[i].name);
        refused += found > 0;
    }
    free(buffer);
    if (found < 0)
        return complain(FAILED, "%s: %s", p->options->arguments[0], p->failure.message);
    if (refused == 0)
        return DONE;
    return complain(MISMATCH,
                    "%s: nothing is written: %zu layers are ternary already. `trit pack` "
                    "will keep trits and scales as they are; --again projects them once "
                    "more, which shrinks their scales",
                    p->options->arguments[0], refused);
}

/* Names all that the plan refuses; and what was taken by a pattern against the rules. */
static enum exit_code check_plan(struct projecting *p)
{
    const struct tensor_table *table = reader_table(p->reader);
    const char *input = p->options->arguments[0];
    const struct plan *plan = &p->plan;

    if (plan->refusal)
        return complain(MISMATCH,
                        "%s: %s. `trit pack` will keep trits and scales as they are; "
                        "--again projects it once more, which shrinks the scales",
                        input, plan->refusal);
    for (size_t i = 0; i < table->count; i++) {
        if (plan->items[i].action == PLAN_REFUSE)
            complain(MISMATCH, "%s: %s", table->entries[i].name, plan->items[i].reason);
        else if (plan->contents.items[i].included)
            complain(DONE,
                     "%s: included by a pattern, although by the rules it is kept (%s)",
                     table->entries[i].name, role_name(plan->contents.items[i].role));
    }
    if (plan->refused)
        return complain(MISMATCH,
                        "%s: nothing is written: %zu tensors are refused (--exclude "
                        "keeps them as they are)",
                        input, plan->refused);
    if (plan->layers > 0)
        return DONE;
    file_print_others(&plan->contents);
    return complain(
        MISMATCH, "%s: no tensor of it is a layer (rank 2%s, f32, f16 or bf16%s)", input,
        option_given(p->options, OPTION_CONVOLUTIONS) ? " to 4" : "",
        p->options->include.count + p->options->exclude.count ? ", selected by name"
                                                              : "");
}

static enum exit_code check_usage(const struct options *options)
{
    if (!options->output)
        return complain(USAGE, "project: -o OUT is missing");
    if (option_given(options, OPTION_STEP) && !options->run)
        return complain(USAGE, "project: --step needs --run");
    if (strcmp(writer_format(options->output), "npy") == 0 &&
        options->encoding != TRIT_ENCODING_DENSE)
        return complain(USAGE,
                        "project: a .npy file has no place for %s; name the output "
                        ".safetensors",
                        encoding_name(options->encoding));
    return output_check("project", options, options->arguments[0]);
}

static enum exit_code run_steps(struct projecting *p)
{
    const struct checkpoint_options said = options_checkpoint(p->options);
    const struct layer_terms terms = terms_of(&said, NULL);
    const bool again = option_given(p->options, OPTION_AGAIN);
    enum exit_code code = check_usage(p->options);

    if (code == DONE)
        code = file_open(&p->reader, p->options->arguments[0], p->options);
    if (code == DONE)
        code = file_check_options("project", p->options, &terms, p->reader, NULL);
    if (code != DONE)
        return code;
    if (plan_create(&p->plan, &said, again, reader_table(p->reader), &p->failure) < 0)
        return complain(FAILED, "%s: %s", p->options->arguments[0], p->failure.message);
    code = check_plan(p);
    if (code == DONE && !again)
        code = check_data(p);
    return code == DONE ? project_planned(p) : code;
}

static enum exit_code run_project(const struct options *options)
{
    struct projecting p = {.options = options};
    enum exit_code code;

    findings_init(&p.findings);
    code = run_steps(&p);
    showing_end(&p.showing);
    findings_fini(&p.findings);
    writer_destroy(p.writer);
    trit_close(p.client);
    plan_destroy(&p.plan);
    reader_close(p.reader);
    return code;
}

const struct command cmd_project = {
    .name = "project",
    .arguments = "IN -o OUT [OPTION...]",
    .summary = "ternarize the layers of a checkpoint into a new file",
    .details =
        "Layers are the weights of linear layers and embeddings: rank 2, f32, f16 or\n"
        "bf16. Norms, biases, router gates, rotary and position tables, LoRA factors,\n"
        "experts of rank 3 and, but for --convolutions, convolutions are kept byte for\n"
        "byte; --include and --exclude override that by name.\n"
        "dense keeps name, type and shape; int8 writes the codes under the layer's\n"
        "name and f32 scales under NAME.scales; packed encodings write u8 [rows, bytes\n"
        "a row]. hf_bitnet writes what transformers reads as linear_class\n"
        "autobitlinear: u8 [rows/4, columns] and NAME_scale, the mean |w|; embeddings\n"
        "and the head stay as they are.\n"
        "Refused, with exit code 1 and no output: layers that the encoding cannot\n"
        "hold, weights that another program packed, layers that are ternary already\n"
        "(--again) or that lose scales (--allow-lost).",
    .options = OPTION_BIT(OPTION_OUTPUT) | OPTION_BIT(OPTION_FORCE) |
               OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_GROUP_SIZE) |
               OPTION_BIT(OPTION_PARTIAL) | OPTION_BIT(OPTION_INCLUDE) |
               OPTION_BIT(OPTION_EXCLUDE) | OPTION_BIT(OPTION_CONVOLUTIONS) |
               OPTION_BIT(OPTION_AGAIN) | OPTION_BIT(OPTION_ALLOW_LOST) |
               OPTION_BIT(OPTION_NPY_BF16) | OPTION_BIT(OPTION_RUN) |
               OPTION_BIT(OPTION_STEP) | OPTION_BIT(OPTION_SERVER) |
               OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_JSON) |
               OPTION_BIT(OPTION_HELP),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_project,
};
