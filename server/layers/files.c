/* SPDX-License-Identifier: Apache-2.0 */
#include "layers/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_io.h"
#include "base/number.h"
#include "layers/impl.h"
#include "layers/name.h"

/* A layer's file, little-endian throughout: a header of HEADER_BYTES, whose last
 * four bytes are the CRC-32C of the others; the scales (f32); the bias (f32, where
 * the layer has one); the codes as linear_pack lays them out; the CRC-32C of
 * scales, bias and codes. */
enum {
    HEADER_BYTES = 384,
    HEADER_VERSION = 1, /* increase it when linear_pack's layout changes */
    AT_VERSION = 8,
    AT_KIND = 12,
    AT_IN = 16,
    AT_OUT = 24,
    AT_GROUP_SIZE = 32,
    AT_FLAGS = 36,
    AT_LATENTS = 40,
    AT_LATENTS_DTYPE = 44,
    AT_SEED = 48,
    AT_NAME_BYTES = 56,
    AT_NAME = 64,
    AT_CRC = HEADER_BYTES - 4,
    CRC_BYTES = 4,
    FLAG_BIAS = 1,
    FLAG_KEEP_LATENTS = 2,
    PIECE_BYTES = 1 << 20, /* of one write and one update of the CRC */
};

static const char magic[8] = {'T', 'R', 'I', 'T', 'L', 'A', 'Y', 'R'};

_Static_assert((int)AT_NAME + TRIT_NAME_BYTES_MAX + 1 <= (int)AT_CRC, "the name fits");

/* ---- bytes ----------------------------------------------------------------------- */

static int fail_errno(struct failure *failure, const char *what, const char *name)
{
    return fail(failure, TRIT_UNAVAILABLE, NULL, "layers: cannot %s %s: %s", what, name,
                strerror(errno));
}

static void put(uint8_t *out, size_t bytes, uint64_t value)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *in, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

/* -1; errno is 0 when the file ends too early. */
static int read_at(int fd, uint64_t offset, void *bytes, size_t count)
{
    uint8_t *into = bytes;

    while (count > 0) {
        ssize_t got = pread(fd, into, count, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got == 0 ? 0 : errno;
            return -1;
        }
        into += got;
        offset += (uint64_t)got;
        count -= (size_t)got;
    }
    return 0;
}

/* Write or read bytes at *offset, move it behind them and add them to *crc. */
static int write_summed(int fd, uint64_t *offset, const void *bytes, size_t count,
                        uint32_t *crc)
{
    for (size_t at = 0; at < count; at += PIECE_BYTES) {
        size_t part = count - at < PIECE_BYTES ? count - at : PIECE_BYTES;

        *crc = crc32c(*crc, (const uint8_t *)bytes + at, part);
        if (write_at(fd, *offset, (const uint8_t *)bytes + at, part) < 0)
            return -1;
        *offset += part;
    }
    return 0;
}

static int read_summed(int fd, uint64_t *offset, void *bytes, size_t count, uint32_t *crc)
{
    for (size_t at = 0; at < count; at += PIECE_BYTES) {
        size_t part = count - at < PIECE_BYTES ? count - at : PIECE_BYTES;

        if (read_at(fd, *offset, (uint8_t *)bytes + at, part) < 0)
            return -1;
        *crc = crc32c(*crc, (const uint8_t *)bytes + at, part);
        *offset += part;
    }
    return 0;
}

/* ---- files that are being written ----------------------------------------------- */

enum { NEW_PATH_BYTES = 32 };

static int new_create(struct layers *layers, char path[NEW_PATH_BYTES],
                      struct failure *failure)
{
    int fd;

    if (held_path_check(&layers->place, "layers", failure) < 0)
        return -1;
    snprintf(path, NEW_PATH_BYTES, "%" PRIu64, atomic_fetch_add(&layers->files, 1));
    fd = openat(layers->folders[FOLDER_NEW], path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                0600);
    return fd < 0 ? fail_errno(failure, "create temporary file", path) : fd;
}

