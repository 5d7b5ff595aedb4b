/* SPDX-License-Identifier: Apache-2.0 */
/* The log: one line per event, with a stable event name and fields, as logfmt or
 * JSON. Thread-safe; never fails; limited for each event name and caller (rate.h).
 * Values are escaped, so an
 * event is one line whatever a peer sent. */
#ifndef OBS_LOG_H
#define OBS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "obs/field.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log;

/* Borrows `fd`. When fd is the systemd journal's stream, lines begin with their
 * priority. NULL: out of memory. */
struct log *log_create(int fd, enum log_level level, enum log_format format);

/* Any thread. NULL is harmless. */
void log_set_level(struct log *log, enum log_level level);

/* Whether events of this level are logged now. */
bool log_wants(const struct log *log, enum log_level level);

/* Logs the counts of suppressed events first. NULL is harmless. */
void log_destroy(struct log *log);

/* log_event(log, LOG_INFO, "conn_open", LOG_FIELDS(LOG_STR("peer", peer),
 *           LOG_U64("streams", n)));
 * A NULL log logs nothing. `event` and the keys are literals: the log keeps the
 * pointers and does not escape them. A text field "peer" is the caller. `fields` may be
 * NULL. Keeps errno. */
void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields);

#endif
