/* SPDX-License-Identifier: Apache-2.0 */
/* LayerReport as JSON, with the field names of report.proto and zero_fraction in
 * addition. The daemon's HTTP pages and `trit --json` both use it. */
#ifndef PROTO_REPORT_JSON_H
#define PROTO_REPORT_JSON_H

#include "trit/types.h"

struct json_t;

/* A new jansson object, which the caller decrefs. NULL: out of memory. shape is an
 * array, digest is lower-case hex, dtype is a name ("f32"). Absent fields and numbers
 * that are not finite are null. */
struct json_t *report_json(const struct trit_report *report);

/* The same for one finding. kind and severity are names. A field that does not apply
 * is left out. */
struct json_t *finding_json(const struct trit_finding *finding);

#endif
