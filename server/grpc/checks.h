/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that the methods of all services share. A check that fails fills
 * call->failure with INVALID_ARGUMENT and returns -1. */
#ifndef GRPC_CHECKS_H
#define GRPC_CHECKS_H

#include <stdint.h>

struct call;
struct enum_names;

/* Makes a decoder's error the call's failure and returns -1. The field is `path`
 * ("tensor.") followed by the part of `error` before ':'. */
int decode_failed(struct call *call, const char *path, const char *error);

/* Fails unless `value` has a name: "options.mode: 7 is not a VerifyMode". */
int check_enum(struct call *call, const char *field, const struct enum_names *names,
               uint32_t value);

#endif