/* Syncs the file, gives it its name, and syncs the folder with the name. */
static int new_name(const struct layers *layers, int fd, const char *path,
                    enum folder folder, const char *name, struct failure *failure)
{
    if (fsync(fd))
        return fail_errno(failure, "sync the file of", name);
    if (held_path_check(&layers->place, "layers", failure) < 0)
        return -1;
    if (renameat(layers->folders[FOLDER_NEW], path, layers->folders[folder], name))
        return fail_errno(failure, "name the file of", name);
    if (fsync(layers->folders[folder])) {
        fail_errno(failure, "sync the folder of", name);
        unlinkat(layers->folders[folder], name, 0);
        return -1;
    }
    return 0;
}

/* ---- a layer -------------------------------------------------------------------- */

static size_t bias_bytes(const struct layer *layer)
{
    return layer->bias ? (size_t)layer->spec.out_features * sizeof(float) : 0;
}

static size_t scale_bytes(const struct layer *layer)
{
    return (size_t)layer_scale_count(&layer->spec) * sizeof(float);
}

static size_t code_bytes(const struct layer *layer)
{
    return (size_t)linear_code_bytes(layer->spec.out_features, layer->spec.in_features);
}

static void header_write(const struct layer *layer, uint8_t header[HEADER_BYTES])
{
    const struct layer_spec *spec = &layer->spec;

    memset(header, 0, HEADER_BYTES);
    memcpy(header, magic, sizeof(magic));
    put(header + AT_VERSION, 4, HEADER_VERSION);
    put(header + AT_KIND, 4, spec->kind);
    put(header + AT_IN, 8, spec->in_features);
    put(header + AT_OUT, 8, spec->out_features);
    put(header + AT_GROUP_SIZE, 4, spec->group_size);
    put(header + AT_FLAGS, 4,
        (spec->bias ? FLAG_BIAS : 0u) | (spec->keep_latents ? FLAG_KEEP_LATENTS : 0u));
    put(header + AT_LATENTS, 4, layer->latents);
    put(header + AT_LATENTS_DTYPE, 4, layer->latents_dtype);
    put(header + AT_SEED, 8, layer->seed);
    put(header + AT_NAME_BYTES, 4, strlen(spec->name));
    memcpy(header + AT_NAME, spec->name, strlen(spec->name));
    put(header + AT_CRC, 4, crc32c(0, header, AT_CRC));
}

static int header_read(const uint8_t header[HEADER_BYTES], struct layer *layer)
{
    struct layer_spec *spec = &layer->spec;
    uint64_t name_bytes = get(header + AT_NAME_BYTES, 4);
    uint64_t flags = get(header + AT_FLAGS, 4);

    if (memcmp(header, magic, sizeof(magic)) != 0 ||
        get(header + AT_CRC, 4) != crc32c(0, header, AT_CRC) ||
        get(header + AT_VERSION, 4) != HEADER_VERSION ||
        name_bytes > TRIT_NAME_BYTES_MAX || get(header + AT_LATENTS, 4) > LATENTS_KEPT)
        return -1;
    spec->kind = (enum layer_kind)get(header + AT_KIND, 4);
    spec->in_features = get(header + AT_IN, 8);
    spec->out_features = get(header + AT_OUT, 8);
    spec->group_size = (uint32_t)get(header + AT_GROUP_SIZE, 4);
    spec->bias = flags & FLAG_BIAS;
    spec->keep_latents = flags & FLAG_KEEP_LATENTS;
    memcpy(spec->name, header + AT_NAME, name_bytes);
    layer->latents = (enum layer_latents)get(header + AT_LATENTS, 4);
    layer->latents_dtype = (enum trit_dtype)get(header + AT_LATENTS_DTYPE, 4);
    layer->seed = get(header + AT_SEED, 8);
    return layer_spec_check(spec, NULL, NULL);
}

static int write_layer(int fd, const struct layer *layer)
{
    uint8_t header[HEADER_BYTES], tail[CRC_BYTES];
    uint64_t offset = HEADER_BYTES;
    uint32_t crc = 0;

    header_write(layer, header);
    if (write_at(fd, 0, header, sizeof(header)) < 0 ||
        write_summed(fd, &offset, layer->scales, scale_bytes(layer), &crc) < 0 ||
        write_summed(fd, &offset, layer->bias, bias_bytes(layer), &crc) < 0 ||
        write_summed(fd, &offset, layer->codes, code_bytes(layer), &crc) < 0)
        return -1;
    put(tail, CRC_BYTES, crc);
    return write_at(fd, offset, tail, sizeof(tail));
}

