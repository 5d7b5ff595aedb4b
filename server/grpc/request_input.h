/* SPDX-License-Identifier: Apache-2.0 */
/* DATA bytes of a request on their way to the request reader. They are held while the
 * call does not read (call->throttle), and read later in the order in which they came.
 * The peer gets no credit for held bytes, so its window bounds them. */
#ifndef GRPC_REQUEST_INPUT_H
#define GRPC_REQUEST_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct call;

/* All three end the call if the method or the reader fails. */
void input_take(struct call *call, const uint8_t *bytes, size_t count);
void input_end(struct call *call); /* the peer half-closed */
void input_resume(struct call *call);

/* Frees what is held. */
void input_fini(struct call *call);

#endif
