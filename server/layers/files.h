/* Layers on disk. Under the data directory:
 *
 *   layers/held/NAME      one layer: header, scales, bias, codes, CRC-32C
 *   layers/latents/NAME   its latents, where they are kept: elements, CRC-32C
 *   layers/new/...        files being written
 *   layers/damaged/NAME   what could not be read at a start
 *
 * NAME is the layer's, with '/', '%', control bytes and a leading '.' percent-
 * encoded. A file gets its name when it is whole and on disk; held/NAME is what
 * makes a layer exist, so latents are named before it and removed after it.
 *
 * For workers: everything here blocks. A layer is read or written by one at a
 * time. Failures are UNAVAILABLE, or DATA_LOSS for a file that is damaged. */
#ifndef LAYERS_FILES_H
#define LAYERS_FILES_H

#include "base/limits.h"
#include "layers/layers.h"

/* The file name of a layer. -1 when it would be too long. */
int file_name(const char *name, char out[LAYER_FILE_NAME_BYTES_MAX + 1]);

/* Writes a layer; nothing where there is no data directory. */
int layer_save(const struct layer *layer, struct failure *failure);
int layer_remove(const struct layer *layer, struct failure *failure);

/* Latents on their way to disk. */
struct latents_file {
    int fd; /* of a file without its name; under layers/new */
    char path[32];
    const struct layers *layers;
};
int latents_create(struct latents_file *file, struct layers *layers,
                   struct failure *failure);
/* From several workers at once, for ranges that do not overlap. */
int latents_write(const struct latents_file *file, uint64_t offset, const void *bytes,
                  size_t count, struct failure *failure);
/* `crc` of all bytes. Names the file after the layer; the file is the layer's. */
int latents_finish(struct latents_file *file, const struct layer *layer, uint64_t bytes,
                   uint32_t crc, struct failure *failure);
/* Removes what was not finished; harmless afterwards and on a zeroed struct. */
void latents_abort(struct latents_file *file);

/* All `bytes` of a layer's kept latents. */
int latents_read(const struct layer *layer, void *out, uint64_t bytes,
                 struct failure *failure);

#endif
