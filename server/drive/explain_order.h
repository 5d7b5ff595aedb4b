/* SPDX-License-Identifier: Apache-2.0 */
/* Codes that lie in the order of another build of bitnet.cpp. */
#ifndef DRIVE_EXPLAIN_ORDER_H
#define DRIVE_EXPLAIN_ORDER_H

#include "checkpoint/findings.h"
#include "drive/explain_parts.h"

/* Makes the finding codes_differ of an I2_S matrix undecided if all codes are those of the
 * projection in another order that bitnet.cpp writes, which nothing in the file tells. `mean` is
 * the mean magnitude of the latents. -1: they could not be read; see parts->data->failure. */
int explain_order(struct file_findings *findings, const struct explain_parts *parts,
                  float mean);

#endif
