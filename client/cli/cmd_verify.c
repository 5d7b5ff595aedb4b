/* SPDX-License-Identifier: Apache-2.0 */
/* trit verify: is every layer of a file ternary, and is it the projection of the
 * latents it is compared with?
 *
 * 1. The rules, the patterns and the file's record say what each tensor is
 *    (checkpoint/contents.h). What that alone says against the file is found.
 * 2. With --against every tensor of either side gets its counterpart (match.h).
 * 3. Each layer is sent with its scales and its reference, and what its report
 *    says against it is found; every other pair is compared byte for byte.
 * 4. The findings make the verdict. A file of which no layer was examined is
 *    inconclusive, whatever else is equal.
 * Verifying goes on after whatever is found; it stops at a call or a file that fails. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/compare.h"
#include "checkpoint/notes.h"
#include "checkpoint/renamed.h"
#include "client/cli/report_file.h"
#include "client/cli/verify.h"
#include "kernels/kernels.h"
#include "proto/finding.h"
#include "proto/json_value.h"

/* ---- the file --------------------------------------------------------------------- */

static int check_all(struct verifying *v)
{
    if (verify_pieces(v) < 0 || reader_unchanged(v->file.reader, &v->failure) < 0)
        return -1;
    return v->against.reader ? reader_unchanged(v->against.reader, &v->failure) : 0;
}

static void find_nothing(struct verifying *v)
{
    for (size_t i = 0; i < v->claim.table->count; i++)
        v->kept += content_parameters(&v->claim, i);
    v->kept -= v->examined;
    if (v->layers == 0)
        findings_add_nothing(&v->findings);
}

/* ---- the result --------------------------------------------------------------- */

static double share_examined(const struct verifying *v)
{
    const uint64_t all = v->examined + v->kept;

    return all ? (double)v->examined / (double)all : 0.0;
}

static json_t *result_json(const struct verifying *v, enum trit_verdict verdict)
{
    const struct options *options = v->options;

    return json_pack("{s:s, s:s?, s:s, s:s, s:b, s:o, s:o, s:o, s:f, s:o, s:O}", "file",
                     options->arguments[0], "against", options->against, "encoding",
                     encoding_name(v->claim.terms.encoding), "verdict",
                     verdict_name(verdict), "passed", verdict == TRIT_VERDICT_PASS,
                     "findings", findings_json(&v->findings), "examined",
                     json_uint64(v->examined), "kept", json_uint64(v->kept),
                     "share_examined", share_examined(v), "others",
                     file_others_json(&v->claim), "layers", v->showing.reports);
}

static void print_summary(const struct verifying *v, enum trit_verdict verdict)
{
    const char *file = v->options->arguments[0];
    const double percent = 100 * share_examined(v);
    size_t count[TRIT_SEVERITY_ERROR + 1] = {0};

    for (size_t i = 0; i < v->findings.count; i++)
        count[v->findings.list[i].finding.severity]++;
    switch (verdict) {
    case TRIT_VERDICT_PASS:
        printf("%s: pass: all %zu layers are ternary%s; "
               "%.1f %% of the parameters were examined\n",
               file, v->layers,
               v->options->against ? " and the projection of their latents" : "",
               percent);
        if (v->options->against)
            printf("  all other %zu tensors equal those of the latents\n", v->compared);
        return;
    case TRIT_VERDICT_FAIL:
        printf("%s: fail: errors: %zu; failing layers: %zu of %zu; %.1f %% of the "
               "parameters were examined\n",
               file, count[TRIT_SEVERITY_ERROR], v->failing, v->layers, percent);
        return;
    case TRIT_VERDICT_INCONCLUSIVE:
        break;
    }
    printf(
        "%s: inconclusive: %zu layers are ternary, %zu findings are undecided; %.1f %% "
        "of the parameters were examined\n",
        file, v->layers, count[TRIT_SEVERITY_UNDECIDED], percent);
}

static enum exit_code show_result(struct verifying *v)
{
    const enum trit_verdict verdict = findings_verdict(&v->findings);
    const enum exit_code code = verdict == TRIT_VERDICT_PASS   ? DONE
                                : verdict == TRIT_VERDICT_FAIL ? MISMATCH
                                                               : INCONCLUSIVE;

    if (v->options->report) {
        json_t *result = result_json(v, verdict);
        const enum exit_code written = report_file_write("verify", v->options, result);

        json_decref(result);
        if (written != DONE)
            return written;
    }
    if (!v->showing.grid)
        return print_json(result_json(v, verdict), code);
    if (v->layers == 0)
        file_print_others(&v->claim);
    if (showing_print(&v->showing, &v->findings) < 0)
        return complain(FAILED, "out of memory");
    print_summary(v, verdict);
    if (v->layers > 0)
        file_print_kept(&v->claim, v->examined + v->kept);
    return code;
}

/* ---- the steps -------------------------------------------------------------------- */

static enum exit_code verify_matched(struct verifying *v)
{
    uint64_t total = 0;
    bool any = false;

    for (size_t i = 0; i < v->claim.table->count; i++) {
        total += v->claim.table->entries[i].bytes;
        any |= content_is_complete(&v->claim.items[i]);
    }
    /* The daemon is needed only if there is a layer to send. */
    v->client = any ? cli_connect(v->options) : NULL;
    if (any && !v->client)
        return FAILED;
    if (showing_start(&v->showing, v->options) < 0)
        return complain(FAILED, "out of memory");
    progress_start(&v->progress, total);
    int result = check_all(v);
    progress_stop(&v->progress);
    if (result != 0)
        return complain(FAILED, "%s: %s", v->options->arguments[0], v->failure.message);
    find_nothing(v);
    return show_result(v);
}

