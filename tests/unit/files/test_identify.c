/* SPDX-License-Identifier: Apache-2.0 */
/* Files of other formats are refused as what they are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files/identify.h"
#include "files/reader.h"
#include "tests/lib/check.h"
#include "tests/lib/fault_file.h"

/* The reader refuses the bytes as INVALID_ARGUMENT, with exactly this message. */
static void refused_as(const char *name, const void *bytes, size_t count,
                       const char *message)
{
    struct failure failure = {.status = TRIT_OK};
    struct source *source;
    struct reader *reader;

    CHECK(source_memory(&source, bytes, count, name, &failure) == 0);
    if (reader_open_source(&reader, source, NULL, &failure) == 0) {
        reader_close(reader);
        check_failed(__FILE__, __LINE__, "taken, \"%s\" was due", message);
    }
    CHECK_STR(failure.message, message);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
}

/* The same with `count` bytes that begin with `start`; `filler` follows. */
static void refused_start(const char *start, size_t length, char filler, size_t count,
                          const char *message)
{
    char *bytes = malloc(count);

    memset(bytes, filler, count);
    memcpy(bytes, start, length);
    refused_as("file", bytes, count, message);
    free(bytes);
}

static void refused_text(const char *text, const char *message)
{
    refused_as("file", text, strlen(text), message);
}

CASE(names_an_empty_file, "an empty file is identified as empty")
{
    refused_as("model.safetensors", "", 0, "it is empty");
}

CASE(names_lfs_pointers,
     "a Git LFS pointer is named, with the size of the file that it points to")
{
    char large[2048];

    refused_text("version https://git-lfs.github.com/spec/v1\n"
                 "oid sha256:abababab\nsize 988097824\n",
                 "it is a Git LFS pointer to 988097824 bytes: run git lfs pull");
    refused_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\n",
                 "it is a Git LFS pointer: run git lfs pull");
    refused_text("version https://git-lfs.github.com/spec/v1\nsize x\n",
                 "it is a Git LFS pointer: run git lfs pull");
    /* A larger text that begins so is none. */
    memset(large, 'x', sizeof(large));
    memcpy(large, "version https://git-lfs.github.com/spec/v1\n", 43);
    refused_as(
        "file", large, sizeof(large),
        "it is text that begins with \"version https://git-lfs.github.com/spec/v1\""
        "; only safetensors, GGUF, .npy and "
        "Keras 3 files are read");
}

CASE(names_what_servers_send, "HTML, XML and text instead of weights are named")
{
    static const char html[] =
        "it is an HTML page, such as a server sends instead of a file; fetch it again";

    refused_text("<!DOCTYPE html><html><title>401</title></html>", html);
    refused_text("\xef\xbb\xbf\r\n  <HTML lang=\"en\">{}", html);
    refused_text("<head><meta>", html);
    /* The ninth byte is a brace, as in safetensors. */
    refused_text("<html>  {}</html>", html);
    refused_text("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
                 "it is XML text, such as a server sends instead of a file; fetch it "
                 "again");
    refused_text(
        "Entry not found\nor so",
        "it is text that begins with \"Entry not found\"; only safetensors, GGUF, .npy and "
        "Keras 3 files are read");
    refused_text("caf\xc3\xa9",
                 "it is text that begins with \"caf\"; only safetensors, GGUF, .npy and "
                 "Keras 3 files are read");
    refused_text("\xc3\xa9t\xc3\xa9",
                 "it is neither safetensors, GGUF, .npy nor of Keras 3");
    refused_text("plain\xff", "it is neither safetensors, GGUF, .npy nor of Keras 3");
    refused_text("a line of more than forty-eight characters is cut there, before this",
                 "it is text that begins with \"a line of more than forty-eight "
                 "characters is cu\"; only safetensors, GGUF, .npy and "
                 "Keras 3 files are read");
}

