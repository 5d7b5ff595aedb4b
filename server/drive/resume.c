/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/resume.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "drive/crc_parts.h"
#include "drive/resume_read.h"
#include "files/folder.h"
#include "files/leftover.h"
#include "files/system.h"
#include "kernels/kernels.h"
#include "proto/codec/checkpoints.h"

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* ---- opening --------------------------------------------------------------------------- */

/* Opens the journal and locks it: only the owner of the lock may write the output. False:
 * another process has the lock, or the journal cannot be created. */
static bool open_journal(struct resume *resume, const char *name)
{
    struct stat there;
    char kept[NAME_MAX];

    kept_name(kept, name);
    resume->name = malloc(strlen(kept) + sizeof(KEPT_NOTES));
    if (!resume->name)
        return false;
    strcpy(resume->name, kept);
    strcat(resume->name, KEPT_NOTES);
    resume->fd = openat(resume->folder, resume->name,
                        O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    resume->locked = resume->fd >= 0 && fstat(resume->fd, &there) == 0 &&
                     S_ISREG(there.st_mode) && there.st_nlink == 1 &&
                     there.st_uid == geteuid() && leftover_lock(resume->fd, true);
    return resume->locked;
}

/* The time that the system would give to a file that changes now. */
static int64_t files_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return clock_timespec_ns(&now);
}

/* A file that changes in the tick in which it was opened keeps its identity. So waits until
 * that is over. False: the file is of the future. */
