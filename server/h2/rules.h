/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP's rules for the fields of a request: RFC 9113, sections 8.2, 8.3 and 8.5, and RFC 9110,
 * section 8.6. nghttp2 checks them for every request; sessions turn that off. They check here, and
 * only the requests whose fields differ from those of the request before. */
#ifndef H2_RULES_H
#define H2_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "h2/session.h"

enum rules_fault {
    RULES_KEPT,
    RULES_BAD_FIELD,     /* `field` breaks a rule */
    RULES_FIELD_MISSING, /* a pseudo-header field is missing, or they contradict each other */
};

struct rules_result {
    enum rules_fault fault;
    size_t field;           /* of RULES_BAD_FIELD: its index */
    int64_t content_length; /* bytes; -1: no such field, or CONNECT */
};

struct rules_result rules_check(const struct h2_header *fields, size_t count);

/* Whether a field may stand behind a request's body. */
bool rules_allow_trailer(const struct h2_header *field);

#endif
