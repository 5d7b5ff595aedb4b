/* SPDX-License-Identifier: Apache-2.0 */
/* trit verify: is every layer of a file ternary, and is it the projection of the latents it
 * is compared with? drive/verify.h has the steps; a daemon verifies the layers. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/json.h"
#include "client/cli/escape.h"
#include "client/cli/file.h"
#include "client/cli/report_file.h"
#include "client/cli/verify_command.h"
#include "client/lib/attested_files.h"
#include "kernels/kernels.h"
#include "proto/json_value.h"

/* ---- the result --------------------------------------------------------------- */

static json_t *result_json(const struct verify_command *v)
{
    const char *statement = v->options->attestation;
    json_t *result = verify_json(&v->run, v->options->arguments[0], v->options->against,
                                 v->showing.reports);

    if (!result || !statement || json_put(result, "attestation", json_path(statement)))
        return result;
    json_decref(result);
    return NULL;
}

static void print_summary(const struct verify_command *v, enum trit_verdict verdict)
{
    char shown[ESCAPED_BYTES];
    const char *file = escaped(shown, v->options->arguments[0]);
    const double percent = 100 * verify_share(&v->run);
    size_t count[TRIT_SEVERITY_ERROR + 1] = {0};

    for (size_t i = 0; i < v->run.findings.count; i++)
        count[v->run.findings.list[i].finding.severity]++;
    switch (verdict) {
    case TRIT_VERDICT_PASS:
        printf("%s: pass: all %zu layers are ternary%s; "
               "%.1f %% of the parameters were examined\n",
               file, v->run.layers,
               v->options->against ? " and the projection of their latents" : "",
               percent);
        if (v->options->against)
            printf("  all other %zu tensors equal those of the latents\n",
                   v->run.compared);
        return;
    case TRIT_VERDICT_FAIL:
        printf("%s: fail: errors: %zu; failing layers: %zu of %zu; %.1f %% of the "
               "parameters were examined\n",
               file, count[TRIT_SEVERITY_ERROR], v->run.failing, v->run.layers, percent);
        return;
    case TRIT_VERDICT_INCONCLUSIVE:
        break;
    }
    printf(
        "%s: inconclusive: %zu layers are ternary, %zu findings are undecided; %.1f %% "
        "of the parameters were examined\n",
        file, v->run.layers, count[TRIT_SEVERITY_UNDECIDED], percent);
}

static void print_attestation(const struct verify_command *v)
{
    const struct attestation *stated = &v->stated;
    char shown[ESCAPED_BYTES];

    if (!v->options->attestation)
        return;
    printf("%s: compared with its %zu files and %zu layers%s\n"
           "  its signature was NOT checked; check it with the tool that signed it, such "
           "as cosign or openssl\n",
           escaped(shown, v->options->attestation), stated->files.count,
           stated->layers.count,
           stated->latents.count && !v->options->against
               ? ", not with its latents (--against)"
               : "");
}

static enum exit_code show_result(struct verify_command *v, enum trit_verdict verdict)
{

    if (v->options->report) {
        json_t *result = result_json(v);
        const enum exit_code written = report_file_write("verify", v->options, result);

        json_decref(result);
        if (written != DONE)
            return written;
    }
    if (!v->showing.grid)
        return print_json(result_json(v), DONE);
    if (v->run.layers == 0)
        file_print_others(&v->run.claim);
    if (showing_print(&v->showing, &v->run.findings) < 0)
        return complain(FAILED, "out of memory");
    print_summary(v, verdict);
    if (v->run.layers > 0)
        file_print_kept(&v->run.claim, v->run.examined + v->run.kept);
    print_attestation(v);
    return DONE;
}

static enum exit_code failed(const struct verify_command *v)
{
    const struct failure *failure = &v->run.failure;

    return complain(strcmp(failure->field, "rename") == 0 ? USAGE : FAILED, "%s: %s",
                    v->options->arguments[0], failure->message);
}

/* ---- the steps -------------------------------------------------------------------- */

static int take_layer(void *owner, const char *name, const struct tensor_entry *dense,
                      struct trit_report *report, struct failure *failure)
{
    struct verify_command *v = owner;

    snprintf(v->daemon, sizeof(v->daemon), "%s", report->version);
    return showing_layer(&v->showing, name, dense, report, failure);
}

/* The SHA-256 of the files, where there is a statement: that of --attestation, or the output
 * of trit attest. It is not one of the files. */
static int hash_files(struct verify_command *v)
{
    const struct options *options = v->options;
    const char *statement = options->output ? options->output : options->attestation;
    struct verifying *run = &v->run;

    if (!statement)
        return 0;
    if (attested_files(&v->found.files, run->file.reader, &run->file.config,
                       options->arguments[0], statement, &run->failure) < 0)
        return -1;
    return run->against.reader ? attested_files(&v->found.latents, run->against.reader,
                                                &run->against.config, options->against,
                                                statement, &run->failure)
                               : 0;
}

static enum exit_code finish(struct verify_command *v)
{
    struct verifying *run = &v->run;

    v->found.layers = run->digests;
    run->digests = (struct attested_list){.list = NULL};
    attested_sort(&v->found.layers);
    v->found.terms = run->claim.terms;
    v->found.verdict = findings_verdict(&run->findings);
    if (v->options->attestation)
        findings_add_attestation(&run->findings, &v->stated, &v->found);
    const enum trit_verdict verdict = findings_verdict(&run->findings);
    const enum exit_code code = v->finish(v, verdict);
    if (code != DONE)
        return code;
    return verdict == TRIT_VERDICT_PASS   ? DONE
           : verdict == TRIT_VERDICT_FAIL ? MISMATCH
                                          : INCONCLUSIVE;
}

