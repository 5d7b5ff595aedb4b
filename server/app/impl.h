/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of app, for the files of this module. A file uses those that stand before it
 * here. */
#ifndef APP_IMPL_H
#define APP_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "app/config.h"
#include "app/state.h"
#include "async/loop.h"
#include "base/budget.h"
#include "base/held_path.h"

enum { METHODS_MAX = 64, SIGNALS = 3 };

enum { DISK_PLACES = 4 };

enum disk_state { DISK_GOOD, DISK_FULL, DISK_HANGS, DISK_MISSING };

struct disk { /* see disk.c; without a data directory it is always good */
    struct timer timer;
    uv_work_t look;
    /* What it finds: */
    struct held_path places[DISK_PLACES]; /* of the data directory, and of files in it */
    bool missing;                         /* one of them does not hold */
    int error;                            /* errno; 0: the next are known */
    uint64_t found_free;
    bool asking, stopped;
    _Atomic unsigned state; /* enum disk_state; the loop writes it, the web reads it */
    _Atomic uint64_t free;  /* bytes */
};

/* What a loop learns from others, behind the bits of enum services_news. */
enum loop_news {
    LOOP_RELOAD = 1 << 8,   /* there are new limits */
    LOOP_RELOADED = 1 << 9, /* the first: a loop has them */
    LOOP_FELL = 1 << 10,    /* the first: the budget's use has fallen */
    LOOP_HANGUP = 1 << 11,  /* the first: SIGHUP has come since it last looked */
};

struct loop { /* its thread uses it, but for what is atomic or a message */
    struct app *app;
    uv_loop_t uv;
    bool open;
    bool has_thread; /* and no other than the first has none */
    pthread_t thread;
    struct mailbox *mailbox;
    struct timers *timers;
    struct limits limits; /* those of its net and calls: a copy */
    struct blocks *blocks;
    struct services *services;
    struct grpc *grpc;
    struct net *net;
    _Atomic unsigned news; /* that it has not taken; 0: its message is not posted */
    _Atomic uint64_t reloads_seen;
    struct mailbox_message news_message;
    /* From the first loop, each once. */
    struct mailbox_message drain_calls, drain, abort, end;
    struct mailbox_message idle; /* to the first loop, once */
};

struct app {
    struct config config; /* a copy, which app_reload changes; the first loop's thread */
    _Atomic unsigned
        state; /* enum app_state; the first loop moves it, the web reads it */
    struct loop *loops;
    unsigned loop_count;
    void (*take_news)(struct app *app, unsigned news); /* after the first loop */
    void (*idle)(struct app *app); /* the first loop: no call is left, on any loop */
    unsigned idle_loops;           /* whose last call has ended */
    bool aborted;
    pthread_mutex_t limits_lock; /* guards the next two */
    struct limits limits;        /* as of the last reload */
    uint64_t reloads;            /* that have changed them */
    uint64_t reloads_told;       /* that every loop has seen, as the log says */
    bool reload_good;
    struct net_group *group;
    uv_signal_t signals[SIGNALS];
    struct timer drain_delay; /* from the first stop to the drain of the connections */
    struct mailbox_message stop;
    pthread_mutex_t stop_lock; /* guards the next two */
    unsigned stops;            /* calls of app_stop that the loop has not handled yet */
    bool ended;                /* the modules are closed, or about to be */
    const char *methods[METHODS_MAX];

    struct log *log;
    struct metrics *metrics;
    struct access *access;
    struct tls_context *tls; /* NULL: TCP is plain */
    struct budget budget;
    struct timer trim; /* gives freed pages back to the system */
    bool trims;        /* it may be armed */
    struct disk disk;
    struct timer ready; /* looks whether the judgement of ready.c has changed */
    bool was_ready;     /* as watches of health were told */
    const struct kernels *kernels;
    struct pool *pool;
    struct store *store;
    struct layers *layers;
    struct store_reader *services_reader, *web_reader;
    struct run_gauges *run_gauges;
    struct memory *memory; /* NULL: no buffers may be shared */
    struct web *web;
    char addresses[LISTEN_MAX * 256 + 512]; /* what each of them takes at most */
};

/* ---- loops.c ---- */

/* Creates as many loops as the configuration says, with nothing in them. */
int loops_open(struct app *app, struct failure *failure);

/* Starts the threads of all but the first. */
int loops_start_others(struct app *app, struct failure *failure);

/* Runs the first loop on this thread until all of its handles are closed. */
void loops_run_first(struct app *app);

/* Closes what the others have and waits for their threads. On the first loop's thread, or
 * after a start that failed. */
void loops_end_others(struct app *app);
void loops_destroy(struct app *app);

/* Each loop, or one, takes the news (enum services_news, enum loop_news) on its thread. If
 * there is only one loop, it does so at once. Any thread of a loop. */
void loops_tell(void *app, unsigned news);
void loop_tell(struct loop *loop, unsigned news);

/* The same, always by a message. Any thread. */
void loop_post(struct loop *loop, unsigned news);

/* On the first loop. Health says no; the nets end; they end immediately. */
void loops_drain_calls(struct app *app);
void loops_drain(struct app *app);
void loops_abort(struct app *app);

/* ---- memory.c ---- */

/* The budget's use has fallen: pages go back to the system soon. The first loop. */
void app_memory_fell(struct app *app);

/* Creates the memory budget. After the timers. */
void app_memory_start(struct app *app);

/* Trims no more; before the timers are closed. */
void app_memory_stop(struct app *app);

/* Tells the first loop no more; when no other thread is left, before the mailbox is closed. */
void app_memory_close(struct app *app);

/* False: there is little memory for calls; `why` says so. Any thread. */
bool app_memory_suffices(const struct app *app, char *why, size_t bytes);

/* ---- disk.c ---- */

/* Asks how much of the data directory's disk is free, from now on. After the services. */
void app_disk_start(struct app *app);

/* Asks no more; before the timers are closed. */
void app_disk_stop(struct app *app);
/* After the loop has ended. */
void app_disk_close(struct app *app);

/* False: the disk is nearly full, does not answer, or the store's last commit failed;
 * `why` says so. Any thread. */
bool app_disk_suffices(const struct app *app, char *why, size_t bytes);

/* ---- ready.c ---- */

#define STORES_NOTHING "store_queue_max is 0, so no report is stored"

/* The one judgement of /readyz, /healthz and grpc.health.v1. 0, or -1 and `why`. Any thread. */
int app_ready(void *app, char *why, size_t bytes);
bool app_is_ready(void *app);

/* Looks every second, because nothing tells when memory gets short. After the services. */
void app_ready_start(struct app *app);

/* Looks no more; before the timers are closed. */
void app_ready_stop(struct app *app);

/* ---- reload.c ---- */

/* Reads the configuration and the token file again, and applies what can change while
 * calls run. What cannot be read or applied stays as it is and is logged. */
void app_reload(struct app *app);

/* A loop has taken the limits of a reload. The first loop. */
void app_reloaded(struct app *app);

/* ---- start.c ---- */

/* What needs no event loop: the log, the kernels, the access rules. */
int app_start_base(struct app *app, struct failure *failure);

/* The other modules, from the bottom up. After a failure some exist. */
int app_start_modules(struct app *app, struct failure *failure);

#endif
