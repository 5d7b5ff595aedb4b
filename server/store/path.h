/* SPDX-License-Identifier: Apache-2.0 */
/* Where a store's database is, for the readers of this module. */
#ifndef STORE_PATH_H
#define STORE_PATH_H

struct store;

/* A file name, or a URI for a store in memory. Valid as long as the store. */
const char *store_path(const struct store *store);

#endif
