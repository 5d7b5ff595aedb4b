/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "obs/line.h"
#include "obs/log.h"
#include "obs/rate.h"
#include "tests/lib/check.h"
#include "tests/lib/clock.h"
#include "tests/lib/fault.h"

/* ---- fixture: a log that writes into a file -------------------------------------- */

struct fixture {
    int fd;
    struct log *log;
    char text[1 << 20]; /* what was written; times are replaced by T */
    char *next;
};

static void fixture_open(struct fixture *f, enum log_level level, enum log_format format)
{
    char path[] = "/tmp/test_log_XXXXXX";

    f->fd = mkostemp(path, O_APPEND);
    CHECK(f->fd >= 0 && unlink(path) == 0);
    f->log = log_create(f->fd, level, format);
    CHECK(f->log);
}

/* Cuts "2026-11-23T03:12:10.123456Z" out of every line, checking its form. */
static void hide_times(char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";
    const size_t length = sizeof(form) - 1;

    for (char *at = strstr(text, "time"); at; at = strstr(at + 1, "time")) {
        char *time = at + strcspn(at, "0123456789");

        for (size_t i = 0; i < length; i++)
            CHECK(form[i] == 'd' ? time[i] >= '0' && time[i] <= '9' : time[i] == form[i]);
        memmove(time + 1, time + length, strlen(time + length) + 1);
        *time = 'T';
    }
}

static void fixture_read(struct fixture *f)
{
    ssize_t got = pread(f->fd, f->text, sizeof(f->text) - 1, 0);

    CHECK(got >= 0);
    f->text[got] = '\0';
    hide_times(f->text);
    f->next = f->text;
}

/* The next line, without its newline; NULL after the last. */
static const char *next_line(struct fixture *f)
{
    char *line = f->next, *end = strchr(line, '\n');

    if (!end)
        return NULL;
    *end = '\0';
    f->next = end + 1;
    return line;
}

static void fixture_close(struct fixture *f)
{
    log_destroy(f->log);
    close(f->fd);
}

static struct fixture fixture;

/* ---- one line ---------------------------------------------------------------------- */

CASE(writes_logfmt, "an event is one line of logfmt")
{
    struct fixture *f = &fixture;

    fixture_open(f, LOG_INFO, LOG_LOGFMT);
    log_event(f->log, LOG_INFO, "conn_open",
              LOG_FIELDS(LOG_STR("peer", "127.0.0.1:5000"), LOG_U64("n", UINT64_MAX),
                         LOG_I64("i", INT64_MIN), LOG_F64("x", 0.1)));
    log_event(f->log, LOG_WARN, "odd",
              LOG_FIELDS(LOG_STR("a", ""), LOG_STR("b", "x y"), LOG_STR("c", "k=v"),
                         LOG_STR("d", "say \"hi\" \\"), LOG_STR("e", NULL),
                         LOG_F64("f", NAN)));
    log_event(f->log, LOG_ERROR, "bare", NULL);
    fixture_read(f);
    CHECK_STR(next_line(f), "time=T level=info event=conn_open peer=127.0.0.1:5000 "
                            "n=18446744073709551615 i=-9223372036854775808 x=0.1");
    CHECK_STR(next_line(f), "time=T level=warn event=odd a=\"\" b=\"x y\" c=\"k=v\" "
                            "d=\"say \\\"hi\\\" \\\\\" e=\"\" f=nan");
    CHECK_STR(next_line(f), "time=T level=error event=bare");
    CHECK(!next_line(f));
    fixture_close(f);
}

CASE(writes_json, "an event is one line of JSON")
{
    struct fixture *f = &fixture;

    fixture_open(f, LOG_DEBUG, LOG_JSON);
    log_event(f->log, LOG_DEBUG, "conn_open",
              LOG_FIELDS(LOG_STR("peer", "a\"b\\c\n\t"), LOG_U64("n", 7),
                         LOG_F64("x", 1.0 / 3), LOG_F64("inf", -(double)INFINITY)));
    fixture_read(f);
    CHECK_STR(next_line(f),
              "{\"time\":\"T\",\"level\":\"debug\",\"event\":\"conn_open\","
              "\"peer\":\"a\\\"b\\\\c\\n\\t\",\"n\":7,\"x\":0.33333333333333331,"
              "\"inf\":\"-inf\"}");
    fixture_close(f);
}

