/* SPDX-License-Identifier: Apache-2.0 */
/* File system calls that fail on purpose, as fault.h does for memory. Link with
 * -Wl,--wrap=<function> for pwrite, pread, openat, linkat, renameat, fchmod,
 * close, renameat2, mkdirat, unlinkat, fstatat, fdopendir, fallocate. (fsync and write obey fault.h's FAULT_WRITE.)
 *
 *   fault_file_arm(FAULT_FILE_PWRITE, 2, ENOSPC, FAULT_FILE_FAIL);
 *   ...
 *   bool hit = fault_file_disarm();
 */
#ifndef TESTS_FAULT_FILE_H
#define TESTS_FAULT_FILE_H

#include <stdbool.h>
#include <stdint.h>

/* What counts as a use; may be or-ed. */
enum fault_file_call {
    FAULT_FILE_PWRITE = 1,
    FAULT_FILE_PREAD = 2,
    FAULT_FILE_OPENAT = 4,
    FAULT_FILE_LINKAT = 8,
    FAULT_FILE_RENAMEAT = 16,
    FAULT_FILE_FCHMOD = 32,
    FAULT_FILE_CLOSE = 64,
    FAULT_FILE_RENAMEAT2 = 128,
    FAULT_FILE_MKDIRAT = 256,
    FAULT_FILE_UNLINKAT = 512,
    FAULT_FILE_FSTATAT = 1024,
    FAULT_FILE_FDOPENDIR = 2048,
    FAULT_FILE_FALLOCATE = 4096,
    FAULT_FILE_ALL = 8191,
};

enum fault_file_mode {
    FAULT_FILE_FAIL,  /* the nth use returns -1 and sets errno */
    FAULT_FILE_EVERY, /* so do all later ones */
    FAULT_FILE_KILL,  /* the process dies by SIGKILL before the nth use */
    FAULT_FILE_SHORT, /* pwrite, pread: every use moves one byte at most */
    FAULT_FILE_HOLD,  /* every use waits until fault_file_disarm, then works */
};

/* `nth` counts from 1. Any thread may hit it; arm and disarm belong to one. */
void fault_file_arm(unsigned calls, uint64_t nth, int code, enum fault_file_mode mode);

/* True when a use was made to fail (or to be short, or to wait). */
bool fault_file_disarm(void);

#endif
