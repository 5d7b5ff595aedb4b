/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "tests/lib/check.h"

struct item {
    int number;
    struct list link;
};

static int pop_number(struct list *head)
{
    struct list *link = list_pop(head);

    return link ? LIST_OWNER(link, struct item, link)->number : -1;
}

CASE(first_in_first_out,
     "a list returns its items in the order they were added, without removed ones")
{
    struct item items[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    struct list head;

    list_init(&head);
    CHECK(list_empty(&head));
    for (int i = 0; i < 3; i++)
        list_push(&head, &items[i].link);
    list_remove(&items[1].link);
    list_remove(&items[1].link);
    CHECK_EQ(pop_number(&head), 0);
    CHECK_EQ(pop_number(&head), 2);
    CHECK(pop_number(&head) == -1 && list_empty(&head));
}

CASE(append_keeps_order, "appending a list moves all of its items in order")
{
    struct item items[6];
    struct list head, more;

    list_init(&head);
    list_init(&more);
    for (int i = 0; i < 6; i++) {
        items[i].number = i;
        list_push(i < 3 ? &head : &more, &items[i].link);
    }
    list_append(&head, &more);
    CHECK(list_empty(&more));
    list_append(&head, &more);
    list_append(&more, &head);
    CHECK(list_empty(&head));
    for (int i = 0; i < 6; i++)
        CHECK_EQ(pop_number(&more), i);
    CHECK(list_empty(&more));
}

CASE(overflow_is_reported, "checked arithmetic reports overflow")
{
    uint64_t result;

    CHECK(!mul_overflows(1ull << 32, (1ull << 32) - 1, &result));
    CHECK(mul_overflows(1ull << 32, 1ull << 32, &result));
    CHECK(!add_overflows(UINT64_MAX, 0, &result));
    CHECK(add_overflows(UINT64_MAX, 1, &result));
    CHECK_EQ(div_up(0, 4), 0);
    CHECK_EQ(div_up(5, 4), 2);
    CHECK_EQ(div_up(UINT64_MAX, 2), 1ull << 63);
}

CASE(time_goes_on, "the clocks advance")
{
    uint64_t before = clock_monotonic_ns();

    CHECK(clock_monotonic_ns() >= before);
    CHECK(clock_unix_ns() > 1700000000ll * 1000000000ll);
}

CASE(limits_fit_together, "the default limits agree with each other")
{
    struct limits limits = limits_default();

    CHECK(limits.message_bytes_max <= limits.memory_bytes_max);
    CHECK(limits.stream_window_bytes <= limits.connection_window_bytes);
    CHECK(limits.connection_window_bytes <= limits.memory_bytes_max);
    CHECK(limits.frame_bytes_max >= 16384 && limits.frame_bytes_max < 1 << 24);
    CHECK(CHUNK_BYTES_MAX <= (int)limits.message_bytes_max);
}
