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
#include "services/checkpoints/kept_records.h"

enum { WRITE_BYTES = 1 << 20, FILE_NAME_BYTES = JOB_ID_BYTES_MAX + 8 };

static const char ending[] = ".job", unfinished[] = ".tmp";

int kept_fail(struct failure *failure, const char *what, const char *name)
{
    return fail(failure, TRIT_UNAVAILABLE, NULL, "jobs: cannot %s %s: %s", what, name,
                strerror(errno));
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

int kept_is_job(const struct dirent *entry)
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
    *kept = (struct kept){.fd = -1};
    if (!directory)
        return 0;
    kept->fd = open_folder(directory, true);
    if (kept->fd < 0)
        return kept_fail(failure, "open", "the folder jobs");
    held_path_note(&kept->place, directory, "jobs");
    remove_unfinished(kept);
    return 0;
}

int kept_find(struct kept *kept, const char *directory, struct failure *failure)
{
    *kept = (struct kept){.fd = open_folder(directory, false)};
    return kept->fd >= 0 || errno == ENOENT
               ? 0
               : kept_fail(failure, "open", "the folder jobs");
}

void kept_close(struct kept *kept)
{
    if (kept->fd >= 0)
        close(kept->fd);
    kept->fd = -1;
    held_path_forget(&kept->place);
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
    if (end && !end->named) {
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

static int add_named(struct journal *journal, const struct checkpoint_job *job,
                     const struct job_end *end)
{
    uint8_t numbers[NAMED_BYTES];

    journal_put_u64(numbers, end->named->inode);
    journal_put_u64(numbers + 8, (uint64_t)end->named->modified_ns);
    journal_put_u64(numbers + 16, (uint64_t)end->ended_ns);
    journal_put_u64(numbers + 24, (uint64_t)job->verdict);
    return journal_add(journal, KEPT_NAMED, numbers, sizeof(numbers), NULL, 0);
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

static int write_file(int fd, struct checkpoint_job *job, const struct job_end *end)
{
    struct journal journal = {.bytes = NULL};
    uint64_t written = 0;
    uint8_t count[8] = {0};
    int result = add_job(&journal, job, end) | add_request(&journal, job);

    if (result == 0 && end && end->named)
        result = add_named(&journal, job, end);
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
    if (held_path_check(&kept->place, "jobs", failure) < 0)
        return -1;
    name_of(name, job->id, ending);
    name_of(temporary, job->id, unfinished);
    errno = ENOMEM;
    fd = openat(kept->fd, temporary,
                O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return kept_fail(failure, "create", temporary);
    result = write_file(fd, job, end);
    if (result == 0 && flush)
        result = fsync(fd);
    if (close(fd) < 0)
        result = -1;
    if (result == 0)
        result = renameat(kept->fd, temporary, kept->fd, name);
    if (result == 0)
        return flush && fsync(kept->fd) < 0 ? kept_fail(failure, "flush", name) : 0;
    kept_fail(failure, "write", name);
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

    if (kept->fd < 0 || !held_path_is_same(&kept->place))
        return;
    name_of(name, job->id, ending);
    unlinkat(kept->fd, name, 0);
}
