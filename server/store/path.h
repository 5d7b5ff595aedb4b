/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of this module need of a store. */
#ifndef STORE_PATH_H
#define STORE_PATH_H

struct health_rules;
struct slots;
struct store;

/* A file name, or a URI for a store in memory. Valid as long as the store. */
const char *store_path(const struct store *store);

/* Likewise. */
const struct health_rules *store_rules(const struct store *store);
struct slots *store_slots(const struct store *store); /* NULL: it is in memory */

/* A reader has met a damaged row of a layer or a run: the writer makes it again if it can.
 * `store` is a struct store. */
void store_mend(void *store);

#endif
