/* SPDX-License-Identifier: Apache-2.0 */
/* The rules' names and thresholds. docs/health.md gives the reasons for the values. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "health/health.h"

static const char *const names[HEALTH_RULES] = {
    [HEALTH_NON_FINITE] = "non_finite",
    [HEALTH_NOT_TERNARY] = "not_ternary",
    [HEALTH_FINDINGS] = "findings",
    [HEALTH_REPLICA_MISMATCH] = "replica_mismatch",
    [HEALTH_DEAD_LAYER] = "dead_layer",
    [HEALTH_DEAD_GROUPS] = "dead_groups",
    [HEALTH_ZERO_SHARE] = "zero_share",
    [HEALTH_SCALE_DRIFT] = "scale_drift",
    [HEALTH_FLIPS] = "flips",
    [HEALTH_THRESHOLD_CROWDING] = "threshold_crowding",
    [HEALTH_STALE] = "stale",
    [HEALTH_DATA_DAMAGED] = "data_damaged",
};

const char *health_rule_name(enum health_rule rule)
{
    return names[rule];
}

struct health_rules health_rules_default(void)
{
    return (struct health_rules){
        .of =
            {
                [HEALTH_NON_FINITE] = {INFINITY, 1},
                [HEALTH_NOT_TERNARY] = {INFINITY, 1},
                [HEALTH_FINDINGS] = {INFINITY, 1},
                [HEALTH_REPLICA_MISMATCH] = {INFINITY, 1},
                [HEALTH_DEAD_LAYER] = {0.5, 1},
                [HEALTH_DEAD_GROUPS] = {0.1, 0.4},
                [HEALTH_ZERO_SHARE] = {0.15, 0.4},
                [HEALTH_SCALE_DRIFT] = {3, 6},
                [HEALTH_FLIPS] = {0.25, 0.5},
                [HEALTH_THRESHOLD_CROWDING] = {3, 10},
                [HEALTH_STALE] = {5, INFINITY},
                [HEALTH_DATA_DAMAGED] = {1, INFINITY},
            },
        .flips_collapsed = 0.005,
    };
}

/* The threshold that "RULE.LEVEL" names, and its rule, or NULL. */
static double *threshold(struct health_rules *rules, const char *text, size_t length,
                         enum health_rule *found)
{
    const char *dot = memchr(text, '.', length);
    size_t rule = 0, name = dot ? (size_t)(dot - text) : 0;
    size_t level = dot ? length - name - 1 : 0;

    while (rule < HEALTH_RULES &&
           (strlen(names[rule]) != name || memcmp(names[rule], text, name) != 0))
        rule++;
    if (rule == HEALTH_RULES)
        return NULL;
    *found = (enum health_rule)rule;
    if (level == strlen("warning") && memcmp(dot + 1, "warning", level) == 0)
        return &rules->of[rule].warning;
    if (level == strlen("failing") && memcmp(dot + 1, "failing", level) == 0)
        return &rules->of[rule].failing;
    if (rule == HEALTH_FLIPS && level == strlen("collapsed") &&
        memcmp(dot + 1, "collapsed", level) == 0)
        return &rules->flips_collapsed;
    return NULL;
}

static int wrong(const char *text, const char *why, struct failure *failure)
{
    return fail_field(failure, TRIT_INVALID_ARGUMENT, "health-rule", "\"%.100s\"%s", text,
                      why);
}

/* Shares end at 1, factors begin there: beyond it a rule would never fire, or always. */
static const char *out_of_range(enum health_rule rule, double value)
{
    switch (rule) {
    case HEALTH_NOT_TERNARY:
    case HEALTH_DEAD_LAYER:
    case HEALTH_DEAD_GROUPS:
    case HEALTH_ZERO_SHARE:
    case HEALTH_FLIPS:
    case HEALTH_DATA_DAMAGED:
        return value > 1 ? ": the value is at most 1, or off" : NULL;
    case HEALTH_SCALE_DRIFT:
    case HEALTH_THRESHOLD_CROWDING:
        return value <= 1 ? ": the value is a factor above 1, or off" : NULL;
    default:
        return NULL;
    }
}

static int set_one(struct health_rules *rules, const char *text, struct failure *failure)
{
    const char *equals = strchr(text, '=');
    enum health_rule rule = HEALTH_RULES;
    double *at = equals ? threshold(rules, text, (size_t)(equals - text), &rule) : NULL;
    char *end = NULL;
    double value;

    if (!at)
        return wrong(text,
                     " is not RULE.warning=VALUE, RULE.failing=VALUE or "
                     "flips.collapsed=VALUE with a rule of docs/health.md",
                     failure);
    if (strcmp(equals + 1, "off") == 0) {
        *at = at == &rules->flips_collapsed ? 0 : INFINITY;
        return 0;
    }
    value = strtod(equals + 1, &end);
    if (end == equals + 1 || *end || !isfinite(value) || value <= 0)
        return wrong(text, ": the value is not a number above 0, or off", failure);
    const char *range = out_of_range(rule, value);

    if (range)
        return wrong(text, range, failure);
    *at = value;
    return 0;
}

int health_rules_set(struct health_rules *rules, const char *text,
                     struct failure *failure)
{
    char part[100];

    for (;;) {
        size_t length = strcspn(text, ",");

        if (length >= sizeof(part))
            return wrong(text, " is too long for a rule", failure);
        memcpy(part, text, length);
        part[length] = '\0';
        if (set_one(rules, part, failure))
            return -1;
        if (text[length] == '\0')
            return 0;
        text += length + 1;
    }
}
