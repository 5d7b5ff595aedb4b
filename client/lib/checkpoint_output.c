/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the files that a plan describes. */
#include <stdlib.h>
#include <string.h>

#include "client/lib/client.h"
#include "client/lib/file.h"
#include "client/lib/plan.h"
#include "drive/planned.h"

struct named {
    const char *name;
    size_t index;
};

struct trit_output {
    struct writer *writer;
    const struct trit_plan *plan;
    char *path;
    struct named *names; /* of the plan's table, in order */
    size_t count;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static int index_names(struct trit_output *output, const struct tensor_table *table,
                       struct failure *failure)
{
    output->names = calloc(table->count + 1, sizeof(*output->names));
    if (!output->names)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (size_t i = 0; i < table->count; i++)
        output->names[i] = (struct named){table->entries[i].name, i};
    output->count = table->count;
    qsort(output->names, output->count, sizeof(*output->names), compare_names);
    return 0;
}

static int check_plan(const struct trit_plan *plan, struct failure *failure)
{
    struct file_findings notes;
    enum trit_verdict verdict;

    if (plan->has_output)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "plan",
                          "has an output already");
    if (plan->plan.refusal)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "plan", "is refused: %s",
                          plan->plan.refusal);
    if (plan->plan.refused)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "plan",
                          "refuses %zu tensors", plan->plan.refused);
    findings_init(&notes);
    checkpoint_add_notes(plan->input, &notes);
    verdict = findings_verdict(&notes);
    findings_fini(&notes);
    return verdict != TRIT_VERDICT_FAIL
               ? 0
               : fail_field(failure, TRIT_FAILED_PRECONDITION, "plan",
                            "is for a folder whose index and shards contradict each "
                            "other");
}

static int check_path(const char *path, const struct trit_plan *plan,
                      const struct trit_file *source, struct failure *failure)
{
    const char *folder = source ? reader_folder(source->reader) : NULL;

    if (plan->output && strcmp(path, plan->output) != 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "path",
                          "%s is not %s, which the plan is for", path, plan->output);
    if (source &&
        (paths_are_same(path, source->path) || (planned_is_folder(path, source->reader) &&
                                                folder && paths_are_same(path, folder))))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "path",
                          "%s is the source itself", path);
    return 0;
}

static int output_init(struct trit_output *output, const char *path,
                       struct trit_plan *plan, const struct trit_file *source,
                       const struct trit_output_options *options, struct failure *failure)
{
    if (check_plan(plan, failure) < 0 || check_path(path, plan, source, failure) < 0 ||
        index_names(output, &plan->plan.table, failure) < 0)
        return -1;
    output->path = strdup(path);
    if (!output->path)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (planned_create(&output->writer, output->path,
                       options->replace ? TARGET_REPLACE : TARGET_NEW, &plan->plan,
                       source ? source->reader : NULL, options->shard_bytes, failure) < 0)
        return fail_context(failure, "%s", path);
    plan->has_output = true;
    output->plan = plan;
    return 0;
}

struct writer *output_writer(const struct trit_output *output,
                             const struct trit_plan *plan)
{
    return output->plan == plan ? output->writer : NULL;
}

enum trit_status trit_output_create(struct trit_output **output, const char *path,
                                    struct trit_plan *plan,
                                    const struct trit_file *source,
                                    const struct trit_output_options *options,
                                    struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_output_options given;
    struct trit_output *made = NULL;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!output || !path || !plan) {
        fail_null(&failure, !output ? "output" : !path ? "path" : "plan");
    } else if (sized_take_optional(&sized_output_options, "options", options, &given,
                                   &failure) == 0) {
        made = calloc(1, sizeof(*made));
        if (!made)
            fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        else if (output_init(made, path, plan, source, &given, &failure) == 0) {
            *output = made;
            made = NULL;
        }
    }
    trit_output_free(made);
    return client_answer(&failure, error);
}

/* Index of a tensor of the output; -1: *failure. */
static int find(const struct trit_output *output, const char *tensor, size_t *index,
                struct failure *failure)
{
    const struct named wanted = {tensor, 0};
    const struct named *found = bsearch(&wanted, output->names, output->count,
                                        sizeof(*output->names), compare_names);

    if (!found)
        return fail_field(failure, TRIT_NOT_FOUND, "tensor", "\"%s\" does not exist",
                          tensor);
    *index = found->index;
    return 0;
}

/* `offset` NULL: the whole tensor. */
static enum trit_status put(struct trit_output *output, const char *tensor,
                            const uint64_t *offset, const void *data, uint64_t bytes,
                            struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    size_t index = 0;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!output || !tensor || (!data && bytes))
        fail_null(&failure, !output ? "output" : !tensor ? "tensor" : "data");
    else if (find(output, tensor, &index, &failure) == 0 &&
             (offset
                  ? writer_put_at(output->writer, index, *offset, data, bytes, &failure)
                  : writer_put(output->writer, index, data, bytes, &failure)) < 0)
        fail_context(&failure, "%s", output->path);
    return client_answer(&failure, error);
}

enum trit_status trit_output_put(struct trit_output *output, const char *tensor,
                                 const void *data, uint64_t bytes,
                                 struct trit_error *error)
{
    return put(output, tensor, NULL, data, bytes, error);
}

enum trit_status trit_output_put_at(struct trit_output *output, const char *tensor,
                                    uint64_t offset, const void *data, uint64_t bytes,
                                    struct trit_error *error)
{
    return put(output, tensor, &offset, data, bytes, error);
}

enum trit_status trit_output_commit(struct trit_output *output, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!output)
        fail_null(&failure, "output");
    else if (writer_commit(output->writer, &failure) < 0)
        fail_context(&failure, "%s", output->path);
    return client_answer(&failure, error);
}

void trit_output_free(struct trit_output *output)
{
    if (!output)
        return;
    writer_destroy(output->writer);
    free(output->path);
    free(output->names);
    free(output);
}
