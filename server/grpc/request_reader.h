/* SPDX-License-Identifier: Apache-2.0 */
/* The request's bytes on their way to the method: deframed, scanned, told. */
#ifndef GRPC_REQUEST_READER_H
#define GRPC_REQUEST_READER_H

#include <stddef.h>
#include <stdint.h>

struct call;

/* Takes DATA bytes of a call that is RECEIVING. -1: call->failure is filled and
 * the call is to be ended. Stops early when the method ended the call. */
int request_reader_feed(struct call *call, const uint8_t *bytes, size_t count);

#endif
