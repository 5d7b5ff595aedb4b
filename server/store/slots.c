/* SPDX-License-Identifier: Apache-2.0 */
#include "store/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"

enum { SLOT_NUMBER_MAX = 1 << 30 }; /* 256 TiB */

/* Of whom a slot is. Uploads count from 1. */
enum { OWNER_NONE = 0, OWNER_UNKNOWN = -1, OWNER_LEAVING = -2 };

/* What the open transaction did to a slot. */
struct change {
    int64_t slot;
    int64_t owner; /* before */
};

struct numbers {
    int64_t *at;
    size_t count, capacity;
};

struct slots {
    int fd;      /* past the page cache, if the file system can do so */
    int pieces;  /* through it, for parts of a slot */
    bool direct; /* the writer's; `fd` is past the page cache */
    bool dirty;  /* something was written since the last sync */
    uint64_t losses;
    int64_t *owners; /* of each slot */
    size_t count, capacity;
    size_t in_file; /* slots that the file is long enough for */
    size_t named;   /* rows name none from this one on that the file does not have */
    size_t used;
    size_t lowest; /* no slot below this one is free */
    struct change *changes;
    size_t change_count, change_capacity;
    struct numbers leaving; /* in transactions that are committed */
    uint8_t *aligned;       /* a slot's bytes on their way to the file */
    pthread_rwlock_t readers;
};

/* ---- the file ------------------------------------------------------------------ */

static int fail_errno(struct failure *failure, const char *what)
{
    return fail(failure, TRIT_UNAVAILABLE, NULL, "%s codes.slots: %s", what,
                strerror(errno));
}

static int open_file(struct slots *slots, const char *path, int access,
                     struct failure *failure)
{
    const int flags = access | O_CLOEXEC | O_NOFOLLOW;
    struct stat status;

    slots->pieces = open(path, flags);
    if (slots->pieces < 0)
        return fail_errno(failure, "cannot open");
    slots->fd = open(path, flags | O_DIRECT);
    slots->direct = slots->fd >= 0;
    if (!slots->direct)
        slots->fd = fcntl(slots->pieces, F_DUPFD_CLOEXEC, 0);
    if (slots->fd < 0 || fstat(slots->pieces, &status))
        return fail_errno(failure, "cannot open");
    slots->in_file = (size_t)((uint64_t)status.st_size / SLOT_BYTES);
    return 0;
}

int slots_open(struct slots **slots, const char *path, int access,
               struct failure *failure)
{
    struct slots *s = calloc(1, sizeof(*s));

    if (!s)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "codes.slots: out of memory");
    s->fd = s->pieces = -1;
    s->aligned = aligned_alloc(SLOT_ALIGNMENT, SLOT_BYTES);
    pthread_rwlock_init(&s->readers, NULL);
    if (!s->aligned)
        fail(failure, TRIT_UNAVAILABLE, NULL, "codes.slots: out of memory");
    else if (open_file(s, path, access, failure) == 0) {
        *slots = s;
        return 0;
    }
    slots_close(s);
    return -1;
}

void slots_close(struct slots *slots)
{
    if (!slots)
        return;
    if (slots->fd >= 0)
        close(slots->fd);
    if (slots->pieces >= 0)
        close(slots->pieces);
    pthread_rwlock_destroy(&slots->readers);
    free(slots->aligned);
    free(slots->owners);
    free(slots->changes);
    free(slots->leaving.at);
    free(slots);
}

/* ---- owners ---------------------------------------------------------------------- */

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_UNAVAILABLE, NULL, "codes.slots: out of memory");
}

/* Makes room for `count` slots. */
static int reserve(struct slots *slots, size_t count, struct failure *failure)
{
    int64_t *owners;

    if (count <= slots->count)
        return 0;
    owners = array_grow(slots->owners, &slots->capacity, count, sizeof(*owners));
    if (!owners)
        return no_memory(failure);
    slots->owners = owners;
    memset(owners + slots->count, 0, (count - slots->count) * sizeof(*owners));
    slots->count = count;
    return 0;
}

int slots_claim(struct slots *slots, int64_t slot, int64_t upload,
                struct failure *failure)
{
    if (slot < 0 || slot >= SLOT_NUMBER_MAX || (uint64_t)slot >= slots->in_file) {
        if (slot >= (int64_t)slots->named && slot < SLOT_NUMBER_MAX)
            slots->named = (size_t)slot + 1;
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "codes.slots has %zu slots, but a row of codes has slot %" PRId64,
                    slots->in_file, slot);
    }
    if (reserve(slots, (size_t)slot + 1, failure))
        return -1;
    slots->used += slots->owners[slot] == OWNER_NONE;
    if (slots->owners[slot] != OWNER_NONE) {
        slots->owners[slot] = OWNER_UNKNOWN;
        return fail(failure, TRIT_DATA_LOSS, NULL, "two rows of codes have slot %" PRId64,
                    slot);
    }
    slots->owners[slot] = upload;
    return 0;
}

