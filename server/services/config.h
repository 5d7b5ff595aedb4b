/* SPDX-License-Identifier: Apache-2.0 */
/* What the services use; see services.h. */
#ifndef SERVICES_CONFIG_H
#define SERVICES_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

struct blocks;
struct budget;
struct kernels;
struct layers;
struct log;
struct limits;
struct mailbox;
struct memory;
struct metrics;
struct pool;
struct store;
struct store_reader;

struct services;

enum { SERVICES_INLINE_BYTES_MAX = 1 << 20 };

/* What the services of all loops learn; bits. */
enum services_news {
    SERVICES_FILED = 1,  /* reports on disk have changed */
    SERVICES_STALE = 2,  /* layers became stale */
    SERVICES_JOBS = 4,   /* jobs have something to show */
    SERVICES_STATUS = 8, /* what health says may have changed */
};

struct services_config { /* everything is borrowed for the life of the services */
    /* The services of another loop, whose shared state these use; NULL: none, these are the
     * first. */
    struct services *first;
    /* Calls services_take_news of each loop, on its thread; with one loop, before it
     * returns. NULL: these are the only ones. */
    void (*tell)(void *arg, unsigned news);
    void *tell_arg;
    /* Whether the daemon welcomes calls; health says so. A change is told by
     * services_status_changed. NULL: as long as the store works. Any thread. */
    bool (*ready)(void *arg);
    void *ready_arg;
    const struct kernels *kernels;
    struct pool *pool;
    struct blocks *blocks;
    struct budget *budget;
    struct store *store;
    struct layers *layers;
    struct store_reader *reader; /* jobs on the pool use it, one at a time */
    struct metrics *metrics;
    struct memory *memory; /* NULL: no region is taken */
    const char *version;
    const char *checkpoint_root; /* NULL: the service Checkpoints is off */
    const char *data_dir;        /* where its jobs are kept; NULL: nowhere */
    struct log *log;             /* or NULL */
    const struct limits *limits; /* those of jobs; with a checkpoint_root */
    struct mailbox *mailbox;     /* likewise */
    /* A tensor up to this size is computed on the loop, if its method is quick enough:
     * SERVICES_INLINE_BYTES_MAX; 0: only one of some KiB, and none where it was received. */
    size_t inline_bytes_max;
};

#endif
