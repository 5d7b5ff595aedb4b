/* SPDX-License-Identifier: Apache-2.0 */
/* Every bound of the daemon, with its unit and default. Those in `struct limits` can be
 * configured; the constants are part of the contract. A request above a bound is refused
 * with the status given here, and the metric tritd_limit_refusals_total{limit="<name>"}
 * counts it. docs/limits.md lists them, and each has a test (make lint). */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <stdint.h>

enum {
    GROUP_SIZE_DEFAULT = 128,
    GROUP_SIZE_MAX = 65536,     /* elements; INVALID_ARGUMENT */
    HEADER_FIELDS_MAX = 100,    /* per request; RESOURCE_EXHAUSTED */
    HEADER_BYTES_MAX = 16384,   /* name + value + 32 each; RESOURCE_EXHAUSTED */
    ENVELOPE_BYTES_MAX = 16384, /* small fields of a (sub)message; RESOURCE_EXHAUSTED */
    TLS_HANDSHAKE_BYTES_MAX = 65536, /* received before it is complete; alert, closed */
    CHUNK_BYTES_MAX = 4 << 20,       /* data of one TensorChunk; INVALID_ARGUMENT */
    REPLY_CHUNK_BYTES_MAX = 2 << 20, /* data of one reply chunk we send */
    HTTP_CONNECTIONS_MAX = 1024,     /* as a value of http_connections_max */
    LOOPS_MAX = 64,                  /* as a value of loops */
    STREAMS_MAX = 1000000,           /* as a value of streams_per_connection_max */
    METRICS_RUNS_MAX = 1000,         /* as a value of metrics_runs_max */
    LIST_PAGE_MAX = 1000,            /* reports or layers in one page; clamped */
    LAYERS_MAX = 65536,              /* held at once; RESOURCE_EXHAUSTED */
    HEALTH_WATCHES_PER_CONNECTION_MAX = 16, /* RESOURCE_EXHAUSTED */
    HEALTH_WATCHES_MAX = 4096,              /* of all connections; RESOURCE_EXHAUSTED */
    MEMORY_CONNECTIONS_MAX = 128, /* to memory sockets; further ones are closed */
    REGIONS_WAITING_MAX = 64,     /* chunks in memory of a stream; INVALID_ARGUMENT */
    REPORT_WATCHES_PER_CONNECTION_MAX = 16, /* RESOURCE_EXHAUSTED */
    REPORT_WATCHES_MAX = 1024,              /* of all connections; RESOURCE_EXHAUSTED */
    JOB_STREAMS_PER_CONNECTION_MAX = 96,    /* RESOURCE_EXHAUSTED */
    JOB_STREAMS_MAX = 1024,                 /* of all connections; RESOURCE_EXHAUSTED */
    /* A layer's file name: its name, '/' and others encoded; INVALID_ARGUMENT */
    LAYER_FILE_NAME_BYTES_MAX = 255,
    /* 1/16 of the memory budget is kept for what ends calls: frames and trailers */
    MEMORY_LAST_DIVISOR = 16,
    MEMORY_RETRY_MS = 1000, /* after a refusal for lack of memory, as a proposal */
    QUEUE_RETRY_MS = 1000,  /* the same after one because too much waits */
};

/* Weights of a tensor that has one scale, whose codes are kept in memory as a whole: 64 MiB,
 * and as much for the output; INVALID_ARGUMENT. */
enum { WHOLE_ELEMENTS_MAX = 1 << 28 };

/* Weights of one layer; INVALID_ARGUMENT. More do not fit in any machine's memory, and up
 * to this bound no product of sizes overflows. */
static const uint64_t layer_elements_max = (uint64_t)1 << 48;

