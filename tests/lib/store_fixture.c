/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/store_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/kernels.h"
#include "obs/metrics.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"

int store_fixture_open_store(struct store_fixture *fixture, struct failure *failure)
{
    struct store_config config = {
        .directory = fixture->directory[0] ? fixture->directory : NULL,
        .mailbox = fixture->mailbox,
        .kernels = fixture->kernels,
        .metrics = fixture->metrics,
        .queue_max = fixture->queue_max,
        .codes_max = fixture->codes_max,
        .shards_max = 64 << 20,
        .retention = fixture->retention,
        .rules = fixture->rules,
        .filed = fixture->filed,
        .filed_arg = fixture->filed_arg,
    };

    return store_open(&fixture->store, &config, failure);
}

/* `parent` NULL: in memory. */
static void init(struct store_fixture *fixture, const char *parent)
{
    struct failure failure = {0};

    *fixture = (struct store_fixture){.queue_max = 64};
    fixture->loop = loop_create();
    CHECK(mailbox_create(&fixture->mailbox, fixture->loop, &failure) == 0);
    fixture->metrics = metrics_create(NULL, 0, "test", "test");
    fixture->kernels = kernels_select("auto");
    CHECK(fixture->metrics && fixture->kernels);
    if (parent) {
        snprintf(fixture->directory, sizeof(fixture->directory), "%s/tritd-test-XXXXXX",
                 parent);
        CHECK(mkdtemp(fixture->directory));
    }
    if (store_fixture_open_store(fixture, &failure))
        check_failed(__FILE__, __LINE__, "store_open: %s", failure.message);
}

void store_fixture_init(struct store_fixture *fixture, bool in_memory)
{
    init(fixture, in_memory ? NULL : "/tmp");
}

void store_fixture_init_fast(struct store_fixture *fixture)
{
    init(fixture, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

void store_fixture_close_store(struct store_fixture *fixture)
{
    store_close(fixture->store);
    fixture->store = NULL;
}

static void remove_directory(const char *path)
{
    char file[FIXTURE_PATH_BYTES + sizeof(((struct dirent *)0)->d_name)];
    DIR *directory = opendir(path);
    struct dirent *entry;

    if (!directory)
        return;
    while ((entry = readdir(directory))) {
        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        unlink(file);
    }
    closedir(directory);
    rmdir(path);
}

void store_fixture_fini(struct store_fixture *fixture)
{
    store_fixture_close_store(fixture);
    mailbox_close(fixture->mailbox);
    loop_destroy(fixture->loop);
    metrics_destroy(fixture->metrics);
    if (fixture->directory[0])
        remove_directory(fixture->directory);
}

void fixture_report(struct trit_report *report, const char *run, const char *layer,
                    uint64_t step, unsigned digest, uint64_t rows, uint64_t row_len,
                    uint32_t group_size)
{
    *report = (struct trit_report){
        .step = step,
        .time_unix_ns = 1700000000000000000 + (int64_t)(step % 1000000),
        .dtype = TRIT_F32,
        .rank = 2,
        .shape = {rows, row_len},
        .group_size = group_size,
        .groups = rows * ((row_len + group_size - 1) / group_size),
        .elements = rows * row_len,
        .is_ternary = true,
        .fraction_valid = 1,
        .zeros = rows * row_len,
        .scale_min = 0.5F,
        .scale_mean = 0.5,
        .scale_max = 0.5F,
        .kernel = "portable",
        .version = "test",
    };
    snprintf(report->run, sizeof(report->run), "%s", run);
    snprintf(report->layer, sizeof(report->layer), "%s", layer);
    memcpy(report->digest, &digest, sizeof(digest));
}

void fixture_done(struct store_put *put)
{
    struct fixture_put *fixture_put = (struct fixture_put *)(void *)put;

    CHECK(!fixture_put->done);
    fixture_put->done = true;
}

void fixture_drained(struct store_put *put)
{
    ((struct fixture_put *)(void *)put)->drained++;
}

static bool was_drained(void *arg)
{
    return ((struct fixture_put *)arg)->drained > 0;
}

static bool is_done(void *arg)
{
    return ((struct fixture_put *)arg)->done;
}

int fixture_put_start(struct store_fixture *fixture, struct fixture_put *put,
                      const struct trit_report *report, const uint8_t *codes,
                      size_t bytes, size_t piece)
{
    struct failure failure = {0};

    *put = (struct fixture_put){.fixture = fixture};
    put->report = *report;
    put->put.report = &put->report;
    put->put.done = fixture_done;
    put->put.question.partial = fixture->partial;
    put->put.counts_early = !fixture->counts_late;
    if (store_begin(&put->put, fixture->store, &failure)) {
        put->put.failure = failure;
        return -1;
    }
    store_on_drained(&put->put, fixture_drained);
    for (size_t at = 0; codes && at < bytes; at += piece) {
        size_t count = bytes - at < piece ? bytes - at : piece;

        put->drained = 0;
        if (store_codes(&put->put, codes + at, count) > STORE_CODES_PENDING_MAX)
            fixture_put_drain(put);
    }
    store_commit(&put->put);
    return 0;
}

void fixture_put_drain(struct fixture_put *put)
{
    loop_run_until(put->fixture->loop, was_drained, put);
}

void fixture_put_wait(struct fixture_put *put)
{
    loop_run_until(put->fixture->loop, is_done, put);
}

void fixture_put(struct store_fixture *fixture, struct fixture_put *put,
                 const struct trit_report *report, const uint8_t *codes, size_t bytes)
{
    if (fixture_put_start(fixture, put, report, codes, bytes, 65536) == 0)
        fixture_put_wait(put);
}
