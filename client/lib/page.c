/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

void page_init(struct page *page, const struct trit_client *client)
{
    *page = (struct page){.bytes_max = client->message_bytes_max};
}

void page_fini(struct page *page)
{
    free(page->bytes);
    page->bytes = NULL;
}

static int page_next(void *owner, struct outgoing *message, struct failure *failure)
{
    struct page *page = owner;

    (void)failure;
    outgoing_head(message, page->request, page->request_bytes);
    message->last = true;
    return 0;
}

static int page_message(void *owner, uint32_t length, struct failure *failure)
{
    struct page *page = owner;

    if (page->messages++ > 0)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "the reply holds more than one message");
    if (length > page->bytes_max)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "a reply message of %u bytes is above message_bytes_max %" PRIu64,
                    length, page->bytes_max);
    return 0;
}

static int page_bytes(void *owner, const uint8_t *bytes, size_t count,
                      struct failure *failure)
{
    struct page *page = owner;
    uint8_t *grown = array_grow(page->bytes, &page->capacity, page->count + count, 1);

    if (!grown)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a list");
    page->bytes = grown;
    memcpy(page->bytes + page->count, bytes, count);
    page->count += count;
    return 0;
}

static int page_end(void *owner, struct failure *failure)
{
    (void)owner, (void)failure;
    return 0;
}

static int page_finish(void *owner, struct failure *failure)
{
    const struct page *page = owner;

    if (page->messages == 0)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "status OK, but the reply holds no message");
    return 0;
}

static void page_rewind(void *owner)
{
    struct page *page = owner;

    page->count = 0;
    page->messages = 0;
}

int page_fetch(struct page *page, const char *path, const void *request,
               size_t request_bytes, const struct call *call, struct failure *failure)
{
    static const struct exchange_ops ops = {
        .next = page_next,
        .message = page_message,
        .bytes = page_bytes,
        .end = page_end,
        .finish = page_finish,
        .rewind = page_rewind,
    };
    struct exchange exchange, *exchanges[] = {&exchange};

    page_rewind(page);
    page->request = request;
    page->request_bytes = request_bytes;
    exchange_init(&exchange, path, &ops, page);
    return call_run(call, exchanges, 1, failure);
}

int report_visit_check(const struct report_visit *visit, struct failure *failure)
{
    if (sized_check(&sized_report, "report", visit->report, failure) < 0)
        return -1;
    return visit->visit ? 0 : fail_null(failure, "visit");
}

void report_visit(void *visit, const struct trit_report *report)
{
    struct report_visit *visiting = visit;

    if (visiting->stopped)
        return;
    sized_give(&sized_report, visiting->report, report);
    visiting->stopped = visiting->visit(visiting->arg, visiting->report) != 0;
}