int slots_claim_rest(struct slots *slots, struct failure *failure)
{
    const size_t count = slots->named > slots->in_file ? slots->named : slots->in_file;

    if (reserve(slots, count, failure))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (slots->owners[i] == OWNER_NONE) {
            slots->owners[i] = OWNER_UNKNOWN;
            slots->used += i < slots->in_file;
        }
    return 0;
}

/* Notes what the slot was, to be able to roll back. False: no memory. */
static bool note(struct slots *slots, int64_t slot)
{
    struct change *changes = array_grow(slots->changes, &slots->change_capacity,
                                        slots->change_count + 1, sizeof(*changes));

    if (!changes)
        return false;
    slots->changes = changes;
    changes[slots->change_count++] =
        (struct change){.slot = slot, .owner = slots->owners[slot]};
    return true;
}

/* ---- writing --------------------------------------------------------------------- */

static int find_free(struct slots *slots, int64_t *slot, struct failure *failure)
{
    while (slots->lowest < slots->count && slots->owners[slots->lowest] != OWNER_NONE)
        slots->lowest++;
    if (slots->lowest >= SLOT_NUMBER_MAX)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "codes.slots: no slot is free");
    *slot = (int64_t)slots->lowest;
    return reserve(slots, slots->lowest + 1, failure);
}

static off_t offset(int64_t slot)
{
    return (off_t)slot * SLOT_BYTES;
}

/* Some file systems open a file for O_DIRECT and refuse each write. */
static ssize_t write_some(struct slots *slots, const uint8_t *bytes, size_t count,
                          off_t at)
{
    ssize_t written = pwrite(slots->fd, bytes, count, at);

    if (written < 0 && errno == EINVAL && slots->direct) {
        slots->direct = false;
        if (fcntl(slots->fd, F_SETFL, 0) == 0)
            written = pwrite(slots->fd, bytes, count, at);
    }
    return written;
}

static int write_slot(struct slots *slots, int64_t slot, const uint8_t *bytes,
                      struct failure *failure)
{
    size_t done = 0;

    if ((uintptr_t)bytes % SLOT_ALIGNMENT != 0)
        bytes = memcpy(slots->aligned, bytes, SLOT_BYTES);
    slots->dirty = true;
    while (done < SLOT_BYTES) {
        const ssize_t some = write_some(slots, bytes + done, SLOT_BYTES - done,
                                        offset(slot) + (off_t)done);

        if (some > 0)
            done += (size_t)some;
        else if (some == 0 || errno != EINTR) {
            if (some == 0)
                errno = ENOSPC;
            return fail_errno(failure, "cannot write");
        }
    }
    if (!slots->direct)
        (void)sync_file_range(slots->fd, offset(slot), SLOT_BYTES, SYNC_FILE_RANGE_WRITE);
    if ((size_t)slot >= slots->in_file)
        slots->in_file = (size_t)slot + 1;
    return 0;
}

int slots_write(struct slots *slots, int64_t upload, const uint8_t *bytes, int64_t *slot,
                struct failure *failure)
{
    if (find_free(slots, slot, failure) || write_slot(slots, *slot, bytes, failure))
        return -1;
    if (!note(slots, *slot))
        return no_memory(failure);
    slots->owners[*slot] = upload;
    slots->used++;
    return 0;
}

void slots_free(struct slots *slots, int64_t slot, int64_t upload)
{
    if (slot < 0 || (uint64_t)slot >= slots->count || slots->owners[slot] != upload)
        return;
    /* Without memory the slot stays taken until the next start. */
    if (!note(slots, slot))
        return;
    slots->owners[slot] = OWNER_LEAVING;
    slots->used--;
}

int slots_sync(struct slots *slots, struct failure *failure)
{
    if (!slots || !slots->dirty)
        return 0;
    if (fdatasync(slots->fd)) {
        slots->losses++;
        return fail_errno(failure, "cannot flush");
    }
    slots->dirty = false;
    return 0;
}

uint64_t slots_losses(const struct slots *slots)
{
    return slots ? slots->losses : 0;
}

/* ---- transactions ------------------------------------------------------------------ */

