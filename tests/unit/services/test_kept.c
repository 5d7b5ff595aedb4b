/* SPDX-License-Identifier: Apache-2.0 */
/* Files of jobs: each is read as it was written, or told to be damaged. */
#include "services/checkpoints/kept_read.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/budget.h"
#include "services/checkpoints/context.h"
#include "services/checkpoints/runs.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/fault_file.h"

/* How a job is written. */
enum how { WAITS, ENDED, NAMED, HOWS };

struct place {
    char folder[64];
    struct kept kept;
    struct budget budget;
    struct job_context context;
    /* what was read */
    size_t jobs, damaged;
};

static void place_init(struct place *place)
{
    *place = (struct place){.context = {.budget = &place->budget}};
    budget_init(&place->budget, UINT64_MAX);
    /* In memory, where it can be: a flush costs nothing there. */
    strcpy(place->folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_kept_XXXXXX"
                                                        : "/tmp/test_kept_XXXXXX");
    CHECK(mkdtemp(place->folder));
    CHECK(kept_open(&place->kept, place->folder, NULL) == 0);
}

static void place_fini(struct place *place)
{
    char path[96];

    kept_close(&place->kept);
    snprintf(path, sizeof(path), "%s/jobs", place->folder);
    CHECK(rmdir(path) == 0 && rmdir(place->folder) == 0);
}

/* A job with three messages in its log. */
static struct checkpoint_job *some_job(struct place *place)
{
    struct checkpoint_job *job = job_create(&job_verify, &place->context);

    CHECK(job);
    strcpy(job->id, "0123456789abcdef");
    job->asked.path = "model";
    job->asked.against = "latents";
    job->asked.output = "";
    job->asked.detach = true;
    job->asked.options.include.list[0] = "*.weight";
    job->asked.options.include.count = 1;
    job->verdict = TRIT_VERDICT_INCONCLUSIVE;
    job->starts = 2;
    job->tensors_total = 7;
    job->created_ns = 11;
    job->started_ns = 12;
    for (int i = 0; i < 3; i++)
        CHECK(job_log(job, (const uint8_t *)"message", (size_t)i * 3, NULL) == 0);
    return job;
}

static void check_job(void *arg, struct checkpoint_job *job)
{
    struct place *place = arg;

    CHECK_STR(job->id, "0123456789abcdef");
    CHECK(job->kind == &job_verify);
    CHECK_STR(job->asked.path, "model");
    CHECK_STR(job->asked.against, "latents");
    CHECK(job->asked.detach);
    CHECK_EQ(job->asked.options.include.count, 1);
    CHECK_STR(job->asked.options.include.list[0], "*.weight");
    CHECK_EQ(job->starts, 2);
    CHECK_EQ(job->tensors_total, 7);
    CHECK_EQ(job->created_ns, 11);
    CHECK_EQ(job->started_ns, 12);
    CHECK_EQ(job->state, job->ended_ns && !job->named.inode ? JOB_DONE : JOB_WAITING);
    CHECK_EQ(job->named.modified_ns, job->named.inode ? -5 : 0);
    CHECK_EQ(job->log_count, job->ended_ns ? 3 : 0);
    CHECK_EQ(job->log_shown, job->state == JOB_DONE ? 3 : 0);
    if (job->ended_ns) {
        CHECK_EQ(job->verdict, TRIT_VERDICT_INCONCLUSIVE);
        CHECK_EQ(job_message(job, 2).bytes, 6);
        CHECK(memcmp(job_message(job, 2).data, "messag", 6) == 0);
    }
    place->jobs++;
    job_release(job);
}

static void check_damage(void *arg, const char *message)
{
    struct place *place = arg;

    CHECK(strstr(message, "jobs/0123456789abcdef.job"));
    place->damaged++;
}

static void read_all(struct place *place)
{
    const struct kept_visitor visitor = {.context = &place->context,
                                         .arg = place,
                                         .job = check_job,
                                         .damaged = check_damage};

    place->jobs = place->damaged = 0;
    CHECK(kept_read(&place->kept, &visitor, NULL) == 0);
}

static void write_job(struct place *place, enum how how)
{
    static const struct output_mark mark = {.inode = 9, .modified_ns = -5};
    const struct job_end end = {
        .state = JOB_DONE, .ended_ns = 13, .named = how == NAMED ? &mark : NULL};
    struct checkpoint_job *job = some_job(place);

    CHECK(kept_write(&place->kept, job, how == WAITS ? NULL : &end, true, NULL) == 0);
    job_release(job);
}

static void remove_job(struct place *place)
{
    struct checkpoint_job *job = some_job(place);

    kept_remove(&place->kept, job);
    job_release(job);
}

CASE(reads_back,
     "a job that waits, has ended, or ends with a name is read as it was written")
{
    struct place place;

    place_init(&place);
    for (enum how how = WAITS; how < HOWS; how++) {
        write_job(&place, how);
        read_all(&place);
        CHECK_EQ(place.jobs, 1);
        CHECK_EQ(place.damaged, 0);
    }
    CHECK_EQ(place.budget.bytes_used, 0);
    remove_job(&place);
    read_all(&place);
    CHECK_EQ(place.jobs + place.damaged, 0);
    place_fini(&place);
}

