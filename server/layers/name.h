/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a layer's file: the layer's name with '/', '%', control bytes and a
 * leading '.' percent-encoded. */
#ifndef LAYERS_NAME_H
#define LAYERS_NAME_H

#include "base/limits.h"

/* -1: the file name would be longer than LAYER_FILE_NAME_BYTES_MAX. */
int file_name(const char *name, char out[LAYER_FILE_NAME_BYTES_MAX + 1]);

#endif
