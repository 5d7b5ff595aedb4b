/* SPDX-License-Identifier: Apache-2.0 */
/* Layers on disk: a layer that was acknowledged is there after any failure. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/kernels.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/fault_file.h"
#include "tests/lib/layers_fixture.h"

static struct fixture fixture;

static const char *path(const char *folder, const char *name)
{
    static char text[512];

    snprintf(text, sizeof(text), "%s/layers/%s/%s", fixture.folder, folder, name);
    return text;
}

static size_t files_in(const char *folder)
{
    DIR *directory = opendir(path(folder, ""));
    struct dirent *entry;
    size_t count = 0;

    CHECK(directory);
    while ((entry = readdir(directory)))
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static struct layer *found(const char *name)
{
    struct layer *layer;

    if (layers_find(fixture.layers, name, &layer, NULL) < 0)
        return NULL;
    layer_release(layer);
    return layer;
}

CASE(encodes_names, "names become file names that cannot leave the folder")
{
    char out[LAYER_FILE_NAME_BYTES_MAX + 1], name[256] = "";

    CHECK(file_name("model.layers.0", out) == 0);
    CHECK_STR(out, "model.layers.0");
    CHECK(file_name("a/b%c\x01 \xc3\xa9", out) == 0);
    CHECK_STR(out, "a%2Fb%25c%01 \xc3\xa9");
    CHECK(file_name("..", out) == 0);
    CHECK_STR(out, "%2E.");
    memset(name, 'n', 255);
    CHECK(file_name(name, out) == 0 && strlen(out) == 255);
    name[7] = '/';
    CHECK(file_name(name, out) < 0);
}

CASE(finds_layers_again, "a saved layer is found again unchanged until it is removed")
{
    struct layer_spec spec = layers_fixture_spec("a/b", 33, 200);
    struct layer *layer;
    uint8_t *codes;
    size_t bytes = (size_t)linear_code_bytes(33, 200);
    float scales[33 * 13];
    uint64_t seed;

    layers_fixture_open(&fixture, true);
    spec.bias = true;
    spec.keep_latents = true;
    layer = layers_fixture_make(&fixture, &spec, 3);
    seed = layer->seed;
    CHECK(layer_save(layer, NULL) == 0);
    codes = malloc(bytes);
    CHECK(codes);
    memcpy(codes, layer->codes, bytes);
    memcpy(scales, layer->scales, sizeof(scales));
    CHECK(layers_fixture_reopen(&fixture) == 0);
    layer = found("a/b");
    CHECK(layer);
    CHECK(memcmp(&layer->spec, &spec, sizeof(spec)) == 0);
    CHECK_MEM(layer->codes, codes, bytes);
    CHECK_MEM(layer->scales, scales, sizeof(scales));
    CHECK(layer->bias[32] == 32);
    CHECK(layer->latents == LATENTS_DRAWN && layer->seed == seed);
    CHECK(layer_remove(layer, NULL) == 0);
    CHECK(layers_fixture_reopen(&fixture) == 0);
    CHECK(!found("a/b"));
    free(codes);
    layers_fixture_close(&fixture);
}

/* A change of the layout needs a new HEADER_VERSION, or old files would be misread. */
CASE(knows_its_layout, "codes on disk have the layout of file version 1")
{
    struct layer_spec spec = layers_fixture_spec("layout", 20, 48);
    struct layer *layer;

    layers_fixture_open(&fixture, false);
    layer = layers_fixture_make(&fixture, &spec, 7);
    CHECK_EQ(crc32c(0, layer->codes, (size_t)linear_code_bytes(20, 48)), 1081919468);
    layers_fixture_close(&fixture);
}

CASE(puts_damage_aside, "a file that is truncated or has a changed byte is moved aside")
{
    struct layer_spec spec = layers_fixture_spec("x", 16, 64);
    struct stat info;
    char damaged[512];
    off_t size;

    layers_fixture_open(&fixture, true);
    CHECK(layer_save(layers_fixture_make(&fixture, &spec, 1), NULL) == 0);
    CHECK(stat(path("held", "x"), &info) == 0);
    size = info.st_size;
    for (off_t at = 0; at < size; at += 23) { /* any byte, flipped */
        uint8_t byte;
        int fd = open(path("held", "x"), O_RDWR);

        CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
        byte ^= 0x40;
        CHECK(pwrite(fd, &byte, 1, at) == 1);
        CHECK(layers_fixture_reopen(&fixture) == 0);
        CHECK(!found("x"));
        CHECK_EQ(files_in("damaged"), 1);
        byte ^= 0x40;
        CHECK(pwrite(fd, &byte, 1, at) == 1);
        close(fd);
        strcpy(damaged, path("damaged", "x"));
        CHECK(rename(damaged, path("held", "x")) == 0);
    }
    CHECK(layers_fixture_reopen(&fixture) == 0 && found("x"));
    CHECK(truncate(path("held", "x"), size - 1) == 0);
    CHECK(layers_fixture_reopen(&fixture) == 0 && !found("x"));
    layers_fixture_close(&fixture);
}

