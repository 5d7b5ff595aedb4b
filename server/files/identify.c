/* SPDX-License-Identifier: Apache-2.0 */
#include "files/identify.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    PIECE_BYTES = 4096, /* bytes read at the start, and at the end of a zip archive */
    ZEROS_MIN = 8,      /* fewer zero bytes at the start are not reported */
    ZEROS_COUNTED_MAX = 1 << 20, /* zeros are counted up to here */
    QUOTED_BYTES = 48,           /* shown of a text file's first line */
    LFS_BYTES_MAX = 1024,        /* of a pointer; git-lfs's own bound */
};

#define READ_ARE "; only safetensors, GGUF, .npy and Keras 3 files are read"
#define UNPACK ": unpack it first"
#define PICKLE_IS_CODE                                                                   \
    ", which is not opened because unpickling can run code; convert it to safetensors"

/* The first bytes of a file, followed by a NUL. */
struct piece {
    char bytes[PIECE_BYTES + 1];
    size_t count;
};

struct magic {
    size_t offset, count;
    const char *bytes;
    const char *text;
};

/* The order matters if one magic is a prefix of another. */
static const struct magic magics[] = {
    {0, 4, "lmgg", "is a GGML file, the forerunner of GGUF" READ_ARE},
    {0, 4, "tjgg", "is a GGML file, the forerunner of GGUF" READ_ARE},
    {0, 14, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19",
     "is PyTorch's pickle file of before version 1.6" PICKLE_IS_CODE},
    {0, 3, "\x1f\x8b\x08", "is compressed by gzip" UNPACK},
    {0, 6,
     "\xfd"
     "7zXZ\0",
     "is compressed by xz" UNPACK},
    {0, 4, "\x28\xb5\x2f\xfd", "is compressed by zstd" UNPACK},
    {0, 4, "\x04\x22\x4d\x18", "is compressed by lz4" UNPACK},
    {0, 3, "BZh", "is compressed by bzip2" UNPACK},
    {0, 6, "7z\xbc\xaf\x27\x1c", "is a 7z archive" UNPACK},
    {0, 6, "Rar!\x1a\x07", "is a RAR archive" UNPACK},
    {257, 5, "ustar", "is a tar archive" UNPACK},
    {0, 4, "PAR1", "is a Parquet file" READ_ARE},
    {0, 6, "ARROW1", "is an Arrow file" READ_ARE},
    {4, 4, "TFL3", "is a TensorFlow Lite model" READ_ARE},
    {0, 10, "MATLAB 5.0", "is a MATLAB file" READ_ARE},
};

static bool has_bytes(const struct piece *head, size_t offset, const char *bytes,
                      size_t count)
{
    return head->count >= offset + count &&
           memcmp(head->bytes + offset, bytes, count) == 0;
}

static int read_piece(struct source *source, struct piece *piece, uint64_t offset,
                      struct failure *failure)
{
    uint64_t left = source_bytes(source) - offset;

    piece->count = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
    if (source_read(source, offset, piece->bytes, piece->count, failure) < 0)
        return -1;
    piece->bytes[piece->count] = '\0';
    return 0;
}

static int say(char text[IDENTITY_BYTES], const char *what)
{
    snprintf(text, IDENTITY_BYTES, "%s", what);
    return 1;
}

/* ---- zeros ------------------------------------------------------------------------ */

static int identify_zeros(struct source *source, const struct piece *head,
                          char text[IDENTITY_BYTES], struct failure *failure)
{
    static const char cause[] = "an interrupted or sparse download; fetch it again";
    struct piece piece = *head;
    uint64_t zeros = 0;

    for (;;) {
        size_t run = 0;

        while (run < piece.count && piece.bytes[run] == '\0')
            run++;
        zeros += run;
        if (run < piece.count || piece.count < PIECE_BYTES || zeros >= ZEROS_COUNTED_MAX)
            break;
        if (read_piece(source, &piece, zeros, failure) < 0)
            return -1;
    }
    if (zeros < ZEROS_MIN)
        return 0;
    if (zeros == source_bytes(source))
        snprintf(text, IDENTITY_BYTES,
                 "holds %" PRIu64 " zero bytes and nothing else: %s", zeros, cause);
    else
        snprintf(text, IDENTITY_BYTES, "starts with %s%" PRIu64 " zero bytes: %s",
                 zeros >= ZEROS_COUNTED_MAX ? "at least " : "", zeros, cause);
    return 1;
}