int layer_save(const struct layer *layer, struct failure *failure)
{
    struct layers *layers = layer->layers;
    char name[LAYER_FILE_NAME_BYTES_MAX + 1], path[NEW_PATH_BYTES];
    int fd, result;

    if (!layers->durable)
        return 0;
    (void)file_name(layer->spec.name, name); /* fits: layer_spec_check has checked it */
    fd = new_create(layers, path, failure);
    if (fd < 0)
        return -1;
    result = write_layer(fd, layer) < 0
                 ? fail_errno(failure, "write the file of", name)
                 : new_name(layers, fd, path, FOLDER_HELD, name, failure);
    if (result < 0)
        unlinkat(layers->folders[FOLDER_NEW], path, 0);
    close(fd);
    return result;
}

int layer_remove(const struct layer *layer, struct failure *failure)
{
    const struct layers *layers = layer->layers;
    char name[LAYER_FILE_NAME_BYTES_MAX + 1];

    if (!layers->durable)
        return 0;
    if (held_path_check(&layers->place, "layers", failure) < 0)
        return -1;
    (void)file_name(layer->spec.name, name);
    if (unlinkat(layers->folders[FOLDER_HELD], name, 0) && errno != ENOENT)
        return fail_errno(failure, "remove the file of", name);
    if (fsync(layers->folders[FOLDER_HELD]))
        return fail_errno(failure, "sync the folder of", name);
    /* If this fails, the next start removes the latents. */
    if (layer->latents == LATENTS_KEPT)
        unlinkat(layers->folders[FOLDER_LATENTS], name, 0);
    return 0;
}

/* ---- latents -------------------------------------------------------------------- */

int latents_create(struct latents_file *file, struct layers *layers,
                   struct failure *failure)
{
    struct latents_file made = {.layers = layers};

    made.fd = new_create(layers, made.path, failure);
    if (made.fd < 0)
        return -1;
    *file = made;
    return 0;
}

int latents_write(const struct latents_file *file, uint64_t offset, const void *bytes,
                  size_t count, struct failure *failure)
{
    if (write_at(file->fd, offset, bytes, count) < 0)
        return fail_errno(failure, "write latents to temporary file", file->path);
    return 0;
}

int latents_finish(struct latents_file *file, const struct layer *layer, uint64_t bytes,
                   uint32_t crc, struct failure *failure)
{
    char name[LAYER_FILE_NAME_BYTES_MAX + 1];
    uint8_t tail[CRC_BYTES];

    (void)file_name(layer->spec.name, name);
    put(tail, CRC_BYTES, crc);
    if (latents_write(file, bytes, tail, sizeof(tail), failure) < 0 ||
        new_name(file->layers, file->fd, file->path, FOLDER_LATENTS, name, failure) < 0)
        return -1;
    close(file->fd);
    file->layers = NULL;
    return 0;
}

void latents_abort(struct latents_file *file)
{
    if (!file->layers)
        return;
    unlinkat(file->layers->folders[FOLDER_NEW], file->path, 0);
    close(file->fd);
    file->layers = NULL;
}

int latents_read(const struct layer *layer, void *out, uint64_t bytes,
                 struct failure *failure)
{
    char name[LAYER_FILE_NAME_BYTES_MAX + 1];
    uint8_t tail[CRC_BYTES];
    uint64_t offset = 0;
    uint32_t crc = 0;
    int fd, result = 0;

    (void)file_name(layer->spec.name, name);
    fd = openat(layer->layers->folders[FOLDER_LATENTS], name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(failure, "open the latents of", name);
    errno = 0;
    if (read_summed(fd, &offset, out, (size_t)bytes, &crc) < 0 ||
        read_at(fd, offset, tail, sizeof(tail)) < 0)
        result = errno
                     ? fail_errno(failure, "read the latents of", name)
                     : fail(failure, TRIT_DATA_LOSS, NULL,
                            "layers: the file with the latents of %s is too short", name);
    else if (get(tail, CRC_BYTES) != crc)
        result = fail(failure, TRIT_DATA_LOSS, NULL,
                      "layers: the latents of %s do not match their CRC", name);
    close(fd);
    return result;
}

/* ---- loading -------------------------------------------------------------------- */

/* Opens held/NAME and reads its header. Returns the descriptor, or -1. */
static int open_held(int folder, const char *name, struct layer *found,
                     struct failure *failure)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char expected[LAYER_FILE_NAME_BYTES_MAX + 1];
    uint8_t header[HEADER_BYTES];

