/* SPDX-License-Identifier: Apache-2.0 */
/* libtrit: the C client of tritd. Calls block until they end or their deadline passes.
 *
 *     struct trit_client *client = NULL;
 *     struct trit_error error = TRIT_ERROR_INIT;
 *     struct trit_tensor tensor = TRIT_TENSOR_INIT;
 *     struct trit_report report = TRIT_REPORT_INIT;
 *     struct trit_projection projection = TRIT_PROJECTION_INIT;
 *
 *     tensor.dtype = TRIT_F32;
 *     tensor.rank = 2;
 *     tensor.shape[0] = tensor.shape[1] = 4096;
 *     tensor.data = weights;
 *     tensor.bytes = sizeof(weights);
 *     projection.report = &report;
 *     if (trit_connect(&client, NULL, &error) == TRIT_OK &&
 *         trit_project(client, &tensor, NULL, &projection, &error) == TRIT_OK)
 *         printf("%.3f zero\n", (double)report.zeros / (double)report.elements);
 *     else
 *         printf("%s: %s\n", trit_status_name(error.status), error.message);
 *     trit_projection_free(&projection);
 *     trit_close(client);
 *
 * Every struct begins with its size and has an initializer (trit/base.h). Every call
 * returns TRIT_OK or a gRPC status; a `struct trit_error`, or NULL, gets the details. An
 * argument that is NULL is INVALID_ARGUMENT naming it, unless its comment says that it
 * may be NULL. After a failure outputs are untouched, except memory of the caller that a
 * result was being written to: its content is unspecified.
 *
 * Threads: any number of threads may call with one client. A call has a connection of
 * the client's pool for itself while it runs; at most 64 run at a time, others wait.
 * Only trit_plan_run starts threads; they have ended when it returns. libtrit has no event
 * loop, logs nothing and changes no signal.
 * Forks: a client belongs to the process that made it. In a child, calls fail with
 * FAILED_PRECONDITION, and only trit_close is allowed. */
#ifndef TRIT_H
#define TRIT_H

#include <trit/base.h>
#include <trit/buffer.h>
#include <trit/checkpoint.h>
#include <trit/client.h>
#include <trit/jobs.h>
#include <trit/layers.h>
#include <trit/report.h>
#include <trit/tensor.h>
#include <trit/ternary.h>
#include <trit/types.h>
#include <trit/version.h>

#endif