static bool wait_for_tick(int64_t newest)
{
    enum { TICK_NS_MAX = 100000000, NAP_NS = 1000000 };

    while (files_now_ns() <= newest) {
        if (newest - files_now_ns() > TICK_NS_MAX)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
    return true;
}

/* The name that a path ends with, without slashes behind it; malloc'ed. */
static char *last_name(const char *path)
{
    size_t end = strlen(path), begin;

    while (end > 0 && path[end - 1] == '/')
        end--;
    for (begin = end; begin > 0 && path[begin - 1] != '/';)
        begin--;
    return strndup(path + begin, end - begin);
}

/* The folder that an output is in, and its name there, malloc'ed. -1: there is none, or no
 * memory. */
static int open_folder(const char *output, char **name)
{
    char *bare = strdup(output), *folder = NULL;
    int fd = -1;

    *name = last_name(output);
    if (bare) {
        for (size_t end = strlen(bare); end > 1 && bare[end - 1] == '/';)
            bare[--end] = '\0';
        folder = folder_of(bare);
    }
    if (*name && folder)
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    free(bare);
    return fd;
}

void resume_discard(const char *output)
{
    char *name;
    int folder = open_folder(output, &name);

    if (folder >= 0) {
        leftovers_remove(folder, name, NULL);
        close(folder);
    }
    free(name);
}

static bool open_in_folder(struct resume *resume, const char *output)
{
    char *name;
    bool opened;

    resume->folder = open_folder(output, &name);
    opened = resume->folder >= 0 && open_journal(resume, name);
    resume->output = name;
    if (opened && !resume_read(resume)) {
        /* What is there is of something else. */
        resume->end = 0;
        leftovers_remove(resume->folder, name, NULL);
    }
    return opened && ftruncate(resume->fd, (off_t)resume->end) == 0;
}

int resume_open(struct resume **out, const struct resume_asked *asked,
                const struct plan *plan, const struct reader *reader,
                enum target_mode *mode, struct failure *failure)
{
    struct resume *resume = calloc(1, sizeof(*resume));

    if (!resume)
        return no_memory(failure);
    resume->plan = plan;
    resume->folder = resume->fd = -1;
    resume->flush_ns = asked->flush_ns;
    resume->flushed_ns = clock_monotonic_ns();
    if (resume_number_pieces(resume, failure) < 0 ||
        resume_key_make(&resume->key, asked, plan, reader, failure) < 0) {
        resume_close(resume, false);
        return -1;
    }
    if (!wait_for_tick(resume_newest_change(reader)) ||
        !open_in_folder(resume, asked->output)) {
        resume_close(resume, false);
        return 0;
    }
    resume->has_key = resume->end > 0;
    *mode = (enum target_mode)(*mode | TARGET_KEPT);
    *out = resume;
    return 0;
}

/* ---- while the output is written --------------------------------------------------------- */

static void watch(void *arg, size_t index, uint64_t offset, const void *data,
                  uint64_t count)
{
    struct resume *resume = arg;
    const uint64_t bytes = resume->plan->table.entries[index].bytes;

    atomic_fetch_xor(&resume->tensors[index].crc,
                     crc_part(crc32c(0, data, (size_t)count), bytes - offset - count));
}

int resume_begin(struct resume *resume, struct writer *writer, struct progress *progress,
                 struct failure *failure)
{
    resume->writer = writer;
    resume->off = !writer_is_kept(writer);
    if (resume->off)
        return 0;
    if (resume_check(resume, progress, failure) < 0)
        return -1;
    for (size_t i = 0; i < resume->plan->table.count; i++)
        if (resume->tensors[i].noted) {
            resume->tensors[i].reused = true;
            writer_reuse(writer, i);
        }
    writer_watch(writer, watch, resume);
    return 0;
}

int resume_has(const struct resume *resume, const struct plan_piece *piece,
               struct trit_report *report, struct failure *failure)
{
    size_t tensors[PIECE_TENSORS_MAX];

    if (resume_tensors(resume, piece, tensors) == 0 ||
        !resume->tensors[tensors[0]].reused)
        return 0;
    if (piece->is_layer &&
        resume_read_report(resume, resume_number(resume, piece), report, failure) < 0)
        return -1;
    return 1;
}

/* ---- the journal ------------------------------------------------------------------------- */

static int write_key(struct resume *resume)
{
    struct journal parts = {.bytes = NULL};
    int result = 0;

    for (size_t at = 0; at < resume->key.count && result == 0;
         at += JOURNAL_RECORD_BYTES_MAX) {
        const size_t left = resume->key.count - at;

        result = journal_add(
            &parts, JOURNAL_KEY, resume->key.bytes + at,
            left < JOURNAL_RECORD_BYTES_MAX ? left : (size_t)JOURNAL_RECORD_BYTES_MAX,
            NULL, 0);
    }
    if (result == 0)
        result = journal_write(&parts, resume->fd, &resume->end);
    journal_fini(&parts);
    if (result < 0)
        return -1;
    resume->has_key = true;
    return fsync(resume->folder); /* its name */
}

/* Flushes the data, and then writes the records that speak of them. */
static int flush(struct resume *resume, struct failure *failure)
{
    if (resume->off || resume->waiting.count == 0)
        return 0;
    if (writer_flush(resume->writer, failure) < 0)
        return fail_context(failure, "%s", writer_path(resume->writer));
    /* The run does not need the journal. */
    if ((!resume->has_key && write_key(resume) < 0) ||
        journal_write(&resume->waiting, resume->fd, &resume->end) < 0 ||
        fdatasync(resume->fd) < 0)
        resume->off = true;
    resume->waiting_bytes = 0;
    resume->flushed_ns = clock_monotonic_ns();
    return 0;
}

static int note_report(struct resume *resume, size_t number,
                       const struct trit_report *report)
{
    const struct wire_progress progress = {.report = report};
    uint8_t *bytes = malloc(PROGRESS_BYTES_MAX), head[8];
    int result = -1;

    journal_put_u64(head, number);
    if (bytes)
        result = journal_add(&resume->waiting, JOURNAL_REPORT, head, sizeof(head), bytes,
                             encode_progress(&progress, bytes, PROGRESS_BYTES_MAX));
    free(bytes);
    return result;
}

static int note_tensor(struct resume *resume, size_t index)
{
    uint8_t bytes[16];

    journal_put_u64(bytes, index);
    journal_put_u64(bytes + 8, atomic_load(&resume->tensors[index].crc));
    return journal_add(&resume->waiting, JOURNAL_TENSOR, bytes, sizeof(bytes), NULL, 0);
}

int resume_took(struct resume *resume, const struct plan_piece *piece,
                const struct trit_report *report, struct failure *failure)
{
    size_t tensors[PIECE_TENSORS_MAX];
    const size_t count = resume_tensors(resume, piece, tensors);
    int result = 0;

    if (resume->off || count == 0 || resume->tensors[tensors[0]].reused)
        return 0;
    if (report)
        result = note_report(resume, resume_number(resume, piece), report);
    for (size_t i = 0; i < count; i++)
        if (--resume->tensors[tensors[i]].pieces_left == 0)
            result |= note_tensor(resume, tensors[i]);
    if (result < 0) {
        resume->off = true; /* no memory */
        return 0;
    }
    resume->waiting_bytes +=
        plan_item_bytes(resume->plan, &resume->plan->items[piece->index], tensors[0]) /
        piece->matrices.count;
    return resume->waiting_bytes >= RESUME_FLUSH_BYTES ||
                   clock_monotonic_ns() - resume->flushed_ns >= resume->flush_ns
               ? flush(resume, failure)
               : 0;
}

void resume_close(struct resume *resume, bool keep)
{
    if (!resume)
        return;
    keep = keep && resume->writer && flush(resume, NULL) == 0 && !resume->off &&
           resume->has_key;
    if (keep)
        writer_keep(resume->writer);
    else if (resume->locked) {
        unlinkat(resume->folder, resume->name, 0);
        if (!resume->writer) /* it would have removed what it goes on with */
            leftovers_remove(resume->folder, resume->output, NULL);
    }
    if (resume->fd >= 0)
        close(resume->fd);
    if (resume->folder >= 0)
        close(resume->folder);
    journal_fini(&resume->waiting);
    free(resume->key.bytes);
    free(resume->first_piece);
    free(resume->report_at);
    free(resume->tensors);
    free(resume->name);
    free(resume->output);
    free(resume);
}
