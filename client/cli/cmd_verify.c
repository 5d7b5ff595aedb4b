/* trit verify: is every layer of a file ternary, and is it the projection of the
 * latents it is compared with?
 *
 * 1. The rules, the patterns and the file's record say what each tensor is
 *    (checkpoint/contents.h). What that alone says against the file is found.
 * 2. With --against every tensor of either side gets its counterpart (match.h).
 * 3. Each layer is loaded with its scales and its reference, sent, and what its report
 *    says against it is found; every other pair is compared byte for byte.
 * 4. The findings make the verdict. A file of which no layer was examined is
 *    inconclusive, whatever else is equal.
 * Verifying goes on after whatever is found; it stops at a call or a file that fails. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/difference.h"
#include "checkpoint/findings.h"
#include "client/cli/file.h"
#include "client/cli/progress.h"
#include "client/cli/show.h"
#include "kernels/kernels.h"
#include "proto/finding.h"

enum { COMPARE_BYTES = 1 << 20 };

struct verifying {
    const struct options *options;
    struct checkpoint_options said;
    struct trit_client *client;
    struct reader *reader, *reference; /* reference: NULL without --against */
    struct record record;
    struct contents claim, latents; /* latents: zeroed without --against */
    struct match match;
    struct file_findings findings;
    struct progress progress;
    struct showing showing;
    size_t layers, failing;  /* examined */
    size_t compared;         /* other tensors, byte for byte */
    uint64_t examined, kept; /* parameters */
    struct failure failure;
};

/* One layer, with all that its call needs. */
struct subject {
    const struct tensor_entry *entry; /* its data in the file */
    const struct content *content;
    const struct tensor_entry *scales;    /* or NULL */
    const struct tensor_entry *reference; /* or NULL */
    void *data, *scale_data, *reference_data;
};

/* ---- one layer ----------------------------------------------------------------- */

static int load_parts(struct verifying *v, struct subject *subject)
{
    if (reader_load(v->reader, subject->entry, &subject->data, &v->failure) != 0 ||
        (subject->scales &&
         reader_load(v->reader, subject->scales, &subject->scale_data, &v->failure) != 0))
        return -1;
    return subject->reference ? reader_load(v->reference, subject->reference,
                                            &subject->reference_data, &v->failure)
                              : 0;
}

static struct trit_tensor tensor_of(enum trit_dtype dtype, const struct matrix *matrix,
                                    const void *data, uint64_t bytes)
{
    return (struct trit_tensor){.dtype = dtype,
                                .rank = 2,
                                .shape = {matrix->rows, matrix->columns},
                                .data = data,
                                .bytes = bytes};
}

static int call_verify(struct verifying *v, const struct subject *subject,
                       struct trit_report *report)
{
    const struct options *options = v->options;
    const struct layer_terms *terms = &subject->content->terms;
    const struct tensor_entry *dense = &subject->content->dense;
    struct matrix matrix = matrix_of(dense->rank, dense->shape);
    struct trit_tensor tensor = tensor_of(subject->entry->type->dtype, &matrix,
                                          subject->data, subject->entry->bytes);
    struct trit_tensor reference;
    struct trit_verify_options call = {
        .mode = options->mode,
        .group_size = terms->group_size,
        .partial_group = terms->partial_group,
        .tolerance = options->tolerance,
        .has_tolerance = option_given(options, OPTION_TOLERANCE),
        .encoding = terms->encoding,
        .call = {.progress = progress_update, .progress_arg = &v->progress}};
    struct trit_error error;
    enum trit_status status;

    if (subject->scales) {
        call.scales = subject->scale_data;
        call.scale_bytes = subject->scales->bytes;
        call.scales_dtype = subject->scales->type->dtype;
    }
    if (subject->reference) {
        reference = tensor_of(subject->reference->type->dtype, &matrix,
                              subject->reference_data, subject->reference->bytes);
        call.reference = &reference;
    }
    if (options->run)
        call.layer =
            (struct trit_layer_ref){options->run, subject->entry->name, options->step};
    status = trit_verify(v->client, &tensor, &call, report, &error);
    return status == TRIT_OK ? 0
                             : fail(&v->failure, status, error.field, "%s: %s",
                                    trit_status_name(status), error.message);
}

static int show_layer(struct verifying *v, const struct subject *subject,
                      struct trit_report *report)
{
    const size_t first = v->findings.count;
    bool failing = false;

    findings_add_report(&v->findings, subject->entry->name, report,
                        option_given(v->options, OPTION_ALLOW_DEAD));
    for (size_t i = first; i < v->findings.count; i++)
        failing |= v->findings.list[i].finding.severity == TRIT_SEVERITY_ERROR;
    v->layers++;
    v->failing += failing;
    return showing_layer(&v->showing, subject->entry->name, &subject->content->dense,
                         report, &v->failure);
}

