/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/slow_product.h"

#include <pthread.h>

#include "kernels/linear/linear.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held, left_out;
static unsigned count, waiting;

void slow_product_hold(void)
{
    pthread_mutex_lock(&lock);
    held = true;
    count = 0;
    pthread_mutex_unlock(&lock);
}

bool slow_product_waits(void)
{
    bool waits;

    pthread_mutex_lock(&lock);
    waits = held && waiting > 0;
    pthread_mutex_unlock(&lock);
    return waits;
}

void slow_product_release(void)
{
    pthread_mutex_lock(&lock);
    held = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void slow_product_leave_out(void)
{
    pthread_mutex_lock(&lock);
    left_out = true;
    pthread_mutex_unlock(&lock);
}

unsigned slow_product_count(void)
{
    unsigned now;

    pthread_mutex_lock(&lock);
    now = count;
    pthread_mutex_unlock(&lock);
    return now;
}

/* The linker gives these two their names. */
void __real_linear_grad_input(const struct kernels *kernels,
                              const struct linear_matrix *matrix,
                              const float *grad_output, uint64_t batch, uint64_t first,
                              uint64_t columns, float *grad_input);
void __wrap_linear_grad_input(const struct kernels *kernels,
                              const struct linear_matrix *matrix,
                              const float *grad_output, uint64_t batch, uint64_t first,
                              uint64_t columns, float *grad_input);

void __wrap_linear_grad_input(const struct kernels *kernels,
                              const struct linear_matrix *matrix,
                              const float *grad_output, uint64_t batch, uint64_t first,
                              uint64_t columns, float *grad_input)
{
    bool computed;

    pthread_mutex_lock(&lock);
    count++;
    waiting++;
    while (held)
        pthread_cond_wait(&changed, &lock);
    waiting--;
    computed = !left_out;
    pthread_mutex_unlock(&lock);
    if (computed)
        __real_linear_grad_input(kernels, matrix, grad_output, batch, first, columns,
                                 grad_input);
}
