/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/map.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    TMPFS_TYPE = 0x01021994, /* of files of memfd_create without huge pages */
    BLOCK_BYTES = 512,       /* the unit of st_blocks */
};

static int refuse(struct failure *failure, const char *why)
{
    return fail_field(failure, TRIT_INVALID_ARGUMENT, "register_bytes", "%s", why);
}

bool map_pages_can_run_out(const char *overcommit)
{
    const int fd = open(overcommit, O_RDONLY | O_CLOEXEC);
    char mode = '0';

    if (fd < 0)
        return false;
    if (read(fd, &mode, 1) != 1)
        mode = '0';
    close(fd);
    return mode == '2';
}

/* Files of a mounted tmpfs cannot be sealed so; their pages can run out. */
static int check_kind(int fd, struct failure *failure)
{
    const int wanted = F_SEAL_SHRINK | F_SEAL_GROW;
    struct statfs system;
    int seals;

    if (fstatfs(fd, &system) != 0 || (unsigned long)system.f_type != TMPFS_TYPE)
        return refuse(failure, "the descriptor is not one of memfd_create without huge "
                               "pages");
    seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & wanted) != wanted)
        return refuse(failure, "the file lacks the seals F_SEAL_SHRINK and F_SEAL_GROW");
    return 0;
}

static int check_size(int fd, uint64_t bytes, struct failure *failure)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return refuse(failure, strerror(errno));
    if ((uint64_t)status.st_size < bytes)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "register_bytes",
                          "%" PRIu64 ", but the file has %" PRIu64 " bytes", bytes,
                          (uint64_t)status.st_size);
    if ((uint64_t)status.st_blocks * BLOCK_BYTES < bytes)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "register_bytes",
                          "%" PRIu64 ", but only %" PRIu64 " bytes of the file are "
                          "allocated; use fallocate",
                          bytes, (uint64_t)status.st_blocks * BLOCK_BYTES);
    return 0;
}

int map_file(int fd, uint64_t bytes, uint8_t **out, struct failure *failure)
{
    void *mapped;

    if (map_pages_can_run_out("/proc/sys/vm/overcommit_memory"))
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "register_bytes",
                          "this machine has vm.overcommit_memory = 2: a page that its "
                          "owner gives back may not come again, and would end the "
                          "daemon; send bytes");
    if (check_kind(fd, failure) < 0 || check_size(fd, bytes, failure) < 0)
        return -1;
    mapped = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED && (errno == EPERM || errno == EACCES))
        return refuse(failure, "the file may not be written");
    if (mapped == MAP_FAILED)
        return fail_field(failure, TRIT_RESOURCE_EXHAUSTED, "register_bytes",
                          "cannot map %" PRIu64 " bytes: %s", bytes, strerror(errno));
    madvise(mapped, (size_t)bytes, MADV_DONTDUMP);
    *out = mapped;
    return 0;
}
