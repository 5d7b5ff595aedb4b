/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/naming_optimizer.h"

#include <string.h>

/* Of PyTorch's optimizers; Megatron's files have the parameter's name behind them. */
static const char *const moments[] = {
    "exp_avg", "exp_avg_sq",  "max_exp_avg_sq", "exp_avg_sq_row",  "exp_avg_sq_col",
    "exp_inf", "exp_avg_res", "square_avg",     "momentum_buffer", NULL,
};
static const char *const states[] = {
    "optimizer_state*",
    "optim_state*",
    "opt_state*",
    NULL,
};
static const char *const optimizers[] = {"optimizer", "optim", "optimizers", NULL};
/* What follows the name of an optimizer; a model may have a part of that name, too. */
static const char *const contents[] = {
    "state*", "param_states*", "param_groups*", "fp32_*", "optimizer", "[0-9]*", NULL,
};

bool name_is_optimizer(const struct name *name)
{
    const char *first = name->parts, *second = first + strlen(first) + 1;

    if (name_has_part(name, moments) || part_matches(first, states))
        return true;
    return first != name->leaf && part_matches(first, optimizers) &&
           part_matches(second, contents);
}
