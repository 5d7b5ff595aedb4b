/* SPDX-License-Identifier: Apache-2.0 */
/* trit pack and trit unpack: a checkpoint whose layers are ternary already, in another
 * encoding. Trits and scales stay as they are; what the encoding cannot hold is refused,
 * naming the first group, and nothing is written. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/plan_pack.h"
#include "client/cli/bar.h"
#include "client/cli/engine.h"
#include "client/cli/escape.h"
#include "client/cli/file.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/show_plan.h"
#include "drive/pack.h"
#include "drive/planned.h"
#include "kernels/kernels.h"

struct pack_command {
    const struct options *options;
    const char *name; /* "pack" or "unpack" */
    struct repacking run;
    struct call_engine engine;
    struct interrupt interrupt;
    struct bar bar;
};

static enum exit_code show_result(const struct pack_command *p)
{
    const struct plan *plan = &p->run.plan;
    const char *output = p->options->output;
    char shown[ESCAPED_BYTES];

    if (option_given(p->options, OPTION_JSON))
        return print_json(pack_json(&p->run, p->options->arguments[0], output), DONE);
    const bool dense = plan->terms.encoding == TRIT_ENCODING_DENSE;
    printf("%s: %zu layers as %s, %s as they were; all other tensors copied\n",
           escaped(shown, output), plan->layers, encoding_name(plan->terms.encoding),
           p->run.rounded ? "trits"
           : dense        ? "values"
                          : "trits and scales");
    show_gguf(plan);
    if (p->run.rounded)
        printf("  %" PRIu64 " scales were rounded to the output's type\n",
               p->run.rounded);
    return DONE;
}

static int do_all(struct pack_command *p)
{
    return pack_run(&p->run) < 0 ? -1 : interrupt_check(&p->run.failure);
}

/* A tensor that does not fit the encoding is refused data, not a failed call. */
static enum exit_code write_output(struct pack_command *p)
{
    struct repacking *run = &p->run;
    const char *output = p->options->output;

    run->engine = &p->engine.engine;
    run->progress = &p->bar.progress;
    run->allow_rounded = option_given(p->options, OPTION_ROUND_SCALES);
    interrupt_hold(&p->interrupt);
    if (output_open(&run->writer, p->options, &run->input.input, &run->plan,
                    &run->failure) < 0)
        return complain(output_failed(&run->failure), "%s: %s", output,
                        run->failure.message);
    bar_start(&p->bar, run->plan.bytes);
    const int result = do_all(p);
    bar_stop(&p->bar);
    if (result < 0)
        return complain(run->failure.status == TRIT_INVALID_ARGUMENT ? MISMATCH : FAILED,
                        "%s; nothing is written", run->failure.message);
    if (writer_commit(run->writer, &run->failure) < 0)
        return complain(FAILED, "%s: %s", output, run->failure.message);
    return show_result(p);
}

/* ---- the steps --------------------------------------------------------------------- */

static enum exit_code check_usage(const struct pack_command *p)
{
    if (option_given(p->options, OPTION_DRY_RUN))
        return DONE;
    if (!p->options->output)
        return complain(USAGE, "%s: -o OUT is missing", p->name);
    return output_check(p->name, p->options, p->options->arguments[0]);
}

static enum exit_code refuse(const struct pack_command *p)
{
    const struct plan *plan = &p->run.plan;
    const char *path = p->options->arguments[0];

    for (size_t i = 0; i < plan->contents.table->count; i++)
        if (plan->items[i].action == PLAN_REFUSE)
            complain(MISMATCH, "%s: %s", plan->contents.table->entries[i].name,
                     plan->items[i].reason);
    if (plan->refused)
        return complain(MISMATCH,
                        "%s: nothing is written: %zu tensors are refused (--exclude "
                        "keeps a layer as it is)",
                        path, plan->refused);
    if (plan->layers == 0)
        return complain(MISMATCH, "%s: none of its tensors is a layer", path);
    return DONE;
}

static enum exit_code make_plan(struct pack_command *p, const struct pack_target *target)
{
    struct repacking *run = &p->run;
    const char *output = p->options->output;

    run->input.rules.to_gguf = output && strcmp(writer_format(output), "gguf") == 0;
    if (plan_create_pack(&run->plan, &run->input.rules, target, run->input.contents.table,
                         &run->input.record, &run->failure) < 0)
        return complain(strcmp(run->failure.field, "layers") == 0 ? MISMATCH : USAGE,
                        "%s: %s", p->name, run->failure.message);
    if (output &&
        planned_prepare(&run->plan, output, run->input.input.reader, &run->failure) < 0)
        return output_refused(p->options, &run->failure);
    return option_given(p->options, OPTION_DRY_RUN) ? show_plan(p->options, &run->plan)
                                                    : refuse(p);
}

