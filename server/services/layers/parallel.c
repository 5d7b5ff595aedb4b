/* SPDX-License-Identifier: Apache-2.0 */
#include "services/layers/parallel.h"

#include <stdlib.h>

#include "async/loop.h"
#include "base/account.h"
#include "base/clock.h"
#include "base/machine.h"
#include "base/number.h"
#include "kernels/kernels.h"
#include "obs/metrics.h"
#include "services/admission.h"
#include "services/layers/call.h"
#include "work/plan.h"

enum {
    /* After that, a worker queues again if a job waits; after the second, in any case, so that
     * the loop learns how far it is. */
    WORKER_NS_MAX = 2000000,
    WORKER_NS_ALONE_MAX = 20000000,
    /* After that, the loop leaves the rest to the workers if something waits for it; after the
     * second, in any case. */
    LOOP_NS_MAX = 200000,
    LOOP_NS_ALONE_MAX = 1000000,
    LOOP_WAIT_NS_MAX = 50000, /* then it waits as long for their last pieces */
};

bool parallel_for_cancelled(const struct parallel_for *pieces)
{
    return atomic_load_explicit(&pieces->call->cancelled, memory_order_relaxed);
}

static bool pieces_left(const struct parallel_for *pieces)
{
    return !parallel_for_cancelled(pieces) && !spans_all_taken(&pieces->spans);
}

/* Takes pieces for `ns_max`, and for `alone_ns_max` while nothing else waits for the thread. */
struct share {
    uint64_t ns_max, alone_ns_max;
    bool (*others_wait)(const struct call *call);
};

static bool job_waits(const struct call *call)
{
    return pool_queued(services_of(call)->config.pool) > 0;
}

static bool event_waits(const struct call *call)
{
    return !call->config->mailbox || mailbox_loop_wanted(call->config->mailbox);
}

static const struct share worker_share = {WORKER_NS_MAX, WORKER_NS_ALONE_MAX, job_waits},
                          loop_share = {LOOP_NS_MAX, LOOP_NS_ALONE_MAX, event_waits};

/* The span of the core that this thread runs on just now. */
static uint32_t span_near(const struct spans *spans)
{
    return spans->count > 1 ? machine_core() : 0;
}

static void take_pieces(struct parallel_for *pieces, struct worker *worker,
                        const struct share *share, uint64_t begin_ns)
{
    for (;;) {
        const uint64_t ns = clock_monotonic_ns() - begin_ns;
        uint64_t piece;

        if (parallel_for_cancelled(pieces) || ns >= share->alone_ns_max ||
            (ns >= share->ns_max && share->others_wait(pieces->call)))
            return;
        if (!spans_take(&pieces->spans, span_near(&pieces->spans), &piece))
            return;
        if (pieces->spec.run(pieces->call, piece, worker) < 0) {
            worker->failed_at = piece;
            spans_close(&pieces->spans);
            return;
        }
        atomic_fetch_add(&pieces->completed, 1);
    }
}

static uint64_t run_share(struct worker *worker, const struct share *share)
{
    uint64_t begin_ns = clock_monotonic_ns(), ns;

    take_pieces(worker->pieces, worker, share, begin_ns);
    ns = clock_monotonic_ns() - begin_ns;
    metric_add(worker->pieces->call->config->metrics, M_LAYER_NS, ns);
    return ns;
}

static void worker_ran(struct call_job *job)
{
    run_share(LIST_OWNER(job, struct worker, job), &worker_share);
}

/* The failure of the first piece that failed. */
static void gather_failure(struct parallel_for *pieces)
{
    const struct worker *first = NULL;

    for (uint32_t i = 0; i < pieces->worker_count; i++) {
        const struct worker *worker = &pieces->workers[i];

        if (worker->failure.status != TRIT_OK &&
            (!first || worker->failed_at < first->failed_at))
            first = worker;
    }
    if (first)
        fail_as(&pieces->call->failure, &first->failure);
}

