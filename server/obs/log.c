/* SPDX-License-Identifier: Apache-2.0 */
/* rate.h says which events are written. The first log_event after the second of a limit,
 * or log_destroy, writes the count of suppressed events as an event of its own. The mutex
 * guards the limits; a line is built and written without it. */
#include "obs/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "obs/line.h"
#include "obs/rate.h"

struct log {
    int fd;                 /* borrowed */
    _Atomic unsigned level; /* enum log_level */
    enum log_format format;
    bool journal; /* fd leads to the systemd journal: lines begin with <priority> */
    pthread_mutex_t mutex;
    struct rates rates; /* under the mutex */
};

static const struct {
    const char *name, *priority; /* sd-daemon(3) */
} levels[] = {
    [LOG_DEBUG] = {"debug", "<7>"},
    [LOG_INFO] = {"info", "<6>"},
    [LOG_WARN] = {"warn", "<4>"},
    [LOG_ERROR] = {"error", "<3>"},
};

/* $JOURNAL_STREAM has the "device:inode" of the stream that systemd opened; fd may
 * have been redirected since (systemd.exec(5)). */
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat here;

    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(fd, &here) == 0 && here.st_dev == device && here.st_ino == inode;
}

struct log *log_create(int fd, enum log_level level, enum log_format format)
{
    struct log *log = calloc(1, sizeof(*log));

    if (!log)
        return NULL;
    log->fd = fd;
    log->level = level;
    log->format = format;
    log->journal = is_journal(fd);
    pthread_mutex_init(&log->mutex, NULL);
    return log;
}

void log_set_level(struct log *log, enum log_level level)
{
    if (log)
        atomic_store_explicit(&log->level, (unsigned)level, memory_order_relaxed);
}

/* The address of the caller, or NULL. */
static const char *peer_of(const struct log_field *fields)
{
    for (; fields && fields->kind != LOG_KIND_END; fields++)
        if (fields->kind == LOG_KIND_STR && strcmp(fields->key, "peer") == 0)
            return fields->value.str;
    return NULL;
}

/* Keeps the fields of a line, as logfmt, as an example of what is suppressed. */
static void keep_first(struct rate *rate, const struct log_field *fields)
{
    struct line line;

    line_begin(&line, LOG_LOGFMT, "");
    for (; fields && fields->kind != LOG_KIND_END; fields++)
        if (strcmp(fields->key, "peer") != 0)
            line_put(&line, fields);
    snprintf(rate->first, sizeof(rate->first), "%.*s", (int)line.used, line.bytes);
}

static bool admit(struct log *log, const char *event, const struct log_field *fields,
                  uint64_t now)
{
    struct rate *rate;
    bool admitted;

    pthread_mutex_lock(&log->mutex);
    rate = rate_of(&log->rates, event, peer_of(fields), now);
    admitted = rate_admit(rate, now);
    if (!admitted && rate->first[0] == '\0')
        keep_first(rate, fields);
    pthread_mutex_unlock(&log->mutex);
    return admitted;
}

static bool take_suppressed(struct log *log, uint64_t now, struct rate *taken)
{
    bool found;

    pthread_mutex_lock(&log->mutex);
    found = rate_take_suppressed(&log->rates, now, taken);
    pthread_mutex_unlock(&log->mutex);
    return found;
}

/* "2026-11-23T03:12:10.123456Z" */
static void time_text(char text[40])
{
    int64_t now = clock_unix_ns();
    time_t seconds = (time_t)(now / 1000000000);
    struct tm utc;
    size_t at;

    gmtime_r(&seconds, &utc);
    at = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + at, 40 - at, ".%06dZ", (int)(now % 1000000000 / 1000));
}

/* Writes the line at once. Bytes that the descriptor does not take are lost: the log
 * must not stop the daemon. */
static void write_line(const struct log *log, const struct line *line)
{
    size_t at = 0;

    while (at < line->used) {
        ssize_t got = write(log->fd, line->bytes + at, line->used - at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        at += (size_t)got;
    }
}

static void write_event(const struct log *log, enum log_level level, const char *event,
                        const struct log_field *fields)
{
    int saved = errno;
    struct line line;
    char now[40];

    time_text(now);
    line_begin(&line, log->format, log->journal ? levels[level].priority : "");
    line_put(&line, &(struct log_field)LOG_STR("time", now));
    line_put(&line, &(struct log_field)LOG_STR("level", levels[level].name));
    line_put(&line, &(struct log_field)LOG_STR("event", event));
    for (; fields && fields->kind != LOG_KIND_END; fields++)
        line_put(&line, fields);
    line_end(&line);
    write_line(log, &line);
    errno = saved;
}

static void write_suppressed(struct log *log, uint64_t now)
{
    struct rate rate;

    while (take_suppressed(log, now, &rate)) {
        struct log_field fields[5];
        size_t count = 0;

        fields[count++] = (struct log_field)LOG_STR("of", rate.event);
        fields[count++] = (struct log_field)LOG_U64("count", rate.suppressed);
        if (rate.caller[0])
            fields[count++] = (struct log_field)LOG_STR("peer", rate.caller);
        if (rate.first[0])
            fields[count++] = (struct log_field)LOG_STR("first", rate.first);
        fields[count] = (struct log_field){.kind = LOG_KIND_END};
        write_event(log, LOG_WARN, "log_suppressed", fields);
    }
}

bool log_wants(const struct log *log, enum log_level level)
{
    return log &&
           (unsigned)level >= atomic_load_explicit(&log->level, memory_order_relaxed);
}

void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields)
{
    uint64_t now;

    if (!log_wants(log, level))
        return;
    now = clock_monotonic_ns();
    write_suppressed(log, now);
    if (admit(log, event, fields, now))
        write_event(log, level, event, fields);
}

void log_destroy(struct log *log)
{
    if (!log)
        return;
    write_suppressed(log, UINT64_MAX);
    pthread_mutex_destroy(&log->mutex);
    free(log);
}
