/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: whatever fails, the name refers to the complete old file or the complete new
 * one, and no temporary file is left. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/target.h"
#include "tests/lib/fault.h"
#include "tests/lib/fault_file.h"
#include "tests/unit/files/place.h"

/* Writes "new file" by way of a target; 0 or -1. */
static int write_new(const char *path, struct failure *failure)
{
    struct target *target = NULL;
    int result;

    *failure = (struct failure){.status = TRIT_OK};
    if (target_open(&target, path, TARGET_REPLACE, failure) != 0)
        return -1;
    result = target_write(target, 4, "file", 4, failure);
    if (result == 0)
        result = target_write(target, 0, "new ", 4, failure);
    if (result == 0)
        result = target_commit(target, failure);
    target_close(target);
    return result;
}

CASE(takes_its_name_at_the_end, "an output file gets its name only at the commit")
{
    struct place place;
    struct failure failure = {.status = TRIT_OK};
    struct target *target;
    char text[TEXT_BYTES];

    place_init(&place);
    CHECK(target_open(&target, place.path, TARGET_REPLACE, &failure) == 0);
    CHECK(target_write(target, 0, "abc", 3, &failure) == 0);
    CHECK(access(place.path, F_OK) != 0);
    CHECK(target_commit(target, &failure) == 0);
    target_close(target);
    CHECK_STR(get_text(place.path, text), "abc");
    CHECK_EQ(files_in(place.folder), 1);
    place_fini(&place);
}

CASE(leaves_nothing_without_commit,
     "an output file that is not committed leaves nothing behind")
{
    struct place place;
    struct failure failure = {.status = TRIT_OK};
    struct target *target;

    place_init(&place);
    CHECK(target_open(&target, place.path, TARGET_REPLACE, &failure) == 0);
    CHECK(target_write(target, 0, "abc", 3, &failure) == 0);
    target_close(target);
    CHECK_EQ(files_in(place.folder), 0);
    target_close(NULL);
    place_fini(&place);
}

CASE(keeps_permissions, "replacing a file keeps its permissions")
{
    struct place place;
    struct failure failure;
    struct stat after;

    place_init(&place);
    put_text(place.path, "old");
    CHECK(chmod(place.path, 0640) == 0);
    CHECK(write_new(place.path, &failure) == 0);
    CHECK(stat(place.path, &after) == 0);
    CHECK_EQ(after.st_mode & 0777, 0640);
    place_fini(&place);
}

