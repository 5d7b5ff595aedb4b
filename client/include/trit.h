/* libtrit: the client of tritd, blocking calls with deadlines.
 *
 * A `trit_client` is thread-safe: any number of threads may call at once; each
 * call has a connection of the client's pool to itself while it runs (at most
 * 64 at a time, more calls wait). Every call returns TRIT_OK or a gRPC status;
 * the optional `trit_error` says more. Outputs are untouched on failure, but for
 * the bytes of a buffer of yours that the result was being written into: those
 * are then unspecified. Memory a call gives you is released with the function
 * named beside it. Nothing is logged, no signal is touched, no event loop and
 * no thread is started. A client belongs to the process that made it: after a
 * fork the child's calls fail with FAILED_PRECONDITION, and it may only close.
 *
 *   struct trit_client *client;
 *   struct trit_error error;
 *   struct trit_projection projection = TRIT_PROJECTION_INIT;
 *   if (trit_connect(&client, NULL, &error) == TRIT_OK &&
 *       trit_project(client, &(struct trit_tensor){ .dtype = TRIT_F32, .rank = 2,
 *                    .shape = { 4096, 4096 }, .data = w, .bytes = sizeof w },
 *                    NULL, &projection, &error) == TRIT_OK)
 *       printf("%.3f zero\n", (double)projection.report.zeros /
 *              (double)projection.report.elements);
 *   trit_projection_free(&projection);
 *   trit_close(client);
 */
#ifndef TRIT_H
#define TRIT_H

#include <trit/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRIT_API __attribute__((visibility("default")))

struct trit_client;

struct trit_error {
    enum trit_status status;
    char field[64]; /* the request field at fault, or "" */
    char message[TRIT_MESSAGE_BYTES_MAX + 1];
};

/* "INVALID_ARGUMENT"; the enum's names in words, for messages and files. */
TRIT_API const char *trit_status_name(enum trit_status status);
TRIT_API const char *trit_dtype_name(enum trit_dtype dtype);          /* "bf16" */
TRIT_API const char *trit_encoding_name(enum trit_encoding encoding); /* "pq2_0" */
TRIT_API size_t trit_dtype_bytes(enum trit_dtype dtype);              /* 0: none */
TRIT_API const char *trit_version(void);

struct trit_connect_options {
    const char *address;        /* "host:port" or "unix:/path"; NULL: TRITD_ADDRESS,
                                   else 127.0.0.1:6561 */
    uint64_t timeout_ms;        /* default deadline of every call; 0 = none. It
                                   does not interrupt the resolution of a name */
    uint32_t connections;       /* that one streamed projection is spread over, by
                                   rows, where it asks for no report (a report is
                                   of a whole); all else takes one. 0 = 2, max 16 */
    uint64_t stream_bytes_min;  /* tensors from here on are streamed; 0 = 4 MiB */
    uint64_t message_bytes_max; /* largest reply message accepted; 0 = 1 GiB */
};

/* Connects lazily: an unreachable daemon shows at the first call
 * (UNAVAILABLE). Options NULL = defaults; strings are copied. */
TRIT_API enum trit_status trit_connect(struct trit_client **client,
                                       const struct trit_connect_options *options,
                                       struct trit_error *error);
/* No call may be in progress. NULL is harmless. */
TRIT_API void trit_close(struct trit_client *client);

/* A tensor of yours, borrowed for the call. Row-major, little-endian. */
struct trit_tensor {
    enum trit_dtype dtype;
    uint32_t rank;
    uint64_t shape[TRIT_RANK_MAX];
    const void *data; /* any alignment */
    uint64_t bytes;
};

/* Told the bytes sent so far, from the calling thread, some ten times a second
 * or more; nonzero cancels. A call that is tried again starts from 0. */
typedef int (*trit_progress)(void *arg, uint64_t bytes_done, uint64_t bytes_total);

struct trit_call_options {
    uint64_t timeout_ms; /* 0 = the client's */
    trit_progress progress;
    void *progress_arg;
};