static enum exit_code run_steps(struct pack_command *p, const struct pack_target *target)
{
    const struct options *options = p->options;
    struct options source = *options;
    enum exit_code code = check_usage(p);

    /* --from-encoding says how the input is encoded; --encoding is the output's. */
    source.given &= ~(OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_GROUP_SIZE));
    source.group_size = 0;
    if (option_given(options, OPTION_FROM_ENCODING)) {
        source.given |= OPTION_BIT(OPTION_ENCODING);
        source.encoding = options->from_encoding;
    }
    if (code == DONE)
        code = side_open(&p->run.input, p->name, options->arguments[0], &source);
    if (code == DONE)
        code = file_check_options(p->name, &source, &p->run.input.contents.terms,
                                  p->run.input.input.reader, NULL);
    if (code == DONE)
        code = make_plan(p, target);
    if (code != DONE || option_given(options, OPTION_DRY_RUN))
        return code;
    code = daemon_engine_open(&p->engine, options);
    return code == DONE ? write_output(p) : code;
}

static enum exit_code run(const char *name, const struct options *options,
                          const struct pack_target *target)
{
    struct pack_command p = {.options = options, .name = name};
    enum exit_code code;

    pack_init(&p.run);
    code = run_steps(&p, target);
    pack_fini(&p.run); /* removes an output that is not complete */
    interrupt_release(&p.interrupt);
    daemon_engine_close(&p.engine);
    return code;
}

static enum exit_code run_pack(const struct options *options)
{
    const struct pack_target target = {.encoding = options->encoding,
                                       .group_size = options->group_size};

    if (!option_given(options, OPTION_ENCODING) ||
        options->encoding == TRIT_ENCODING_DENSE)
        return complain(USAGE, "pack: -e ENCODING is missing (trit unpack makes layers "
                               "dense)");
    return run("pack", options, &target);
}

static enum exit_code run_unpack(const struct options *options)
{
    const struct pack_target target = {.encoding = TRIT_ENCODING_DENSE,
                                       .dtype = options->dtype};

    return run("unpack", options, &target);
}

#define SHARED_OPTIONS                                                                   \
    (OPTION_BIT(OPTION_OUTPUT) | OPTION_BIT(OPTION_FORCE) |                              \
     OPTION_BIT(OPTION_FROM_ENCODING) | OPTION_BIT(OPTION_INCLUDE) |                     \
     OPTION_BIT(OPTION_EXCLUDE) | OPTION_BIT(OPTION_CONVOLUTIONS) |                      \
     OPTION_BIT(OPTION_KEEP_NAMES) | OPTION_BIT(OPTION_EXPERTS) |                        \
     OPTION_BIT(OPTION_BITS) | OPTION_BIT(OPTION_TRANSPOSED) |                           \
     OPTION_BIT(OPTION_DRY_RUN) | OPTION_BIT(OPTION_SHARD_SIZE) |                        \
     OPTION_BIT(OPTION_NPY_BF16) | OPTION_BIT(OPTION_SERVER) |                           \
     OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP))

const struct command cmd_pack = {
    .name = "pack",
    .arguments = "IN -o OUT -e ENCODING [OPTION...]",
    .summary = "change the encoding of a ternary checkpoint, losslessly",
    .details =
        "Trits and scales are kept exactly. A layer that is not ternary, a group whose\n"
        "scale the encoding's type does not hold (--round-scales rounds it), and groups\n"
        "that the encoding cannot express are refused by name, and nothing is written.\n"
        "The file's record says how its layers are encoded now; for others\n"
        "--from-encoding does.\n"
        "The end of OUT's name chooses the format: .npy, .gguf, else safetensors.\n"
        "Exit code 1: something is refused.",
    .options = SHARED_OPTIONS | OPTION_BIT(OPTION_ENCODING) |
               OPTION_BIT(OPTION_GROUP_SIZE) | OPTION_BIT(OPTION_ROUND_SCALES),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_pack,
};

const struct command cmd_unpack = {
    .name = "unpack",
    .arguments = "IN -o OUT [OPTION...]",
    .summary = "make the layers of a packed checkpoint dense",
    .details =
        "Each weight becomes t*s. The type is that of the record, or --dtype. A scale\n"
        "that it does not hold is rounded, as in a dense projection, and counted; one\n"
        "that would become 0 or infinite is refused. --from-encoding says how a file\n"
        "without a record is encoded.\n"
        "The end of OUT's name chooses the format: .npy, .gguf, else safetensors.",
    .options = SHARED_OPTIONS | OPTION_BIT(OPTION_DTYPE),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_unpack,
};
