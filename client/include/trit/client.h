/* SPDX-License-Identifier: Apache-2.0 */
/* A client of one daemon, and the options that every call has. */
#ifndef TRIT_CLIENT_H
#define TRIT_CLIENT_H

#include <trit/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct trit_client;

enum trit_tls { TRIT_TLS_DEFAULT, TRIT_TLS_ON, TRIT_TLS_OFF };
enum trit_wait { TRIT_WAIT_DEFAULT, TRIT_WAIT_ON, TRIT_WAIT_OFF };

/* How a call that failed is tried again, as gRPC's retry policy says (gRFC A6), always within
 * the call's deadline. A call is tried again if it ends with UNAVAILABLE (also when the
 * connection breaks during the call), or with RESOURCE_EXHAUSTED and the daemon says when to
 * come back. These calls are never tried again: trit_layer_create, _load and _delete, and
 * trit_reports_rewind, _fork and _delete. No call is tried again after a byte of its result
 * was given to a function of the caller (trit_project_options.write), or was written over a
 * tensor of the request. A report that is filed twice is one report. Retry number n comes
 * after min(initial_backoff * multiplier^(n-1), max_backoff), made longer or shorter at random
 * by up to the share `jitter`. If the daemon says when to come back (grpc-retry-pushback-ms),
 * it comes then; a negative answer ends the retries. docs/retry.md says more. */
struct trit_retry_policy {
    size_t size;
    uint32_t max_attempts; /* with the first one, 2 to 1000; 0: 5 */
    bool has_jitter;
    uint64_t initial_backoff_ms; /* at most a day; 0: 100 */
    uint64_t max_backoff_ms;     /* at most a day; 0: 10 s */
    double multiplier;           /* above 0; 0: 2 */
    double jitter;               /* 0 to 1. Not has_jitter: 0.2 */
    /* Throttling, as gRPC's retryThrottling: calls of the client share max_tokens tokens, at
     * most 1000. An attempt that fails takes one, a call that succeeds gives token_ratio
     * back (above 0; 0: 0.1). There are retries only while more than half of the tokens are
     * left, so that many clients do not keep a daemon busy with repeated calls. 0: none. */
    double max_tokens;
    double token_ratio;
};
#define TRIT_RETRY_POLICY_INIT TRIT_INIT(trit_retry_policy)

struct trit_connect_options {
    size_t size;
    /* "host:port" or "unix:/path". NULL: the environment variable TRITD_ADDRESS, or
     * 127.0.0.1:6561 where that is unset. */
    const char *address;
    /* Milliseconds that a call may take, unless its own options say otherwise. 0: no
     * limit. The time that the resolution of a host name takes is not limited. Otherwise an
     * attempt to connect ends after 20 s at most. */
    uint64_t timeout_ms;
    /* Connections that share the rows of one streamed projection without a report, 1 to
     * 16; 0: 2. Every other call uses one connection. */
    uint32_t connections;
    /* Requests with at least so many bytes of tensors are streamed. 0: 4 MiB. */
    uint64_t stream_bytes_min;
    /* Largest reply message accepted, in bytes; a larger one is RESOURCE_EXHAUSTED.
     * 0: 1 GiB. */
    uint64_t message_bytes_max;
    /* The token that says who calls, or a file that holds it in one line and is read again
     * when it changes; at most one of them. Both NULL: the environment variables
     * TRIT_TOKEN and TRIT_TOKEN_FILE. A token is not sent over plain TCP to another
     * machine: such a call is FAILED_PRECONDITION. */
    const char *token;
    const char *token_file;
    /* TLS to a TCP address. The default is what the environment says: TLS if TRIT_TLS is
     * true, or if one of the files or the name below is set, here or by its variable. A
     * Unix socket is always plain. */
    enum trit_tls tls;
    uint32_t reserved;
    /* Paths of PEM files, or NULL: the environment variables TRIT_TLS_CA, TRIT_TLS_CERT
     * and TRIT_TLS_KEY. They are read by trit_connect. */
    const char *tls_ca;   /* authorities of the daemon; by default the system's */
    const char *tls_cert; /* this client's certificate chain; by default none */
    const char *tls_key;  /* its key */
    /* Name that the daemon's certificate must have. NULL: TRIT_TLS_SERVER_NAME, or the
     * host of the address. */
    const char *tls_server_name;
    /* Without a policy, a call is repeated only if the daemon says that it did not begin it,
     * or if a connection that was kept from an earlier call turns out to be dead. */
    const struct trit_retry_policy *retry;
    /* A call to a daemon that cannot be reached waits for it until the call's deadline, and
     * tries to connect again after 20 ms to 1 s. This is no attempt of `retry`: nothing was
     * sent. The default is off: such a call is UNAVAILABLE. */
    enum trit_wait wait_for_ready;
    uint32_t reserved_ready;
};
#define TRIT_CONNECT_OPTIONS_INIT TRIT_INIT(trit_connect_options)

/* Creates a client; release it with trit_close. Strings are copied. No connection is
 * made yet: a daemon that cannot be reached is UNAVAILABLE at the first call. `options`
 * may be NULL. INVALID_ARGUMENT: the address is malformed, there is no token in the
 * token file, or a file of TLS cannot be used. */
TRIT_API enum trit_status trit_connect(struct trit_client **client,
                                       const struct trit_connect_options *options,
                                       struct trit_error *error);

/* Calls that connect, or wait to be tried again, end a second later with CANCELLED, unless they
 * have a connection then; so do calls that begin later. Calls that have a connection go on. Any
 * thread may call it while calls run; trit_close comes when they have ended. NULL is harmless. */
TRIT_API void trit_close_begin(struct trit_client *client);

/* Closes the connections and releases the client. No call may be running. NULL is
 * harmless. */
TRIT_API void trit_close(struct trit_client *client);

/* Called from the thread that made the call, at least ten times a second, with the bytes
 * sent so far. Other than 0 cancels the call (CANCELLED). A call that is tried again
 * starts from 0. */
typedef int (*trit_progress)(void *arg, uint64_t bytes_done, uint64_t bytes_total);

/* Options of one call. NULL in place of a pointer to this struct means the defaults. */
struct trit_call_options {
    size_t size;
    uint64_t timeout_ms;           /* milliseconds; 0: that of the client */
    trit_progress progress;        /* may be NULL */
    void *progress_arg;            /* first argument of `progress` */
    enum trit_wait wait_for_ready; /* as in trit_connect_options; default: as there */
    bool no_retry;                 /* the client's retry policy is not for this call */
    uint8_t reserved[3];
};
#define TRIT_CALL_OPTIONS_INIT TRIT_INIT(trit_call_options)

/* Asks whether the daemon (`service` NULL or ""), or one of its services, takes calls.
 * NOT_FOUND: there is no such service. `options` may be NULL. */
TRIT_API enum trit_status trit_ping(struct trit_client *client, const char *service,
                                    const struct trit_call_options *options,
                                    bool *serving, struct trit_error *error);

#ifdef __cplusplus
}
#endif

#endif