    if (fd < 0)
        return fail_errno(failure, "open", name);
    if (read_at(fd, 0, header, sizeof(header)) == 0 && header_read(header, found) == 0 &&
        file_name(found->spec.name, expected) >= 0 && strcmp(expected, name) == 0)
        return fd;
    close(fd);
    return fail(failure, TRIT_DATA_LOSS, NULL, "layers: %s has no valid header", name);
}

int file_load(struct layers *layers, const char *name, struct failure *failure)
{
    struct layer found = {.layers = layers}, *layer;
    int fd = open_held(layers->folders[FOLDER_HELD], name, &found, failure);
    uint64_t offset = HEADER_BYTES;
    uint8_t tail[CRC_BYTES];
    uint32_t crc = 0;
    int result = -1;

    if (fd < 0)
        return -1;
    if (layer_create(layers, &found.spec, &layer, failure) < 0)
        goto close_file;
    layer->latents = found.latents;
    layer->latents_dtype = found.latents_dtype;
    layer->seed = found.seed;
    if (read_summed(fd, &offset, layer->scales, scale_bytes(layer), &crc) < 0 ||
        read_summed(fd, &offset, layer->bias, bias_bytes(layer), &crc) < 0 ||
        read_summed(fd, &offset, layer->codes, code_bytes(layer), &crc) < 0 ||
        read_at(fd, offset, tail, sizeof(tail)) < 0 || get(tail, CRC_BYTES) != crc) {
        fail(failure, TRIT_DATA_LOSS, NULL,
             "layers: %s is too short or does not match its CRC", name);
        goto destroy;
    }
    if (layers_insert(layers, layer, failure) < 0)
        goto destroy;
    layer_publish(layer);
    result = 0;
    goto close_file;

destroy:
    layer_destroy(layer);
close_file:
    close(fd);
    return result;
}

/* ---- checking ------------------------------------------------------------------- */

/* Reads `count` bytes from `offset` on, then their CRC. */
static int check_summed(int fd, uint64_t offset, uint64_t count, const char *name,
                        struct failure *failure)
{
    uint8_t *piece = malloc(PIECE_BYTES), tail[CRC_BYTES];
    uint32_t crc = 0;
    int result = 0;

    if (!piece)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "layers: out of memory");
    while (count > 0 && result == 0) {
        size_t part = (size_t)u64_min(count, PIECE_BYTES);

        result = read_summed(fd, &offset, piece, part, &crc);
        count -= part;
    }
    free(piece);
    if (result < 0 || read_at(fd, offset, tail, sizeof(tail)) < 0)
        return errno
                   ? fail_errno(failure, "read", name)
                   : fail(failure, TRIT_DATA_LOSS, NULL, "layers: %s is too short", name);
    if (get(tail, CRC_BYTES) != crc)
        return fail(failure, TRIT_DATA_LOSS, NULL, "layers: %s does not match its CRC",
                    name);
    return 0;
}

int file_check(int folder, const char *name, struct layer *found, struct failure *failure)
{
    int fd = open_held(folder, name, found, failure);
    uint64_t count;
    int result;

    if (fd < 0)
        return -1;
    count = (layer_scale_count(&found->spec) +
             (found->spec.bias ? found->spec.out_features : 0)) *
                sizeof(float) +
            linear_code_bytes(found->spec.out_features, found->spec.in_features);
    result = check_summed(fd, HEADER_BYTES, count, name, failure);
    close(fd);
    return result;
}

int latents_check(int folder, const char *name, const struct layer *layer,
                  struct failure *failure)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int result;

    if (fd < 0)
        return errno == ENOENT ? fail(failure, TRIT_DATA_LOSS, NULL,
                                      "layers: the latents of %s are missing", name)
                               : fail_errno(failure, "open the latents of", name);
    result = check_summed(fd, 0,
                          layer->spec.out_features * layer->spec.in_features *
                              dtype_bytes(layer->latents_dtype),
                          name, failure);
    if (result < 0)
        fail_context(failure, "latents");
    close(fd);
    return result;
}
