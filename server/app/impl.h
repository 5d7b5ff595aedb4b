/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of app, for the files of this module. A file uses those that stand before it
 * here. */
#ifndef APP_IMPL_H
#define APP_IMPL_H

#include <stdatomic.h>
#include <uv.h>

#include "app/config.h"
#include "app/state.h"
#include "async/loop.h"
#include "base/budget.h"

enum { METHODS_MAX = 64, SIGNALS = 3 };

enum disk_state { DISK_GOOD, DISK_FULL, DISK_HANGS };

struct disk { /* see disk.c; without a data directory it is always good */
    struct timer timer;
    uv_fs_t request;
    bool asking, stopped;
    _Atomic unsigned state; /* enum disk_state; the loop writes it, the web reads it */
    _Atomic uint64_t free;  /* bytes */
};

struct app {
    struct config config;   /* a copy, which app_reload changes; the loop's thread */
    _Atomic unsigned state; /* enum app_state; the loop moves it, the web reads it */
    uv_loop_t loop;
    bool loop_open;
    uv_signal_t signals[SIGNALS];
    struct timer drain_delay; /* from the first stop to the drain of the connections */
    struct mailbox_message stop;
    _Atomic unsigned stops; /* calls of app_stop that the loop has not handled yet */
    const char *methods[METHODS_MAX];

    struct log *log;
    struct metrics *metrics;
    struct access *access;
    struct tls_context *tls; /* NULL: TCP is plain */
    struct mailbox *mailbox;
    struct timers *timers;
    struct budget budget;
    struct timer trim; /* gives freed pages back to the system */
    struct disk disk;
    struct blocks *blocks;
    const struct kernels *kernels;
    struct pool *pool;
    struct store *store;
    struct layers *layers;
    struct store_reader *services_reader, *web_reader;
    struct services *services;
    struct run_gauges *run_gauges;
    struct grpc *grpc;
    struct memory *memory; /* NULL: no buffers may be shared */
    struct net *net;
    struct web *web;
    char addresses[LISTEN_MAX * 256 + 512]; /* what each of them takes at most */
};

/* ---- memory.c ---- */

/* Creates the memory budget. After the timers. */
void app_memory_start(struct app *app);

/* Trims no more; before the timers are closed. */
void app_memory_stop(struct app *app);

/* False: there is little memory for calls; `why` says so. Any thread. */
bool app_memory_suffices(const struct app *app, char *why, size_t bytes);

/* ---- disk.c ---- */

/* Asks how much of the data directory's disk is free, from now on. After the services. */
void app_disk_start(struct app *app);

/* Asks no more; before the timers are closed. */
void app_disk_stop(struct app *app);

/* False: the disk is nearly full, does not answer, or the store's last commit failed;
 * `why` says so. Any thread. */
bool app_disk_suffices(const struct app *app, char *why, size_t bytes);

/* ---- reload.c ---- */

/* Reads the configuration and the token file again, and applies what can change while
 * calls run. What cannot be read or applied stays as it is and is logged. */
void app_reload(struct app *app);

/* ---- start.c ---- */

/* What needs no event loop: the log, the kernels, the access rules. */
int app_start_base(struct app *app, struct failure *failure);

/* The other modules, from the bottom up. After a failure some exist. */
int app_start_modules(struct app *app, struct failure *failure);

#endif
