/* SPDX-License-Identifier: Apache-2.0 */
/* An event loop for tests of modules that may not include uv.h. It runs until a
 * condition holds, never for a time. */
#ifndef TESTS_LOOP_H
#define TESTS_LOOP_H

#include <stdbool.h>

struct uv_loop_s;

struct uv_loop_s *loop_create(void);

/* Runs until done(arg) is true; fails the case after LOOP_SECONDS_MAX. */
enum { LOOP_SECONDS_MAX = 20 };
void loop_run_until(struct uv_loop_s *loop, bool (*done)(void *arg), void *arg);

/* One turn, which does not wait: for a condition that no event announces. */
void loop_turn(struct uv_loop_s *loop);

/* Runs what closing handles still need, checks that none is left, frees. */
void loop_destroy(struct uv_loop_s *loop);

#endif
