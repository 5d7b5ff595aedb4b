/* SPDX-License-Identifier: Apache-2.0 */
/* What a client takes: the lists of Accept and Accept-Encoding, with their q (RFC 9110, 12.4). */
#ifndef WEB_ACCEPT_H
#define WEB_ACCEPT_H

#include <stdbool.h>

enum { QUALITY_ABSENT = -1, QUALITY_MAX = 1000 };

/* The greatest q that the list gives this name, in thousandths; 0: it is refused. Other
 * parameters are not looked at. `list` may be NULL. */
int quality_of(const char *list, const char *name);

bool accepts_gzip(const char *accept_encoding);

/* Whether it is named, and text/plain is not liked better. */
bool accepts_openmetrics(const char *accept);

#endif
