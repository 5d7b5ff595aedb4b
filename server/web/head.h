/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request: its line and header fields, up to the empty line. A head is
 * examined before the HTTP library sees it, so that every request that the library gets
 * is whole and well-formed, and so that a refusal is our own document. */
#ifndef WEB_HEAD_H
#define WEB_HEAD_H

#include <stddef.h>

#include "base/status.h"

enum {
    HTTP_HEAD_BYTES_MAX = 16 << 10, /* line and fields; 431 */
    HTTP_LINE_BYTES_MAX = 8 << 10,  /* the request line alone; 414 */
    HTTP_FIELDS_MAX = 100,          /* 431 */
    HTTP_AUTHORITY_BYTES = 256,     /* host and port of a target in absolute form; 400 */
};

struct head {
    size_t scanned;       /* bytes that have no end of the head in them */
    unsigned http_status; /* of a refusal */
    /* Of a whole head whose target is a URI (`GET http://host/path HTTP/1.1`): host and
     * port, which count instead of Host, and the bytes that head_to_path cuts out. "" and
     * 0: the target is a path. */
    char authority[HTTP_AUTHORITY_BYTES];
    size_t cut_at, cut_bytes;
};

/* Looks at the first `count` bytes of a request. 1: *length bytes are a whole head. 0:
 * more must come. -1: it is refused with head->http_status and *failure. */
int head_examine(struct head *head, const char *bytes, size_t count, size_t *length,
                 struct failure *failure);

/* Makes the target of a whole head a path. Returns how many bytes of `bytes` are gone;
 * those behind them have moved up. */
size_t head_to_path(const struct head *head, char *bytes, size_t count);

#endif