static uint64_t pool_units(const struct parallel_for_spec *spec)
{
    return spec->cost == PARALLEL_FOR_NEVER_INLINE ? 0 : spec->cost;
}

static void worker_ran_cb(struct call_job *job)
{
    struct worker *worker = LIST_OWNER(job, struct worker, job);
    struct parallel_for *pieces = worker->pieces;
    struct call *call = pieces->call;

    pieces->ns += job->ns;
    ticket_advance(&pieces->ticket, job->ns);
    if (worker->failure.status == TRIT_OK && pieces_left(pieces)) {
        call_submit_part(job, services_of(call)->config.pool, &pieces->ticket);
        return;
    }
    if (--pieces->running == 0) {
        gather_failure(pieces);
        pieces->finished = atomic_load(&pieces->completed);
        if (pieces->ticket.flow && pieces->finished == pieces->spec.count)
            turns_learn(pieces->ticket.turns, call->method_id, pool_units(&pieces->spec),
                        pieces->ns);
        ticket_close(&pieces->ticket);
        pieces->spec.done(call);
    }
}

/* The workers are known. */
static int make_spans(struct parallel_for *pieces)
{
    const uint32_t count = pieces->spec.near ? pieces->worker_count : 1;
    struct span *memory = account_calloc(pieces->call->account, count, sizeof(*memory));

    if (!memory)
        return memory_spent(pieces->call);
    spans_cut(&pieces->spans, memory, count, pieces->spec.count);
    return 0;
}

/* Workers with scratch memory: as many as the budget allows, at least one. */
static int make_workers(struct parallel_for *pieces, uint32_t wanted)
{
    struct call *call = pieces->call;
    size_t scratch = scratch_align(pieces->spec.scratch_bytes);

    while (scratch && call_block(call, scratch * wanted, &pieces->scratch) < 0) {
        if (wanted == 1)
            return memory_spent(call);
        wanted /= 2;
    }
    pieces->workers = account_calloc(call->account, wanted, sizeof(*pieces->workers));
    if (!pieces->workers)
        return memory_spent(call);
    pieces->worker_count = wanted;
    for (uint32_t i = 0; i < wanted; i++) {
        struct worker *worker = &pieces->workers[i];

        worker->pieces = pieces;
        worker->scratch = scratch ? pieces->scratch.bytes + i * scratch : NULL;
        worker->job =
            (struct call_job){.call = call, .run = worker_ran, .done = worker_ran_cb};
    }
    return make_spans(pieces);
}

/* A worker has taken the last piece and is about to be done: less time passes than it takes to
 * put the loop to sleep and wake it again. */
static void await_last_pieces(const struct parallel_for *pieces, uint64_t until_ns)
{
    while (!parallel_for_cancelled(pieces) && spans_all_taken(&pieces->spans) &&
           atomic_load(&pieces->completed) < pieces->spec.count &&
           clock_monotonic_ns() < until_ns)
        ;
}

/* All pieces are computed: the call does not wait until other workers wake up to nothing. */
static void withdraw_others(struct parallel_for *pieces, const struct worker *self)
{
    struct pool *pool = services_of(pieces->call)->config.pool;

    for (uint32_t i = 0; i < pieces->worker_count; i++)
        if (&pieces->workers[i] != self)
            call_withdraw(&pieces->workers[i].job, pool);
}

/* Takes pieces for a short time, on the loop. */
static void loop_ran(struct call_job *job)
{
    struct worker *worker = LIST_OWNER(job, struct worker, job);
    struct parallel_for *pieces = worker->pieces;

    job->ns = run_share(worker, &loop_share);
    await_last_pieces(pieces, clock_monotonic_ns() + LOOP_WAIT_NS_MAX);
    if (atomic_load(&pieces->completed) == pieces->spec.count)
        withdraw_others(pieces, worker);
    job->run = worker_ran; /* should it be submitted again */
}

