/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_INTEROP_PLAIN_SERVICE_H
#define TESTS_INTEROP_PLAIN_SERVICE_H

#include "h2/session.h"

extern const struct h2_events plain_events;

#endif
