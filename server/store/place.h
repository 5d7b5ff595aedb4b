/* SPDX-License-Identifier: Apache-2.0 */
/* Where a store's database is, for the readers of this room. */
#ifndef STORE_PLACE_H
#define STORE_PLACE_H

struct store;

/* A file name, or a URI for a store in memory; lives as long as the store. */
const char *store_path(const struct store *store);

#endif