/* ---- archives and pickles --------------------------------------------------------- */

static bool ends_with(const char *name, size_t count, const char *suffix)
{
    size_t length = strlen(suffix);

    return count >= length && memcmp(name + count - length, suffix, length) == 0;
}

static size_t little16(const char *bytes)
{
    return (size_t)(uint8_t)bytes[0] | (size_t)(uint8_t)bytes[1] << 8;
}

/* Is there a member whose name ends with this? Looks at both kinds of zip headers: those
 * before each member, and those of the directory at the end. */
static bool has_member(const struct piece *piece, const char *suffix)
{
    enum { LOCAL_NAME = 30, LOCAL_LENGTH = 26, ENTRY_NAME = 46, ENTRY_LENGTH = 28 };

    for (size_t at = 0; at + ENTRY_NAME <= piece->count; at++) {
        bool local = memcmp(piece->bytes + at, "PK\3\4", 4) == 0;
        size_t name = at + (local ? LOCAL_NAME : ENTRY_NAME), count;

        if (!local && memcmp(piece->bytes + at, "PK\1\2", 4) != 0)
            continue;
        count = little16(piece->bytes + at + (local ? LOCAL_LENGTH : ENTRY_LENGTH));
        if (name + count <= piece->count && ends_with(piece->bytes + name, count, suffix))
            return true;
    }
    return false;
}

static bool is_named(const struct source *source, const char *suffix)
{
    const char *name = source_name(source);
    size_t length = strlen(name), bytes = strlen(suffix);

    return length >= bytes && strcasecmp(name + length - bytes, suffix) == 0;
}