CASE(damaged, "a file that is cut, longer, or wrong at any byte is told")
{
    static uint8_t bytes[4096];
    struct place place;

    place_init(&place);
    write_job(&place, NAMED);
    int fd = openat(place.kept.fd, "0123456789abcdef.job", O_RDWR | O_CLOEXEC);
    const ssize_t count = pread(fd, bytes, sizeof(bytes), 0);
    CHECK(count > 0 && count < (ssize_t)sizeof(bytes));
    for (ssize_t i = 0; i < 2 * count + 1; i++) {
        const ssize_t at = i / 2;

        if (i == 2 * count) {
            CHECK(pwrite(fd, "x", 1, count) == 1);
        } else if (i % 2) {
            CHECK(ftruncate(fd, at) == 0);
        } else {
            const uint8_t wrong = bytes[at] ^ (uint8_t)(1 << at % 8);

            CHECK(pwrite(fd, &wrong, 1, at) == 1);
        }
        read_all(&place);
        CHECK_EQ(place.jobs, 0);
        CHECK_EQ(place.damaged, 1);
        CHECK(pwrite(fd, bytes, (size_t)count, 0) == count);
    }
    CHECK(ftruncate(fd, count) == 0);
    read_all(&place);
    CHECK_EQ(place.jobs, 1);
    CHECK_EQ(place.budget.bytes_used, 0);
    close(fd);
    remove_job(&place);
    place_fini(&place);
}

CASE(other_files, "other files in the folder are left alone")
{
    struct place place;

    place_init(&place);
    int fd = openat(place.kept.fd, "notes.job", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
    CHECK(symlinkat("notes.job", place.kept.fd, "0123456789abcdef.job") == 0);
    read_all(&place);
    CHECK_EQ(place.damaged, 1); /* the link is not followed */
    CHECK(unlinkat(place.kept.fd, "notes.job", 0) == 0);
    remove_job(&place);
    /* What is half written is removed. */
    fd = openat(place.kept.fd, "0123456789abcdef.tmp", O_CREAT | O_WRONLY | O_CLOEXEC,
                0600);
    CHECK(fd >= 0);
    close(fd);
    kept_close(&place.kept);
    CHECK(kept_open(&place.kept, place.folder, NULL) == 0);
    place_fini(&place);
}

CASE(memory, "without memory a job is not kept, and the file stays as it was")
{
    struct place place;
    struct failure failure;

    place_init(&place);
    write_job(&place, WAITS);
    for (uint64_t n = 1;; n++) {
        const struct job_end end = {.state = JOB_DONE, .ended_ns = 13};
        struct checkpoint_job *job = some_job(&place);

        failure = (struct failure){.status = TRIT_OK};
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = kept_write(&place.kept, job, &end, true, &failure);
        const bool hit = fault_disarm();
        job_release(job);
        read_all(&place);
        CHECK_EQ(place.jobs, 1);
        if (!hit)
            break;
        CHECK(result < 0 && failure.status != TRIT_OK);
    }
    remove_job(&place);
    place_fini(&place);
}

/* With a call that fails the file is the old one or the new one. */
static void check_after(struct place *place, int result, bool hit)
{
    read_all(place);
    CHECK_EQ(place->jobs, 1);
    CHECK_EQ(place->damaged, 0);
    CHECK(result == 0 || hit);
}

CASE(disk, "a write, flush or rename that fails leaves a whole file")
{
    static const unsigned calls[] = {FAULT_FILE_PWRITE, FAULT_FILE_OPENAT,
                                     FAULT_FILE_RENAMEAT, FAULT_FILE_CLOSE};
    const struct job_end end = {.state = JOB_DONE, .ended_ns = 13};
    struct place place;
    bool hit;

    place_init(&place);
    for (size_t i = 0; i <= sizeof(calls) / sizeof(calls[0]); i++)
        for (uint64_t n = 1;; n++) {
            struct checkpoint_job *job = some_job(&place);

            write_job(&place, WAITS);
            if (i == 0)
                fault_arm(FAULT_WRITE, n, FAULT_ONCE);
            else
                fault_file_arm(calls[i - 1], n, EIO, FAULT_FILE_FAIL);
            const int result = kept_write(&place.kept, job, &end, true, NULL);
            hit = i == 0 ? fault_disarm() : fault_file_disarm();
            job_release(job);
            check_after(&place, result, hit);
            if (!hit)
                break;
            CHECK(result < 0);
        }
    remove_job(&place);
    place_fini(&place);
}

CASE(dropped,
     "a prepared result is seen when it is shown, and leaves nothing when it is dropped")
{
    struct place place;
    struct checkpoint_job *job;
    struct job_snapshot now;

    place_init(&place);
    job = some_job(&place);
    const uint64_t before = place.budget.bytes_used;
    for (int shown = 0; shown < 2; shown++) {
        CHECK(job_prepare(job, TRIT_VERDICT_PASS, json_object(), false, NULL) == 0);
        CHECK_EQ(job->log_count, 4);
        job_snapshot(job, &now);
        CHECK_EQ(now.log_count, 3);
        CHECK(!now.has_result);
        if (!shown)
            job_drop_result(job);
        else
            job_show_result(job);
        job_snapshot(job, &now);
        CHECK_EQ(now.log_count, shown ? 4 : 3);
        CHECK_EQ(now.has_result, shown);
        CHECK_EQ(place.budget.bytes_used > before, shown);
    }
    job_release(job);
    CHECK_EQ(place.budget.bytes_used, 0);
    place_fini(&place);
}
