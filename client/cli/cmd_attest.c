/* SPDX-License-Identifier: Apache-2.0 */
/* trit attest: verifies a file as trit verify does, and writes what was found as an in-toto
 * statement about its files. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/json.h"
#include "client/cli/escape.h"
#include "client/cli/output.h"
#include "client/cli/report_file.h"
#include "client/cli/verify_command.h"
#include "proto/finding.h"
#include "proto/json_value.h"

static int write_statement(struct verify_command *v)
{
    const struct attestation_facts facts = {.contents = &v->run.claim,
                                            .findings = &v->run.findings,
                                            .examined = v->run.examined,
                                            .kept = v->run.kept,
                                            .client = trit_version(),
                                            .daemon = v->daemon};
    char *text = NULL;
    size_t bytes;
    int result = attestation_write(&v->found, &facts, &text, &bytes, &v->run.failure);

    if (result == 0)
        result =
            text_file_write(v->options->output, option_given(v->options, OPTION_FORCE),
                            text, bytes, &v->run.failure);
    free(text);
    return result;
}

static json_t *result_json(const struct verify_command *v, enum trit_verdict verdict)
{
    return json_pack(
        "{s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "file",
        json_path(v->options->arguments[0]), "against", json_path(v->options->against),
        "output", json_path(v->options->output), "verdict", verdict_name(verdict),
        "findings", findings_json(&v->run.findings), "files",
        json_count(v->found.files.count), "layers", json_count(v->found.layers.count));
}

static enum exit_code finish(struct verify_command *v, enum trit_verdict verdict)
{
    const struct options *options = v->options;
    char statement[ESCAPED_BYTES], file[ESCAPED_BYTES];

    if (write_statement(v) < 0)
        return complain(FAILED, "%s: %s", options->output, v->run.failure.message);
    if (!v->showing.grid)
        return print_json(result_json(v, verdict), DONE);
    if (showing_print(&v->showing, &v->run.findings) < 0)
        return complain(FAILED, "out of memory");
    printf("%s: a statement about %zu files and %zu layers of %s, verdict %s\n"
           "  it is not signed; sign it with cosign, openssl or another tool "
           "(docs/attest.md)\n",
           escaped(statement, options->output), v->found.files.count,
           v->found.layers.count, escaped(file, options->arguments[0]),
           verdict_name(verdict));
    return DONE;
}

static enum exit_code run_attest(const struct options *options)
{
    if (!options->output)
        return complain(USAGE, "attest: -o STATEMENT is missing");
    const enum exit_code code =
        output_check_text("attest", options, options->arguments[0]);
    struct verify_command v = {.options = options, .name = "attest", .finish = finish};
    return code == DONE ? verify_command_run(&v) : code;
}

const struct command cmd_attest = {
    .name = "attest",
    .arguments = "FILE -o STATEMENT [--against LATENTS] [OPTION...]",
    .summary = "verify a file and write what was found as a statement to be signed",
    .details =
        "Writes an in-toto Statement v1: the SHA-256 of each file, the digest of the\n"
        "trits and scales of each layer, the verdict, what each tensor is, and the\n"
        "versions. trit verify --attestation STATEMENT FILE compares with it. trit does\n"
        "not sign: use cosign or another tool that signs in-toto statements.\n"
        "The statement is written whatever the verdict. Exit codes are those of trit\n"
        "verify.",
    .options = OPTION_BIT(OPTION_OUTPUT) | OPTION_BIT(OPTION_FORCE) |
               OPTION_BIT(OPTION_AGAINST) | OPTION_BIT(OPTION_TOLERANCE) |
               OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_GROUP_SIZE) |
               OPTION_BIT(OPTION_PARTIAL) | OPTION_BIT(OPTION_INCLUDE) |
               OPTION_BIT(OPTION_EXCLUDE) | OPTION_BIT(OPTION_CONVOLUTIONS) |
               OPTION_BIT(OPTION_EXPERTS) | OPTION_BIT(OPTION_BITS) |
               OPTION_BIT(OPTION_TRANSPOSED) | OPTION_BIT(OPTION_RENAME) |
               OPTION_BIT(OPTION_STRIP_PREFIX) | OPTION_BIT(OPTION_ALLOW_DEAD) |
               OPTION_BIT(OPTION_ACCEPT_RECORD) | OPTION_BIT(OPTION_NPY_BF16) |
               OPTION_BIT(OPTION_SERVER) | OPTION_BIT(OPTION_TIMEOUT) |
               OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_attest,
};
