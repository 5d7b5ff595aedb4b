/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/describe.h"

#include <stdlib.h>

/* References to all jobs, the newest first; NULL: out of memory. */
static struct checkpoint_job **hold_all(struct jobs *jobs, size_t *count)
{
    struct checkpoint_job **held;

    *count = 0;
    jobs_lock(jobs);
    jobs_forget_old(jobs);
    held = calloc(jobs->running + jobs->waiting + jobs->kept + 1, sizeof(*held));
    for (const struct list *node = jobs->list.prev; held && node != &jobs->list;
         node = node->prev) {
        held[*count] = LIST_OWNER(node, struct checkpoint_job, link);
        job_hold(held[(*count)++]);
    }
    jobs_unlock(jobs);
    return held;
}

int jobs_visit(struct jobs *jobs,
               bool (*visit)(void *arg, const struct wire_job *job,
                             const struct wire_progress *progress),
               void *arg, struct failure *failure)
{
    size_t count;
    struct checkpoint_job **held = hold_all(jobs, &count);
    bool goes_on = true;

    if (!held)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for the jobs");
    for (size_t i = 0; i < count; i++) {
        struct job_description description;

        if (goes_on) {
            job_describe(held[i], &description);
            goes_on = visit(arg, &description.job, &description.now.progress);
        }
        job_release(held[i]);
    }
    free(held);
    return 0;
}
