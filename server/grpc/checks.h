/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals that the methods of every service make alike. */
#ifndef GRPC_CHECKS_H
#define GRPC_CHECKS_H

#include <stdint.h>

struct call;
struct enum_names;

/* A decoder's refusal as the call's failure: -1. Its field is `path` ("tensor.")
 * followed by what precedes ':' in `error`. */
int decode_failed(struct call *call, const char *path, const char *error);

/* Fails unless `value` has a name: "options.mode: 7 is not a VerifyMode". */
int check_enum(struct call *call, const char *field, const struct enum_names *names,
               uint32_t value);

#endif
