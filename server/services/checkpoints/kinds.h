/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of jobs by name, for jobs of an earlier daemon. */
#ifndef CHECKPOINTS_KINDS_H
#define CHECKPOINTS_KINDS_H

#include "services/checkpoints/job.h"

/* The kind of that name ("Verify"); NULL: there is none. */
const struct job_kind *job_kind_named(const char *name);

#endif