CASE(removes_what_a_crash_leaves,
     "a start removes unfinished files and latents without a layer")
{
    struct layer_spec spec = layers_fixture_spec("x", 16, 64);
    struct latents_file latents;

    layers_fixture_open(&fixture, true);
    CHECK(layer_save(layers_fixture_make(&fixture, &spec, 1), NULL) == 0);
    CHECK(latents_create(&latents, fixture.layers, NULL) == 0);
    CHECK(latents_write(&latents, 0, "data", 4, NULL) == 0);
    close(latents.fd); /* neither finished nor aborted */
    CHECK_EQ(files_in("new"), 1);
    CHECK(close(open(path("latents", "orphan"), O_CREAT | O_WRONLY, 0600)) == 0);
    CHECK(close(open(path("latents", "x"), O_CREAT | O_WRONLY, 0600)) == 0);
    CHECK(layers_fixture_reopen(&fixture) == 0 && found("x"));
    CHECK_EQ(files_in("new"), 0);
    CHECK_EQ(files_in("latents"), 1);
    layers_fixture_close(&fixture);
}

CASE(keeps_latents, "latents are read back as they were written, in any order")
{
    struct layer_spec spec = layers_fixture_spec("x", 16, 64);
    static float values[16 * 64], back[16 * 64];
    struct latents_file latents;
    struct failure failure = {.status = TRIT_OK};
    struct layer *layer;
    uint32_t crc;

    for (size_t i = 0; i < 16 * 64; i++)
        values[i] = (float)i;
    crc = crc32c(0, values, sizeof(values));
    layers_fixture_open(&fixture, true);
    layer = layers_fixture_make(&fixture, &spec, 1);
    layer->latents = LATENTS_KEPT;
    CHECK(latents_create(&latents, fixture.layers, NULL) == 0);
    CHECK(latents_write(&latents, 2048, (uint8_t *)values + 2048, sizeof(values) - 2048,
                        NULL) == 0);
    CHECK(latents_write(&latents, 0, values, 2048, NULL) == 0);
    CHECK(latents_finish(&latents, layer, sizeof(values), crc, NULL) == 0);
    latents_abort(&latents); /* harmless */
    CHECK(latents_read(layer, back, sizeof(back), NULL) == 0);
    CHECK_MEM(back, values, sizeof(values));
    CHECK(truncate(path("latents", "x"), 1000) == 0);
    CHECK(latents_read(layer, back, sizeof(back), &failure) < 0);
    CHECK(failure.status == TRIT_DATA_LOSS);
    layers_fixture_close(&fixture);
}

/* Each call of the file system fails in turn. The layer is not there then, and the next
 * start removes every file that is left. */
CASE(survives_a_failing_disk, "a save that fails leaves nothing behind")
{
    struct layer_spec spec = layers_fixture_spec("x", 16, 64);
    struct layer *layer;

    layers_fixture_open(&fixture, true);
    layer = layers_fixture_make(&fixture, &spec, 1);
    for (uint64_t n = 1;; n++) {
        struct failure failure = {.status = TRIT_OK};
        int result;

        fault_file_arm(FAULT_FILE_PWRITE | FAULT_FILE_OPENAT | FAULT_FILE_RENAMEAT, n,
                       ENOSPC, FAULT_FILE_FAIL);
        result = layer_save(layer, &failure);
        if (!fault_file_disarm())
            break;
        CHECK(result < 0 && failure.status == TRIT_UNAVAILABLE);
        CHECK(strstr(failure.message, "No space left"));
        CHECK_EQ(files_in("new") + files_in("held"), 0);
    }
    CHECK_EQ(files_in("held"), 1);
    CHECK(layer_remove(layer, NULL) == 0);
    fault_file_arm(FAULT_FILE_PWRITE, 1, 0, FAULT_FILE_SHORT);
    CHECK(layer_save(layer, NULL) == 0);
    CHECK(fault_file_disarm());
    CHECK(layers_fixture_reopen(&fixture) == 0 && found("x"));
    layers_fixture_close(&fixture);
}

CASE(fails_if_not_synced, "a save fails if its file cannot be synced")
{
    struct layer_spec spec = layers_fixture_spec("x", 16, 64);
    struct layer *layer;

    layers_fixture_open(&fixture, true);
    layer = layers_fixture_make(&fixture, &spec, 1);
    for (uint64_t n = 1; n <= 2; n++) {
        fault_arm(FAULT_WRITE, n, FAULT_ONCE);
        CHECK(layer_save(layer, NULL) < 0);
        CHECK(fault_disarm());
        CHECK_EQ(files_in("held") + files_in("new"), 0);
    }
    layers_fixture_close(&fixture);
}

CASE(says_when_the_budget_is_too_small,
     "a start fails if the saved layers do not fit the memory budget")
{
    struct layer_spec spec = layers_fixture_spec("x", 512, 512);

    layers_fixture_open(&fixture, true);
    CHECK(layer_save(layers_fixture_make(&fixture, &spec, 1), NULL) == 0);
    layers_close(fixture.layers);
    fixture.layers = NULL;
    budget_init(&fixture.budget, 1000);
    CHECK(layers_fixture_reopen(&fixture) < 0);
    CHECK(fixture.failure.status == TRIT_RESOURCE_EXHAUSTED);
    CHECK_EQ(files_in("held"), 1);
    layers_fixture_close(&fixture);
}
