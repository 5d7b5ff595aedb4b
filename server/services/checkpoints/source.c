/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/source.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/findings.h"
#include "checkpoint/notes.h"
#include "drive/planned.h"
#include "drive/side.h"
#include "files/folder.h"
#include "kernels/kernels.h"
#include "proto/names.h"
#include "services/checkpoints/heads.h"

static bool wants_tokenizer(const struct checkpoint_job *job)
{
    const size_t bytes = strlen(job->asked.output);

    return bytes >= 5 && strcmp(job->asked.output + bytes - 5, ".gguf") == 0;
}

int job_open(struct checkpoint_job *job, const char *field, const char *path,
             bool may_be_cut, struct rooted *held, struct input *input,
             struct failure *failure)
{
    const struct read_options how = {.void2_is_bf16 = job->asked.options.npy_bf16,
                                     .may_be_cut = may_be_cut};

    if (root_find(&job->context->root, field, path, held, failure) < 0)
        return -1;
    if (job_charge(job, heads_bytes(held->path, wants_tokenizer(job)), failure) < 0)
        return fail_context(failure, "%.512s", path);
    if (input_read(input, held->path, &how, failure) == 0)
        return 0;
    /* The field of the request, not one of the file. */
    snprintf(failure->field, sizeof(failure->field), "%s", field);
    return fail_context(failure, "%.512s", path);
}

int job_check_notes(const char *path, const struct input *input, struct failure *failure)
{
    size_t count;
    const struct reader_note *notes = reader_notes(input->reader, &count);
    struct file_findings findings;
    char text[FINDING_TEXT_BYTES];
    int result = 0;

    findings_init(&findings);
    findings_add_notes(&findings, notes, count);
    for (size_t i = 0; i < findings.count && result == 0; i++)
        if (findings.list[i].finding.severity == TRIT_SEVERITY_ERROR)
            result = fail(failure, TRIT_INVALID_ARGUMENT, JOB_FIELD_LAYERS, "%.512s: %s",
                          path, finding_text(text, &findings.list[i]));
    if (result == 0 && findings.lost)
        result = fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    findings_fini(&findings);
    return result;
}

int job_open_side(struct checkpoint_job *job, const char *field, const char *path,
                  const struct checkpoint_options *options, struct rooted *held,
                  struct side *side, struct failure *failure)
{
    struct layer_terms terms;

    if (job_open(job, field, path, false, held, &side->input, failure) < 0 ||
        job_check_notes(path, &side->input, failure) < 0)
        return -1;
    if (side_read_terms(side, options, &terms, failure) < 0 ||
        terms_check(&terms, failure) < 0 || side_read_contents(side, &terms, failure) < 0)
        return fail_context(failure, "%.512s", path);
    return 0;
}

int job_prepare_plan(const struct checkpoint_job *job, const struct rooted *held,
                     const struct rooted *held_output, struct plan *plan,
                     struct reader *reader, struct failure *failure)
{
    char folder[CHECKPOINT_PATH_BYTES_MAX + 1];
    char *slash;
    int result;

    snprintf(folder, sizeof(folder), "%s", job->asked.path);
    slash = strrchr(folder, '/');
    if (!folder_is(held->path)) /* the folder that the file is in */
        *(slash ? slash : folder) = '\0';
    plan->folder = folder;
    result = planned_prepare(plan, held_output->path, reader, failure);
    plan->folder = NULL;
    return result;
}

static struct name_patterns patterns_of(const struct wire_names *names)
{
    return (struct name_patterns){names->list, names->count};
}

static int check_enums(const struct wire_checkpoint *asked, struct failure *failure)
{
    const struct wire_checkpoint_options *options = &asked->options;

    if (options->experts > EXPERTS_IN_OUT)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.experts",
                          "%u; must be 0, 1 (out_in) or 2 (in_out)",
                          (unsigned)options->experts);
    if (options->has_encoding && !encoding_layout((enum trit_encoding)options->encoding))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.encoding",
                          "%u is unknown", (unsigned)options->encoding);
    if (options->has_partial_group &&
        !enum_name(&partial_group_names, options->partial_group))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.partial_group",
                          "%u; must be 0 (padded) or 1 (exact)",
                          (unsigned)options->partial_group);
    if (!enum_name(&verify_mode_names, asked->mode))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "mode",
                          "%u; must be 0 (ternary) or 1 (latent)", (unsigned)asked->mode);
    if (!enum_name(&report_detail_names, asked->report))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "report",
                          "%u; must be 0 (full), 1 (brief) or 2 (none)",
                          (unsigned)asked->report);
    if (options->bits > 8 || options->bits == 1 || options->bits == 7)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.bits",
                          "%u; must be 2, 3, 4, 5, 6 or 8, or 0 if not known",
                          (unsigned)options->bits);
    return 0;
}

int job_options(const struct checkpoint_job *job, struct checkpoint_options *options,
                struct failure *failure)
{
    const struct wire_checkpoint_options *asked = &job->asked.options;

    if (check_enums(&job->asked, failure) < 0)
        return -1;
    *options = (struct checkpoint_options){
        .include = patterns_of(&asked->include),
        .exclude = patterns_of(&asked->exclude),
        .transposed = patterns_of(&asked->transposed),
        .renames = patterns_of(&asked->rename),
        .strip_prefixes = patterns_of(&asked->strip_prefix),
        .convolutions = asked->convolutions,
        .keep_names = asked->keep_names,
        .experts = (enum experts_layout)asked->experts,
        .has_encoding = asked->has_encoding,
        .encoding = (enum trit_encoding)asked->encoding,
        .bits = asked->bits,
        .group_size = asked->group_size,
        .has_partial_group = asked->has_partial_group,
        .partial_group = (enum trit_partial_group)asked->partial_group,
    };
    return 0;
}