CASE(names_json, "an index, a configuration and other JSON are named")
{
    refused_text("{\n  \"metadata\": {\"total_size\": 1},\n  \"weight_map\": {}\n}",
                 "it is the index of a checkpoint with shards, not its weights; name its "
                 "folder");
    refused_text("{\"architectures\": [\"LlamaForCausalLM\"]}",
                 "it is the configuration of a model, not its weights");
    refused_text(" [1, 2, 3, 4]", "it is JSON text; only safetensors, GGUF, .npy and "
                                  "Keras 3 files are read");
    refused_text("{\"error\":{\"code\":401}}",
                 "it is JSON text; only safetensors, GGUF, .npy and "
                 "Keras 3 files are read");
    /* The ninth byte is a brace. */
    refused_text("{\"abcd\":{\"code\":401}}",
                 "it is JSON text; only safetensors, GGUF, .npy and "
                 "Keras 3 files are read");
}

/* A zip archive of one empty member: its header, its entry in the directory. */
static size_t make_zip(char *bytes, const char *member, bool directory)
{
    size_t count = strlen(member), header = directory ? 46 : 30;

    memset(bytes, 0, header);
    memcpy(bytes, directory ? "PK\1\2" : "PK\3\4", 4);
    bytes[directory ? 28 : 26] = (char)count;
    memcpy(bytes + header, member, count);
    return header + count;
}

CASE(names_zip_archives, "zip archives are named by what they hold")
{
    static const struct {
        const char *name, *member, *message;
    } cases[] = {
        {"model.bin", "archive/data.pkl",
         "it is PyTorch's pickle archive, which is not opened because unpickling can run "
         "code; convert it to safetensors"},
        {"x", "w.npy", "it is NumPy's archive (.npz); save each array as .npy"},
        {"x.NPZ", "w", "it is NumPy's archive (.npz); save each array as .npy"},
        {"x", "m/model.weights.h5",
         "it is a Keras archive with its members in another order; save it again with Keras"},
        {"x", "a/model.safetensors",
         "it is a zip archive that holds safetensors: unpack it first"},
        {"x", "data.pkl.txt", "it is a zip archive: unpack it first"},
    };
    static char bytes[10000];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t count = make_zip(bytes, cases[i].member, false);

        memset(bytes + count, 'x', 40);
        refused_as(cases[i].name, bytes, count + 40, cases[i].message);
        /* The same member, told of at the end of a large file. */
        memset(bytes, 'x', sizeof(bytes));
        make_zip(bytes, "version", false);
        make_zip(bytes + sizeof(bytes) - 100, cases[i].member, true);
        refused_as(cases[i].name, bytes, sizeof(bytes), cases[i].message);
    }
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, "PK\5\6", 4);
    refused_as("x", bytes, 22, "it is a zip archive: unpack it first");
    /* A length of a name that goes beyond the file. */
    memcpy(bytes, "PK\3\4", 4);
    memset(bytes + 26, 0xff, 2);
    refused_as("x", bytes, 60, "it is a zip archive: unpack it first");
    refused_as("x", bytes, 5, "it is a zip archive: unpack it first");
}

CASE(names_pickles, "pickles are named, with the reason why they are not opened")
{
    refused_start("\x80\x02}q\0.", 6, '.', 20,
                  "it is a Python pickle, which is not opened because unpickling can run "
                  "code; convert it to safetensors");
    refused_start("\x80\x05\x95", 3, 'x', 20,
                  "it is a Python pickle, which is not opened because unpickling can run "
                  "code; convert it to safetensors");
    refused_start(
        "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14, '.', 20,
        "it is PyTorch's pickle file of before version 1.6, which is not opened "
        "because unpickling can run code; convert it to safetensors");
    refused_start("\x80\x06", 2, 'x', 20,
                  "it is neither safetensors, GGUF, .npy nor of Keras 3");
}

