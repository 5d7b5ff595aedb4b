/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/store_faults.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"

/* ---- disk -------------------------------------------------------------------- */

static _Atomic bool armed, sticky, fired;
static _Atomic int64_t uses_left;

void disk_arm(uint64_t nth, bool all)
{
    atomic_store(&uses_left, (int64_t)nth);
    atomic_store(&sticky, all);
    atomic_store(&fired, false);
    atomic_store(&armed, true);
}

bool disk_disarm(void)
{
    atomic_store(&armed, false);
    return atomic_load(&fired);
}

static bool fails(void)
{
    int64_t left;

    if (!atomic_load(&armed))
        return false;
    left = atomic_fetch_sub(&uses_left, 1) - 1;
    if (left > 0 || (left < 0 && !atomic_load(&sticky)))
        return false;
    atomic_store(&fired, true);
    return true;
}

/* Files stay the real VFS's own objects; only their table of methods is ours: a
 * copy of the real one with three entries changed. The real VFS has a few tables
 * (databases lock, logs do not), which share these three. */
enum { TABLES_MAX = 4 };
static struct {
    const sqlite3_io_methods *real;
    sqlite3_io_methods faulty;
} tables[TABLES_MAX];
static sqlite3_vfs shim, *real_vfs;

static int faulty_write(sqlite3_file *file, const void *bytes, int count,
                        sqlite3_int64 at)
{
    return fails() ? SQLITE_FULL : tables[0].real->xWrite(file, bytes, count, at);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
    return fails() ? SQLITE_IOERR_FSYNC : tables[0].real->xSync(file, flags);
}

static int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return fails() ? SQLITE_IOERR_TRUNCATE : tables[0].real->xTruncate(file, size);
}

static const sqlite3_io_methods *faulty(const sqlite3_io_methods *real)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    int at = 0;

    pthread_mutex_lock(&mutex);
    while (at < TABLES_MAX && tables[at].real && tables[at].real != real)
        at++;
    if (at < TABLES_MAX && !tables[at].real) {
        tables[at].real = real;
        tables[at].faulty = *real;
        tables[at].faulty.xWrite = faulty_write;
        tables[at].faulty.xSync = faulty_sync;
        tables[at].faulty.xTruncate = faulty_truncate;
    }
    pthread_mutex_unlock(&mutex);
    return at < TABLES_MAX ? &tables[at].faulty : real;
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                       int *out)
{
    int result = real_vfs->xOpen(real_vfs, name, file, flags, out);

    (void)vfs;
    if (file->pMethods)
        file->pMethods = faulty(file->pMethods);
    return result;
}

/* ---- memory ------------------------------------------------------------------ */

static sqlite3_mem_methods real_memory;

static bool refused(void)
{
    void *probe = fault_malloc(1);

    free(probe);
    return !probe;
}

static void *faulty_malloc(int bytes)
{
    return refused() ? NULL : real_memory.xMalloc(bytes);
}

static void *faulty_realloc(void *old, int bytes)
{
    return refused() ? NULL : real_memory.xRealloc(old, bytes);
}

void store_faults_init(void)
{
    sqlite3_mem_methods memory;

    CHECK(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) == SQLITE_OK);
    memory = real_memory;
    memory.xMalloc = faulty_malloc;
    memory.xRealloc = faulty_realloc;
    CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) == SQLITE_OK);
    CHECK(sqlite3_initialize() == SQLITE_OK);
    real_vfs = sqlite3_vfs_find(NULL);
    shim = *real_vfs;
    shim.zName = "faulty";
    shim.xOpen = faulty_open;
    CHECK(sqlite3_vfs_register(&shim, 1) == SQLITE_OK);
}
