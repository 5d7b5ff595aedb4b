/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/resume_read.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "proto/codec/checkpoints.h"

/* ---- reading the journal ------------------------------------------------------------- */

/* Its first records are the parts of the key. */
static bool read_key(struct resume *resume, struct journal_reader *reader)
{
    size_t at = 0;

    while (at < resume->key.count) {
        if (!journal_next(reader) || reader->kind != JOURNAL_KEY || reader->count == 0 ||
            reader->count > resume->key.count - at ||
            memcmp(reader->bytes, resume->key.bytes + at, reader->count) != 0)
            return false;
        at += reader->count;
    }
    return true;
}

/* False: the record makes no sense. `at`: where it begins. */
static bool note(struct resume *resume, const struct journal_reader *reader, uint64_t at)
{
    struct resume_tensor *tensor;
    uint64_t number;

    if (reader->count < sizeof(number))
        return false;
    number = journal_get_u64(reader->bytes);
    if (reader->kind == JOURNAL_REPORT && number < resume->pieces) {
        resume->report_at[number] = at;
        return true;
    }
    if (reader->kind != JOURNAL_TENSOR || number >= resume->plan->table.count ||
        reader->count != 2 * sizeof(number))
        return false;
    tensor = &resume->tensors[number];
    tensor->noted_crc = (uint32_t)journal_get_u64(reader->bytes + sizeof(number));
    tensor->noted = true;
    return true;
}

bool resume_read(struct resume *resume)
{
    struct journal_reader reader;
    bool same;

    if (journal_reader_init(&reader, resume->fd) < 0)
        return false;
    same = read_key(resume, &reader);
    if (same)
        do
            resume->end = reader.at;
        while (journal_next(&reader) && note(resume, &reader, resume->end));
    journal_reader_fini(&reader);
    return same;
}

static int decode(const struct journal_reader *reader, size_t number,
                  struct trit_report *report)
{
    struct progress_texts *texts = malloc(sizeof(*texts));
    struct wire_progress progress = {.report = NULL};
    char error[CODEC_ERROR_BYTES];
    int result = -1;

    if (texts && reader->kind == JOURNAL_REPORT && reader->count > sizeof(uint64_t) &&
        journal_get_u64(reader->bytes) == number &&
        decode_progress(reader->bytes + sizeof(uint64_t),
                        reader->count - sizeof(uint64_t), &progress, texts, report,
                        error) == 0 &&
        progress.report)
        result = 0;
    free(texts);
    return result;
}

int resume_read_report(const struct resume *resume, size_t number,
                       struct trit_report *report, struct failure *failure)
{
    struct journal_reader reader;
    int result = -1;

    if (resume->report_at[number] && journal_reader_init(&reader, resume->fd) == 0) {
        if (journal_read(&reader, resume->report_at[number]))
            result = decode(&reader, number, report);
        journal_reader_fini(&reader);
    }
    return result == 0 ? 0
                       : fail(failure, TRIT_DATA_LOSS, NULL,
                              "its report cannot be read from the journal of an earlier "
                              "run; try again");
}

/* ---- what can be used again ---------------------------------------------------------- */

/* Are the bytes of the tensor those that were noted? -1: the run has to stop. */
static int check_bytes(struct resume *resume, size_t index, uint8_t *buffer,
                       struct progress *progress, struct failure *failure)
{
    const uint64_t bytes = resume->plan->table.entries[index].bytes;
    uint32_t crc = 0;

    for (uint64_t at = 0; at < bytes; at += JOURNAL_RECORD_BYTES_MAX) {
        const uint64_t count = bytes - at < JOURNAL_RECORD_BYTES_MAX
                                   ? bytes - at
                                   : (uint64_t)JOURNAL_RECORD_BYTES_MAX;

        if (progress_check(progress, failure) < 0)
            return -1;
        if (writer_read(resume->writer, index, at, buffer, count, NULL) < 0)
            return 0;
        crc = crc32c(crc, buffer, (size_t)count);
    }
    return crc == resume->tensors[index].noted_crc;
}

/* A tensor lacks a piece whose report is not there. */
static void drop_without_report(struct resume *resume, struct trit_report *report)
{
    struct plan_cursor cursor = {.index = 0};
    struct plan_piece piece;
    size_t tensors[PIECE_TENSORS_MAX];

    while (plan_cursor_next(resume->plan, &cursor, &piece))
        if (piece.is_layer &&
            resume_read_report(resume, resume_number(resume, &piece), report, NULL) < 0)
            for (size_t i = resume_tensors(resume, &piece, tensors); i-- > 0;)
                resume->tensors[tensors[i]].noted = false;
}

/* A piece is put as a whole: its tensors are all used again, or none. */
static void drop_parts(struct resume *resume)
{
    struct plan_cursor cursor;
    struct plan_piece piece;
    size_t tensors[PIECE_TENSORS_MAX];
    bool dropped;

    do {
        dropped = false;
        cursor = (struct plan_cursor){.index = 0};
        while (plan_cursor_next(resume->plan, &cursor, &piece)) {
            const size_t count = resume_tensors(resume, &piece, tensors);
            size_t noted = 0;

            for (size_t i = 0; i < count; i++)
                noted += resume->tensors[tensors[i]].noted;
            if (noted == 0 || noted == count)
                continue;
            for (size_t i = 0; i < count; i++)
                resume->tensors[tensors[i]].noted = false;
            dropped = true;
        }
    } while (dropped);
}

static int check_tensors(struct resume *resume, struct progress *progress,
                         struct failure *failure)
{
    uint8_t *buffer = malloc(JOURNAL_RECORD_BYTES_MAX);
    int same = buffer ? 0 : -1;

    if (!buffer)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (size_t i = 0; i < resume->plan->table.count && same >= 0; i++)
        if (resume->tensors[i].noted) {
            same = check_bytes(resume, i, buffer, progress, failure);
            resume->tensors[i].noted = same > 0;
        }
    free(buffer);
    return same < 0 ? -1 : 0;
}

int resume_check(struct resume *resume, struct progress *progress,
                 struct failure *failure)
{
    struct trit_report *report = malloc(sizeof(*report));

    if (!report)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    drop_without_report(resume, report);
    free(report);
    if (check_tensors(resume, progress, failure) < 0)
        return -1;
    drop_parts(resume);
    return 0;
}
