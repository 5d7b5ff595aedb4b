/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as --dry-run prints it. */
#ifndef CLI_SHOW_PLAN_H
#define CLI_SHOW_PLAN_H

#include "checkpoint/plan.h"
#include "client/cli/cli.h"

/* Prints a table, or JSON with --json. MISMATCH where something is refused, or where no
 * tensor becomes ternary. */
enum exit_code show_plan(const struct options *options, const struct plan *plan);

/* Prints what a GGUF output is, if it is made of another format: a model that llama.cpp
 * loads, or an archive and why. */
void show_gguf(const struct plan *plan);

#endif
