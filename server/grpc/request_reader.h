/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the bytes of a request into calls of the method's callbacks (method.h). */
#ifndef GRPC_REQUEST_READER_H
#define GRPC_REQUEST_READER_H

#include <stddef.h>
#include <stdint.h>

struct call;

enum { READER_STOPPED = 1 };

/* Takes DATA bytes of a call that is RECEIVING and advances *bytes and *count. -1:
 * call->failure is filled, and the caller must end the call. READER_STOPPED: the call
 * does not read now, and *count bytes are left, which may be 0; call it again with these
 * bytes when `resume` fires. Stops early if the method ends the call. */
int request_reader_feed(struct call *call, const uint8_t **bytes, size_t *count);

#endif