CASE(replaces_a_link, "a symbolic link is replaced, never followed")
{
    struct place place;
    struct failure failure;
    char link[96], text[TEXT_BYTES];
    struct stat there;

    place_init(&place);
    snprintf(link, sizeof(link), "%s/link", place.folder);
    put_text(place.path, "old");
    CHECK(symlink("out.safetensors", link) == 0);
    CHECK(write_new(link, &failure) == 0);
    CHECK(lstat(link, &there) == 0 && S_ISREG(there.st_mode));
    CHECK_STR(get_text(link, text), "new file");
    CHECK_STR(get_text(place.path, text), "old");
    /* So is one that leads nowhere. */
    unlink(link);
    CHECK(symlink("nowhere", link) == 0);
    CHECK(write_new(link, &failure) == 0);
    CHECK_STR(get_text(link, text), "new file");
    /* One to a folder or a device stands for that. */
    unlink(link);
    CHECK(symlink(".", link) == 0);
    CHECK(write_new(link, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK(lstat(link, &there) == 0 && S_ISLNK(there.st_mode));
    unlink(link);
    place_fini(&place);
}

/* 0 or -1; `meanwhile`: another file takes the name before the commit. */
static int write_where_free(const char *path, bool meanwhile, struct failure *failure)
{
    struct target *target = NULL;
    int result;

    *failure = (struct failure){.status = TRIT_OK};
    if (target_open(&target, path, TARGET_NEW, failure) != 0)
        return -1;
    result = target_write(target, 0, "new file", 8, failure);
    if (meanwhile)
        put_text(path, "theirs");
    if (result == 0)
        result = target_commit(target, failure);
    target_close(target);
    return result;
}

CASE(takes_a_free_name_only, "a new output file never replaces an existing one")
{
    struct place place;
    struct failure failure;
    char text[TEXT_BYTES];

    place_init(&place);
    CHECK(write_where_free(place.path, false, &failure) == 0);
    CHECK_STR(get_text(place.path, text), "new file");
    CHECK_EQ(files_in(place.folder), 1);
    put_text(place.path, "old");
    CHECK(write_where_free(place.path, false, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_ALREADY_EXISTS);
    CHECK_STR(get_text(place.path, text), "old");
    unlink(place.path);
    CHECK(symlink("nowhere", place.path) == 0);
    CHECK(write_where_free(place.path, false, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_ALREADY_EXISTS);
    unlink(place.path);
    CHECK(write_where_free(place.path, true, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_ALREADY_EXISTS);
    CHECK_STR(get_text(place.path, text), "theirs");
    CHECK_EQ(files_in(place.folder), 1);
    place_fini(&place);
}

/* Whichever call fails, there is the whole file or none. */
CASE(takes_a_name_whole_or_not,
     "whichever call fails, a new output file is complete or absent")
{
    static const int codes[] = {EIO, ENOSPC, EEXIST, EOPNOTSUPP};

    for (size_t c = 0; c < sizeof(codes) / sizeof(codes[0]); c++)
        for (uint64_t n = 1; n < 100; n++) {
            struct place place;
            struct failure failure;
            char text[TEXT_BYTES];
            int result;
            bool hit;

            place_init(&place);
            fault_file_arm(FAULT_FILE_ALL & ~(unsigned)FAULT_FILE_CLOSE, n, codes[c],
                           FAULT_FILE_FAIL);
            result = write_where_free(place.path, false, &failure);
            hit = fault_file_disarm();
            CHECK_STR(get_text(place.path, text), result == 0 ? "new file" : "(absent)");
            CHECK_EQ(files_in(place.folder), result == 0 ? 1 : 0);
            place_fini(&place);
            if (!hit) {
                CHECK(result == 0);
                CHECK(n >= 4);
                break;
            }
        }
}

CASE(refuses_what_is_no_file, "devices, folders and missing folders are refused")
{
    struct failure failure;
    struct stat there;

    CHECK(write_new("/dev/null", &failure) != 0);
    CHECK(strstr(failure.message, "not a regular file"));
    CHECK(stat("/dev/null", &there) == 0 && S_ISCHR(there.st_mode));
    CHECK(write_new("/tmp", &failure) != 0);
    CHECK(write_new("/tmp/", &failure) != 0);
    CHECK(write_new("/nowhere/at/all", &failure) != 0);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
}

/* Every call that can fail does, in turn, with and without nameless files. */
CASE(survives_every_failing_call,
     "whichever call fails, the output is the old file or the complete new one")
{
    static const int codes[] = {EIO, ENOSPC, EEXIST, EOPNOTSUPP};

    for (size_t c = 0; c < sizeof(codes) / sizeof(codes[0]); c++)
        for (uint64_t n = 1; n < 100; n++) {
            struct place place;
            struct failure failure;
            char text[TEXT_BYTES];
            int result;
            bool hit;

            place_init(&place);
            put_text(place.path, "old file");
            fault_file_arm(FAULT_FILE_ALL & ~(unsigned)FAULT_FILE_CLOSE, n, codes[c],
                           FAULT_FILE_FAIL);
            result = write_new(place.path, &failure);
            hit = fault_file_disarm();
            CHECK_STR(get_text(place.path, text), result == 0 ? "new file" : "old file");
            CHECK_EQ(files_in(place.folder), 1);
            place_fini(&place);
            if (!hit) {
                CHECK(result == 0);
                CHECK(n >= 6);
                break;
            }
        }
}

/* The first fsync is the file's: it fails, the old file stays. The second is the
 * folder's: the name may show either, and the caller is told. */
CASE(tells_of_a_failed_flush, "a failed fsync is reported and never retried")
{
    for (uint64_t n = 1; n <= 2; n++) {
        struct place place;
        struct failure failure;
        char text[TEXT_BYTES];

        place_init(&place);
        put_text(place.path, "old file");
        fault_arm(FAULT_WRITE, n, FAULT_ONCE);
        CHECK(write_new(place.path, &failure) != 0);
        CHECK(fault_disarm());
        CHECK_EQ(failure.status, TRIT_UNAVAILABLE);
        CHECK_STR(get_text(place.path, text), n == 1 ? "old file" : "new file");
        CHECK_EQ(files_in(place.folder), 1);
        place_fini(&place);
    }
}

CASE(writes_through_short_writes, "short writes are continued")
{
    struct place place;
    struct failure failure;
    char text[TEXT_BYTES];
    int result;

    place_init(&place);
    fault_file_arm(FAULT_FILE_PWRITE, 1, 0, FAULT_FILE_SHORT);
    result = write_new(place.path, &failure);
    CHECK(fault_file_disarm());
    CHECK(result == 0);
    CHECK_STR(get_text(place.path, text), "new file");
    place_fini(&place);
}

CASE(says_when_the_disk_is_full, "a full disk is reported and leaves nothing behind")
{
    struct place place;
    struct failure failure;

    place_init(&place);
    fault_file_arm(FAULT_FILE_PWRITE, 1, ENOSPC, FAULT_FILE_FAIL);
    CHECK(write_new(place.path, &failure) != 0);
    CHECK(fault_file_disarm());
    CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK(strstr(failure.message, "No space left"));
    CHECK_EQ(files_in(place.folder), 0);
    place_fini(&place);
}

/* Reserves so many bytes for a new file and closes it; 0 or -1. */
static int reserve_new(const char *path, uint64_t bytes, struct failure *failure)
{
    struct target *target;
    int result;

    *failure = (struct failure){.status = TRIT_OK};
    CHECK(target_open(&target, path, TARGET_NEW, failure) == 0);
    result = target_reserve(target, bytes, failure);
    target_close(target);
    return result;
}

CASE(reserves_the_disk,
     "a file that the disk has no space for is refused before the work")
{
    static const int full[] = {ENOSPC, EDQUOT, EFBIG},
                     others[] = {EOPNOTSUPP, ENOSYS, EIO};
    struct place place;
    struct failure failure;

    place_init(&place);
    CHECK(reserve_new(place.path, 4 << 20, &failure) == 0);
    for (size_t i = 0; i < sizeof(full) / sizeof(full[0]); i++) {
        fault_file_arm(FAULT_FILE_FALLOCATE, 1, full[i], FAULT_FILE_FAIL);
        CHECK(reserve_new(place.path, 4 << 20, &failure) < 0);
        CHECK(fault_file_disarm());
        CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
        CHECK(strstr(failure.message, "cannot reserve space for it"));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        fault_file_arm(FAULT_FILE_FALLOCATE, 1, others[i], FAULT_FILE_FAIL);
        CHECK(reserve_new(place.path, 4 << 20, &failure) == 0);
        CHECK(fault_file_disarm());
    }
    fault_file_arm(FAULT_FILE_FALLOCATE, 1, EINTR, FAULT_FILE_FAIL);
    CHECK(reserve_new(place.path, 4 << 20, &failure) == 0);
    CHECK(fault_file_disarm());
    CHECK_EQ(files_in(place.folder), 0);
    place_fini(&place);
}

CASE(reserves_no_small_file, "the space of a small file is not reserved")
{
    struct place place;
    struct failure failure;

    place_init(&place);
    fault_file_arm(FAULT_FILE_FALLOCATE, 1, ENOSPC, FAULT_FILE_FAIL);
    CHECK(reserve_new(place.path, 4096, &failure) == 0);
    CHECK(!fault_file_disarm());
    place_fini(&place);
}
