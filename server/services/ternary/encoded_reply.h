/* SPDX-License-Identifier: Apache-2.0 */
/* The reply of the methods that encode a tensor, unary or in chunks: Project, Pack. */
#ifndef TERNARY_ENCODED_REPLY_H
#define TERNARY_ENCODED_REPLY_H

#include "services/ternary/tensor_call.h"

/* options.report of the request. -1: it is unknown, or NONE where a layer needs one. */
int encoded_reply_check_report(struct call *call, const struct wire_layer_ref *layer,
                               uint32_t report);

/* For a unary call, with its plan. RESOURCE_EXHAUSTED: the reply would be too large; the
 * message names the method `stream` instead. */
int encoded_reply_check(struct call *call, const char *stream);

/* All tiles are merged: makes the report if it was requested, stores it if the request
 * carries a layer, replies and ends the call. */
void encoded_reply(struct call *call);

#endif
