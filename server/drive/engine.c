/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/engine.h"

#include "kernels/kernels.h"

int engine_compute(const struct engine *engine, uint64_t elements, void (*run)(void *arg),
                   void *arg, struct failure *failure)
{
    struct kernels_env env;

    if (engine && engine->compute)
        return engine->compute(engine->arg, elements, run, arg, failure);
    kernels_enter(&env);
    run(arg);
    kernels_leave(&env);
    return 0;
}
