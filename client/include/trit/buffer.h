/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that needs no copy on its way to a daemon on the same machine. */
#ifndef TRIT_BUFFER_H
#define TRIT_BUFFER_H

#include <trit/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Memory for tensors and results. Over a Unix socket client and daemon both map it, so a call
 * whose tensor lies in it sends only where it lies. Otherwise it is ordinary memory, and calls
 * send its bytes; the results are the same.
 *
 * trit_project, trit_verify (tensor and reference), trit_pack and trit_layer_forward look for the
 * buffer by the address of the data, which may lie anywhere in it, but within one buffer. With
 * options.out in a buffer, trit_project and trit_layer_forward have the daemon write the result
 * there; where `out` overlaps with the tensor, the result comes through the socket. A client
 * knows only its own buffers.
 *
 * A call that ends before the daemon does (deadline, cancellation, lost connection) waits until
 * the daemon no longer writes to `out`, at most 10 s. If the daemon does not say so, calls that
 * use the buffer fail with UNAVAILABLE until it does.
 *
 * A child process after fork() has the same memory, not a copy of it. */
struct trit_buffer;

/* Gives `bytes` zero bytes, aligned to a page. Release them with trit_buffer_free, before or
 * after trit_close(client). INVALID_ARGUMENT: 0 bytes. RESOURCE_EXHAUSTED: out of memory. The
 * daemon's limits (memory_buffers_max, memory_buffer_bytes_max) are no error: then it is
 * ordinary memory. */
TRIT_API enum trit_status trit_buffer_create(struct trit_client *client, uint64_t bytes,
                                             struct trit_buffer **buffer,
                                             struct trit_error *error);

/* The first byte. Valid until trit_buffer_free. NULL for NULL. */
TRIT_API void *trit_buffer_data(const struct trit_buffer *buffer);

/* Whether the daemon knows the memory now. */
TRIT_API bool trit_buffer_is_shared(const struct trit_buffer *buffer);

/* No call may use it any more. NULL is harmless. */
TRIT_API void trit_buffer_free(struct trit_buffer *buffer);

#ifdef __cplusplus
}
#endif

#endif
