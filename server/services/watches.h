/* SPDX-License-Identifier: Apache-2.0 */
/* The watches of reports. Only the loop's thread uses them. */
#ifndef SERVICES_WATCHES_H
#define SERVICES_WATCHES_H

struct services;

/* New reports are on disk: each watch reads on. */
void watches_filed(struct services *services);

/* Layers became stale: each watch tells those of its run. */
void watches_stale(struct services *services);

#endif
