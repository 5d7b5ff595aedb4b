/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/kept_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/budget.h"
#include "drive/journal.h"
#include "proto/finding.h"
#include "services/checkpoints/context.h"
#include "services/checkpoints/kept_records.h"
#include "services/checkpoints/kinds.h"

/* What stands in the first record. */
struct first {
    struct checkpoint_job *job; /* made by visit; NULL: it makes no sense */
    const struct job_context *context;
    const char *id;
};

static bool take_state(struct checkpoint_job *job, const struct wire_job *from)
{
    for (unsigned state = 0; state < JOB_STATES; state++)
        if (strcmp(from->state, job_state_name(state)) == 0) {
            job->state = state;
            for (unsigned i = TRIT_VERDICT_PASS; i <= TRIT_VERDICT_INCONCLUSIVE; i++)
                if (strcmp(from->verdict, verdict_name(i)) == 0)
                    job->verdict = i;
            return true;
        }
    return false;
}

static void visit(void *arg, const struct wire_job *from)
{
    struct first *first = arg;
    const struct job_kind *kind = job_kind_named(from->method);
    struct checkpoint_job *job;

    if (first->job || !kind || strcmp(from->job, first->id) != 0)
        return;
    job = job_create(kind, first->context);
    if (!job)
        return;
    if (!take_state(job, from)) {
        job_release(job);
        return;
    }
    snprintf(job->id, sizeof(job->id), "%s", from->job);
    job->created_ns = (int64_t)from->created_unix_ns;
    job->started_ns = (int64_t)from->started_unix_ns;
    job->ended_ns = (int64_t)from->ended_unix_ns;
    job->tensors_total = from->tensors_total;
    job->progress.pieces = from->tensors_done;
    job->progress.reused = from->tensors_reused;
    job->progress.done = from->bytes_done;
    job->progress.total = from->bytes_total;
    if (from->status)
        fail(&job->failure, (enum trit_status)from->status, NULL, "%s", from->message);
    first->job = job;
}

/* Its first two records. NULL: they make no sense. */
static struct checkpoint_job *read_head(struct journal_reader *reader, const char *id,
                                        const struct job_context *context)
{
    struct first first = {.context = context, .id = id};
    char error[CODEC_ERROR_BYTES];
    uint8_t *copy;

    if (!journal_next(reader) || reader->kind != KEPT_JOB || reader->count < 8 ||
        decode_jobs(reader->bytes + 8, reader->count - 8, visit, &first, error) < 0 ||
        !first.job) {
        job_release(first.job);
        return NULL;
    }
    first.job->starts = journal_get_u64(reader->bytes);
    copy = journal_next(reader) && reader->kind == KEPT_REQUEST
               ? malloc(reader->count + 1)
               : NULL;
    if (copy) {
        memcpy(copy, reader->bytes, reader->count);
        const struct scan_part request = {.bytes = copy, .count = reader->count};

        if (decode_checkpoint(&request, first.job->kind->fields, &first.job->asked,
                              error) == 0) {
            free(copy);
            return first.job;
        }
    }
    free(copy);
    job_release(first.job);
    return NULL;
}

/* The end of a job whose output may have its name. Its log is that of a result that is not
 * shown. */
static bool read_named(const struct journal_reader *reader, struct checkpoint_job *job)
{
    uint64_t verdict;

    if (reader->count != NAMED_BYTES)
        return false;
    verdict = journal_get_u64(reader->bytes + 24);
    if (verdict > TRIT_VERDICT_INCONCLUSIVE)
        return false;
    job->named.inode = journal_get_u64(reader->bytes);
    job->named.modified_ns = (int64_t)journal_get_u64(reader->bytes + 8);
    job->ended_ns = (int64_t)journal_get_u64(reader->bytes + 16);
    job->verdict = (enum trit_verdict)verdict;
    job->prepared = true;
    return true;
}

static bool read_log(struct journal_reader *reader, struct checkpoint_job *job)
{
    bool more = journal_next(reader);
    uint64_t count = 0;

    if (more && reader->kind == KEPT_NAMED) {
        if (!read_named(reader, job))
            return false;
        more = journal_next(reader);
    }
    for (; more && reader->kind == KEPT_LOG; more = journal_next(reader)) {
        if (job_log(job, reader->bytes, reader->count, NULL) < 0)
            return false;
        count++;
    }
    return reader->kind == KEPT_END && reader->count == 8 &&
           journal_get_u64(reader->bytes) == count && !journal_next(reader);
}

/* NULL: the file is damaged, or no memory. */
static struct checkpoint_job *read_job(int fd, const char *id,
                                       const struct job_context *context)
{
    struct journal_reader reader;
    struct checkpoint_job *job;
    struct stat there;

    if (journal_reader_init(&reader, fd) < 0)
        return NULL;
    job = read_head(&reader, id, context);
    if (job && (!read_log(&reader, job) || fstat(fd, &there) < 0 ||
                (uint64_t)there.st_size != reader.at)) {
        job_release(job);
        job = NULL;
    }
    journal_reader_fini(&reader);
    return job;
}

static void read_one(const struct kept *kept, const char *name,
                     const struct kept_visitor *visitor)
{
    struct checkpoint_job *job = NULL;
    char id[ID_DIGITS + 1], message[128 + NAME_MAX];
    int fd = openat(kept->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    snprintf(id, sizeof(id), "%s", name);
    if (fd >= 0) {
        job = read_job(fd, id, visitor->context);
        close(fd);
    }
    if (!job) {
        snprintf(message, sizeof(message),
                 "the job in jobs/%s is damaged and left out; delete the file", name);
        visitor->damaged(visitor->arg, message);
    } else if (visitor->job) {
        visitor->job(visitor->arg, job);
    } else {
        job_release(job);
    }
}

int kept_read(const struct kept *kept, const struct kept_visitor *visitor,
              struct failure *failure)
{
    struct dirent **entries;
    int count;

    if (kept->fd < 0)
        return 0;
    count = scandirat(kept->fd, ".", &entries, kept_is_job, alphasort);
    if (count < 0)
        return errno == ENOMEM
                   ? fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for a job")
                   : kept_fail(failure, "read", "the folder jobs");
    for (int i = 0; i < count; i++) {
        read_one(kept, entries[i]->d_name, visitor);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

/* ---- checking ---------------------------------------------------------------------------- */

struct checking {
    struct kept_counts *counts;
    void (*damaged)(void *arg, const char *message);
    void *arg;
};

static void count_job(void *arg, struct checkpoint_job *job)
{
    struct checking *checking = arg;

    checking->counts->jobs++;
    job_release(job);
}

static void count_damage(void *arg, const char *message)
{
    struct checking *checking = arg;

    checking->counts->damaged++;
    checking->damaged(checking->arg, message);
}

int kept_check(const char *directory, void (*damaged)(void *arg, const char *message),
               void *arg, struct kept_counts *counts, struct failure *failure)
{
    struct checking checking = {counts, damaged, arg};
    struct budget budget;
    const struct job_context context = {.budget = &budget};
    const struct kept_visitor visitor = {
        .context = &context, .arg = &checking, .job = count_job, .damaged = count_damage};
    struct kept kept;
    int result;

    budget_init(&budget, UINT64_MAX);
    *counts = (struct kept_counts){.jobs = 0};
    if (kept_find(&kept, directory, failure) < 0)
        return -1;
    result = kept_read(&kept, &visitor, failure);
    kept_close(&kept);
    return result;
}
