/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/broken_reads.h"

#include <stdatomic.h>
#include <string.h>

#include "store/run_health.h"

static _Atomic enum broken_read broken;
static _Atomic unsigned count;

void broken_reads(enum broken_read kind)
{
    atomic_store(&broken, kind);
}

unsigned broken_reads_count(void)
{
    return atomic_load(&count);
}

static int fails(enum broken_read kind, struct failure *failure)
{
    if (atomic_load(&broken) != kind)
        return 0;
    atomic_fetch_add(&count, 1);
    return fail(failure, TRIT_DATA_LOSS, NULL, "the test breaks this read");
}

/* The linker gives these their names. */
typedef bool visit_run(void *arg, const struct store_run_info *info);
typedef bool visit_filed(void *arg, uint64_t sequence, const struct trit_report *report);
typedef bool visit_stale(void *arg, int64_t since_unix_ns,
                         const struct trit_report *report);

int __real_store_read_runs(struct store_reader *, visit_run *, void *, struct failure *);
int __wrap_store_read_runs(struct store_reader *, visit_run *, void *, struct failure *);
int __real_store_read_run_health(struct store_reader *, const char *, int64_t,
                                 struct store_run_health *, struct failure *);
int __wrap_store_read_run_health(struct store_reader *, const char *, int64_t,
                                 struct store_run_health *, struct failure *);
int __real_store_read_since(struct store_reader *, const char *, uint64_t, uint32_t,
                            visit_filed *, void *, struct failure *);
int __wrap_store_read_since(struct store_reader *, const char *, uint64_t, uint32_t,
                            visit_filed *, void *, struct failure *);
int __real_store_read_sequence(struct store_reader *, uint64_t *, struct failure *);
int __wrap_store_read_sequence(struct store_reader *, uint64_t *, struct failure *);
int __real_store_read_stale(struct store_reader *, const struct store_stale_query *,
                            visit_stale *, void *, struct failure *);
int __wrap_store_read_stale(struct store_reader *, const struct store_stale_query *,
                            visit_stale *, void *, struct failure *);

int __wrap_store_read_runs(struct store_reader *reader, visit_run *visit, void *arg,
                           struct failure *failure)
{
    return fails(BROKEN_RUNS, failure)
               ? -1
               : __real_store_read_runs(reader, visit, arg, failure);
}

int __wrap_store_read_run_health(struct store_reader *reader, const char *run,
                                 int64_t now_unix_ns, struct store_run_health *health,
                                 struct failure *failure)
{
    return strcmp(run, "broken") == 0 && fails(BROKEN_HEALTH, failure)
               ? -1
               : __real_store_read_run_health(reader, run, now_unix_ns, health, failure);
}

int __wrap_store_read_since(struct store_reader *reader, const char *run,
                            uint64_t sequence, uint32_t limit, visit_filed *visit,
                            void *arg, struct failure *failure)
{
    return fails(BROKEN_SINCE, failure)
               ? -1
               : __real_store_read_since(reader, run, sequence, limit, visit, arg,
                                         failure);
}

int __wrap_store_read_sequence(struct store_reader *reader, uint64_t *sequence,
                               struct failure *failure)
{
    return fails(BROKEN_SEQUENCE, failure)
               ? -1
               : __real_store_read_sequence(reader, sequence, failure);
}

int __wrap_store_read_stale(struct store_reader *reader,
                            const struct store_stale_query *query, visit_stale *visit,
                            void *arg, struct failure *failure)
{
    return fails(BROKEN_STALE, failure)
               ? -1
               : __real_store_read_stale(reader, query, visit, arg, failure);
}