CASE(escapes_what_deceives, "control bytes, bidi controls and broken UTF-8 are escaped")
{
    static const struct {
        const char *text, *escaped;
    } cases[] = {
        {"\x1b[2J", "\\u001b[2J"},
        {"\x7f", "\\u007f"},
        {"\xc2\x9b", "\\u009b"},                /* C1: CSI */
        {"\xe2\x80\xae", "\\u202e"},            /* RLO */
        {"\xe2\x81\xa6", "\\u2066"},            /* LRI */
        {"\xd8\x9c", "\\u061c"},                /* ALM */
        {"\xe2\x80\xa8", "\\u2028"},            /* line separator */
        {"\xe2\x80\x8b", "\\u200b"},            /* zero-width space */
        {"\xf3\xa0\x80\xa1", "\\udb40\\udc21"}, /* a tag */
        {"\r\n", "\\u000d\\n"},
        {"\xff", "\\ufffd"},
        {"\xc0\xaf", "\\ufffd\\ufffd"},                       /* overlong */
        {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},            /* surrogate */
        {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"}, /* beyond Unicode */
        {"\xe2\x82", "\\ufffd\\ufffd"},                       /* cut */
        {"\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xef\xbf\xbd", "\xef\xbf\xbd"}, /* an honest U+FFFD */
    };
    struct fixture *f = &fixture;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[100];

        fixture_open(f, LOG_INFO, LOG_LOGFMT);
        log_event(f->log, LOG_INFO, "e", LOG_FIELDS(LOG_STR("v", cases[i].text)));
        fixture_read(f);
        snprintf(expected, sizeof(expected), "time=T level=info event=e v=\"%s\"",
                 cases[i].escaped);
        CHECK_STR(next_line(f), expected);
        fixture_close(f);
    }
}

CASE(lower_levels_are_silent,
     "events below the level, and without a log, are not written")
{
    struct fixture *f = &fixture;

    fixture_open(f, LOG_WARN, LOG_LOGFMT);
    log_event(f->log, LOG_INFO, "quiet", NULL);
    log_event(f->log, LOG_WARN, "heard", NULL);
    log_event(NULL, LOG_ERROR, "nobody", NULL);
    fixture_read(f);
    CHECK_STR(next_line(f), "time=T level=warn event=heard");
    CHECK(!next_line(f));
    fixture_close(f);
    log_destroy(NULL);
}

/* ---- bounds ------------------------------------------------------------------------ */

/* A flat JSON object on one line, no control byte in it. */
static void check_json_line(const char *bytes, size_t count)
{
    size_t at = 1;

    CHECK(count <= LINE_BYTES_MAX && bytes[0] == '{');
    CHECK(bytes[count - 2] == '}' && bytes[count - 1] == '\n');
    while (at < count - 2) {
        if (bytes[at] == '"') {
            for (at++; bytes[at] != '"'; at++) {
                CHECK(at < count - 2 && (unsigned char)bytes[at] >= 0x20);
                at += bytes[at] == '\\';
            }
        }
        CHECK(bytes[at] != '\n');
        at++;
    }
    CHECK_EQ(at, count - 2);
}

CASE(long_values_leave_space, "a long value is cut and leaves space for the next")
{
    static char text[100000];
    static const char end[] = "a\" after=5 truncated=true\n";
    struct line line;

    memset(text, 'a', sizeof(text) - 1);
    line_begin(&line, LOG_LOGFMT, "");
    line_put(&line, &(struct log_field)LOG_STR("long", text));
    line_put(&line, &(struct log_field)LOG_U64("after", 5));
    line_end(&line);
    CHECK(line.used < LINE_BYTES_MAX / 2);
    CHECK(strncmp(line.bytes, "long=\"aaaa", 10) == 0);
    CHECK_MEM(line.bytes + line.used - (sizeof(end) - 1), end, sizeof(end) - 1);
}