static int verify_layer(struct verifying *v, size_t index,
                        const struct tensor_entry *reference)
{
    const struct content *content = &v->claim.items[index];
    struct subject subject = {.entry = &v->claim.table->entries[index],
                              .content = content,
                              .reference = reference};
    struct trit_report report;

    if (content->scales != CONTENT_NONE)
        subject.scales = &v->claim.table->entries[content->scales];
    int result = load_parts(v, &subject);
    if (result == 0)
        result = call_verify(v, &subject, &report);
    if (result == 0)
        result = show_layer(v, &subject, &report);
    free(subject.data);
    free(subject.scale_data);
    free(subject.reference_data);
    if (result == 0)
        v->examined += content_parameters(&v->claim, index);
    return result;
}

/* ---- every other tensor, with --against ------------------------------------------ */

static struct trit_finding *find_difference(struct verifying *v, size_t index)
{
    const enum content_kind kind = v->claim.items[index].kind;
    struct trit_finding *added =
        findings_add(&v->findings, TRIT_FINDING_OTHER_TENSOR_DIFFERS, NULL,
                     v->claim.table->entries[index].name);

    if (added && kind == CONTENT_KEPT_BY_RECORD)
        snprintf(added->hint, sizeof(added->hint),
                 "the file's record does not name it as a layer, so it should be as the "
                 "latents have it");
    if (added && kind == CONTENT_EXCLUDED)
        snprintf(added->hint, sizeof(added->hint),
                 "a pattern excludes it from the layers, so it should be as the latents "
                 "have it");
    return added;
}

static bool same_form(const struct tensor_entry *a, const struct tensor_entry *b)
{
    return a->type == b->type && a->rank == b->rank &&
           memcmp(a->shape, b->shape, a->rank * sizeof(a->shape[0])) == 0;
}

static void find_other_form(struct verifying *v, size_t index,
                            const struct tensor_entry *wanted)
{
    const struct tensor_entry *entry = &v->claim.table->entries[index];
    struct trit_finding *added = find_difference(v, index);
    char shape[SHAPE_TEXT_BYTES];

    if (!added)
        return;
    snprintf(added->expected, sizeof(added->expected), "%s %s", wanted->type->name,
             shape_text(shape, wanted->rank, wanted->shape));
    snprintf(added->got, sizeof(added->got), "%s %s", entry->type->name,
             shape_text(shape, entry->rank, entry->shape));
}

