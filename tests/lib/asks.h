/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the Ternary service, built as a client would. */
#ifndef TESTS_LIB_ASKS_H
#define TESTS_LIB_ASKS_H

#include "proto/codec/codec.h"
#include "tests/lib/service.h"

struct wire_tensor tensor_2d(enum trit_dtype dtype, uint64_t rows, uint64_t columns);
struct wire_layer_ref layer_ref(const char *run, const char *layer, uint64_t step);
struct request ask_project(const struct wire_project *project,
                           const struct wire_tensor *tensor, const void *data,
                           size_t bytes);

/* Each message carries `chunk` bytes. */
struct request ask_project_stream(const struct wire_project *start, const void *data,
                                  size_t bytes, size_t chunk);

/* `reference` may be NULL. */
struct request ask_verify(const struct wire_verify *verify,
                          const struct wire_tensor *reference, const void *reference_data,
                          const struct wire_tensor *tensor, const void *data,
                          size_t bytes);

/* One call from start to end; the reply stays in *exchange. */
void ask(struct service *service, struct exchange *exchange, const char *path,
         struct request *request, size_t cut);

/* Uniform in [-0.5, 0.5), with a few zeros. */
void random_weights(float *weights, size_t count, uint64_t seed);

static const char project_path[] = "/trit.v1.Ternary/Project";
static const char project_stream_path[] = "/trit.v1.Ternary/ProjectStream";
static const char pack_stream_path[] = "/trit.v1.Ternary/PackStream";
static const char verify_path[] = "/trit.v1.Ternary/Verify";
static const char unpack_path[] = "/trit.v1.Ternary/Unpack";
static const char backward_path[] = "/trit.v1.Ternary/Backward";

#endif
