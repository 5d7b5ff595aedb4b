/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is damaged or fails, the output of a run that goes on is that of an undisturbed
 * run. */
#include <errno.h>

#include "tests/lib/fault.h"
#include "tests/lib/fault_file.h"
#include "tests/unit/drive/resume_run.h"

CASE(journal_damaged, "a journal that is cut or wrong at any byte gives the same output")
{
    static uint8_t journal_bytes[OUTPUT_BYTES_MAX], output_bytes[OUTPUT_BYTES_MAX];
    struct place place;
    char journal[320], output[320];

    place_init(&place, "out.safetensors");
    interrupt(&place, PIECES);
    hidden(&place, true, journal);
    hidden(&place, false, output);
    const size_t count = get(journal, journal_bytes);
    const size_t written = get(output, output_bytes);
    CHECK(count < OUTPUT_BYTES_MAX);
    for (size_t i = 0; i < 2 * count; i++) {
        const size_t at = i / 2;

        journal_bytes[at] ^= (uint8_t)(i % 2 ? 0 : 1u << (at % 8));
        set(journal, journal_bytes, i % 2 ? at : count);
        journal_bytes[at] ^= (uint8_t)(i % 2 ? 0 : 1u << (at % 8));
        set(output, output_bytes, written);
        CHECK(finish(&place, "r") < PIECES);
        check_output(&place);
    }
    place_fini(&place);
}

CASE(output_damaged,
     "an unfinished output that is wrong at any byte is written again there")
{
    static uint8_t journal_bytes[OUTPUT_BYTES_MAX], output_bytes[OUTPUT_BYTES_MAX];
    struct place place;
    char journal[320], output[320];

    place_init(&place, "out.safetensors");
    interrupt(&place, PIECES);
    hidden(&place, true, journal);
    hidden(&place, false, output);
    const size_t count = get(journal, journal_bytes);
    const size_t written = get(output, output_bytes);
    for (size_t i = 0; i < 2 * written; i++) {
        const size_t at = i / 2;

        output_bytes[at] ^= (uint8_t)(i % 2 ? 0 : 1u << (at % 8));
        set(output, output_bytes, i % 2 ? at : written);
        output_bytes[at] ^= (uint8_t)(i % 2 ? 0 : 1u << (at % 8));
        set(journal, journal_bytes, count);
        CHECK(finish(&place, "r") >= 0);
        check_output(&place);
    }
    /* Longer than it will be. */
    memset(output_bytes + written, 7, 64);
    set(output, output_bytes, written + 64);
    set(journal, journal_bytes, count);
    CHECK_EQ(finish(&place, "r"), PIECES);
    check_output(&place);
    place_fini(&place);
}

CASE(links,
     "an unfinished output with a second name or of another kind is not written to")
{
    static uint8_t bytes[OUTPUT_BYTES_MAX];
    struct place place;
    char output[320], journal[320], second[96];

    place_init(&place, "out.safetensors");
    snprintf(second, sizeof(second), "%s/second", place.folder);
    interrupt(&place, 2);
    hidden(&place, false, output);
    hidden(&place, true, journal);
    CHECK(link(output, second) == 0);
    const size_t count = get(second, bytes);
    CHECK_EQ(finish(&place, "r"), 0);
    static uint8_t after[OUTPUT_BYTES_MAX];
    CHECK_EQ(get(second, after), count);
    CHECK(memcmp(after, bytes, count) == 0);
    unlink(second);
    check_output(&place);
    interrupt(&place, 2);
    CHECK(unlink(output) == 0 && symlink("second", output) == 0);
    CHECK(unlink(journal) == 0 && symlink("second", journal) == 0);
    CHECK_EQ(finish(&place, "r"), 0);
    CHECK(access(second, F_OK) != 0);
    unlink(output);
    unlink(journal);
    check_output(&place);
    place_fini(&place);
}

/* ---- failures ------------------------------------------------------------------------------ */

/* With a call that fails, a run either succeeds or fails with a reason; then it leaves what the
 * next one can go on with, or nothing. */
static void finish_after(const struct place *place, struct run *run, int result)
{
    if (result < 0)
        CHECK(run->failure.status != TRIT_OK);
    CHECK(finish(place, "r") >= 0);
    check_output(place);
}

CASE(memory,
     "without memory a run fails or goes without a journal, and the next one is right")
{
    struct place place;

    place_init(&place, "out.safetensors");
    for (uint64_t n = 1;; n++) {
        struct run run = {.place = &place, .request = "r", .pieces = 3, .keep = true};

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int first = run_it(&run);
        if (!fault_disarm())
            break;
        finish_after(&place, &run, first);
    }
    CHECK_EQ(finish(&place, "r"), 3);
    check_output(&place);
    for (uint64_t n = 1;; n++) {
        struct run run = {
            .place = &place, .request = "r", .pieces = PIECES, .commit = true};

        interrupt(&place, 3);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int second = run_it(&run);
        if (!fault_disarm())
            break;
        finish_after(&place, &run, second);
    }
    unlink(place.output);
    place_fini(&place);
}

CASE(disk, "a call for a file that fails makes no wrong output")
{
    static const unsigned calls[] = {
        FAULT_FILE_PWRITE,   FAULT_FILE_PREAD,   FAULT_FILE_OPENAT, FAULT_FILE_LINKAT,
        FAULT_FILE_RENAMEAT, FAULT_FILE_FSTATAT, FAULT_FILE_CLOSE,  FAULT_FILE_FALLOCATE};
    struct place place;

    place_init(&place, "out.safetensors");
    for (int sticky = 0; sticky < 2; sticky++)
        for (uint64_t n = 1;; n++) {
            struct run run = {.place = &place, .request = "r", .pieces = 3, .keep = true};

            fault_arm(FAULT_WRITE, n, sticky ? FAULT_STICKY : FAULT_ONCE);
            const int first = run_it(&run);
            if (!fault_disarm())
                break;
            finish_after(&place, &run, first);
        }
    CHECK_EQ(finish(&place, "r"), 3);
    check_output(&place);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        for (uint64_t n = 1;; n++) {
            struct run run = {
                .place = &place, .request = "r", .pieces = PIECES, .commit = true};

            interrupt(&place, 2);
            fault_file_arm(calls[i], n, EIO, FAULT_FILE_FAIL);
            const int second = run_it(&run);
            if (!fault_file_disarm()) {
                unlink(place.output);
                break;
            }
            finish_after(&place, &run, second);
        }
    place_fini(&place);
}
