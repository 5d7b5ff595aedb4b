/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "async/loop.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/loop.h"

/* ---- fixture: a loop with a mailbox ------------------------------------------ */

struct fixture {
    struct uv_loop_s *loop;
    struct mailbox *mailbox;
    struct failure failure;
};

static void fixture_open(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->loop = loop_create();
    CHECK(mailbox_create(&f->mailbox, f->loop, &f->failure) == 0);
}

struct note {
    struct mailbox_message message;
    struct record *record;
    int number;
    struct note *also; /* posted when this one is delivered */
};

/* What arrived, in order. */
struct record {
    struct fixture *fixture;
    int numbers[16];
    int count;
    int wanted;
    int close_at; /* count at which the mailbox is closed; 0 = never */
};

static void deliver_note(struct mailbox_message *message)
{
    struct note *note = LIST_OWNER(message, struct note, message);
    struct record *record = note->record;

    record->numbers[record->count++] = note->number;
    if (note->also)
        mailbox_post(record->fixture->mailbox, &note->also->message);
    if (record->count == record->close_at)
        mailbox_close(record->fixture->mailbox);
}

static struct note note(struct record *record, int number)
{
    return (struct note){
        .message.deliver = deliver_note, .record = record, .number = number};
}

static bool all_arrived(void *arg)
{
    struct record *record = arg;

    return record->count == record->wanted;
}

static void check_order(const struct record *record)
{
    CHECK_EQ(record->count, record->wanted);
    for (int i = 0; i < record->count; i++)
        CHECK_EQ(record->numbers[i], i);
}

/* ---- cases --------------------------------------------------------------------- */

CASE(delivers_in_order, "messages are delivered from the loop, in order")
{
    struct fixture f;
    struct record record = {.fixture = &f, .wanted = 5};
    struct note notes[5];

    fixture_open(&f);
    for (int i = 0; i < 5; i++) {
        notes[i] = note(&record, i);
        mailbox_post(f.mailbox, &notes[i].message);
        CHECK_EQ(record.count, 0);
    }
    loop_run_until(f.loop, all_arrived, &record);
    check_order(&record);
    mailbox_close(f.mailbox);
    loop_destroy(f.loop);
}

CASE(wanted, "a loop is wanted from a message or an event until it has taken both")
{
    struct fixture f;
    struct record record = {.fixture = &f, .wanted = 1};
    struct note message = note(&record, 0);
    uv_async_t event;

    fixture_open(&f);
    CHECK(uv_async_init(f.loop, &event, NULL) == 0);
    loop_turn(f.loop); /* from now on it watches */
    CHECK(!mailbox_loop_wanted(f.mailbox));
    mailbox_post(f.mailbox, &message.message);
    CHECK(mailbox_loop_wanted(f.mailbox));
    loop_run_until(f.loop, all_arrived, &record);
    loop_turn(f.loop);
    CHECK(!mailbox_loop_wanted(f.mailbox));
    uv_async_send(&event);
    CHECK(mailbox_loop_wanted(f.mailbox));
    loop_turn(f.loop);
    CHECK(!mailbox_loop_wanted(f.mailbox));
    uv_close((uv_handle_t *)&event, NULL);
    mailbox_close(f.mailbox);
    loop_destroy(f.loop);
}

CASE(lists, "a list of messages is posted as a whole, behind those before it")
{
    struct fixture f;
    struct record record = {.fixture = &f, .wanted = 6};
    struct note notes[6];
    struct list list;

    fixture_open(&f);
    list_init(&list);
    for (int i = 0; i < 6; i++)
        notes[i] = note(&record, i);
    mailbox_post(f.mailbox, &notes[0].message);
    for (int i = 1; i < 5; i++)
        list_push(&list, &notes[i].message.link);
    mailbox_post_all(f.mailbox, &list);
    CHECK(list_empty(&list));
    mailbox_post_all(f.mailbox, &list);
    mailbox_post(f.mailbox, &notes[5].message);
    CHECK_EQ(record.count, 0);
    loop_run_until(f.loop, all_arrived, &record);
    check_order(&record);
    mailbox_close(f.mailbox);
    loop_destroy(f.loop);
}

CASE(delivery_may_post, "a message's handler may post another message")
{
    struct fixture f;
    struct record record = {.fixture = &f, .wanted = 3};
    struct note notes[3];

    fixture_open(&f);
    for (int i = 0; i < 3; i++)
        notes[i] = note(&record, i);
    notes[0].also = &notes[2];
    mailbox_post(f.mailbox, &notes[0].message);
    mailbox_post(f.mailbox, &notes[1].message);
    loop_run_until(f.loop, all_arrived, &record);
    check_order(&record);
    mailbox_close(f.mailbox);
    loop_destroy(f.loop);
}

