/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/clock.h"
#include "drive/journal.h"
#include "obs/log.h"
#include "proto/finding.h"
#include "services/checkpoints/context.h"
#include "services/checkpoints/description.h"
#include "services/checkpoints/kinds.h"

/* The records of a file, in this order. */
enum {
    KEPT_JOB = 1,     /* how often it was started, and a CheckpointsJobsResponse */
    KEPT_REQUEST = 2, /* of its method */
    KEPT_LOG = 3,     /* a message of its log */
    KEPT_END = 4,     /* how many of them; nothing follows */
};

enum { WRITE_BYTES = 1 << 20, ID_DIGITS = 16, FILE_NAME_BYTES = JOB_ID_BYTES_MAX + 8 };

static const char ending[] = ".job", unfinished[] = ".tmp";

static int fail_file(struct failure *failure, const char *what, const char *name)
{
    return fail(failure, TRIT_UNAVAILABLE, NULL, "jobs: cannot %s %s: %s", what, name,
                strerror(errno));
}

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for a job");
}

/* ---- the folder ------------------------------------------------------------------------- */

static int open_folder(const char *directory, bool create)
{
    int data = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), folder = -1;

    if (data >= 0 && (!create || mkdirat(data, "jobs", 0700) == 0 || errno == EEXIST))
        folder = openat(data, "jobs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (data >= 0)
        close(data);
    return folder;
}

static bool has_name(const struct dirent *entry, const char *end)
{
    const char *name = entry->d_name;

    return strspn(name, "0123456789abcdef") == ID_DIGITS &&
           strcmp(name + ID_DIGITS, end) == 0;
}

static int is_job(const struct dirent *entry)
{
    return has_name(entry, ending);
}

static int is_unfinished(const struct dirent *entry)
{
    return has_name(entry, unfinished);
}