CASE(lines_stay_whole_at_every_length, "a line is whole and bounded whatever its values")
{
    static char text[LINE_BYTES_MAX];
    uint64_t random = check_seed();
    struct line line;

    for (size_t length = 0; length < 1600; length += 3) {
        for (size_t i = 0; i < length; i++)
            text[i] = (char)(1 + check_random(&random) % 255);
        text[length] = '\0';
        for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
            line_begin(&line, (enum log_format)format, "<6>");
            for (int i = 0; i < 5; i++) {
                line_put(&line, &(struct log_field)LOG_STR("value", text));
                line_put(&line, &(struct log_field)LOG_U64("number", UINT64_MAX));
            }
            line_end(&line);
            CHECK(memchr(line.bytes, '\n', line.used) == line.bytes + line.used - 1);
            if (format == LOG_JSON)
                check_json_line(line.bytes + 3, line.used - 3);
        }
    }
}

static size_t count_events(struct fixture *f, const char *event)
{
    size_t count = 0;
    const char *line;

    fixture_read(f);
    while ((line = next_line(f)))
        count += strstr(line, event) != NULL;
    return count;
}

CASE(busy_names_are_counted,
     "a frequent event is rate-limited, and what it lost is counted")
{
    struct fixture *f = &fixture;
    const char *line;

    fixture_open(f, LOG_INFO, LOG_LOGFMT);
    clock_advance_ns(2000000000);
    for (int i = 0; i < RATE_EVENTS_MAX + 100; i++)
        log_event(f->log, LOG_INFO, "busy", NULL);
    log_event(f->log, LOG_INFO, "other", NULL);
    CHECK_EQ(count_events(f, "event=busy"), RATE_EVENTS_MAX);
    CHECK_EQ(count_events(f, "event=other"), 1);
    CHECK_EQ(count_events(f, "log_suppressed"), 0);

    clock_advance_ns(1000000000);
    log_event(f->log, LOG_INFO, "other", NULL);
    log_event(f->log, LOG_INFO, "busy", NULL);
    fixture_read(f);
    for (int i = 0; i < RATE_EVENTS_MAX + 1; i++)
        next_line(f);
    line = next_line(f);
    CHECK_STR(line, "time=T level=warn event=log_suppressed of=busy count=100");
    CHECK_STR(next_line(f), "time=T level=info event=other");
    CHECK_STR(next_line(f), "time=T level=info event=busy");
    CHECK(!next_line(f));
    fixture_close(f);
}

CASE(callers_are_limited_apart,
     "a caller that floods the log does not hide others, and its lost events are counted")
{
    struct fixture *f = &fixture;
    const char *line;

    fixture_open(f, LOG_INFO, LOG_LOGFMT);
    for (int i = 0; i < RATE_EVENTS_MAX + 7; i++)
        log_event(f->log, LOG_INFO, "refused",
                  LOG_FIELDS(LOG_STR("peer", i % 2 ? "10.0.0.1:77" : "10.0.0.1:78"),
                             LOG_STR("method", "/a.B/C")));
    log_event(f->log, LOG_INFO, "refused", LOG_FIELDS(LOG_STR("peer", "10.0.0.2:77")));
    CHECK_EQ(count_events(f, "peer=10.0.0.1"), RATE_EVENTS_MAX);
    CHECK_EQ(count_events(f, "peer=10.0.0.2"), 1);
    clock_advance_ns(1000000000);
    log_event(f->log, LOG_INFO, "other", NULL);
    fixture_read(f);
    for (int i = 0; i < RATE_EVENTS_MAX + 1; i++)
        next_line(f);
    line = next_line(f);
    CHECK_STR(line, "time=T level=warn event=log_suppressed of=refused count=7 "
                    "peer=10.0.0.1 first=\"method=/a.B/C\"");
    fixture_close(f);
}

CASE(destroying_tells_what_was_kept_back,
     "destroying the log reports what was suppressed")
{
    struct fixture *f = &fixture;

    fixture_open(f, LOG_INFO, LOG_LOGFMT);
    for (int i = 0; i < RATE_EVENTS_MAX + 3; i++)
        log_event(f->log, LOG_INFO, "busy", NULL);
    log_destroy(f->log);
    CHECK_EQ(count_events(f, "event=log_suppressed of=busy count=3"), 1);
    f->log = NULL;
    fixture_close(f);
}

