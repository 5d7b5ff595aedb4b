/* SPDX-License-Identifier: Apache-2.0 */
/* LayerReport as JSON: the names of the design, plus zero_fraction. One writer
 * for the daemon's HTTP pages and for `trit --json`. */
#ifndef PROTO_REPORT_JSON_H
#define PROTO_REPORT_JSON_H

#include "trit/types.h"

struct json_t;

/* A new jansson object (the caller decrefs), NULL on lack of memory. shape is
 * an array, digest lower-case hex, dtype a name ("f32"); fields that are absent
 * are null, and so are numbers that are not finite. */
struct json_t *report_json(const struct trit_report *report);

/* The same of one finding, with kind and severity as names; a field that does not
 * apply is left out. */
struct json_t *finding_json(const struct trit_finding *finding);

#endif