CASE(names_other_formats, "other formats are identified by their magic bytes")
{
    static const struct {
        const char *start;
        size_t count;
        const char *message;
    } cases[] = {
        {"tjgg\3\0\0\0", 8,
         "it is a GGML file, the forerunner of GGUF; only safetensors, GGUF, .npy and "
         "Keras 3 files are read"},
        {"\x1f\x8b\x08", 3, "it is compressed by gzip: unpack it first"},
        {"\xfd\x37\x7aXZ\0", 6, "it is compressed by xz: unpack it first"},
        {"\x28\xb5\x2f\xfd", 4, "it is compressed by zstd: unpack it first"},
        {"BZh9", 4, "it is compressed by bzip2: unpack it first"},
        {"\x08\x08\x12\x07pytorch", 11,
         "it is an ONNX model; only safetensors, GGUF, .npy and Keras 3 files are read"},
        {"xxxxTFL3", 8,
         "it is a TensorFlow Lite model; only safetensors, GGUF, .npy and "
         "Keras 3 files are read"},
    };
    char tar[512] = "model.safetensors";

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refused_start(cases[i].start, cases[i].count, '\0', 64, cases[i].message);
    memcpy(tar + 257, "ustar", 5);
    refused_as("x.tar", tar, sizeof(tar), "it is a tar archive: unpack it first");
    refused_start("\x93NUMP", 5, '\1', 64,
                  "it is neither safetensors, GGUF, .npy nor of Keras 3");
}

CASE(counts_zeros_at_the_start, "zeros at the start are counted")
{
    static const char large[(1 << 20) + 5000];

    refused_start("", 0, '\0', 4096,
                  "it holds 4096 zero bytes and nothing else: an interrupted or sparse "
                  "download; fetch it again");
    for (size_t zeros = 8; zeros < 10000; zeros = 3 * zeros + 8) {
        char *bytes = calloc(1, zeros + 100), message[128];

        /* After eight zeros a brace looks like an empty header. */
        memset(bytes + zeros, '{', 100);
        snprintf(message, sizeof(message),
                 "it starts with %zu zero bytes: an interrupted or sparse download; "
                 "fetch it again",
                 zeros);
        refused_as("x", bytes, zeros + 100, message);
        free(bytes);
    }
    refused_as("x", large, sizeof(large),
               "it starts with at least 1048576 zero bytes: an interrupted or sparse "
               "download; fetch it again");
    refused_start("", 0, '\0', 7, "it is neither safetensors, GGUF, .npy nor of Keras 3");
    refused_start("\2\0\0\0\0\0\0\0{\0}", 11, '\0', 20,
                  "safetensors header: a zero byte, as in an interrupted download, at "
                  "byte 1");
}

/* The length of a header may begin as a pickle does, or as gzip's output. */
CASE(takes_a_cut_header_for_safetensors,
     "a truncated header is recognized as safetensors, whatever its length field")
{
    refused_start("\x80\x02\0\0\0\0\0\0{", 9, ' ', 20,
                  "safetensors header of 640 bytes goes beyond the end of the file: the "
                  "file is truncated, 628 bytes are missing");
    refused_start("\x1f\x8b\x08\0\0\0\0\0{", 9, ' ', 20,
                  "safetensors header of 559903 bytes goes beyond the end of the file: "
                  "the file is truncated, 559891 bytes are missing");
}

CASE(names_messagepack, "a map in a file called .msgpack is Flax's")
{
    refused_as(
        "flax_model.msgpack", "\x82\xa5layer\x80", 8,
        "it is a MessagePack file, such as Flax writes; only safetensors, GGUF, .npy and "
        "Keras 3 files are read");
    refused_as("file", "\x82\xa5layer\x80", 8,
               "it is neither safetensors, GGUF, .npy nor of Keras 3");
}

CASE(tells_of_a_failed_read, "a failed read is reported")
{
    char path[] = "/tmp/test_identify_XXXXXX";
    static const char bytes[9000] = "\0";
    int fd = mkstemp(path);

    CHECK(fd >= 0 && write(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes));
    close(fd);
    for (uint64_t n = 1;; n++) {
        struct failure failure = {.status = TRIT_OK};
        struct reader *reader;
        bool hit;

        fault_file_arm(FAULT_FILE_PREAD, n, EIO, FAULT_FILE_FAIL);
        CHECK(reader_open(&reader, path, NULL, &failure) != 0);
        hit = fault_file_disarm();
        CHECK_EQ(failure.status, hit ? TRIT_UNAVAILABLE : TRIT_INVALID_ARGUMENT);
        if (!hit) {
            CHECK(n == 5); /* the probe, and three pieces */
            break;
        }
    }
    unlink(path);
}