static int identify_zip(struct source *source, const struct piece *head,
                        char text[IDENTITY_BYTES], struct failure *failure)
{
    static const struct {
        const char *member, *text;
    } kinds[] = {
        {"data.pkl", "is PyTorch's pickle archive" PICKLE_IS_CODE},
        {".npy", "is NumPy's archive (.npz); save each array as .npy"},
        {"model.weights.h5",
         "is a Keras archive with its members in another order; save it again with Keras"},
        {".safetensors", "is a zip archive that holds safetensors" UNPACK},
    };
    uint64_t bytes = source_bytes(source);
    struct piece tail;

    if (!has_bytes(head, 0, "PK\3\4", 4) && !has_bytes(head, 0, "PK\5\6", 4))
        return 0;
    if (read_piece(source, &tail, bytes < PIECE_BYTES ? 0 : bytes - PIECE_BYTES,
                   failure) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (has_member(head, kinds[i].member) || has_member(&tail, kinds[i].member))
            return say(text, kinds[i].text);
    return say(text,
               is_named(source, ".npz") ? kinds[1].text : "is a zip archive" UNPACK);
}

/* Protocols 2 to 5 begin with their number. */
static bool is_pickle(const struct piece *head)
{
    return head->count >= 2 && (uint8_t)head->bytes[0] == 0x80 && head->bytes[1] >= 2 &&
           head->bytes[1] <= 5;
}

/* A ModelProto begins with its field 1, the version of the format, and then has the name of
 * the program that wrote it (field 2), or the graph (field 7). */
static bool is_onnx(const struct piece *head)
{
    enum {
        VERSION = 1 << 3,
        VERSION_MAX = 31,
        PRODUCER = 2 << 3 | 2,
        GRAPH = 7 << 3 | 2
    };

    return head->count >= 3 && head->bytes[0] == VERSION && head->bytes[1] > 0 &&
           head->bytes[1] <= VERSION_MAX &&
           (head->bytes[2] == PRODUCER || head->bytes[2] == GRAPH);
}

/* Flax's files are maps, by their first byte. */
static bool is_msgpack(const struct source *source, const struct piece *head)
{
    const uint8_t first = head->count ? (uint8_t)head->bytes[0] : 0;

    return is_named(source, ".msgpack") &&
           ((first & 0xf0) == 0x80 || first == 0xde || first == 0xdf);
}

/* ---- text ------------------------------------------------------------------------- */

/* No control characters except those of lines, and no byte that UTF-8 never has. */
static bool is_text(const struct piece *head)
{
    for (size_t i = 0; i < head->count; i++) {
        uint8_t c = (uint8_t)head->bytes[i];

        if (c == 0x7f || c > 0xf4 || (c < 0x20 && (c == '\0' || !strchr("\t\n\r\f", c))))
            return false;
    }
    return head->count > 0;
}

static const char *skip_blank(const char *text)
{
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* byte order mark */
        text += 3;
    return text + strspn(text, " \t\r\n\f");
}

static bool begins(const char *text, const char *word)
{
    return strncasecmp(text, word, strlen(word)) == 0;
}

static int identify_lfs(struct source *source, const char *start,
                        char text[IDENTITY_BYTES])
{
    const char *size = strstr(start, "\nsize ");
    char *end = NULL;
    uint64_t bytes;

    if (!begins(start, "version https://git-lfs.github.com/spec/") ||
        source_bytes(source) > LFS_BYTES_MAX)
        return 0;
    bytes = size ? strtoull(size + strlen("\nsize "), &end, 10) : 0;
    if (size && end != size + strlen("\nsize "))
        snprintf(text, IDENTITY_BYTES,
                 "is a Git LFS pointer to %" PRIu64 " bytes: run git lfs pull", bytes);
    else
        snprintf(text, IDENTITY_BYTES, "is a Git LFS pointer: run git lfs pull");
    return 1;
}

static int identify_json(const char *start, char text[IDENTITY_BYTES])
{
    if (strstr(start, "\"weight_map\""))
        return say(text, "is the index of a checkpoint with shards, not its weights; "
                         "name its folder");
    if (strstr(start, "\"model_type\"") || strstr(start, "\"architectures\""))
        return say(text, "is the configuration of a model, not its weights");
    return say(text, "is JSON text" READ_ARE);
}

/* The first line up to the first byte that is not printable ASCII. */
static int quote_text(const char *start, char text[IDENTITY_BYTES])
{
    int count = 0;

    while (count < QUOTED_BYTES && start[count] >= 0x20 && start[count] < 0x7f)
        count++;
    if (count == 0)
        return 0;
    snprintf(text, IDENTITY_BYTES, "is text that begins with \"%.*s\"" READ_ARE, count,
             start);
    return 1;
}

static int identify_text(struct source *source, const struct piece *head,
                         char text[IDENTITY_BYTES])
{
    const char *start = skip_blank(head->bytes);

    if (!is_text(head))
        return 0;
    if (identify_lfs(source, start, text))
        return 1;
    if (begins(start, "<!doctype html") || begins(start, "<html") ||
        begins(start, "<head"))
        return say(text, "is an HTML page, such as a server sends instead of a file; "
                         "fetch it again");
    if (begins(start, "<?xml"))
        return say(text, "is XML text, such as a server sends instead of a file; fetch "
                         "it again");
    if (*start == '{' || *start == '[')
        return identify_json(start, text);
    return quote_text(start, text);
}

/* ---- the whole -------------------------------------------------------------------- */

int identify_source(struct source *source, char text[IDENTITY_BYTES],
                    struct failure *failure)
{
    struct piece head;
    int result;

    if (source_bytes(source) == 0)
        return say(text, "is empty");
    if (read_piece(source, &head, 0, failure) < 0)
        return -1;
    result = identify_zeros(source, &head, text, failure);
    if (result == 0)
        result = identify_zip(source, &head, text, failure);
    for (size_t i = 0; result == 0 && i < sizeof(magics) / sizeof(magics[0]); i++)
        if (has_bytes(&head, magics[i].offset, magics[i].bytes, magics[i].count))
            result = say(text, magics[i].text);
    if (result == 0 && is_msgpack(source, &head))
        result = say(text, "is a MessagePack file, such as Flax writes" READ_ARE);
    if (result == 0 && is_pickle(&head))
        result = say(text, "is a Python pickle" PICKLE_IS_CODE);
    if (result == 0 && is_onnx(&head))
        result = say(text, "is an ONNX model" READ_ARE);
    return result == 0 ? identify_text(source, &head, text) : result;
}

int fail_unknown_format(struct source *source, struct failure *failure)
{
    char text[IDENTITY_BYTES];
    int known = identify_source(source, text, failure);

    if (known < 0)
        return -1;
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL, "it %s",
                known ? text : "is neither safetensors, GGUF, .npy nor of Keras 3");
}
