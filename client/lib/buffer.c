/* SPDX-License-Identifier: Apache-2.0 */
/* A buffer is registered when it is made, and again when it is used after the daemon has
 * restarted or a call has left it in doubt. In doubt: the client ended a call, but the daemon
 * may still write its reply. The buffer is then released, and `releasing` is the number of that
 * request; until the reply comes, no call may use the buffer. */
#include "client/lib/buffer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/clock.h"

enum { SETTLE_SLICE_MS = 20 }; /* the lock is held for so long while a reply is awaited */

struct trit_buffer {
    struct buffers *buffers; /* NULL: the client is closed */
    uint8_t *bytes;
    uint64_t size;       /* whole pages */
    int file;            /* -1: ordinary memory */
    uint64_t connection; /* on which it is registered; 0: on none */
    uint64_t refused;    /* connection on which the daemon did not take it */
    uint64_t releasing;  /* 0: it is not in doubt */
    uint64_t releasing_connection;
    uint8_t id[REGION_BUFFER_BYTES];
    struct trit_buffer *next;
};

static void on_released(struct memory_socket *socket, uint64_t sequence)
{
    struct buffers *buffers =
        (struct buffers *)(void *)((char *)socket - offsetof(struct buffers, socket));

    for (struct trit_buffer *buffer = buffers->first; buffer; buffer = buffer->next)
        if (buffer->releasing == sequence)
            buffer->releasing = 0;
}

void buffers_init(struct buffers *buffers, const struct address *address)
{
    *buffers = (struct buffers){.wait_ms = MEMORY_SOCKET_WAIT_MS};
    buffers->owner = getpid();
    memory_socket_init(&buffers->socket, address);
    buffers->socket.released = on_released;
    pthread_mutex_init(&buffers->lock, NULL);
}

void buffers_fini(struct buffers *buffers)
{
    for (struct trit_buffer *buffer = buffers->first; buffer; buffer = buffer->next)
        buffer->buffers = NULL;
    memory_socket_close(&buffers->socket);
    pthread_mutex_destroy(&buffers->lock);
}

/* ---- the caller's ------------------------------------------------------------------- */

/* Under the lock. Whether the daemon knows the buffer, after an attempt to make it known. */
static bool make_known(struct buffers *buffers, struct trit_buffer *buffer)
{
    struct memory_socket *socket = &buffers->socket;
    enum trit_status status;

    if (buffer->file < 0 || memory_socket_open(socket) < 0)
        return false;
    if (buffer->connection == socket->connection)
        return true;
    buffer->connection = 0;
    if (buffer->refused == socket->connection)
        return false;
    if (memory_socket_register(socket, buffer->file, buffer->size, 0, buffer->id,
                               &status) == 0) {
        buffer->connection = socket->connection;
        return true;
    }
    buffer->refused = socket->connection;
    return false;
}

static int map(struct trit_buffer *buffer, bool possible)
{
    const int flags = MAP_POPULATE;
    void *bytes;

    buffer->file = possible ? memory_file(buffer->size) : -1;
    bytes = mmap(NULL, (size_t)buffer->size, PROT_READ | PROT_WRITE,
                 flags | (buffer->file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED),
                 buffer->file, 0);
    if (bytes == MAP_FAILED && buffer->file >= 0)
        close(buffer->file);
    buffer->bytes = bytes;
    return bytes == MAP_FAILED ? -1 : 0;
}

/* Whether the system could ever hold so many bytes. It gives a file in memory page by page
 * until it must end a process; only ordinary memory does it refuse in time. */
static bool fits_memory(uint64_t bytes)
{
    struct sysinfo info;

    return sysinfo(&info) < 0 || bytes / info.mem_unit <= info.totalram + info.totalswap;
}

struct trit_buffer *buffer_new(struct buffers *buffers, uint64_t bytes)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct trit_buffer *buffer = NULL;

    if (bytes <= INT64_MAX - page && fits_memory(bytes))
        buffer = calloc(1, sizeof(*buffer));
    if (!buffer)
        return NULL;
    buffer->size = (bytes + page - 1) / page * page;
    if (map(buffer, buffers->socket.possible) < 0) {
        free(buffer);
        return NULL;
    }
    pthread_mutex_lock(&buffers->lock);
    buffer->buffers = buffers;
    buffer->next = buffers->first;
    buffers->first = buffer;
    make_known(buffers, buffer);
    pthread_mutex_unlock(&buffers->lock);
    return buffer;
}

void *trit_buffer_data(const struct trit_buffer *buffer)
{
    return buffer ? buffer->bytes : NULL;
}

bool trit_buffer_is_shared(const struct trit_buffer *buffer)
{
    bool shared;

    if (!buffer || !buffer->buffers)
        return false;
    pthread_mutex_lock(&buffer->buffers->lock);
    shared = buffer->connection > 0 &&
             buffer->connection == buffer->buffers->socket.connection;
    pthread_mutex_unlock(&buffer->buffers->lock);
    return shared;
}

static void take_out(struct buffers *buffers, struct trit_buffer *buffer)
{
    struct trit_buffer **at = &buffers->first;

    pthread_mutex_lock(&buffers->lock);
    while (*at != buffer)
        at = &(*at)->next;
    *at = buffer->next;
    if (buffer->connection > 0 && buffer->connection == buffers->socket.connection &&
        buffers->socket.fd >= 0)
        memory_socket_release(&buffers->socket, buffer->id);
    pthread_mutex_unlock(&buffers->lock);
}

void trit_buffer_free(struct trit_buffer *buffer)
{
    if (!buffer)
        return;
    if (buffer->buffers && buffer->buffers->owner == getpid())
        take_out(buffer->buffers, buffer);
    munmap(buffer->bytes, (size_t)buffer->size);
    if (buffer->file >= 0)
        close(buffer->file);
    free(buffer);
}

