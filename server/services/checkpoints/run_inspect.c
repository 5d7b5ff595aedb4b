/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "checkpoint/findings.h"
#include "checkpoint/notes.h"
#include "checkpoint/record.h"
#include "drive/inspect.h"
#include "services/checkpoints/runs.h"
#include "services/checkpoints/source.h"

struct inspecting {
    struct rooted held;
    struct input input;
    struct record record;
    struct contents contents;
};

/* Fail: index and shards contradict each other, or the record is damaged. The tensors are
 * listed all the same. */
static enum trit_verdict verdict_of_notes(const struct inspecting *i, bool broken)
{
    size_t count;
    const struct reader_note *notes = reader_notes(i->input.reader, &count);
    struct file_findings findings;
    enum trit_verdict verdict;

    findings_init(&findings);
    findings_add_notes(&findings, notes, count);
    verdict = findings_verdict(&findings);
    findings_fini(&findings);
    return broken || verdict == TRIT_VERDICT_FAIL ? TRIT_VERDICT_FAIL : TRIT_VERDICT_PASS;
}

/* A file with a record is read as a claim, any other as latents. */
static int inspect(struct checkpoint_job *job, struct inspecting *i,
                   struct failure *failure)
{
    struct failure of_record = {.status = TRIT_OK};
    struct checkpoint_options rules;
    struct layer_terms terms;

    if (job_options(job, &rules, failure) < 0 ||
        job_open(job, "path", job->asked.path, false, &i->held, &i->input, failure) < 0)
        return -1;
    const struct tensor_table *table = reader_table(i->input.reader);
    const bool broken = record_read(&i->record, table, &of_record) < 0;
    if (broken)
        record_fini(&i->record);
    rules.config = i->input.has_config ? &i->input.config : NULL;
    rules.read_small = reader_read_small;
    rules.read_arg = i->input.reader;
    terms = terms_of_claim(&rules, &i->record, table);
    if (input_check_options(job->asked.path, &rules, &terms, i->input.reader, NULL,
                            failure) < 0 ||
        contents_create(&i->contents, &rules, CONTENTS_CLAIM, &terms, table, &i->record,
                        failure) < 0)
        return -1;
    return job_finish(job, verdict_of_notes(i, broken),
                      inspect_json(job->asked.path, i->input.reader, &i->contents), false,
                      failure);
}

static int run(struct checkpoint_job *job, struct failure *failure)
{
    struct inspecting i = {.held = {.fd = -1}};
    const int result = inspect(job, &i, failure);

    contents_destroy(&i.contents);
    record_fini(&i.record);
    input_close(&i.input);
    rooted_close(&i.held);
    return result;
}

const struct job_kind job_inspect = {
    .name = "Inspect",
    .fields = CHECKPOINT_INSPECT_FIELDS,
    .run = run,
};