struct trit_project_options {
    uint32_t group_size; /* 0 = 128 */
    enum trit_partial_group partial_group;
    enum trit_encoding encoding;
    enum trit_report_detail report;
    struct trit_layer_ref layer; /* run NULL or "": the report is not stored */
    struct trit_call_options call;
    /* Where the encoded tensor goes. NULL: allocated. Else `out_bytes` of room. */
    void *out;
    uint64_t out_bytes;
};

struct trit_projection {
    struct trit_report report;
    enum trit_encoding encoding;
    enum trit_dtype dtype;
    void *data; /* the encoded tensor: options.out, or allocated */
    uint64_t data_bytes;
    void *scales; /* allocated; NULL for encodings without separate scales */
    uint64_t scale_bytes;
    bool data_owned;
};
#define TRIT_PROJECTION_INIT                                                             \
    {                                                                                    \
        .data = NULL, .scales = NULL                                                     \
    }

/* Unary or streamed by size; the result is the same bit for bit. */
TRIT_API enum trit_status trit_project(struct trit_client *client,
                                       const struct trit_tensor *tensor,
                                       const struct trit_project_options *options,
                                       struct trit_projection *projection,
                                       struct trit_error *error);
TRIT_API void trit_projection_free(struct trit_projection *projection);

struct trit_verify_options {
    enum trit_verify_mode mode;
    uint32_t group_size;
    enum trit_partial_group partial_group;
    float tolerance;             /* used where has_tolerance; 0 = bit-equal */
    bool has_tolerance;          /* else 1e-5 */
    enum trit_encoding encoding; /* of tensor.data; shape stays the logical one */
    const void *scales;          /* encodings with scales beside the data */
    uint64_t scale_bytes;
    const struct trit_tensor *reference; /* latents, or NULL */
    struct trit_layer_ref layer;
    struct trit_call_options call;
};

/* A tensor that is not ternary is no error: see report->is_ternary. */
TRIT_API enum trit_status trit_verify(struct trit_client *client,
                                      const struct trit_tensor *tensor,
                                      const struct trit_verify_options *options,
                                      struct trit_report *report,
                                      struct trit_error *error);

struct trit_unpack_options {
    enum trit_encoding encoding;
    enum trit_dtype dtype; /* of the result */
    uint32_t group_size;
    const void *scales;
    uint64_t scale_bytes;
    struct trit_call_options call;
};
/* `packed`: rank and shape are the logical ones, data the encoded bytes.
 * *data is allocated; release it with trit_free. */
TRIT_API enum trit_status trit_unpack(struct trit_client *client,
                                      const struct trit_tensor *packed,
                                      const struct trit_unpack_options *options,
                                      void **data, uint64_t *data_bytes,
                                      struct trit_error *error);

/* Straight-through estimator: writes the gradient with respect to the latents
 * to `grad_latent` (as many bytes as grad_ternary). */
TRIT_API enum trit_status trit_backward(struct trit_client *client,
                                        const struct trit_tensor *grad_ternary,
                                        const struct trit_call_options *options,
                                        void *grad_latent, struct trit_error *error);

/* The report of (run, layer) at `step`, or the latest where step is NULL. */
TRIT_API enum trit_status trit_report_get(struct trit_client *client, const char *run,
                                          const char *layer, const uint64_t *step,
                                          const struct trit_call_options *options,
                                          struct trit_report *report,
                                          struct trit_error *error);

struct trit_report_query {
    const char *run, *layer; /* NULL or "" = all */
    bool has_from, has_to;
    uint64_t step_from, step_to; /* inclusive */
    bool latest_only;
    struct trit_call_options call;
};
/* Visits every match in (run, layer, step) order; nonzero from visit stops. */
TRIT_API enum trit_status
trit_report_list(struct trit_client *client, const struct trit_report_query *query,
                 int (*visit)(void *arg, const struct trit_report *report), void *arg,
                 struct trit_error *error);

/* Health of the daemon (service NULL or "") or of one service. */
TRIT_API enum trit_status trit_ping(struct trit_client *client, const char *service,
                                    const struct trit_call_options *options,
                                    bool *serving, struct trit_error *error);

TRIT_API void trit_free(void *memory);

#ifdef __cplusplus
}
#endif

#endif