struct limits {
    uint64_t memory_bytes_max;           /* budget; RESOURCE_EXHAUSTED */
    uint64_t message_bytes_max;          /* one gRPC message; RESOURCE_EXHAUSTED */
    uint32_t connections_max;            /* further ones are accepted and closed */
    uint32_t streams_per_connection_max; /* REFUSED_STREAM */
    uint64_t stream_window_bytes;        /* HTTP/2 receive window of a stream */
    uint64_t connection_window_bytes;    /* and of a connection */
    uint64_t frame_bytes_max;            /* SETTINGS_MAX_FRAME_SIZE */
    uint64_t handshake_ms_max;           /* preface and SETTINGS; connection closed */
    uint64_t idle_ms_max;             /* a stream without a byte either way; CANCELLED */
    uint64_t drain_ms_max;            /* from SIGTERM to the forced close */
    uint64_t connection_age_ms;       /* a tenth more or less; GOAWAY; 0: no bound */
    uint64_t connection_age_grace_ms; /* for its running calls then; closed */
    uint32_t http_connections_max;    /* further ones replace idle ones; 503 */
    uint32_t http_address_max;        /* of them from one address; 0: an eighth, or three
                                    * quarters for a loopback address; 503 */
    uint64_t http_request_ms_max; /* from its first byte to the end of the reply; 408 */
    uint32_t layers_percent_max;  /* of the budget, for held layers; RESOURCE_EXHAUSTED */
    uint64_t rate_bytes_min;      /* a second, of messages and replies; CANCELLED */
    uint64_t rate_ms;             /* over which it is measured */
    uint64_t queue_ms_max;        /* work that would wait longer; RESOURCE_EXHAUSTED */
    uint32_t store_queue_max;    /* reports that wait for the store; RESOURCE_EXHAUSTED */
    uint64_t best_effort_ms;     /* a BEST_EFFORT answer waits for its report; stored is
                                  * false then */
    uint64_t codes_bytes_max;    /* codes and scales of older reports; the oldest go */
    uint64_t shards_bytes_max;   /* of shards that wait for others of their layer, on the
                                * data directory's disk; RESOURCE_EXHAUSTED */
    uint64_t disk_free_min;      /* bytes free on the data directory's disk; not ready */
    uint64_t memory_buffers_max; /* of a local client; 0: none; RESOURCE_EXHAUSTED */
    uint64_t memory_buffer_bytes_max; /* of them together; RESOURCE_EXHAUSTED */
    uint32_t jobs_max;                /* over checkpoints, that run; further ones wait */
    uint32_t jobs_waiting_max;        /* RESOURCE_EXHAUSTED */
    uint32_t jobs_kept_max;           /* that have ended; the oldest are forgotten */
    uint32_t jobs_kept_s;             /* so are those that ended so many seconds ago */
    uint32_t jobs_flush_ms;    /* output that is done waits so long until it is flushed */
    uint32_t metrics_runs_max; /* runs with metrics of their own; older are left out */
};

static inline struct limits limits_default(void)
{
    return (struct limits){
        .memory_bytes_max = 1ull << 30,
        .message_bytes_max = 256ull << 20,
        .connections_max = 4096,
        .streams_per_connection_max = 128,
        .stream_window_bytes = 4ull << 20,
        .connection_window_bytes = 32ull << 20,
        .frame_bytes_max = 256ull << 10,
        .handshake_ms_max = 10 * 1000,
        .idle_ms_max = 120 * 1000,
        .drain_ms_max = 30 * 1000,
        .connection_age_grace_ms = 3600 * 1000,
        .http_connections_max = 64,
        .http_request_ms_max = 20 * 1000,
        .layers_percent_max = 75,
        .rate_bytes_min = 64 << 10,
        .rate_ms = 30 * 1000,
        .queue_ms_max = 60 * 1000,
        .store_queue_max = 4096,
        .best_effort_ms = 200,
        .codes_bytes_max = 1ull << 30,
        .shards_bytes_max = 4ull << 30,
        .disk_free_min = 64 << 20,
        .memory_buffers_max = 64,
        .memory_buffer_bytes_max = 1ull << 30,
        .jobs_max = 2,
        .jobs_waiting_max = 64,
        .jobs_kept_max = 64,
        .jobs_kept_s = 7 * 24 * 3600,
        .jobs_flush_ms = 1000,
        .metrics_runs_max = 32,
    };
}

#endif
