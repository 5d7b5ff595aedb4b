/* SPDX-License-Identifier: Apache-2.0 */
/* The result of a job, for a reader. */
#ifndef CLI_JOB_RESULT_H
#define CLI_JOB_RESULT_H

#include <jansson.h>

/* Prints a line for each finding, for each layer or tensor that differs, and for each tensor
 * that a plan refuses. `result` is the JSON of the command. */
void job_result_print(const json_t *result);

#endif
