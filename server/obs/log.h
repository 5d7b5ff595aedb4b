/* The log: one line per event on standard error, a stable event name plus
 * key=value (logfmt) or JSON. Thread-safe; never fails; rate-limited per event
 * name. Values are escaped: one event is one line whatever a peer sent. */
#ifndef OBS_LOG_H
#define OBS_LOG_H

#include <stdint.h>

#include "obs/field.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

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
void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields);

#endif
