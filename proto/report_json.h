/* LayerReport as JSON: the names of the design, plus zero_fraction. One writer
 * for the daemon's HTTP pages and for `trit --json`. */
#ifndef PROTO_REPORT_JSON_H
#define PROTO_REPORT_JSON_H

#include "trit/types.h"

struct json_t;

/* A new jansson object (the caller decrefs), NULL on lack of memory. shape is
 * an array, digest lower-case hex, dtype a name ("f32"); fields that are absent
 * are null; infinities are the strings "inf" and "-inf". */
struct json_t *report_json(const struct trit_report *report);

#endif
