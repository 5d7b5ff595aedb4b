/* SPDX-License-Identifier: Apache-2.0 */
/* Entity tags and compression of replies. */
#ifndef WEB_ENCODE_H
#define WEB_ENCODE_H

#include "web/request.h"

enum {
    GZIP_BYTES_MIN = 1024, /* a shorter body is sent as it is */
};

/* Whether the reply may be sent as the request's If-Match asks. -1: it has become a 412
 * (FAILED_PRECONDITION). */
int reply_check(struct reply *reply, const struct request *request,
                struct failure *failure);

/* Makes the reply of a page cheaper for a client that says how. Sets reply->tag to a tag
 * of the body. If the request has this tag, the reply becomes an empty 304; otherwise, if
 * the client takes gzip, the body is compressed. Short of memory, the body stays as it
 * is. */
void reply_encode(struct reply *reply, const struct route *route,
                  const struct request *request);

#endif