CASE(many_names_share_the_last_place, "event names that exceed the table share one entry")
{
    static char names[RATE_PAIRS_MAX + 50][16];
    struct fixture *f = &fixture;

    fixture_open(f, LOG_INFO, LOG_LOGFMT);
    for (size_t i = 0; i < RATE_PAIRS_MAX + 50; i++) {
        snprintf(names[i], sizeof(names[i]), "name_%zu", i);
        log_event(f->log, LOG_INFO, names[i], NULL);
    }
    CHECK_EQ(count_events(f, "event=name_"), RATE_PAIRS_MAX - 1 + RATE_EVENTS_MAX);
    clock_advance_ns(1000000000);
    log_event(f->log, LOG_INFO, names[0], NULL);
    CHECK_EQ(count_events(f, "event=log_suppressed of=others count=31"), 1);
    fixture_close(f);
}

/* ---- the world --------------------------------------------------------------------- */

CASE(failing_descriptor_is_ignored, "a write error of the log is ignored")
{
    struct log *log = log_create(-1, LOG_DEBUG, LOG_JSON);

    errno = 77;
    log_event(log, LOG_INFO, "lost", NULL);
    CHECK_EQ(errno, 77);
    log_destroy(log);
}

CASE(full_disk_is_ignored, "a failed write loses only its own line")
{
    struct fixture *f = &fixture;

    fixture_open(f, LOG_INFO, LOG_LOGFMT);
    fault_arm(FAULT_WRITE, 1, FAULT_ONCE);
    log_event(f->log, LOG_INFO, "lost", NULL);
    CHECK(fault_disarm());
    log_event(f->log, LOG_INFO, "kept", NULL);
    fixture_read(f);
    CHECK_STR(next_line(f), "time=T level=info event=kept");
    fixture_close(f);
}

CASE(journal_gets_priorities, "lines for the journal begin with their priority")
{
    struct fixture *f = &fixture;
    struct stat here;
    char stream[64];

    fixture_open(f, LOG_INFO, LOG_LOGFMT);
    log_destroy(f->log);
    CHECK(fstat(f->fd, &here) == 0);
    snprintf(stream, sizeof(stream), "%" PRIu64 ":%" PRIu64, here.st_dev, here.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    f->log = log_create(f->fd, LOG_DEBUG, LOG_LOGFMT);
    log_event(f->log, LOG_DEBUG, "a", NULL);
    log_event(f->log, LOG_ERROR, "b", NULL);
    log_destroy(f->log);
    setenv("JOURNAL_STREAM", "1:1", 1);
    f->log = log_create(f->fd, LOG_INFO, LOG_LOGFMT);
    unsetenv("JOURNAL_STREAM");
    log_event(f->log, LOG_INFO, "c", NULL);
    fixture_read(f);
    CHECK_STR(next_line(f), "<7>time=T level=debug event=a");
    CHECK_STR(next_line(f), "<3>time=T level=error event=b");
    CHECK_STR(next_line(f), "time=T level=info event=c");
    fixture_close(f);
}

enum { THREADS = 4, EVENTS = 200 };

static void *chatter(void *arg)
{
    struct log *log = arg;

    for (int i = 0; i < EVENTS; i++)
        log_event(log, LOG_INFO, i % 2 ? "chatter" : "murmur",
                  LOG_FIELDS(LOG_STR("text", "some words"), LOG_I64("i", i)));
    return NULL;
}

CASE(threads_write_whole_lines, "threads write whole lines")
{
    struct fixture *f = &fixture;
    pthread_t threads[THREADS];
    size_t lines = 0;
    const char *line;

    fixture_open(f, LOG_INFO, LOG_LOGFMT);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, chatter, f->log) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    fixture_read(f);
    for (; (line = next_line(f)); lines++)
        CHECK(strncmp(line, "time=T level=", 13) == 0);
    CHECK(lines >= 2 * RATE_EVENTS_MAX);
    fixture_close(f);
}

CASE(creation_fails_cleanly, "a log whose creation fails is NULL")
{
    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(!log_create(2, LOG_INFO, LOG_LOGFMT));
    CHECK(fault_disarm());
}
