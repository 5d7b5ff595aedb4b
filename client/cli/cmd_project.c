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
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/escape.h"
#include "client/cli/project.h"
#include "client/cli/report_file.h"
#include "client/cli/show_plan.h"
#include "client/cli/wording.h"
#include "drive/planned.h"
#include "kernels/kernels.h"

/* ---- the result ------------------------------------------------------------- */

static json_t *result_json(const struct project_command *p)
{
    return project_json(&p->run, p->options->arguments[0], p->options->output,
                        p->showing.reports);
}

static enum exit_code show_result(struct project_command *p)
{
    const struct options *options = p->options;
    const enum exit_code code =
        project_verdict(&p->run) == TRIT_VERDICT_PASS ? DONE : MISMATCH;
    const uint64_t all = p->run.plan.parameters_ternary + p->run.plan.parameters_kept;
    char shown[ESCAPED_BYTES];

    if (p->options->report) {
        json_t *result = result_json(p);
        const enum exit_code written = report_file_write("project", p->options, result);

        json_decref(result);
        if (written != DONE)
            return written;
    }
    if (!p->showing.grid)
        return print_json(result_json(p), code);
    if (showing_print(&p->showing, &p->run.findings) < 0)
        return complain(FAILED, "out of memory");
    printf("%s: %zu layers ternary (%s), %zu tensors as they were; %.1f %% of the "
           "parameters are ternary\n",
           escaped(shown, options->output), p->showing.layers - p->run.not_ternary,
           encoding_name(options->encoding),
           reader_table(p->run.input.reader)->count - p->run.plan.layers,
           all ? 100.0 * (double)p->run.plan.parameters_ternary / (double)all : 0.0);
    show_gguf(&p->run.plan);
    file_print_kept(&p->run.plan.contents, all);
    return code;
}

static enum exit_code refuse_lost(struct project_command *p)
{
    char text[FINDING_TEXT_BYTES];

    for (size_t i = 0; i < p->run.findings.count; i++)
        if (p->run.findings.list[i].finding.kind == TRIT_FINDING_SCALE_LOST)
            complain(MISMATCH, "%s", finding_words(text, &p->run.findings.list[i]));
    return complain(MISMATCH,
                    "%s: nothing is written: %zu layers lose scales (--allow-lost "
                    "writes them anyway)",
                    p->options->output, p->run.lost);
}

/* ---- the steps ------------------------------------------------------------------- */

static int write_output(struct project_command *p)
{
    struct projecting *run = &p->run;

    if (output_open(&run->writer, p->options, &run->input, &run->plan, &run->failure) < 0)
        return fail_context(&run->failure, "%s", p->options->output);
    bar_start(&p->bar, run->plan.bytes);
    int result = project_run(run);
    bar_stop(&p->bar);
    if (result != 0 || interrupt_check(&run->failure) != 0)
        return -1;
    if (run->lost)
        return 0;
    if (writer_commit(run->writer, &run->failure) != 0)
        return fail_context(&run->failure, "%s", p->options->output);
    return 0;
}

static enum exit_code project_planned(struct project_command *p)
{
    const enum exit_code code = daemon_engine_open(&p->engine, p->options);

    if (code != DONE)
        return code;
    if (showing_start(&p->showing, p->options) < 0)
        return complain(FAILED, "out of memory");
    p->run.engine = &p->engine.engine;
    p->run.progress = &p->bar.progress;
    p->run.terms = (struct layer_terms){.encoding = p->options->encoding,
                                        .group_size = p->options->group_size,
                                        .partial_group = p->options->partial_group};
    p->run.allow_lost = option_given(p->options, OPTION_ALLOW_LOST);
    p->run.layer = showing_layer;
    p->run.owner = &p->showing;
    interrupt_hold(&p->interrupt);
    if (write_output(p) != 0)
        return complain(output_failed(&p->run.failure), "%s", p->run.failure.message);
    return p->run.lost ? refuse_lost(p) : show_result(p);
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

static enum exit_code run_steps(struct project_command *p)
{
    const char *path = p->options->arguments[0];
    const bool again = option_given(p->options, OPTION_AGAIN);
    enum exit_code code = check_usage(p->options);

    if (code == DONE)
        code = input_open(&p->run.input, path, p->options);
    if (code != DONE)
        return code;
    struct checkpoint_options rules = input_options(&p->run.input, p->options);
    const struct layer_terms terms = terms_of(&rules, NULL);
    rules.to_gguf =
        p->options->output && strcmp(writer_format(p->options->output), "gguf") == 0;
    code = file_check_options("project", p->options, &terms, p->run.input.reader, NULL);
    if (code != DONE)
        return code;
    if (plan_create(&p->run.plan, &rules, again, reader_table(p->run.input.reader),
                    &p->run.failure) < 0)
        return complain(FAILED, "%s: %s", path, p->run.failure.message);
    if (p->options->output && planned_prepare(&p->run.plan, p->options->output,
                                              p->run.input.reader, &p->run.failure) < 0)
        return output_refused(p->options, &p->run.failure);
    code = project_check(p);
    if (code != DONE)
        return code;
    return option_given(p->options, OPTION_DRY_RUN) ? show_plan(p->options, &p->run.plan)
                                                    : project_planned(p);
}

static enum exit_code run_project(const struct options *options)
{
    struct project_command p = {.options = options};
    enum exit_code code;

    project_init(&p.run);
    code = run_steps(&p);
    showing_end(&p.showing);
    project_fini(&p.run); /* removes an output that is not complete */
    interrupt_release(&p.interrupt);
    daemon_engine_close(&p.engine);
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
        "The end of OUT's name chooses the format: .npy, .gguf, else safetensors.\n"
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
               OPTION_BIT(OPTION_KEEP_NAMES) | OPTION_BIT(OPTION_EXPERTS) |
               OPTION_BIT(OPTION_TRANSPOSED) | OPTION_BIT(OPTION_DRY_RUN) |
               OPTION_BIT(OPTION_SHARD_SIZE) | OPTION_BIT(OPTION_REPORT) |
               OPTION_BIT(OPTION_AGAIN) | OPTION_BIT(OPTION_ALLOW_LOST) |
               OPTION_BIT(OPTION_NPY_BF16) | FILING_OPTIONS | OPTION_BIT(OPTION_SERVER) |
               OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_JSON) |
               OPTION_BIT(OPTION_HELP),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_project,
};