/* They are named by no row that anybody can see. */
static void release(struct slots *slots)
{
    for (size_t i = 0; i < slots->leaving.count; i++) {
        const size_t slot = (size_t)slots->leaving.at[i];

        slots->owners[slot] = OWNER_NONE;
        if (slot < slots->lowest)
            slots->lowest = slot;
    }
    slots->leaving.count = 0;
}

static void leave(struct slots *slots, int64_t slot)
{
    struct numbers *leaving = &slots->leaving;
    int64_t *at =
        array_grow(leaving->at, &leaving->capacity, leaving->count + 1, sizeof(*at));

    if (!at) /* it stays as it is until the next start */
        return;
    leaving->at = at;
    at[leaving->count++] = slot;
}

void slots_committed(struct slots *slots, bool durable)
{
    if (!slots)
        return;
    for (size_t i = 0; i < slots->change_count; i++)
        if (slots->owners[slots->changes[i].slot] == OWNER_LEAVING)
            leave(slots, slots->changes[i].slot);
    slots->change_count = 0;
    if (!durable || slots->leaving.count == 0 ||
        pthread_rwlock_trywrlock(&slots->readers))
        return;
    pthread_rwlock_unlock(&slots->readers);
    release(slots);
}

static bool is_used(int64_t owner)
{
    return owner != OWNER_NONE && owner != OWNER_LEAVING;
}

void slots_rolled_back(struct slots *slots)
{
    if (!slots)
        return;
    while (slots->change_count > 0) {
        const struct change *change = &slots->changes[--slots->change_count];
        int64_t *owner = &slots->owners[change->slot];

        slots->used -= is_used(*owner);
        *owner = change->owner;
        slots->used += is_used(*owner);
        if (*owner == OWNER_LEAVING)
            leave(slots, change->slot);
        if (*owner == OWNER_NONE && (size_t)change->slot < slots->lowest)
            slots->lowest = (size_t)change->slot;
    }
}

void slots_doubt(struct slots *slots)
{
    for (size_t i = 0; slots && i < slots->change_count; i++)
        if (slots->changes[i].owner == OWNER_NONE)
            slots->changes[i].owner = OWNER_LEAVING;
}

void slots_trim(struct slots *slots)
{
    size_t end = slots ? slots->in_file : 0;

    while (end > 0 && (end > slots->count || slots->owners[end - 1] == OWNER_NONE))
        end--;
    if (!slots || slots->change_count > 0 ||
        slots->in_file - end <= SLOTS_LEFT + slots->in_file / 8)
        return;
    end += SLOTS_LEFT;
    if (ftruncate(slots->fd, offset((int64_t)end)) == 0)
        slots->in_file = end;
}

uint64_t slots_file_bytes(const struct slots *slots)
{
    return slots ? (uint64_t)slots->in_file * SLOT_BYTES : 0;
}

uint64_t slots_used_bytes(const struct slots *slots)
{
    return slots ? (uint64_t)slots->used * SLOT_BYTES : 0;
}

/* ---- reading ---------------------------------------------------------------------- */

static int read_at(int fd, int64_t slot, size_t at, uint8_t *bytes, size_t count,
                   struct failure *failure)
{
    size_t done = 0;

    if (slot < 0 || slot >= SLOT_NUMBER_MAX || at > SLOT_BYTES || count > SLOT_BYTES - at)
        return fail(failure, TRIT_DATA_LOSS, NULL, "codes.slots has no slot %" PRId64,
                    slot);
    while (done < count) {
        const ssize_t some =
            pread(fd, bytes + done, count - done, offset(slot) + (off_t)(at + done));

        if (some > 0)
            done += (size_t)some;
        else if (some == 0)
            return fail(failure, TRIT_DATA_LOSS, NULL,
                        "codes.slots ends in slot %" PRId64, slot);
        else if (errno != EINTR)
            return fail_errno(failure, "cannot read");
    }
    return 0;
}

int slots_read(const struct slots *slots, int64_t slot, void *bytes,
               struct failure *failure)
{
    const bool aligned = (uintptr_t)bytes % SLOT_ALIGNMENT == 0;

    return read_at(aligned ? slots->fd : slots->pieces, slot, 0, bytes, SLOT_BYTES,
                   failure);
}

int slots_read_part(const struct slots *slots, int64_t slot, size_t at, void *bytes,
                    size_t count, struct failure *failure)
{
    return read_at(slots->pieces, slot, at, bytes, count, failure);
}

void slots_read_begin(struct slots *slots)
{
    if (slots)
        pthread_rwlock_rdlock(&slots->readers);
}

void slots_read_end(struct slots *slots)
{
    if (slots)
        pthread_rwlock_unlock(&slots->readers);
}
