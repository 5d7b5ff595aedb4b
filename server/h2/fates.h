/* SPDX-License-Identifier: Apache-2.0 */
/* What became of the newest streams of a session. nghttp2 forgets a stream when it
 * closes, and then ignores DATA and HEADERS on it, because they may have been on their
 * way when we closed the stream. This record tells such frames from those of a peer that
 * closed the stream itself, which are errors (RFC 9113, 5.1). Frames on streams that are
 * older than the record are ignored. */
#ifndef H2_FATES_H
#define H2_FATES_H

#include <stdint.h>

enum { FATES_KEPT = 128 };

enum fate {
    FATE_NEVER_OPENED, /* the peer skipped the id, which it may not use any more */
    FATE_OPENED,       /* if it is closed now, we closed it: late frames are no error */
    FATE_PEER_ENDED,   /* END_STREAM was received */
    FATE_PEER_RESET,   /* RST_STREAM was received */
    FATE_UNKNOWN,      /* never opened yet, or older than the record */
};

struct fates {
    uint32_t newest; /* the highest id of a stream that the peer opened */
    uint8_t kept[FATES_KEPT];
};

/* The peer opens a stream. Ids that are even or not above the newest have no effect. */
void fates_open(struct fates *fates, uint32_t id);

/* No effect on a stream that is FATE_UNKNOWN. */
void fates_set(struct fates *fates, uint32_t id, enum fate fate);

enum fate fates_get(const struct fates *fates, uint32_t id);

#endif