CASE(close_delivers_first,
     "closing a mailbox delivers its messages and those that their handlers post")
{
    struct fixture f;
    struct record record = {.fixture = &f, .wanted = 3};
    struct note notes[3];

    fixture_open(&f);
    for (int i = 0; i < 3; i++)
        notes[i] = note(&record, i);
    notes[0].also = &notes[2];
    mailbox_post(f.mailbox, &notes[0].message);
    mailbox_post(f.mailbox, &notes[1].message);
    mailbox_close(f.mailbox);
    check_order(&record);
    loop_destroy(f.loop);
    CHECK_EQ(record.count, 3);
}

CASE(close_within_delivery,
     "a message's handler may close the mailbox; later messages still come in order")
{
    struct fixture f;
    struct record record = {.fixture = &f, .wanted = 4, .close_at = 2};
    struct note notes[4];

    fixture_open(&f);
    for (int i = 0; i < 4; i++)
        notes[i] = note(&record, i);
    notes[2].also = &notes[3];
    for (int i = 0; i < 3; i++)
        mailbox_post(f.mailbox, &notes[i].message);
    loop_run_until(f.loop, all_arrived, &record);
    check_order(&record);
    loop_destroy(f.loop);
}

enum { SENDERS = 4, MESSAGES = 5000 };

struct sender {
    pthread_t thread;
    struct mailbox *mailbox;
    struct numbered {
        struct mailbox_message message;
        struct sender *sender;
        int number;
    } messages[MESSAGES];
    int next; /* the loop's: number of the message expected next */
    bool out_of_order;
};

static void deliver_numbered(struct mailbox_message *message)
{
    struct numbered *numbered = LIST_OWNER(message, struct numbered, message);
    struct sender *sender = numbered->sender;

    sender->out_of_order |= numbered->number != sender->next;
    sender->next++;
}

static void *send_all(void *arg)
{
    struct sender *sender = arg;

    for (int i = 0; i < MESSAGES; i++) {
        sender->messages[i] = (struct numbered){
            .message.deliver = deliver_numbered, .sender = sender, .number = i};
        mailbox_post(sender->mailbox, &sender->messages[i].message);
    }
    return NULL;
}

static bool all_sent(void *arg)
{
    struct sender *senders = arg;

    for (int i = 0; i < SENDERS; i++)
        if (senders[i].next < MESSAGES)
            return false;
    return true;
}

CASE(many_threads, "the messages of each thread are delivered once and in order")
{
    struct fixture f;
    struct sender *senders = calloc(SENDERS, sizeof(*senders));

    CHECK(senders);
    fixture_open(&f);
    for (int i = 0; i < SENDERS; i++) {
        senders[i].mailbox = f.mailbox;
        CHECK(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]) == 0);
    }
    loop_run_until(f.loop, all_sent, senders);
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
        CHECK(!senders[i].out_of_order);
        CHECK_EQ(senders[i].next, MESSAGES);
    }
    mailbox_close(f.mailbox);
    loop_destroy(f.loop);
    free(senders);
}

static void *send_first(void *arg)
{
    struct sender *sender = arg;

    mailbox_post(sender->mailbox, &sender->messages[0].message);
    return NULL;
}

static bool first_arrived(void *arg)
{
    return ((struct sender *)arg)->next == 1;
}

/* Its poster may still be on the way out of post then. */
CASE(closes_behind_the_last_post,
     "a mailbox may close as soon as the last message is delivered")
{
    struct sender *sender = calloc(1, sizeof(*sender));

    CHECK(sender);
    for (int round = 0; round < 300; round++) {
        struct fixture f;

        fixture_open(&f);
        sender->mailbox = f.mailbox;
        sender->next = 0;
        sender->messages[0] =
            (struct numbered){.message.deliver = deliver_numbered, .sender = sender};
        CHECK(pthread_create(&sender->thread, NULL, send_first, sender) == 0);
        loop_run_until(f.loop, first_arrived, sender);
        mailbox_close(f.mailbox);
        loop_destroy(f.loop);
        pthread_join(sender->thread, NULL);
        CHECK(!sender->out_of_order);
    }
    free(sender);
}

CASE(null_close_is_harmless, "closing a NULL mailbox does nothing")
{
    mailbox_close(NULL);
    timers_close(NULL);
}

CASE(creation_fails_cleanly, "a mailbox whose creation fails leaves nothing behind")
{
    struct uv_loop_s *loop = loop_create();
    struct mailbox *mailbox = NULL;
    struct failure failure = {0};

    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(mailbox_create(&mailbox, loop, &failure) == -1);
    CHECK(fault_disarm());
    CHECK(!mailbox);
    CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK_STR(failure.message, "mailbox: out of memory");
    loop_destroy(loop);
}
