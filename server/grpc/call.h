/* SPDX-License-Identifier: Apache-2.0 */
/* One RPC on one stream: headers, messages, deadline, reply, end.
 *
 *   RECEIVING --half-close--> WORKING --reply--> ENDED --stream closed--> CLOSED
 *       |                        |                 ^                        ^
 *       +--------- failure or early reply ---------+                        |
 *       +------------ reset or disconnect, from any state ------------------+
 *
 * `cancelled` is independent of the state. A failure, the deadline or a reset sets it
 * once; workers read it. A call is freed in one place: when it is CLOSED and nothing
 * references it. Only the loop's thread calls these functions. */
#ifndef GRPC_CALL_H
#define GRPC_CALL_H

#include <stdatomic.h>

#include "async/loop.h"
#include "base/states.h"
#include "grpc/compression.h"
#include "grpc/context.h"
#include "grpc/metadata.h"
#include "grpc/method.h"
#include "grpc/trace.h"
#include "h2/session.h"
#include "proto/framing.h"
#include "proto/scan.h"

enum call_state { CALL_RECEIVING, CALL_WORKING, CALL_ENDED, CALL_CLOSED, CALL_STATES };
extern const struct states call_states;

/* Why the peer gets no further credit for now. For the last two reasons, bytes that have
 * come all the same are held and not read. */
enum call_throttle {
    THROTTLE_TILES = 1,
    THROTTLE_STORE = 2,
    THROTTLE_REPLY = 4, /* the peer does not read the replies to its messages */
    THROTTLE_TURN = 8,  /* other calls have their turn before more is decompressed */
};

enum {
    /* Of a call that writes messages: above this the method stops writing, and a
     * bidirectional call reads no further message. */
    REPLY_QUEUE_BYTES_MAX = 256 << 10,
};

/* Whether a message is compressed, if the client accepts a coding. README.md has the
 * rule. */
enum call_compress { COMPRESS_AUTO, COMPRESS_NEVER, COMPRESS_ALWAYS };

/* DATA bytes that came while the call did not read. The peer's window bounds them. */
struct held {
    uint8_t *bytes;
    size_t at, count, capacity;
    bool stopped; /* the reader stopped; more bytes are held too */
    bool ended;   /* END_STREAM came */
};

/* The message that is being read or was read last. */
struct decoded {
    bool compressed; /* its flag */
    bool active;     /* it is being decompressed */
    uint64_t bytes, bytes_max;
    uint64_t turn_bytes; /* in this turn of the loop */
};

/* How fast the peer sends and reads (rate.h): as of the start of the window. */
struct call_rate {
    uint64_t begin_ns;
    uint64_t received; /* DATA bytes, always counted */
    uint64_t seen_received, seen_taken, connection_received, connection_sent;
    uint32_t messages;
    bool in_message; /* the peer had begun a message and had credit */
    bool waits;      /* replies waited */
};

struct call {
    struct grpc *grpc;
    const struct grpc_config *config; /* of grpc */
    void *service;                    /* of the config */
    struct list link;                 /* in grpc->calls */
    struct h2_stream *stream;         /* NULL once CLOSED */
    struct account *account; /* of the connection; it lives as long as the call */
    size_t scan_charged;     /* bytes of `scan` charged to it */
    const struct method *method;
    size_t method_id;
    enum call_state state;
    _Atomic bool cancelled;
    bool admitted;       /* its work has begun; it is not refused any more */
    bool responded;      /* response headers were sent */
    uint32_t throttle;   /* of enum call_throttle */
    uint32_t references; /* jobs and others that point to the call */
    uint32_t messages;   /* begun so far */
    size_t credit_owed;
    size_t
        credit_kept; /* of it, for bytes that the method still has; see call_keep_credit */
    struct held held;
    struct timer timer;
    struct timer resume; /* takes up held bytes, or a reply that waits for its peer */
    bool awaits_writable;
    uint64_t started_ns, deadline_ns; /* deadline 0 = none */
    uint64_t active_ns; /* of the last byte in either direction, to a tick */
    struct call_rate rate;
    size_t queued_seen; /* reply bytes not sent when last checked */
    struct deframer deframer;
    struct scan scan;
    struct inflater *inflater; /* NULL before the first compressed message */
    struct decoded decoded;
    enum coding request_coding, reply_coding;
    bool coding_sent; /* grpc-encoding is in the response headers */
    enum call_compress compress;
    /* Of the request, while method->begin runs; later empty. */
    struct request_headers headers;
    struct metadata *metadata; /* of the reply; NULL: none */
    struct call_label labels[CALL_LABELS_MAX];
    size_t label_count;
    void *method_state;
    /* Long texts, mostly unused: not zeroed, but cleared, when the call begins. */
    struct call_trace trace;
    struct failure failure;
};

/* Adds what the call is about to its line in the log, such as the name of a run. `key` is
 * a literal; `value` must live as long as the call. At most CALL_LABELS_MAX. */
void call_label(struct call *call, const char *key, const char *value);

/* Adds a field to the reply's headers, before they are sent, or to its trailers: see
 * metadata_add. -1: call->failure is filled. */
int call_add_metadata(struct call *call, enum metadata_place place, const char *name,
                      const void *value, size_t count);

/* Sends the response headers now, if they were not sent: a client may wait for them
 * before the first message. */
void call_respond(struct call *call);

/* Lends a slice to the stream. Sends the response headers before the first one. */
void call_write(struct call *call, struct h2_slice *slice);

/* Copies up to a few KiB and lends the copy. -1: memory ran out. */
int call_write_copy(struct call *call, const void *bytes, size_t count);

/* Sends a whole message: copies it, with its prefix, or compresses it. For small messages
 * only. -1: memory ran out. */
int call_write_message(struct call *call, const void *bytes, size_t count);

/* For a method that writes many messages: false when the peer has REPLY_QUEUE_BYTES_MAX
 * or more still to read. method->writable is called later then. */
bool call_writable(struct call *call);

/* Ends the call with OK, or with call->failure if that is filled. Only the first call of
 * this function has an effect. */
void call_end(struct call *call);

/* Adds and removes a reference. The call is not freed while it has references; releasing
 * the last one may free it. */
void call_hold(struct call *call);
void call_release(struct call *call);

/* Sets or clears a reason to withhold credit. */
void call_throttle(struct call *call, enum call_throttle reason, bool on);

/* `bytes` that the method was given still take memory: the peer gets no credit for them, up to
 * half of the stream's window. The next call_throttle or arriving bytes give the rest. */
void call_keep_credit(struct call *call, uint64_t bytes);

/* ---- inside grpc: what the events of a stream do to its call ----------------------- */

/* Sets `cancelled` and tells the method, once. */
void call_cancel(struct call *call);

/* Counts and logs the call's end, which call->failure describes. */
void call_log_end(struct call *call);

/* Lets `resume` fire in the loop's next turn. */
void call_resume_soon(struct call *call);

/* The memory of a call: it begins with the struct, and behind that, after call_bytes(NULL),
 * stands the method's state. */
size_t call_bytes(const struct method *method);

/* Frees a CLOSED call that nothing holds. */
void call_free_if_done(struct call *call);

/* Returns the credit owed to the peer, unless the call is throttled. */
void call_give_credit(struct call *call);

#endif