/* ---- regions of a call ---------------------------------------------------------------- */

void buffer_use_init(struct buffer_use *use, struct buffers *buffers)
{
    *use = (struct buffer_use){.buffers = buffers};
}

static struct trit_buffer *find(const struct buffers *buffers, const void *bytes,
                                uint64_t count)
{
    const uintptr_t from = (uintptr_t)bytes;

    for (struct trit_buffer *buffer = buffers->first; buffer; buffer = buffer->next) {
        const uintptr_t begin = (uintptr_t)buffer->bytes;

        if (from >= begin && from - begin <= buffer->size &&
            count <= buffer->size - (from - begin))
            return buffer;
    }
    return NULL;
}

bool buffers_hold(struct buffers *buffers, const void *bytes, uint64_t count)
{
    bool held;

    pthread_mutex_lock(&buffers->lock);
    held = find(buffers, bytes, count);
    pthread_mutex_unlock(&buffers->lock);
    return held;
}

/* Under the lock. Waits for at most `wait_ms`. The daemon closes the socket when it ends. */
static bool is_settled(struct buffers *buffers, struct trit_buffer *buffer, int wait_ms)
{
    struct memory_socket *socket = &buffers->socket;

    if (!buffer->releasing)
        return true;
    if (socket->fd < 0 || socket->connection != buffer->releasing_connection ||
        memory_socket_wait(socket, wait_ms) < 0)
        buffer->releasing = 0;
    return buffer->releasing == 0;
}

static int add_region(struct buffer_use *use, const char *field, const void *bytes,
                      uint64_t count, struct wire_region *region, bool writes,
                      struct failure *failure)
{
    struct trit_buffer *buffer = find(use->buffers, bytes, count);

    *region = (struct wire_region){.present = false};
    if (!buffer)
        return 0;
    if (!is_settled(use->buffers, buffer, 0))
        return fail_field(failure, TRIT_UNAVAILABLE, field,
                          "lies in a buffer to which the daemon may still write the "
                          "result of a call that ended early; try again later");
    if (!make_known(use->buffers, buffer))
        return 0;
    region->present = region->is_id = true;
    region->offset = (uint64_t)((const uint8_t *)bytes - buffer->bytes);
    region->bytes = count;
    memcpy(region->buffer, buffer->id, sizeof(region->buffer));
    use->held[use->count++] = buffer;
    if (writes) {
        use->written = buffer;
        use->written_connection = buffer->connection;
        memcpy(use->written_id, buffer->id, sizeof(use->written_id));
    } else {
        use->bytes += count;
    }
    return 0;
}

static int locked_add(struct buffer_use *use, const char *field, const void *bytes,
                      uint64_t count, struct wire_region *region, bool writes,
                      struct failure *failure)
{
    int result;

    pthread_mutex_lock(&use->buffers->lock);
    result = add_region(use, field, bytes, count, region, writes, failure);
    pthread_mutex_unlock(&use->buffers->lock);
    return result;
}

int buffer_use_request(struct buffer_use *use, const char *field, const void *bytes,
                       uint64_t count, struct wire_region *region,
                       struct failure *failure)
{
    return locked_add(use, field, bytes, count, region, false, failure);
}

int buffer_use_reply(struct buffer_use *use, const char *field, const void *bytes,
                     uint64_t count, struct wire_region *region, struct failure *failure)
{
    return locked_add(use, field, bytes, count, region, true, failure);
}

/* ---- a call that ended before the daemon ended it ------------------------------------- */

/* Under the lock. Another call may have released the same id already. */
static void release_written(struct buffer_use *use)
{
    struct trit_buffer *buffer = use->written;
    struct memory_socket *socket = &use->buffers->socket;

    if (buffer->connection != use->written_connection || socket->fd < 0 ||
        socket->connection != use->written_connection ||
        memcmp(buffer->id, use->written_id, sizeof(use->written_id)) != 0)
        return;
    buffer->connection = 0;
    buffer->releasing = memory_socket_release(socket, use->written_id);
    buffer->releasing_connection = socket->connection;
}

static void settle(struct buffer_use *use)
{
    const uint64_t until = clock_monotonic_ns() + use->buffers->wait_ms * 1000000ull;
    bool settled;

    pthread_mutex_lock(&use->buffers->lock);
    release_written(use);
    pthread_mutex_unlock(&use->buffers->lock);
    do {
        pthread_mutex_lock(&use->buffers->lock);
        settled = is_settled(use->buffers, use->written, SETTLE_SLICE_MS);
        pthread_mutex_unlock(&use->buffers->lock);
    } while (!settled && clock_monotonic_ns() < until);
}

bool region_field(const char *field)
{
    return strstr(field, ".region") || strcmp(field, "options.reply") == 0 ||
           strcmp(field, "reply") == 0;
}

bool buffer_use_end(struct buffer_use *use, bool settled, const struct failure *failure)
{
    const bool unknown = use->count > 0 && failure->status == TRIT_FAILED_PRECONDITION &&
                         region_field(failure->field);

    if (use->written && !settled)
        settle(use);
    if (!unknown)
        return false;
    pthread_mutex_lock(&use->buffers->lock);
    for (size_t i = 0; i < use->count; i++)
        use->held[i]->connection = 0;
    pthread_mutex_unlock(&use->buffers->lock);
    return true;
}

int buffer_attempts(buffer_attempt attempt, void *call, struct failure *failure)
{
    int rc = attempt(call, failure);

    if (rc <= 0)
        return rc;
    *failure = (struct failure){.status = TRIT_OK};
    rc = attempt(call, failure);
    return rc > 0 ? -1 : rc;
}
