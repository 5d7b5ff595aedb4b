/* SPDX-License-Identifier: Apache-2.0 */
/* A run goes on with the output of an interrupted one, if it is of the same request and input. */
#include <sys/file.h>
#include <sys/stat.h>

#include "tests/unit/drive/resume_run.h"

/* ---- what is used again ------------------------------------------------------------------ */

CASE(goes_on, "a run uses again what an interrupted one had flushed")
{
    /* Both experts are in one tensor, so that one of them alone does not count. */
    static const int reused[] = {0, 1, 1, 3, 4};
    struct place place;

    place_init(&place, "out.safetensors");
    for (size_t pieces = 1; pieces <= PIECES; pieces++) {
        interrupt(&place, pieces);
        CHECK_EQ(finish(&place, "r"), reused[pieces]);
        check_output(&place);
    }
    place_fini(&place);
}

CASE(interrupted_twice, "a run that is interrupted again leaves what both did")
{
    struct place place;

    place_init(&place, "out.safetensors");
    interrupt(&place, 1);
    interrupt(&place, 3);
    CHECK_EQ(finish(&place, "r"), 3);
    check_output(&place);
    place_fini(&place);
}

CASE(flushes_late, "what was not flushed yet is flushed when the run is to go on")
{
    struct place place;

    place_init(&place, "out.safetensors");
    struct run run = {.place = &place,
                      .request = "r",
                      .flush_ns = UINT64_MAX,
                      .pieces = 3,
                      .keep = true};
    CHECK(run_it(&run) == 0);
    CHECK_EQ(finish(&place, "r"), 3);
    check_output(&place);
    /* It failed, or was cancelled. */
    run.keep = false;
    CHECK(run_it(&run) == 0);
    CHECK_EQ(file_count(place.folder), 1);
    place_fini(&place);
}

CASE(folder_goes_on,
     "a run that writes a folder uses again what an interrupted one had flushed")
{
    static uint8_t expected[OUTPUT_BYTES_MAX], found[OUTPUT_BYTES_MAX];
    struct place place;
    char name[96], folder[64];

    place_init(&place, "out.safetensors");
    snprintf(folder, sizeof(folder), "%s/model", place.folder);
    CHECK(mkdir(folder, 0700) == 0);
    snprintf(name, sizeof(name), "%s/model.safetensors", folder);
    CHECK(rename(place.input, name) == 0);
    strcpy(place.input, folder);
    snprintf(place.output, sizeof(place.output), "%s/out", place.folder);
    CHECK_EQ(finish(&place, "r"), 0);
    char made[96];
    snprintf(made, sizeof(made), "%s/model.safetensors", place.output);
    const size_t count = get(made, expected);
    CHECK(unlink(made) == 0 && rmdir(place.output) == 0);
    interrupt(&place, 1);
    CHECK_EQ(finish(&place, "r"), 1);
    CHECK_EQ(get(made, found), count);
    CHECK(memcmp(found, expected, count) == 0);
    CHECK_EQ(file_count(place.folder), 2);
    CHECK(unlink(made) == 0 && rmdir(place.output) == 0);
    CHECK(unlink(name) == 0 && rmdir(folder) == 0);
    CHECK(rmdir(place.folder) == 0);
}

/* ---- what is not ------------------------------------------------------------------------- */

CASE(other_request, "another request begins anew")
{
    struct place place;

    place_init(&place, "out.safetensors");
    interrupt(&place, 3);
    CHECK_EQ(finish(&place, "s"), 0);
    check_output(&place);
    place_fini(&place);
}

CASE(changed_source,
     "an input that was written again begins anew, even with the same bytes")
{
    static uint8_t bytes[OUTPUT_BYTES_MAX];
    struct place place;

    place_init(&place, "out.safetensors");
    interrupt(&place, 3);
    set(place.input, bytes, get(place.input, bytes));
    CHECK_EQ(finish(&place, "r"), 0);
    check_output(&place);
    place_fini(&place);
}

CASE(second_writer, "of two runs with one output at a time, only one can be gone on with")
{
    struct place place;
    char journal[320];

    place_init(&place, "out.safetensors");
    interrupt(&place, 3);
    hidden(&place, true, journal);
    FILE *held = fopen(journal, "r+");
    CHECK(held && flock(fileno(held), LOCK_EX) == 0);
    struct run run = {.place = &place, .request = "r", .pieces = PIECES, .commit = true};
    CHECK(run_it(&run) == 0);
    CHECK(!run.kept);
    CHECK_EQ(run.reused, 0);
    CHECK(access(journal, F_OK) == 0);
    fclose(held);
    CHECK_EQ(finish(&place, "r"), 0); /* the first one removed what was unfinished */
    check_output(&place);
    place_fini(&place);
}