/* Only while no other call waits for a worker: then the loop has little else to do. */
static bool loop_helps(const struct parallel_for_spec *spec, struct pool *pool)
{
    return spec->short_pieces && spec->cost <= PARALLEL_FOR_SHARED_COST &&
           pool_busy(pool) == 0 && pool_queued(pool) == 0;
}

/* Takes all pieces, on the loop. */
static void worker_ran_inline(struct call_job *job)
{
    struct worker *worker = LIST_OWNER(job, struct worker, job);

    while (worker->failure.status == TRIT_OK && pieces_left(worker->pieces))
        worker_ran(job);
}

int parallel_for_start(struct parallel_for *pieces, struct call *call,
                       const struct parallel_for_spec *spec)
{
    struct pool *pool = services_of(call)->config.pool;
    bool here = spec->cost <= PARALLEL_FOR_INLINE_COST;
    bool helps = !here && loop_helps(spec, pool);
    uint32_t threads = here ? 1 : pool_threads(pool);
    uint32_t wanted = spec->count < threads ? (uint32_t)spec->count : threads;

    if (!here && call_admit(call, pool_units(spec)) < 0)
        return -1;
    parallel_for_fini(pieces, call);
    pieces->call = call;
    pieces->ns = 0;
    pieces->spec = *spec;
    atomic_store(&pieces->completed, 0);
    if (make_workers(pieces, wanted ? wanted : 1) < 0)
        return -1;
    pieces->running = wanted = pieces->worker_count;
    if (here) {
        pieces->workers[0].job.run = worker_ran_inline;
        call_submit_inline(&pieces->workers[0].job, pool, 0);
        return 0;
    }
    call_ticket_open(call, &pieces->ticket, pool, pool_units(spec));
    for (uint32_t i = 0; i < wanted; i++)
        pieces->workers[i].job.lingers = helps;
    for (uint32_t i = helps ? 1 : 0; i < wanted; i++)
        call_submit_part(&pieces->workers[i].job, pool, &pieces->ticket);
    if (helps) {
        pieces->workers[0].job.run = loop_ran;
        call_submit_inline(&pieces->workers[0].job, pool, 0);
    }
    return 0;
}

void parallel_for_fini(struct parallel_for *pieces, struct call *call)
{
    blocks_put(services_of(call)->config.blocks, &pieces->scratch);
    account_free(call->account, pieces->workers);
    account_free(call->account, pieces->spans.all);
    pieces->workers = NULL;
    pieces->worker_count = 0;
    pieces->spans = (struct spans){0};
}

static uint64_t at_least_16(uint64_t rows)
{
    return rows < 16 ? 16 : rows / 16 * 16;
}

/* A piece of few rows reads all activations again for a few weights: 16 rows of 4096 x 4096,
 * batch 64, take 2.3 times as long as 256 for the same products. */
uint64_t piece_rows(const struct call *call, uint64_t rows, uint64_t row_cost)
{
    enum { ROWS_WANTED_MIN = 64, ROWS_WANTED_MAX = 256, PIECES_A_THREAD = 4 };
    const uint64_t cost = row_cost ? row_cost : 1, cheap = PIECE_COST / cost;
    const uint64_t threads = pool_threads(services_of(call)->config.pool);
    uint64_t wanted = rows / threads / PIECES_A_THREAD;

    if (wanted < ROWS_WANTED_MIN)
        wanted = ROWS_WANTED_MIN;
    if (wanted > ROWS_WANTED_MAX)
        wanted = ROWS_WANTED_MAX;
    if (wanted > PIECE_COST_MAX / cost)
        wanted = PIECE_COST_MAX / cost;
    return at_least_16(cheap > wanted ? cheap : wanted);
}

uint64_t tile_rows(uint64_t rows, uint64_t columns)
{
    uint64_t count = TILE_ELEMENTS_MAX / columns;

    count = count ? count : 1;
    return count < rows ? count : rows;
}
