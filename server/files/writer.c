/* SPDX-License-Identifier: Apache-2.0 */
#include "files/writer.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "files/formats.h"
#include "files/writer_folder.h"

struct writer {
    const char *path; /* borrowed */
    struct tensor_table *table;
    struct target *target;        /* of a file, or NULL */
    struct writer_folder *folder; /* of a folder, or NULL */
    pthread_mutex_t lock;         /* of `filled` */
    /* One write at a time: a file system lets only one thread write to a file, and the others
     * would spin. A folder has one for each shard. */
    pthread_mutex_t writing;
    uint64_t *filled; /* for each tensor: bytes written so far */
    void (*watch)(void *arg, size_t index, uint64_t offset, const void *data,
                  uint64_t count);
    void *watch_arg;
};

/* A path with another suffix gets the first one. */
static const struct writer_ops *const formats[] = {&safetensors_writer, &npy_writer,
                                                   &gguf_writer};

/* Suffixes of formats that this module does not write. */
static const struct {
    const char *suffix, *format;
} others[] = {
    {".ggml", "GGML"},       {".bin", "PyTorch or raw data"},
    {".pt", "PyTorch"},      {".pth", "PyTorch"},
    {".ckpt", "PyTorch"},    {".pt2", "PyTorch"},
    {".pkl", "pickle"},      {".pickle", "pickle"},
    {".onnx", "ONNX"},       {".h5", "HDF5"},
    {".hdf5", "HDF5"},       {".keras", "Keras"},
    {".tflite", "TFLite"},   {".pb", "TensorFlow"},
    {".msgpack", "Flax"},    {".npz", "NumPy's archive"},
    {".mlmodel", "Core ML"}, {".mlpackage", "Core ML"},
    {".engine", "TensorRT"}, {".trt", "TensorRT"},
    {".json", "JSON"},       {".yaml", "YAML"},
    {".yml", "YAML"},        {".csv", "CSV"},
    {".txt", "text"},        {".md", "Markdown"},
    {".zip", "zip"},         {".tar", "tar"},
    {".gz", "gzip"},         {".xz", "xz"},
    {".zst", "zstd"},        {".parquet", "Parquet"},
    {".arrow", "Arrow"},     {".mat", "MATLAB"},
    {".nemo", "NeMo"},
};

static bool has_suffix(const char *path, const char *suffix)
{
    size_t length = strlen(path), bytes = strlen(suffix);

    return length >= bytes && strcasecmp(path + length - bytes, suffix) == 0;
}

static const struct writer_ops *format_of(const char *path)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (has_suffix(path, formats[i]->suffix))
            return formats[i];
    return formats[0];
}

const char *writer_format(const char *path)
{
    return format_of(path)->format;
}

const char *writer_other_format(const char *path)
{
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (has_suffix(path, others[i].suffix))
            return others[i].format;
    return NULL;
}

static int fail_other_format(const char *path, struct failure *failure)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                "its name says %s; safetensors, .npy and .gguf are written",
                writer_other_format(path));
}

const char *writer_path(const struct writer *writer)
{
    return writer->path;
}

static struct writer *create(const char *path, struct tensor_table *table,
                             struct failure *failure)
{
    struct writer *writer = calloc(1, sizeof(*writer));

    if (!writer || !(writer->filled = calloc(table->count + 1, sizeof(uint64_t)))) {
        free(writer);
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&writer->lock, NULL);
    pthread_mutex_init(&writer->writing, NULL);
    writer->path = path;
    writer->table = table;
    return writer;
}

static uint64_t table_end(const struct tensor_table *table)
{
    uint64_t end = 0;

    for (size_t i = 0; i < table->count; i++)
        if (table->entries[i].bytes)
            end = u64_max(end, table->entries[i].offset + table->entries[i].bytes);
    return end;
}

/* Gives the file its last byte, which no tensor may write. */
static int extend(struct writer *writer, struct failure *failure)
{
    static const uint8_t zero = 0;

    return writer->table->file_bytes == 0
               ? 0
               : target_write(writer->target, writer->table->file_bytes - 1, &zero,
                              sizeof(zero), failure);
}

int writer_create(struct writer **out, const char *path, enum target_mode mode,
                  struct tensor_table *table, struct failure *failure)
{
    struct writer *writer;
    uint8_t *header;
    uint64_t header_bytes;

    if (writer_other_format(path))
        return fail_other_format(path, failure);
    if (format_of(path)->plan(table, &header, &header_bytes, failure) != 0)
        return -1;
    writer = create(path, table, failure);
    if (!writer || target_open(&writer->target, path, mode, failure) < 0 ||
        target_reserve(writer->target, table_end(table), failure) < 0 ||
        target_write(writer->target, 0, header, header_bytes, failure) < 0 ||
        extend(writer, failure) < 0) {
        free(header);
        writer_destroy(writer);
        return -1;
    }
    free(header);
    *out = writer;
    return 0;
}

int writer_create_folder(struct writer **out, const char *path, enum target_mode mode,
                         struct tensor_table *table, const struct folder_options *options,
                         struct failure *failure)
{
    struct writer *writer;