static enum exit_code verify_matched(struct verify_command *v)
{
    struct verifying *run = &v->run;
    enum exit_code code = DONE;

    /* The daemon is needed only if there is a layer to send. */
    if (verify_has_layers(run))
        code = daemon_engine_open(&v->engine, v->options);
    if (code != DONE)
        return code;
    if (showing_start(&v->showing, v->options) < 0)
        return complain(FAILED, "out of memory");
    run->engine = &v->engine.engine;
    run->progress = &v->bar.progress;
    run->layer = take_layer;
    run->owner = v;
    bar_start(&v->bar, verify_bytes(run));
    const int result = hash_files(v) < 0 ? -1 : verify_run(run);
    bar_stop(&v->bar);
    return result < 0 ? failed(v) : finish(v);
}

static void take_options(struct verifying *run, const struct options *options)
{
    run->options = options_checkpoint(options);
    run->mode = options->mode;
    run->has_tolerance = option_given(options, OPTION_TOLERANCE);
    run->tolerance = options->tolerance;
    run->allow_dead = option_given(options, OPTION_ALLOW_DEAD);
    run->accept_record = option_given(options, OPTION_ACCEPT_RECORD);
}

static enum exit_code run_steps(struct verify_command *v)
{
    const struct options *options = v->options;
    struct verifying *run = &v->run;
    struct layer_terms terms;
    enum exit_code code = input_open_damaged(&run->file, options->arguments[0], options);

    if (code == DONE && options->against)
        code = input_open_damaged(&run->against, options->against, options);
    if (code != DONE)
        return code;
    if (options->attestation &&
        attestation_read_file(&v->stated, options->attestation, &run->failure) < 0)
        return complain(FAILED, "%s: %s", options->attestation, run->failure.message);
    take_options(run, options);
    if (verify_read_terms(run, &terms) < 0)
        return failed(v);
    code = file_check_options(v->name, options, &terms, run->file.reader,
                              run->against.reader);
    if (code != DONE)
        return code;
    if (verify_read_contents(run, &terms) < 0)
        return failed(v);
    code = file_check_names(v->name, options, &run->claim);
    return code == DONE ? verify_matched(v) : code;
}

enum exit_code verify_command_run(struct verify_command *v)
{
    const struct options *options = v->options;
    enum exit_code code;

    if ((options->given & FILING_OPTIONS) && !options->run)
        return complain(USAGE,
                        "%s: --step, --attempt, --replica and --durability need --run",
                        v->name);
    if (!options->against && (option_given(options, OPTION_RENAME) ||
                              option_given(options, OPTION_STRIP_PREFIX)))
        return complain(USAGE, "%s: --rename and --strip-prefix need --against", v->name);
    code = report_file_check(v->name, options);
    if (code != DONE)
        return code;
    verify_init(&v->run);
    code = run_steps(v);
    showing_end(&v->showing);
    daemon_engine_close(&v->engine);
    attestation_fini(&v->stated);
    attestation_fini(&v->found);
    verify_fini(&v->run);
    return code;
}

static enum exit_code run_verify(const struct options *options)
{
    struct verify_command v = {
        .options = options, .name = "verify", .finish = show_result};

    return verify_command_run(&v);
}

const struct command cmd_verify = {
    .name = "verify",
    .arguments = "FILE [--against LATENTS] [OPTION...]",
    .summary = "check that every layer of a file is ternary",
    .details =
        "Layers are found by the rules of trit project, --include and --exclude. A file\n"
        "written by trit project records their encoding; for other files use\n"
        "--encoding. With --against every tensor of both files is compared: layers must\n"
        "be the projection of their latents, all other tensors equal byte for byte.\n"
        "Exit code 0: pass. 1: fail, with the errors printed. 4: inconclusive: no layer\n"
        "was examined, the packing of a weight is unknown, or the file's own record\n"
        "omits layers (--accept-record accepts that).\n"
        "With --attestation every file and layer must be as the statement says; a\n"
        "signature around the statement is not checked.",
    .options = OPTION_BIT(OPTION_AGAINST) | OPTION_BIT(OPTION_ATTESTATION) |
               OPTION_BIT(OPTION_MODE) | OPTION_BIT(OPTION_TOLERANCE) |
               OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_GROUP_SIZE) |
               OPTION_BIT(OPTION_PARTIAL) | OPTION_BIT(OPTION_INCLUDE) |
               OPTION_BIT(OPTION_EXCLUDE) | OPTION_BIT(OPTION_CONVOLUTIONS) |
               OPTION_BIT(OPTION_EXPERTS) | OPTION_BIT(OPTION_BITS) |
               OPTION_BIT(OPTION_TRANSPOSED) | OPTION_BIT(OPTION_REPORT) |
               OPTION_BIT(OPTION_FORCE) | OPTION_BIT(OPTION_RENAME) |
               OPTION_BIT(OPTION_STRIP_PREFIX) | OPTION_BIT(OPTION_ALLOW_DEAD) |
               OPTION_BIT(OPTION_ACCEPT_RECORD) | OPTION_BIT(OPTION_NPY_BF16) |
               FILING_OPTIONS | OPTION_BIT(OPTION_SERVER) | OPTION_BIT(OPTION_TIMEOUT) |
               OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_verify,
};
