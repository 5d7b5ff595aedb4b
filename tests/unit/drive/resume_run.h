/* SPDX-License-Identifier: Apache-2.0 */
/* Runs that are interrupted and gone on with. */
#ifndef TESTS_DRIVE_RESUME_RUN_H
#define TESTS_DRIVE_RESUME_RUN_H

#include "drive/resume.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drive/planned.h"
#include "tests/lib/check.h"

/* A layer, two experts and a bias: four pieces. */
static const char header[] =
    "{\"a.weight\":{\"dtype\":\"F32\",\"shape\":[1,64],\"data_offsets\":[0,256]},"
    "\"b.experts.weight\":{\"dtype\":\"F32\",\"shape\":[2,1,64],\"data_offsets\":[256,768]},"
    "\"c.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[768,776]}}";
enum { INPUT_BYTES = 776, PIECES = 4, OUTPUT_BYTES_MAX = 4096 };

struct place {
    char folder[32], input[64], output[64];
};

static inline void place_init(struct place *place, const char *output)
{
    const uint64_t length = sizeof(header) - 1;
    static const uint8_t data[INPUT_BYTES];
    FILE *file;

    /* In memory, where it can be: a flush costs nothing there. */
    strcpy(place->folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_resume_XXXXXX"
                                                        : "/tmp/test_resume_XXXXXX");
    CHECK(mkdtemp(place->folder));
    snprintf(place->input, sizeof(place->input), "%s/in.safetensors", place->folder);
    snprintf(place->output, sizeof(place->output), "%s/%s", place->folder, output);
    file = fopen(place->input, "w");
    CHECK(file && fwrite(&length, 8, 1, file) == 1 && fputs(header, file) >= 0 &&
          fwrite(data, INPUT_BYTES, 1, file) == 1);
    fclose(file);
}

