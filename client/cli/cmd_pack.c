/* SPDX-License-Identifier: Apache-2.0 */
/* trit pack and trit unpack: a checkpoint whose layers are ternary already, in another
 * encoding. Trits and scales stay as they are; what the encoding cannot hold is refused,
 * naming the first group, and nothing is written. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/cli/pack.h"
#include "client/cli/show_plan.h"
#include "drive/planned.h"
#include "kernels/kernels.h"
#include "proto/json_value.h"

static int do_all(struct packing_run *p)
{
    if (pack_pieces(p) < 0 || reader_unchanged(p->input.input.reader, &p->failure) < 0)
        return -1;
    return interrupt_check(&p->failure);
}

static json_t *result_json(const struct packing_run *p)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:o}", "input", p->options->arguments[0],
                     "output", p->options->output, "encoding",
                     encoding_name(p->plan.terms.encoding), "layers", (int)p->plan.layers,
                     "passed_through",
                     (int)(p->plan.contents.table->count - p->plan.layers),
                     "scales_rounded", json_uint64(p->rounded));
}

static enum exit_code show_result(const struct packing_run *p)
{
    if (option_given(p->options, OPTION_JSON))
        return print_json(result_json(p), DONE);
    const bool dense = p->plan.terms.encoding == TRIT_ENCODING_DENSE;
    printf("%s: %zu layers as %s, %s as they were; all other tensors copied\n",
           p->options->output, p->plan.layers, encoding_name(p->plan.terms.encoding),
           p->rounded ? "trits"
           : dense    ? "values"
                      : "trits and scales");
    show_gguf(&p->plan);
    if (p->rounded)
        printf("  %" PRIu64 " scales were rounded to the output's type\n", p->rounded);
    return DONE;
}

/* A tensor that does not fit the encoding is refused data, not a failed call. */
static enum exit_code write_output(struct packing_run *p)
{
    interrupt_hold(&p->interrupt);
    int result =
        output_open(&p->writer, p->options, &p->input.input, &p->plan, &p->failure);

    if (result < 0)
        return complain(FAILED, "%s: %s", p->options->output, p->failure.message);
    bar_start(&p->bar, p->plan.bytes);
    result = do_all(p);
    bar_stop(&p->bar);
    if (result < 0)
        return complain(p->failure.status == TRIT_INVALID_ARGUMENT ? MISMATCH : FAILED,
                        "%s; nothing is written", p->failure.message);
    if (writer_commit(p->writer, &p->failure) < 0)
        return complain(FAILED, "%s: %s", p->options->output, p->failure.message);
    return show_result(p);
}

/* ---- the steps --------------------------------------------------------------------- */

static enum exit_code check_usage(const struct packing_run *p)
{
    if (option_given(p->options, OPTION_DRY_RUN))
        return DONE;
    if (!p->options->output)
        return complain(USAGE, "%s: -o OUT is missing", p->command);
    return output_check(p->command, p->options, p->options->arguments[0]);
}

static enum exit_code make_plan(struct packing_run *p, const struct pack_target *target)
{
    const char *path = p->options->arguments[0];

    p->input.rules.to_gguf =
        p->options->output && strcmp(writer_format(p->options->output), "gguf") == 0;
    if (plan_create_pack(&p->plan, &p->input.rules, target, p->input.contents.table,
                         &p->input.record, &p->failure) < 0)
        return complain(USAGE, "%s: %s", p->command, p->failure.message);
    if (p->options->output && planned_prepare(&p->plan, p->options->output,
                                              p->input.input.reader, &p->failure) < 0)
        return complain(FAILED, "%s: %s", p->options->output, p->failure.message);
    if (option_given(p->options, OPTION_DRY_RUN))
        return show_plan(p->options, &p->plan);
    for (size_t i = 0; i < p->plan.contents.table->count; i++)
        if (p->plan.items[i].action == PLAN_REFUSE)
            complain(MISMATCH, "%s: %s", p->plan.contents.table->entries[i].name,
                     p->plan.items[i].reason);
    if (p->plan.refused)
        return complain(MISMATCH,
                        "%s: nothing is written: %zu tensors are refused (--exclude "
                        "keeps them as they are)",
                        path, p->plan.refused);
    if (p->plan.layers == 0)
        return complain(MISMATCH, "%s: none of its tensors is a layer", path);
    return DONE;
}

static enum exit_code run(const char *command, const struct options *options,
                          const struct pack_target *target)
{
    struct packing_run p = {.options = options, .command = command};
    struct options source = *options;
    enum exit_code code = check_usage(&p);

    /* --from-encoding says how the input is encoded; --encoding is the output's. */
    source.given &= ~(OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_GROUP_SIZE));
    source.group_size = 0;
    if (option_given(options, OPTION_FROM_ENCODING)) {
        source.given |= OPTION_BIT(OPTION_ENCODING);
        source.encoding = options->from_encoding;
    }
    if (code == DONE)
        code = side_open(&p.input, command, options->arguments[0], &source);
    if (code == DONE)
        code = file_check_options(command, &source, &p.input.contents.terms,
                                  p.input.input.reader, NULL);
    if (code == DONE)
        code = make_plan(&p, target);
    if (code == DONE && !option_given(options, OPTION_DRY_RUN)) {
        p.client = cli_connect(options);
        code = p.client ? write_output(&p) : FAILED;
    }
    writer_destroy(p.writer);
    interrupt_release(&p.interrupt);
    trit_close(p.client);
    plan_destroy(&p.plan);
    side_close(&p.input);
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
     OPTION_BIT(OPTION_EXPERTS) | OPTION_BIT(OPTION_BITS) |                              \
     OPTION_BIT(OPTION_TRANSPOSED) | OPTION_BIT(OPTION_DRY_RUN) |                        \
     OPTION_BIT(OPTION_SHARD_SIZE) | OPTION_BIT(OPTION_NPY_BF16) |                       \
     OPTION_BIT(OPTION_SERVER) | OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_JSON) |  \
     OPTION_BIT(OPTION_HELP))

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
        "without a record is encoded.",
    .options = SHARED_OPTIONS | OPTION_BIT(OPTION_DTYPE),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_unpack,
};