static int read_both(struct verifying *v, const struct tensor_entry *wanted,
                     const struct tensor_entry *entry, struct difference *difference)
{
    uint8_t *left = malloc(2 * (size_t)COMPARE_BYTES);
    int result =
        left ? 0 : fail(&v->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    for (uint64_t at = 0; result == 0 && at < entry->bytes; at += COMPARE_BYTES) {
        uint64_t rest = entry->bytes - at;
        uint64_t piece = rest < COMPARE_BYTES ? rest : COMPARE_BYTES;

        result = reader_read(v->reference, wanted, at, left, piece, &v->failure);
        if (result == 0)
            result = reader_read(v->reader, entry, at, left + COMPARE_BYTES, piece,
                                 &v->failure);
        if (result == 0)
            difference_feed(difference, left, left + COMPARE_BYTES, piece);
    }
    free(left);
    return result;
}

static int compare_tensor(struct verifying *v, const struct match_pair *pair)
{
    const struct tensor_entry *entry = &v->claim.table->entries[pair->claim];
    const struct tensor_entry *wanted = &v->latents.table->entries[pair->latents];
    struct difference difference;
    struct trit_finding *added;

    v->compared++;
    if (!same_form(entry, wanted)) {
        find_other_form(v, pair->claim, wanted);
        return 0;
    }
    difference_init(&difference, entry->type);
    if (read_both(v, wanted, entry, &difference) != 0)
        return -1;
    if (difference.count == 0)
        return 0;
    added = find_difference(v, pair->claim);
    if (!added)
        return 0;
    added->has_index = added->has_count = true;
    added->index = difference.first;
    added->count = difference.count;
    memcpy(added->expected, difference.expected, sizeof(added->expected));
    memcpy(added->got, difference.got, sizeof(added->got));
    return 0;
}

/* ---- the file --------------------------------------------------------------------- */

/* A layer whose scales are missing cannot be sent; that was found already. */
static bool can_examine(const struct verifying *v, size_t index)
{
    const struct content *item = &v->claim.items[index];

    return item->kind == CONTENT_LAYER &&
           (!item->wants_scales || item->scales != CONTENT_NONE);
}

static int judge_pair(struct verifying *v, const struct match_pair *pair)
{
    const struct tensor_table *references = v->latents.table;

    switch (pair->kind) {
    case MATCH_PROJECTION:
        return can_examine(v, pair->claim)
                   ? verify_layer(v, pair->claim, &references->entries[pair->latents])
                   : 0;
    case MATCH_EXTRA_LAYER:
        return can_examine(v, pair->claim) ? verify_layer(v, pair->claim, NULL) : 0;
    case MATCH_BYTES:
        return compare_tensor(v, pair);
    case MATCH_JUDGED:
    case MATCH_MISSING_LAYER:
    case MATCH_MISSING_TENSOR:
    case MATCH_EXTRA_TENSOR:
        break;
    }
    return 0;
}

static int judge(struct verifying *v, const struct match_pair *pair)
{
    const struct tensor_entry *entry;
    int result;

    if (pair->claim == CONTENT_NONE)
        return 0;
    entry = &v->claim.table->entries[pair->claim];
    progress_piece(&v->progress, entry->name);
    if (v->reference)
        result = judge_pair(v, pair);
    else
        result = can_examine(v, pair->claim) ? verify_layer(v, pair->claim, NULL) : 0;
    progress_piece_done(&v->progress, entry->bytes);
    return result == 0 ? 0 : fail_context(&v->failure, "%s", entry->name);
}

static int judge_all(struct verifying *v)
{
    const size_t count = v->reference ? v->match.count : v->claim.table->count;

    for (size_t i = 0; i < count; i++) {
        const struct match_pair alone = {.kind = MATCH_PROJECTION, .claim = i};

        if (judge(v, v->reference ? &v->match.pairs[i] : &alone) < 0)
            return -1;
    }
    if (reader_unchanged(v->reader, &v->failure) != 0)
        return -1;
    return v->reference ? reader_unchanged(v->reference, &v->failure) : 0;
}

static void find_nothing(struct verifying *v)
{
    struct trit_finding *added;

    for (size_t i = 0; i < v->claim.table->count; i++)
        v->kept += content_parameters(&v->claim, i);
    v->kept -= v->examined;
    if (v->layers > 0)
        return;
    added = findings_add(&v->findings, TRIT_FINDING_NOTHING_EXAMINED, NULL, NULL);
    if (added)
        snprintf(added->hint, sizeof(added->hint),
                 "no tensor of it is a layer that can "
                 "be judged");
}

/* ---- what came of it --------------------------------------------------------------- */

static double share_examined(const struct verifying *v)
{
    const uint64_t all = v->examined + v->kept;

    return all ? (double)v->examined / (double)all : 0.0;
}

static json_t *result_json(const struct verifying *v, enum trit_verdict verdict)
{
    const struct options *options = v->options;

    return json_pack("{s:s, s:s?, s:s, s:s, s:b, s:o, s:I, s:I, s:f, s:o, s:O}", "file",
                     options->arguments[0], "against", options->against, "encoding",
                     encoding_name(v->claim.terms.encoding), "verdict",
                     verdict_name(verdict), "passed", verdict == TRIT_VERDICT_PASS,
                     "findings", findings_json(&v->findings), "examined",
                     (json_int_t)v->examined, "kept", (json_int_t)v->kept,
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
        printf("%s: pass: all %zu layers are ternary%s; %.1f %% of the parameters were "
               "examined\n",
               file, v->layers,
               v->options->against ? " and the projection of their latents" : "",
               percent);
        if (v->options->against)
            printf("  all other %zu tensors are as the latents have them\n", v->compared);
        return;
    case TRIT_VERDICT_FAIL:
        printf("%s: fail: %zu errors; %zu of %zu layers fail; %.1f %% of the parameters "
               "were examined\n",
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

    if (!v->showing.grid)
        return print_json(result_json(v, verdict), code);
    if (v->layers == 0)
        file_print_others(&v->claim);
    if (showing_print(&v->showing, &v->findings) < 0)
        return complain(FAILED, "out of memory");
    print_summary(v, verdict);
    return code;
}

/* ---- the steps ----------------------------------------------------------------------
 */

static enum exit_code verify_matched(struct verifying *v)
{
    uint64_t total = 0;
    bool any = false;

    for (size_t i = 0; i < v->claim.table->count; i++) {
        total += v->claim.table->entries[i].bytes;
        any |= can_examine(v, i);
    }
    /* Without a layer to send, what there is to say needs no daemon. */
    v->client = any ? cli_connect(v->options) : NULL;
    if (any && !v->client)
        return FAILED;
    if (showing_start(&v->showing, v->options) < 0)
        return complain(FAILED, "out of memory");
    progress_start(&v->progress, total);
    int result = judge_all(v);
    progress_stop(&v->progress);
    if (result != 0)
        return complain(FAILED, "%s: %s", v->options->arguments[0], v->failure.message);
    find_nothing(v);
    return show_result(v);
}

/* A latent tensor is dense whatever its file says. */
static int read_contents(struct verifying *v, const struct layer_terms *terms)
{
    const bool latent = v->options->mode == TRIT_VERIFY_LATENT;
    const struct contents *latents = v->reference ? &v->latents : NULL;

    if (contents_create(&v->claim, &v->said, latent ? CONTENTS_LATENTS : CONTENTS_CLAIM,
                        terms, reader_table(v->reader), &v->record, &v->failure) < 0)
        return -1;
    if (v->reference &&
        (contents_create(&v->latents, &v->said, CONTENTS_LATENTS, terms,
                         reader_table(v->reference), NULL, &v->failure) < 0 ||
         match_create(&v->match, &v->claim, &v->latents, &v->failure) < 0))
        return -1;
    findings_add_contents(&v->findings, &v->said, &v->claim, latents,
                          option_given(v->options, OPTION_ACCEPT_RECORD));
    if (v->reference)
        findings_add_match(&v->findings, &v->match, &v->claim, &v->latents);
    return 0;
}

static enum exit_code run_steps(struct verifying *v)
{
    const struct options *options = v->options;
    enum exit_code code = file_open(&v->reader, options->arguments[0], options);

    if (code == DONE && options->against)
        code = file_open(&v->reference, options->against, options);
    if (code != DONE)
        return code;
    if (options->mode == TRIT_VERIFY_TERNARY &&
        record_read(&v->record, reader_table(v->reader), &v->failure) < 0)
        return complain(FAILED, "%s: %s", options->arguments[0], v->failure.message);
    const struct layer_terms terms = terms_of(&v->said, &v->record);
    code = file_check_options("verify", options, &terms, v->reader, v->reference);
    if (code != DONE)
        return code;
    if (read_contents(v, &terms) < 0)
        return complain(FAILED, "%s: %s", options->arguments[0], v->failure.message);
    return verify_matched(v);
}

static enum exit_code run_verify(const struct options *options)
{
    struct verifying v = {.options = options, .said = options_checkpoint(options)};
    enum exit_code code;

    if (option_given(options, OPTION_STEP) && !options->run)
        return complain(USAGE, "verify: --step needs --run");
    findings_init(&v.findings);
    code = run_steps(&v);
    showing_end(&v.showing);
    trit_close(v.client);
    match_destroy(&v.match);
    contents_destroy(&v.claim);
    contents_destroy(&v.latents);
    findings_fini(&v.findings);
    record_fini(&v.record);
    reader_close(v.reference);
    reader_close(v.reader);
    return code;
}

const struct command cmd_verify = {
    .name = "verify",
    .arguments = "FILE [--against LATENTS] [OPTION...]",
    .summary = "check that every layer of a file is ternary",
    .details =
        "The rules of trit project, --include and --exclude say which tensors are "
        "layers;\n"
        "a file written by trit project says how they are encoded, for others "
        "--encoding\n"
        "does. With --against every tensor of either file is accounted for: layers "
        "should\n"
        "be the projection of their latents, all others equal byte for byte.\n"
        "Exit code 0: pass. 1: fail, for the errors printed. 4: inconclusive, where no\n"
        "layer was examined, where a weight is packed in a way that is not known, or\n"
        "where the file's own record leaves layers out (--accept-record accepts that).",
    .options = OPTION_BIT(OPTION_AGAINST) | OPTION_BIT(OPTION_MODE) |
               OPTION_BIT(OPTION_TOLERANCE) | OPTION_BIT(OPTION_ENCODING) |
               OPTION_BIT(OPTION_GROUP_SIZE) | OPTION_BIT(OPTION_PARTIAL) |
               OPTION_BIT(OPTION_INCLUDE) | OPTION_BIT(OPTION_EXCLUDE) |
               OPTION_BIT(OPTION_CONVOLUTIONS) | OPTION_BIT(OPTION_ALLOW_DEAD) |
               OPTION_BIT(OPTION_ACCEPT_RECORD) | OPTION_BIT(OPTION_NPY_BF16) |
               OPTION_BIT(OPTION_RUN) | OPTION_BIT(OPTION_STEP) |
               OPTION_BIT(OPTION_SERVER) | OPTION_BIT(OPTION_TIMEOUT) |
               OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_verify,
};
