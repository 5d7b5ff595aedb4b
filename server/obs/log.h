/* The log: one line per event on standard error, a stable event name plus
 * key=value (logfmt) or JSON. Thread-safe; never fails; rate-limited per event
 * name. Values are escaped: one event is one line whatever a peer sent. */
#ifndef OBS_LOG_H
#define OBS_LOG_H

#include <stdint.h>

#include "base/status.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

enum {
    LOG_EVENTS_MAX = 20, /* of one name within a second; the rest is counted */
    LOG_NAMES_MAX = 128, /* event names told apart */
};

struct log;

/* `fd` is borrowed. NULL on lack of memory. Where fd leads to the systemd journal
 * lines carry their priority. */
struct log *log_create(int fd, enum log_level level, enum log_format format);

/* Says what is still counted as suppressed. NULL is harmless. */
void log_destroy(struct log *log);

/* log_event(log, LOG_INFO, "conn_open", LOG_FIELDS(LOG_STR("peer", peer),
 *           LOG_U64("streams", n))); a NULL log is silent. `event` and the keys
 * are literals: they are kept and not escaped. `fields` may be NULL. Keeps
 * errno. */
enum log_kind { LOG_KIND_END, LOG_KIND_STR, LOG_KIND_U64, LOG_KIND_I64, LOG_KIND_F64 };
struct log_field {
    const char *key;
    enum log_kind kind;
    union {
        const char *str;
        uint64_t u64;
        int64_t i64;
        double f64;
    } value;
};
void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields);

/* clang-format off: initializers, not blocks */
#define LOG_STR(k, v)                                                                    \
    {                                                                                    \
        .key = (k), .kind = LOG_KIND_STR, .value.str = (v)                               \
    }
#define LOG_U64(k, v)                                                                    \
    {                                                                                    \
        .key = (k), .kind = LOG_KIND_U64, .value.u64 = (v)                               \
    }
#define LOG_I64(k, v)                                                                    \
    {                                                                                    \
        .key = (k), .kind = LOG_KIND_I64, .value.i64 = (v)                               \
    }
#define LOG_F64(k, v)                                                                    \
    {                                                                                    \
        .key = (k), .kind = LOG_KIND_F64, .value.f64 = (v)                               \
    }
#define LOG_FIELDS(...)                                                                  \
    (const struct log_field[])                                                           \
    {                                                                                    \
        __VA_ARGS__,                                                                     \
        {                                                                                \
            .kind = LOG_KIND_END                                                         \
        }                                                                                \
    }
/* clang-format on */

#endif
