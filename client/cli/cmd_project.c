/* SPDX-License-Identifier: Apache-2.0 */
/* trit project: writes a copy of a checkpoint in which the layers are ternary.
 *
 * 1. Reads the input's table and plans the output. Refuses what is impossible, and
 *    layers that are ternary already, before it sends or writes anything.
 * 2. Has the daemon project each layer and writes the result; copies every other tensor.
 *    Several matrices are under way at a time (lanes.h).
 * 3. Fails if the input was changed meanwhile or a layer lost a scale. Otherwise the
 *    output gets its name.
 * After a failure or a signal the output's name is as it was before. Reports that the
 * daemon has stored under --run by then stay stored. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/project.h"
#include "client/cli/report_file.h"
#include "client/cli/show_plan.h"
#include "kernels/kernels.h"
#include "proto/finding.h"
#include "proto/json_value.h"

/* ---- the result ------------------------------------------------------------- */

static json_t *result_json(struct projecting *p, const char *verdict)
{
    const struct options *options = p->options;
    const uint64_t all = p->plan.parameters_ternary + p->plan.parameters_kept;
    const size_t passed = reader_table(p->input.reader)->count - p->plan.layers;

    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:i, s:b, s:o, s:o, s:f, s:o, s:O}", "input",
        options->arguments[0], "output", options->output, "encoding",
        encoding_name(options->encoding), "verdict", verdict, "findings",
        findings_json(&p->findings), "passed_through", (int)passed, "is_ternary",
        p->not_ternary == 0, "ternary", json_uint64(p->plan.parameters_ternary), "kept",
        json_uint64(p->plan.parameters_kept), "share_ternary",
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

    const char *shown =
        verdict_name(code == DONE ? TRIT_VERDICT_PASS : TRIT_VERDICT_FAIL);
    if (p->options->report) {
        json_t *result = result_json(p, shown);
        const enum exit_code written = report_file_write("project", p->options, result);

        json_decref(result);
        if (written != DONE)
            return written;
    }
    if (!p->showing.grid)
        return print_json(result_json(p, shown), code);
    if (showing_print(&p->showing, &p->findings) < 0)
        return complain(FAILED, "out of memory");
    printf("%s: %zu layers ternary (%s), %zu tensors as they were; %.1f %% of the "
           "parameters are ternary\n",
           options->output, p->showing.layers - p->not_ternary,
           encoding_name(options->encoding),
           reader_table(p->input.reader)->count - p->plan.layers,
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
                    "writes them anyway)",
                    p->options->output, p->lost);
}

/* ---- the steps ------------------------------------------------------------------- */

static int write_output(struct projecting *p)
{
    if (output_open(&p->writer, p->options, &p->input, &p->plan, &p->failure) < 0)
        return fail_context(&p->failure, "%s", p->options->output);
    progress_start(&p->progress, p->plan.bytes);
    int result = project_pieces(p);
    progress_stop(&p->progress);
    if (result != 0 || reader_unchanged(p->input.reader, &p->failure) != 0 ||
        interrupt_check(&p->failure) != 0)
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
    interrupt_hold(&p->interrupt);
    if (write_output(p) != 0)
        return complain(FAILED, "%s", p->failure.message);
    return p->lost ? refuse_lost(p) : show_result(p);
}

static enum exit_code check_usage(const struct options *options)
{
    if (option_given(options, OPTION_DRY_RUN))
        return DONE;
    if (!options->output)
        return complain(USAGE, "project: -o OUT is missing");
    if ((options->given & FILING_OPTIONS) && !options->run)
        return complain(USAGE,
                        "project: --step, --attempt, --replica and --durability need "
                        "--run");
    if (strcmp(writer_format(options->output), "npy") == 0 &&
        options->encoding != TRIT_ENCODING_DENSE)
        return complain(USAGE,
                        "project: a .npy file cannot hold %s; "
                        "name the output .safetensors",
                        encoding_name(options->encoding));
    const enum exit_code code = report_file_check("project", options);
    return code == DONE ? output_check("project", options, options->arguments[0]) : code;
}

