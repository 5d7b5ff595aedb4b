/* SPDX-License-Identifier: Apache-2.0 */
/* Layers on disk. The data directory holds:
 *
 *   layers/held/NAME      one layer: header, scales, bias, codes, CRC-32C
 *   layers/latents/NAME   its latents, where they are kept: elements, CRC-32C
 *   layers/new/...        files being written
 *   layers/damaged/NAME   files that a start could not read
 *
 * NAME is the layer's name, encoded by file_name. A file gets its name when it is
 * whole and on disk. A layer exists when held/NAME exists, so its latents get
 * their name before it and lose it after it.
 *
 * These functions block: call them from workers. One worker at a time reads or
 * writes a layer. Failures are UNAVAILABLE, or DATA_LOSS for a damaged file. */
#ifndef LAYERS_FILES_H
#define LAYERS_FILES_H

#include "base/limits.h"
#include "layers/layers.h"

/* Writes, and removes, a layer's file. Both do nothing without a data directory. */
int layer_save(const struct layer *layer, struct failure *failure);
int layer_remove(const struct layer *layer, struct failure *failure);

/* Latents while they are written. */
struct latents_file {
    int fd; /* of a file under layers/new */
    char path[32];
    const struct layers *layers;
};
int latents_create(struct latents_file *file, struct layers *layers,
                   struct failure *failure);
/* Several workers may call it at the same time, for ranges that do not overlap. */
int latents_write(const struct latents_file *file, uint64_t offset, const void *bytes,
                  size_t count, struct failure *failure);
/* Names the file after the layer, which owns it then. `crc` is that of all bytes. */
int latents_finish(struct latents_file *file, const struct layer *layer, uint64_t bytes,
                   uint32_t crc, struct failure *failure);
/* Removes a file that was not finished. Harmless after latents_finish and on a
 * zeroed struct. */
void latents_abort(struct latents_file *file);

/* Reads all `bytes` of a layer's kept latents. */
int latents_read(const struct layer *layer, void *out, uint64_t bytes,
                 struct failure *failure);

#endif
