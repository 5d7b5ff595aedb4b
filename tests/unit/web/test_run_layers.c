/* SPDX-License-Identifier: Apache-2.0 */
#include "web/run_layers.h"

#include <stdio.h>

#include "tests/lib/check.h"
#include "web/history.h"
#include "web/text.h"

static void add(struct run_layers *layers, int number, uint32_t replica,
                enum trit_health health)
{
    struct trit_report report = {.replica = replica,
                                 .step = 100 + replica,
                                 .elements = 1,
                                 .is_ternary = true,
                                 .health = health};

    snprintf(report.layer, sizeof(report.layer), "layer%02d", number);
    CHECK(run_layers_add(layers, &report));
}

CASE(all_count, "every layer counts, and those that are not well are in the list")
{
    struct run_layers layers = {.max = 3};

    for (int i = 0; i < 20; i++)
        add(&layers, i, 0,
            i == 1 || i == 12   ? TRIT_HEALTH_FAILING
            : i == 15 || i == 7 ? TRIT_HEALTH_WARNING
                                : TRIT_HEALTHY);
    CHECK(run_layers_finish(&layers));
    CHECK(layers.more);
    CHECK_EQ(layers.total, 20);
    CHECK_EQ(layers.conditions[CONDITION_HEALTHY], 16);
    CHECK_EQ(layers.healths[TRIT_HEALTH_WARNING], 2);
    CHECK_EQ(layers.healths[TRIT_HEALTH_FAILING], 2);
    CHECK_EQ(layers.condition, CONDITION_FAILING);
    CHECK_EQ(layers.count, 3);
    CHECK_STR(layers.list[0].name, "layer01");
    CHECK_STR(layers.list[1].name, "layer07");
    CHECK_STR(layers.list[2].name, "layer12");
    run_layers_fini(&layers);
}

CASE(replicas, "a layer is as bad as its worst replica, with the figures of the lowest")
{
    struct run_layers layers = {.max = 3};

    add(&layers, 1, 2, TRIT_HEALTHY);
    add(&layers, 1, 3, TRIT_HEALTH_FAILING);
    add(&layers, 1, 4, TRIT_HEALTH_WARNING);
    add(&layers, 2, 0, TRIT_HEALTH_ABSENT);
    CHECK(run_layers_finish(&layers));
    CHECK(!layers.more);
    CHECK_EQ(layers.total, 2);
    CHECK_EQ(layers.list[0].health, TRIT_HEALTH_FAILING);
    CHECK_EQ(layers.list[0].replica, 3);
    CHECK_EQ(layers.list[0].figures_replica, 2);
    CHECK_EQ(layers.list[0].step, 102);
    CHECK_EQ(layers.conditions[CONDITION_UNKNOWN], 1);
    run_layers_fini(&layers);
}

CASE(damaged, "a replica whose newest report is damaged is a warning without figures")
{
    const struct store_key first = {.layer = "layer01", .replica = 1, .step = 300};
    const struct store_key second = {.layer = "layer02", .step = 300};
    struct run_layers layers = {.max = 3};

    add(&layers, 1, 0, TRIT_HEALTHY);
    CHECK(run_layers_add_damaged(&layers, &first));
    CHECK(run_layers_add_damaged(&layers, &second));
    add(&layers, 2, 1, TRIT_HEALTH_FAILING);
    CHECK(run_layers_finish(&layers));
    CHECK_EQ(layers.total, 2);
    CHECK_EQ(layers.list[0].health, TRIT_HEALTH_WARNING);
    CHECK_EQ(layers.list[0].replica, 1);
    CHECK_EQ(layers.list[0].step, 100);
    CHECK_EQ(layers.list[0].verdict, TRIT_VERDICT_INCONCLUSIVE);
    CHECK_STR(layers.list[0].reason.rule, "data_damaged");
    CHECK(!layers.list[0].damaged);
    CHECK_EQ(layers.list[1].health, TRIT_HEALTH_FAILING);
    CHECK_EQ(layers.list[1].step, 300);
    CHECK(layers.list[1].damaged);
    run_layers_fini(&layers);
}

CASE(none, "a run without layers has an empty list")
{
    struct run_layers layers = {.max = 3};

    CHECK(run_layers_finish(&layers));
    run_layers_sort_worst(&layers);
    CHECK_EQ(layers.total, 0);
    run_layers_fini(&layers);
}

CASE(part, "a page with means over a part of the layers says which layers these are")
{
    struct history history = {.layer_count = 20000};
    struct text text = {0};

    history_put_part(&text, &history);
    CHECK_EQ(text.count, 0);
    history.more = true;
    history_put_part(&text, &history);
    text_add(&text, "", 1);
    CHECK_STR(text.bytes, " of the first 20000 layers by name");
    text_fini(&text);
}
