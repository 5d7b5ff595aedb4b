/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that are lists. A message is kept until its last byte has arrived, because
 * its entries are decoded together. */
#ifndef LIB_PAGE_H
#define LIB_PAGE_H

#include "client/lib/call.h"

struct page {
    uint8_t *bytes; /* of the last message */
    size_t count, capacity;
    const void *request; /* borrowed while page_fetch runs */
    size_t request_bytes;
    uint64_t bytes_max;
    uint32_t messages;
};

void page_init(struct page *page, const struct trit_client *client);
void page_fini(struct page *page);

/* One call: sends `request` (at most EXCHANGE_COPY_BYTES_MAX - 1 bytes) and keeps the
 * reply. */
int page_fetch(struct page *page, const char *path, const void *request,
               size_t request_bytes, const struct call *call, struct failure *failure);

/* Writes reports to the caller's struct and calls the caller's function with it, until
 * that returns other than 0. */
struct report_visit {
    struct trit_report *report;
    int (*visit)(void *arg, const struct trit_report *report);
    void *arg;
    bool stopped;
};
/* INVALID_ARGUMENT: the caller gave no report or no function. */
int report_visit_check(const struct report_visit *visit, struct failure *failure);
void report_visit(void *visit, const struct trit_report *report);

#endif