    if (writer_other_format(path))
        return fail_other_format(path, failure);
    if (format_of(path) != &safetensors_writer)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "its name says %s; a folder holds safetensors",
                    format_of(path)->format);
    writer = create(path, table, failure);
    if (!writer ||
        writer_folder_create(&writer->folder, path, mode, table, options, failure) < 0) {
        writer_destroy(writer);
        return -1;
    }
    *out = writer;
    return 0;
}

/* Counts bytes before they are written, so that no thread writes them twice. */
static int claim_bytes(struct writer *writer, size_t index, uint64_t offset,
                       uint64_t count, struct failure *failure)
{
    const struct tensor_entry *entry = &writer->table->entries[index];
    bool fits;

    pthread_mutex_lock(&writer->lock);
    fits = count <= entry->bytes - writer->filled[index] && offset <= entry->bytes &&
           count <= entry->bytes - offset;
    if (fits)
        writer->filled[index] += count;
    pthread_mutex_unlock(&writer->lock);
    return fits ? 0
                : fail(failure, TRIT_INTERNAL, NULL,
                       "tensor %s got more than its %" PRIu64 " bytes", entry->name,
                       entry->bytes);
}

static int write_file(struct writer *writer, uint64_t offset, const void *data,
                      uint64_t count, struct failure *failure)
{
    int result;

    pthread_mutex_lock(&writer->writing);
    result = target_write(writer->target, offset, data, count, failure);
    pthread_mutex_unlock(&writer->writing);
    return result;
}

int writer_put_at(struct writer *writer, size_t index, uint64_t offset, const void *data,
                  uint64_t count, struct failure *failure)
{
    int result;

    if (claim_bytes(writer, index, offset, count, failure) < 0)
        return -1;
    result =
        writer->folder
            ? writer_folder_write(writer->folder, index, offset, data, count, failure)
            : write_file(writer, writer->table->entries[index].offset + offset, data,
                         count, failure);
    if (result == 0 && writer->watch)
        writer->watch(writer->watch_arg, index, offset, data, count);
    return result;
}

int writer_put(struct writer *writer, size_t index, const void *data, uint64_t count,
               struct failure *failure)
{
    return writer_put_at(writer, index, writer->filled[index], data, count, failure);
}

/* ---- what another process can go on with ------------------------------------------ */

bool writer_is_kept(const struct writer *writer)
{
    return writer->folder ? writer_folder_is_kept(writer->folder)
                          : target_is_kept(writer->target);
}

int writer_read(struct writer *writer, size_t index, uint64_t offset, void *buffer,
                uint64_t count, struct failure *failure)
{
    return writer->folder
               ? writer_folder_read(writer->folder, index, offset, buffer, count, failure)
               : target_read(writer->target,
                             writer->table->entries[index].offset + offset, buffer, count,
                             failure);
}

void writer_reuse(struct writer *writer, size_t index)
{
    const uint64_t bytes = writer->table->entries[index].bytes;

    if (writer->folder)
        writer_folder_reuse(writer->folder, index, bytes - writer->filled[index]);
    writer->filled[index] = bytes;
}

void writer_watch(struct writer *writer,
                  void (*put)(void *arg, size_t index, uint64_t offset, const void *data,
                              uint64_t count),
                  void *arg)
{
    writer->watch = put;
    writer->watch_arg = arg;
}

int writer_flush(struct writer *writer, struct failure *failure)
{
    return writer->folder ? writer_folder_flush(writer->folder, failure)
                          : target_flush(writer->target, failure);
}

void writer_keep(struct writer *writer)
{
    if (writer->folder)
        writer_folder_keep(writer->folder);
    else
        target_keep(writer->target);
}

/* ---- the end ----------------------------------------------------------------------- */

static int check_filled(const struct writer *writer, struct failure *failure)
{
    for (size_t i = 0; i < writer->table->count; i++)
        if (writer->filled[i] != writer->table->entries[i].bytes)
            return fail(failure, TRIT_INTERNAL, NULL,
                        "tensor %s got %" PRIu64 " of its %" PRIu64 " bytes",
                        writer->table->entries[i].name, writer->filled[i],
                        writer->table->entries[i].bytes);
    return 0;
}

int writer_finish(struct writer *writer, struct output_mark *mark,
                  struct failure *failure)
{
    if (check_filled(writer, failure) < 0)
        return -1;
    return writer->folder ? writer_folder_finish(writer->folder, mark, failure)
                          : target_finish(writer->target, mark, failure);
}

int writer_commit(struct writer *writer, struct failure *failure)
{
    if (check_filled(writer, failure) < 0)
        return -1;
    return writer->folder ? writer_folder_commit(writer->folder, failure)
                          : target_commit(writer->target, failure);
}

void writer_destroy(struct writer *writer)
{
    if (!writer)
        return;
    target_close(writer->target);
    writer_folder_destroy(writer->folder);
    pthread_mutex_destroy(&writer->lock);
    pthread_mutex_destroy(&writer->writing);
    free(writer->filled);
    free(writer);
}