/* The tensor of a .npy file is named after the file. */
static bool is_array(const struct reader *reader)
{
    return strcmp(reader_format(reader), "npy") == 0;
}

static int compare_contents(struct verifying *v, const struct layer_terms *terms)
{
    if (contents_create(&v->latents, &v->latents_rules, CONTENTS_LATENTS, terms,
                        reader_table(v->against.reader), NULL, &v->failure) < 0)
        return -1;
    v->latents.nameless = is_array(v->against.reader);
    if (match_create(&v->match, &v->rules, &v->claim, &v->latents, &v->failure) < 0)
        return -1;
    match_find_renamed(&v->match, &v->claim, &v->latents);
    return 0;
}

static void add_notes(struct verifying *v, const struct input *input)
{
    size_t count;
    const struct reader_note *notes = reader_notes(input->reader, &count);

    findings_add_notes(&v->findings, notes, count);
}

/* With --mode latent the file is read as latents, and its record is ignored. */
static int read_contents(struct verifying *v, const struct layer_terms *terms)
{
    const bool latent = v->options->mode == TRIT_VERIFY_LATENT;
    const bool against = v->against.reader != NULL;

    if (contents_create(&v->claim, &v->rules, latent ? CONTENTS_LATENTS : CONTENTS_CLAIM,
                        terms, reader_table(v->file.reader), &v->record, &v->failure) < 0)
        return -1;
    v->claim.nameless = is_array(v->file.reader);
    if (against && compare_contents(v, terms) < 0)
        return -1;
    add_notes(v, &v->file);
    if (against)
        add_notes(v, &v->against);
    findings_add_contents(&v->findings, &v->rules, &v->claim,
                          against ? &v->latents : NULL,
                          option_given(v->options, OPTION_ACCEPT_RECORD));
    if (against)
        findings_add_match(&v->findings, &v->match, &v->claim, &v->latents);
    return 0;
}

/* A side without a config.json uses that of the other side: both are of one model. */
static void take_configs(struct verifying *v)
{
    v->rules = input_options(&v->file, v->options);
    v->latents_rules = input_options(&v->against, v->options);
    if (!v->rules.config)
        v->rules.config = v->latents_rules.config;
    if (!v->latents_rules.config)
        v->latents_rules.config = v->rules.config;
}

static enum exit_code run_steps(struct verifying *v)
{
    const struct options *options = v->options;
    enum exit_code code = input_open_damaged(&v->file, options->arguments[0], options);

    if (code == DONE && options->against)
        code = input_open_damaged(&v->against, options->against, options);
    if (code != DONE)
        return code;
    take_configs(v);
    if (options->mode == TRIT_VERIFY_TERNARY &&
        record_read(&v->record, reader_table(v->file.reader), &v->failure) < 0)
        return complain(FAILED, "%s: %s", options->arguments[0], v->failure.message);
    const bool latent = options->mode == TRIT_VERIFY_LATENT;
    const struct layer_terms terms =
        latent ? terms_of(&v->rules, &v->record)
               : terms_of_claim(&v->rules, &v->record, reader_table(v->file.reader));
    code =
        file_check_options("verify", options, &terms, v->file.reader, v->against.reader);
    if (code != DONE)
        return code;
    if (read_contents(v, &terms) < 0)
        return complain(FAILED, "%s: %s", options->arguments[0], v->failure.message);
    code = file_check_names("verify", options, &v->claim);
    return code == DONE ? verify_matched(v) : code;
}

static enum exit_code run_verify(const struct options *options)
{
    struct verifying v = {.options = options};
    enum exit_code code;

    if ((options->given & FILING_OPTIONS) && !options->run)
        return complain(USAGE,
                        "verify: --step, --attempt, --replica and --durability need "
                        "--run");
    if (!options->against && (option_given(options, OPTION_RENAME) ||
                              option_given(options, OPTION_STRIP_PREFIX)))
        return complain(USAGE, "verify: --rename and --strip-prefix need --against");
    code = report_file_check("verify", options);
    if (code != DONE)
        return code;
    findings_init(&v.findings);
    pthread_mutex_init(&v.whole, NULL);
    code = run_steps(&v);
    showing_end(&v.showing);
    trit_close(v.client);
    match_destroy(&v.match);
    contents_destroy(&v.claim);
    contents_destroy(&v.latents);
    findings_fini(&v.findings);
    record_fini(&v.record);
    input_close(&v.against);
    input_close(&v.file);
    pthread_mutex_destroy(&v.whole);
    return code;
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
        "omits layers (--accept-record accepts that).",
    .options = OPTION_BIT(OPTION_AGAINST) | OPTION_BIT(OPTION_MODE) |
               OPTION_BIT(OPTION_TOLERANCE) | OPTION_BIT(OPTION_ENCODING) |
               OPTION_BIT(OPTION_GROUP_SIZE) | OPTION_BIT(OPTION_PARTIAL) |
               OPTION_BIT(OPTION_INCLUDE) | OPTION_BIT(OPTION_EXCLUDE) |
               OPTION_BIT(OPTION_CONVOLUTIONS) | OPTION_BIT(OPTION_EXPERTS) |
               OPTION_BIT(OPTION_BITS) | OPTION_BIT(OPTION_TRANSPOSED) |
               OPTION_BIT(OPTION_REPORT) | OPTION_BIT(OPTION_FORCE) |
               OPTION_BIT(OPTION_RENAME) | OPTION_BIT(OPTION_STRIP_PREFIX) |
               OPTION_BIT(OPTION_ALLOW_DEAD) | OPTION_BIT(OPTION_ACCEPT_RECORD) |
               OPTION_BIT(OPTION_NPY_BF16) | FILING_OPTIONS | OPTION_BIT(OPTION_SERVER) |
               OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_JSON) |
               OPTION_BIT(OPTION_HELP),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_verify,
};
