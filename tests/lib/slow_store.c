/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/slow_store.h"

#include <pthread.h>
#include <stdbool.h>

#include "store/store.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held;
static unsigned reads, waiting;

void slow_store_hold(void)
{
    pthread_mutex_lock(&lock);
    held = true;
    reads = 0;
    pthread_mutex_unlock(&lock);
}

void slow_store_wait(void)
{
    pthread_mutex_lock(&lock);
    while (waiting == 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

void slow_store_release(void)
{
    pthread_mutex_lock(&lock);
    held = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

unsigned slow_store_reads(void)
{
    unsigned count;

    pthread_mutex_lock(&lock);
    count = reads;
    pthread_mutex_unlock(&lock);
    return count;
}

/* The linker gives these two their names. */
int __real_store_read_report(struct store_reader *reader, const struct store_get *get,
                             struct trit_report *report, struct failure *failure);
int __wrap_store_read_report(struct store_reader *reader, const struct store_get *get,
                             struct trit_report *report, struct failure *failure);

int __wrap_store_read_report(struct store_reader *reader, const struct store_get *get,
                             struct trit_report *report, struct failure *failure)
{
    pthread_mutex_lock(&lock);
    reads++;
    waiting++;
    pthread_cond_broadcast(&changed);
    while (held)
        pthread_cond_wait(&changed, &lock);
    waiting--;
    pthread_mutex_unlock(&lock);
    return __real_store_read_report(reader, get, report, failure);
}
