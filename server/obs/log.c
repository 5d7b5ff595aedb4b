/* SPDX-License-Identifier: Apache-2.0 */
/* log_event looks the event's name up in a bounded table. Of one name, the first
 * LOG_EVENTS_MAX events in a second are written and the others counted. The first
 * log_event after that second, or log_destroy, writes the count as an event of its
 * own. The mutex guards the table; a line is built and written without it. */
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

enum { WINDOW_NS = 1000000000 };

/* The names come from our own code. If the table is full, all other names share the
 * last place. */
struct rate {
    const char *event;         /* NULL: the place is free */
    uint64_t window_ns;        /* when its second began */
    uint64_t seen, suppressed; /* within it */
};

struct log {
    int fd;                 /* borrowed */
    _Atomic unsigned level; /* enum log_level */
    enum log_format format;
    bool journal; /* fd leads to the systemd journal: lines begin with <priority> */
    pthread_mutex_t mutex;
    struct rate rates[LOG_NAMES_MAX]; /* under the mutex */
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

/* The event's place in the table. Call it with the mutex held. */
static struct rate *rate_of(struct log *log, const char *event)
{
    size_t i = 0;

    while (i < LOG_NAMES_MAX - 1 && log->rates[i].event &&
           strcmp(log->rates[i].event, event) != 0)
        i++;
    if (!log->rates[i].event)
        log->rates[i].event = i < LOG_NAMES_MAX - 1 ? event : "others";
    return &log->rates[i];
}

static bool admit(struct log *log, const char *event, uint64_t now)
{
    struct rate *rate;
    bool admitted;

    pthread_mutex_lock(&log->mutex);
    rate = rate_of(log, event);
    if (rate->seen == 0 || now - rate->window_ns >= WINDOW_NS) {
        rate->window_ns = now;
        rate->seen = 0;
    }
    admitted = rate->seen < LOG_EVENTS_MAX;
    if (admitted)
        rate->seen++;
    else
        rate->suppressed++;
    pthread_mutex_unlock(&log->mutex);
    return admitted;
}

/* Takes one count of suppressed events whose second is over at `now`. */
static bool take_suppressed(struct log *log, uint64_t now, const char **event,
                            uint64_t *count)
{
    bool found = false;

    pthread_mutex_lock(&log->mutex);
    for (size_t i = 0; i < LOG_NAMES_MAX && log->rates[i].event && !found; i++) {
        struct rate *rate = &log->rates[i];

        found = rate->suppressed > 0 && now - rate->window_ns >= WINDOW_NS;
        if (found) {
            *event = rate->event;
            *count = rate->suppressed;
            rate->suppressed = 0;
        }
    }
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
    const char *event;
    uint64_t count;

    while (take_suppressed(log, now, &event, &count))
        write_event(log, LOG_WARN, "log_suppressed",
                    LOG_FIELDS(LOG_STR("of", event), LOG_U64("count", count)));
}

void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields)
{
    uint64_t now;

    if (!log || (unsigned)level < atomic_load_explicit(&log->level, memory_order_relaxed))
        return;
    now = clock_monotonic_ns();
    write_suppressed(log, now);
    if (admit(log, event, now))
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