static inline size_t file_count(const char *folder)
{
    DIR *stream = opendir(folder);
    size_t count = 0;

    CHECK(stream);
    for (const struct dirent *entry; (entry = readdir(stream));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(stream);
    return count;
}

static inline void place_fini(struct place *place)
{
    unlink(place->input);
    unlink(place->output);
    CHECK(rmdir(place->folder) == 0);
}

/* The hidden file whose name ends in this: the journal, or the unfinished output. */
static inline void hidden(const struct place *place, bool journal, char path[320])
{
    DIR *stream = opendir(place->folder);

    path[0] = '\0';
    for (const struct dirent *entry; (entry = readdir(stream));)
        if (strstr(entry->d_name, ".trit-") &&
            (strstr(entry->d_name, ".log") != NULL) == journal)
            snprintf(path, 320, "%s/%s", place->folder, entry->d_name);
    closedir(stream);
    CHECK(path[0]);
}

/* ---- a run ------------------------------------------------------------------------------ */

struct run {
    const struct place *place;
    const char *request;
    uint64_t flush_ns;
    size_t pieces; /* to put before it is interrupted; PIECES: all */
    bool commit;   /* at the end */
    bool keep;     /* without a commit: another one will go on */
    /* afterwards */
    size_t reused;
    bool kept;
    struct failure failure;
};

static inline int nothing_to_check(struct progress *progress, struct failure *failure)
{
    (void)progress;
    (void)failure;
    return 0;
}
static const struct progress_ops progress_ops = {.check = nothing_to_check};

/* Bytes that follow from tensor and place. */
static inline int put(struct run *run, struct writer *writer, const struct plan *plan,
                      const struct plan_piece *piece)
{
    const struct plan_item *item = &plan->items[piece->index];
    const size_t tensors[] = {item->data, item->scales, item->biases};

    for (size_t i = 0; i < (piece->is_layer ? 3 : 1); i++) {
        const uint64_t bytes =
            plan->table.entries[tensors[i]].bytes / piece->matrices.count;
        uint8_t data[256];

        CHECK(bytes <= sizeof(data));
        for (uint64_t k = 0; k < bytes; k++)
            data[k] = (uint8_t)(tensors[i] * 50 + piece->number * 20 + k + 1);
        /* Not in order. */
        if (writer_put_at(writer, tensors[i], piece->number * bytes + bytes / 2,
                          data + bytes / 2, bytes - bytes / 2, &run->failure) < 0 ||
            writer_put_at(writer, tensors[i], piece->number * bytes, data, bytes / 2,
                          &run->failure) < 0)
            return -1;
    }
    return 0;
}

static inline void report_of(const struct plan_piece *piece, struct trit_report *report)
{
    *report = (struct trit_report){.size = sizeof(*report)};
    snprintf(report->layer, sizeof(report->layer), "%.*s", TRIT_NAME_BYTES_MAX,
             piece->name);
    report->elements = piece->number + 1;
}

static inline int run_pieces(struct run *run, struct resume *resume,
                             struct writer *writer, const struct plan *plan)
{
    static struct trit_report report, expected;
    struct plan_cursor cursor = {.index = 0};
    struct plan_piece piece;

    for (size_t i = 0; i < run->pieces && plan_cursor_next(plan, &cursor, &piece); i++) {
        const int has = resume ? resume_has(resume, &piece, &report, &run->failure) : 0;

        report_of(&piece, &expected);
        run->reused += has > 0;
        if (has > 0 && piece.is_layer) {
            CHECK_STR(report.layer, expected.layer);
            CHECK_EQ(report.elements, expected.elements);
        }
        if (has < 0 || (has == 0 && put(run, writer, plan, &piece) < 0) ||
            (resume && resume_took(resume, &piece, piece.is_layer ? &expected : NULL,
                                   &run->failure) < 0))
            return -1;
    }
    return 0;
}

static inline int run_plan(struct run *run, struct plan *plan, struct reader *reader)
{
    const struct resume_asked asked = {.output = run->place->output,
                                       .version = "1",
                                       .request = run->request,
                                       .request_bytes = strlen(run->request),
                                       .flush_ns = run->flush_ns};
    enum target_mode mode = TARGET_REPLACE;
    struct progress progress;
    struct resume *resume = NULL;
    struct writer *writer = NULL;

    progress_init(&progress, &progress_ops, 0);
    int result = resume_open(&resume, &asked, plan, reader, &mode, &run->failure);
    if (result == 0)
        result = planned_create(&writer, run->place->output, mode, plan, reader, 0,
                                &run->failure);
    if (result == 0 && resume)
        result = resume_begin(resume, writer, &progress, &run->failure);
    if (result == 0)
        result = run_pieces(run, resume, writer, plan);
    if (result == 0 && run->commit)
        result = writer_commit(writer, &run->failure);
    run->kept = resume != NULL;
    resume_close(resume, result == 0 && run->keep);
    writer_destroy(writer);
    progress_fini(&progress);
    return result;
}

static inline int run_it(struct run *run)
{
    const struct checkpoint_options options = {.has_encoding = true,
                                               .encoding = TRIT_ENCODING_MLX_2BIT,
                                               .group_size = 64,
                                               .experts = EXPERTS_OUT_IN};
    struct reader *reader = NULL;
    struct plan plan = {.items = NULL};
    int result;

    run->failure = (struct failure){.status = TRIT_OK};
    run->reused = 0;
    result = reader_open(&reader, run->place->input, NULL, &run->failure);
    if (result == 0)
        result = plan_create(&plan, &options, false, reader_table(reader), &run->failure);
    if (result == 0)
        result = run_plan(run, &plan, reader);
    plan_destroy(&plan);
    reader_close(reader);
    return result;
}

/* Interrupted after so many pieces, each of which was flushed. */
static inline void interrupt(const struct place *place, size_t pieces)
{
    struct run run = {.place = place, .request = "r", .pieces = pieces, .keep = true};

    CHECK(run_it(&run) == 0);
    CHECK_EQ(file_count(place->folder), 3);
}

/* Runs to the end; -1 or how many pieces were used again. */
static inline int finish(const struct place *place, const char *request)
{
    struct run run = {.place = place,
                      .request = request,
                      .flush_ns = UINT64_MAX,
                      .pieces = PIECES,
                      .commit = true};

    return run_it(&run) < 0 ? -1 : (int)run.reused;
}

static inline size_t get(const char *path, uint8_t bytes[OUTPUT_BYTES_MAX])
{
    FILE *file = fopen(path, "r");
    size_t count;

    CHECK(file);
    count = fread(bytes, 1, OUTPUT_BYTES_MAX, file);
    fclose(file);
    return count;
}

static inline void set(const char *path, const uint8_t *bytes, size_t count)
{
    FILE *file = fopen(path, "w");

    CHECK(file && fwrite(bytes, 1, count, file) == count);
    fclose(file);
}

/* The output is that of an undisturbed run, and nothing else is left. */
static inline void check_output(const struct place *place)
{
    static uint8_t expected[OUTPUT_BYTES_MAX], found[OUTPUT_BYTES_MAX];
    static size_t count;

    if (count == 0) {
        struct place fresh;

        place_init(&fresh, "out.safetensors");
        CHECK_EQ(finish(&fresh, "fresh"), 0);
        count = get(fresh.output, expected);
        place_fini(&fresh);
    }
    CHECK_EQ(get(place->output, found), count);
    CHECK(memcmp(found, expected, count) == 0);
    CHECK_EQ(file_count(place->folder), 2);
    unlink(place->output);
}

#endif
