/* SPDX-License-Identifier: Apache-2.0 */
#include "services/call_job.h"

#include "base/account.h"
#include "base/clock.h"
#include "kernels/kernels.h"

static void job_run(struct job *pool_job)
{
    struct call_job *job = LIST_OWNER(pool_job, struct call_job, job);
    uint64_t begin_ns = clock_monotonic_ns();

    job->run(job);
    job->ns = job->spent_ns + clock_monotonic_ns() - begin_ns;
}

static void job_done(struct job *pool_job)
{
    struct call_job *job = LIST_OWNER(pool_job, struct call_job, job);
    struct call *call = job->call;

    if (job->ticket.flow) {
        if (!pool_job->skipped)
            turns_learn(job->ticket.turns, call->method_id, job->units, job->ns);
        ticket_close(&job->ticket);
    }
    job->done(job); /* may free the job */
    call_release(call);
}

static void job_begin(struct call_job *job)
{
    job->ns = 0;
    job->job = (struct job){.run = job_run,
                            .done = job_done,
                            .cancelled = &job->call->cancelled,
                            .mailbox = job->call->config->mailbox,
                            .lingers = job->lingers};
    call_hold(job->call);
}

struct flow *call_flow(const struct call *call, uint64_t cost_ns)
{
    return call->account ? &call->account->flows[cost_ns > TURN_CHEAP_NS] : NULL;
}

void call_ticket_open(struct call *call, struct ticket *ticket, struct pool *pool,
                      uint64_t units)
{
    struct turns *turns = pool_turns(pool);
    const uint64_t cost = turns_cost_ns(turns, call->method_id, units);

    ticket_open(ticket, turns, call_flow(call, cost), cost);
}

void call_submit_part(struct call_job *job, struct pool *pool,
                      const struct ticket *ticket)
{
    job_begin(job);
    job->job.turn = ticket->turn;
    job->job.start = ticket->start;
    pool_submit(pool, &job->job);
}

void call_submit(struct call_job *job, struct pool *pool, uint64_t units)
{
    job->units = units;
    call_ticket_open(job->call, &job->ticket, pool, units);
    call_submit_part(job, pool, &job->ticket);
}

void call_withdraw(struct call_job *job, struct pool *pool)
{
    if (pool_withdraw(pool, &job->job))
        job_done(&job->job);
}

void call_submit_inline(struct call_job *job, struct pool *pool, uint64_t units)
{
    struct kernels_env env;

    job_begin(job);
    kernels_enter(&env);
    if (units > 0)
        job_run(&job->job);
    else
        job->run(job);
    kernels_leave(&env);
    if (units > 0)
        turns_learn(pool_turns(pool), job->call->method_id, units, job->ns);
    job_done(&job->job);
}