/* Removes what a daemon that was killed had begun to write. */
static void remove_unfinished(const struct kept *kept)
{
    struct dirent **entries;
    const int count = scandirat(kept->fd, ".", &entries, is_unfinished, NULL);

    for (int i = 0; i < count; i++) {
        unlinkat(kept->fd, entries[i]->d_name, 0);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

int kept_open(struct kept *kept, const char *directory, struct failure *failure)
{
    kept->fd = -1;
    if (!directory)
        return 0;
    kept->fd = open_folder(directory, true);
    if (kept->fd < 0)
        return fail_file(failure, "open", "the folder jobs");
    remove_unfinished(kept);
    return 0;
}

void kept_close(struct kept *kept)
{
    if (kept->fd >= 0)
        close(kept->fd);
    kept->fd = -1;
}

static void name_of(char name[FILE_NAME_BYTES], const char *id, const char *end)
{
    snprintf(name, FILE_NAME_BYTES, "%s%s", id, end);
}

/* ---- writing ---------------------------------------------------------------------------- */

static int add_job(struct journal *journal, struct checkpoint_job *job,
                   const struct job_end *end)
{
    struct job_description description;
    uint8_t *bytes = malloc(JOB_BYTES_MAX), starts[8];
    int result = -1;

    job_describe(job, &description);
    struct wire_job shown = description.job;
    if (end) {
        shown.state = job_state_name(end->state);
        shown.ended_unix_ns = (uint64_t)end->ended_ns;
        shown.verdict = end->state == JOB_DONE ? verdict_name(job->verdict) : NULL;
        shown.status = (uint32_t)end->failure.status;
        shown.message = end->failure.message;
    }
    journal_put_u64(starts, job->starts);
    if (bytes)
        result = journal_add(journal, KEPT_JOB, starts, sizeof(starts), bytes,
                             encode_job(&shown, bytes, JOB_BYTES_MAX));
    free(bytes);
    return result;
}

static int add_request(struct journal *journal, const struct checkpoint_job *job)
{
    uint8_t *bytes = malloc(CHECKPOINT_BYTES_MAX);
    int result = -1;

    if (bytes)
        result = journal_add(journal, KEPT_REQUEST, bytes,
                             encode_checkpoint(&job->asked, job->kind->fields, bytes,
                                               CHECKPOINT_BYTES_MAX),
                             NULL, 0);
    free(bytes);
    return result;
}

/* The log of a job that has ended. */
static int write_log(struct journal *journal, struct checkpoint_job *job, int fd,
                     uint64_t *end)
{
    for (size_t i = 0; i < job->log_count; i++) {
        const struct job_message message = job_message(job, i);

        if (journal_add(journal, KEPT_LOG, message.data, message.bytes, NULL, 0) < 0 ||
            (journal->count >= WRITE_BYTES && journal_write(journal, fd, end) < 0))
            return -1;
    }
    return 0;
}

static int write_file(struct checkpoint_job *job, const struct job_end *end, int fd)
{
    struct journal journal = {.bytes = NULL};
    uint64_t written = 0;
    uint8_t count[8] = {0};
    int result = add_job(&journal, job, end) | add_request(&journal, job);

    if (result == 0 && end) {
        result = write_log(&journal, job, fd, &written);
        journal_put_u64(count, job->log_count);
    }
    if (result == 0)
        result = journal_add(&journal, KEPT_END, count, sizeof(count), NULL, 0);
    if (result == 0)
        result = journal_write(&journal, fd, &written);
    journal_fini(&journal);
    return result;
}

int kept_write(const struct kept *kept, struct checkpoint_job *job,
               const struct job_end *end, bool flush, struct failure *failure)
{
    char name[FILE_NAME_BYTES], temporary[FILE_NAME_BYTES];
    int fd, result;

    if (kept->fd < 0)
        return 0;
    name_of(name, job->id, ending);
    name_of(temporary, job->id, unfinished);
    errno = ENOMEM;
    fd = openat(kept->fd, temporary,
                O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_file(failure, "create", temporary);
    result = write_file(job, end, fd);
    if (result == 0 && flush)
        result = fsync(fd);
    if (close(fd) < 0)
        result = -1;
    if (result == 0)
        result = renameat(kept->fd, temporary, kept->fd, name);
    if (result == 0)
        return flush && fsync(kept->fd) < 0 ? fail_file(failure, "flush", name) : 0;
    fail_file(failure, "write", name);
    unlinkat(kept->fd, temporary, 0);
    return -1;
}

void job_keep(struct checkpoint_job *job, const struct job_end *end, bool flush)
{
    struct failure why = {.status = TRIT_OK};

    if (kept_write(job->context->kept, job, end, flush, &why) < 0)
        log_event(job->context->log, LOG_WARN, "job_not_kept",
                  LOG_FIELDS(LOG_STR("job", job->id), LOG_STR("why", why.message)));
}

void job_interrupt(struct checkpoint_job *job)
{
    struct job_end how = {.state = JOB_INTERRUPTED, .ended_ns = clock_unix_ns()};

    if (job->asked.detach)
        fail(&how.failure, TRIT_ABORTED, NULL,
             "%u daemons ended before this job did; the same request tries again",
             (unsigned)job->starts);
    else
        fail(&how.failure, TRIT_ABORTED, NULL,
             "the daemon ended before this job did; the same request goes on%s",
             job->asked.output[0] ? " where it was" : "");
    job_keep(job, &how, false);
    job->state = how.state;
    job->ended_ns = how.ended_ns;
    job->failure = how.failure;
}

void kept_remove(const struct kept *kept, const struct checkpoint_job *job)
{
    char name[FILE_NAME_BYTES];

    if (kept->fd < 0)
        return;
    name_of(name, job->id, ending);
    unlinkat(kept->fd, name, 0);
}

/* ---- reading ---------------------------------------------------------------------------- */

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

static bool read_log(struct journal_reader *reader, struct checkpoint_job *job)
{
    uint64_t count = 0;

    while (journal_next(reader) && reader->kind == KEPT_LOG) {
        if (job_log(job, reader->bytes, reader->count, NULL) < 0)
            return false;
        count++;
    }
    return reader->kind == KEPT_END && reader->count == 8 &&
           journal_get_u64(reader->bytes) == count && !journal_next(reader);
}

/* NULL: it is damaged, or no memory. */
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
    count = scandirat(kept->fd, ".", &entries, is_job, alphasort);
    if (count < 0)
        return errno == ENOMEM ? no_memory(failure)
                               : fail_file(failure, "read", "the folder jobs");
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
    struct kept kept = {.fd = open_folder(directory, false)};
    int result;

    budget_init(&budget, UINT64_MAX);
    *counts = (struct kept_counts){.jobs = 0};
    if (kept.fd < 0)
        return errno == ENOENT ? 0 : fail_file(failure, "open", "the folder jobs");
    result = kept_read(&kept, &visitor, failure);
    kept_close(&kept);
    return result;
}