static enum exit_code run_steps(struct projecting *p)
{
    const char *path = p->options->arguments[0];
    const bool again = option_given(p->options, OPTION_AGAIN);
    enum exit_code code = check_usage(p->options);

    if (code == DONE)
        code = input_open(&p->input, path, p->options);
    if (code != DONE)
        return code;
    const struct checkpoint_options rules = input_options(&p->input, p->options);
    const struct layer_terms terms = terms_of(&rules, NULL);
    code = file_check_options("project", p->options, &terms, p->input.reader, NULL);
    if (code != DONE)
        return code;
    if (plan_create(&p->plan, &rules, again, reader_table(p->input.reader), &p->failure) <
        0)
        return complain(FAILED, "%s: %s", path, p->failure.message);
    code = project_check(p);
    if (code != DONE)
        return code;
    return option_given(p->options, OPTION_DRY_RUN) ? show_plan(p->options, &p->plan)
                                                    : project_planned(p);
}

static enum exit_code run_project(const struct options *options)
{
    struct projecting p = {.options = options};
    enum exit_code code;

    findings_init(&p.findings);
    pthread_mutex_init(&p.whole, NULL);
    code = run_steps(&p);
    showing_end(&p.showing);
    findings_fini(&p.findings);
    writer_destroy(p.writer);
    interrupt_release(&p.interrupt);
    trit_close(p.client);
    plan_destroy(&p.plan);
    input_close(&p.input);
    pthread_mutex_destroy(&p.whole);
    return code;
}

const struct command cmd_project = {
    .name = "project",
    .arguments = "IN -o OUT [OPTION...]",
    .summary = "ternarize the layers of a checkpoint into a new file",
    .details =
        "Layers are the weights of linear layers and embeddings: rank 2, f32, f16 or\n"
        "bf16. Norms, biases, router gates, rotary and position tables, LoRA factors,\n"
        "and, without --convolutions, convolutions are kept byte for byte; --include "
        "and\n"
        "--exclude override that by name. Experts of rank 3 are layers, one matrix "
        "after\n"
        "another, if config.json's architecture or --experts gives their layout.\n"
        "If IN is a folder or the index in one, OUT is a folder with IN's config.json\n"
        "and tokenizer, unless its name ends in .safetensors.\n"
        "--dry-run prints the plan; exit code 1: something is refused.\n"
        "dense keeps name, type and shape; int8 writes the codes under the layer's\n"
        "name and f32 scales under NAME.scales; packed encodings write u8 [rows, bytes\n"
        "per row]. hf_bitnet writes what transformers reads as linear_class\n"
        "autobitlinear: u8 [rows/4, columns] and NAME_scale, the mean |w|; embeddings\n"
        "and the head stay dense.\n"
        "Refused, with exit code 1 and no output: layers that the encoding cannot\n"
        "hold, weights that another program packed, layers that are already ternary\n"
        "(--again accepts them) or that lose scales (--allow-lost accepts them).",
    .options = OPTION_BIT(OPTION_OUTPUT) | OPTION_BIT(OPTION_FORCE) |
               OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_GROUP_SIZE) |
               OPTION_BIT(OPTION_PARTIAL) | OPTION_BIT(OPTION_INCLUDE) |
               OPTION_BIT(OPTION_EXCLUDE) | OPTION_BIT(OPTION_CONVOLUTIONS) |
               OPTION_BIT(OPTION_EXPERTS) | OPTION_BIT(OPTION_TRANSPOSED) |
               OPTION_BIT(OPTION_DRY_RUN) | OPTION_BIT(OPTION_SHARD_SIZE) |
               OPTION_BIT(OPTION_REPORT) | OPTION_BIT(OPTION_AGAIN) |
               OPTION_BIT(OPTION_ALLOW_LOST) | OPTION_BIT(OPTION_NPY_BF16) |
               FILING_OPTIONS | OPTION_BIT(OPTION_SERVER) | OPTION_BIT(OPTION_TIMEOUT) |
               OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_project,
};
