/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/access.h"
#include "base/peer.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

/* ---- helpers ---------------------------------------------------------------------- */

/* printf %s TOKEN | sha256sum */
#define OPEN_SESAME "d7ecdf25eaf3deba0f2628771dbdd22d4138ab6cf38f91ed02a2ca0dec7c8ab7"

static const struct peer local = {.address = "127.0.0.1:5", .loopback = true};
static const struct peer distant = {.address = "192.0.2.7:5"};
static const struct peer distant_tls = {.address = "192.0.2.7:5", .encrypted = true};

struct fixture {
    char path[64];
    struct access *access;
    char caller[CALLER_NAME_BYTES]; /* of the last question */
};

static void put(struct fixture *fixture, const char *text)
{
    FILE *file = fopen(fixture->path, "w");

    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void setup(struct fixture *fixture, const char *text, bool client_ca)
{
    struct access_config config = {.client_ca = client_ca};
    struct failure failure = {.status = TRIT_OK};

    strcpy(fixture->path, "/tmp/test_access_XXXXXX");
    close(mkstemp(fixture->path));
    if (text) {
        put(fixture, text);
        config.token_file = fixture->path;
    }
    if (access_create(&fixture->access, &config, &failure) < 0)
        check_failed(__FILE__, __LINE__, "%s", failure.message);
}

static void teardown(struct fixture *fixture)
{
    access_destroy(fixture->access);
    unlink(fixture->path);
}

static enum trit_status ask(struct fixture *fixture, enum policy policy,
                            const struct peer *peer, const char *authorization,
                            struct failure *failure)
{
    struct failure own = {.status = TRIT_OK};
    int result;

    failure = failure ? failure : &own;
    *failure = own;
    fixture->caller[0] = '\0';
    result = access_allows(fixture->access, policy, "/trit.v1.T/M", peer, authorization,
                           fixture->caller, failure);
    CHECK((result == 0) == (failure->status == TRIT_OK));
    if (authorization && strlen(authorization) > 10)
        CHECK(!strstr(failure->message, authorization + 7)); /* never the token */
    return failure->status;
}

static const char rules[] = "reader sha256:" OPEN_SESAME " read,verify\n"
                            "boss cert:CN=boss admin\n"
                            "node cert:CN=node,O=Example project\n";
#define TOKEN "Bearer open-sesame"

/* ---- cases ------------------------------------------------------------------------ */

CASE(open_without_rules,
     "without a token file and a client CA every caller may call every method")
{
    struct fixture fixture;

    setup(&fixture, NULL, false);
    CHECK(!access_required(fixture.access));
    for (unsigned policy = POLICY_EVERYONE; policy < POLICIES; policy++) {
        CHECK_EQ(ask(&fixture, (enum policy)policy, &local, NULL, NULL), TRIT_OK);
        CHECK_EQ(ask(&fixture, (enum policy)policy, &distant, NULL, NULL), TRIT_OK);
    }
    teardown(&fixture);
}

CASE(by_token, "a token has exactly the policies of its line")
{
    struct fixture fixture;
    struct failure failure;

    setup(&fixture, rules, false);
    CHECK(access_required(fixture.access));
    CHECK_EQ(access_count(fixture.access), 3);
    for (unsigned policy = POLICY_EVERYONE; policy < POLICIES; policy++) {
        bool has =
            policy == POLICY_EVERYONE || policy == POLICY_READ || policy == POLICY_VERIFY;

        CHECK_EQ(ask(&fixture, (enum policy)policy, &local, TOKEN, NULL),
                 has ? TRIT_OK : TRIT_PERMISSION_DENIED);
    }
    CHECK_EQ(ask(&fixture, POLICY_READ, &local, "bearer  open-sesame ", NULL), TRIT_OK);
    ask(&fixture, POLICY_PROJECT, &local, TOKEN, &failure);
    CHECK_STR(failure.message,
              "/trit.v1.T/M needs the policy project; reader has read,verify");
    CHECK_STR(fixture.caller, "reader"); /* although it is denied */
    teardown(&fixture);
}

CASE(no_token, "without a token, or with an unknown one, the answer is UNAUTHENTICATED")
{
    static const char *const wrong[] = {"Bearer open-sesamE",
                                        "Bearer ",
                                        "Bearer",
                                        "",
                                        "open-sesame",
                                        "Basic b3Blbi1zZXNhbWU=",
                                        "Bearer open-sesame open-sesame",
                                        "Bearer " OPEN_SESAME};
    struct fixture fixture;
    struct failure failure;

    setup(&fixture, rules, false);
    CHECK_EQ(ask(&fixture, POLICY_READ, &local, NULL, &failure), TRIT_UNAUTHENTICATED);
    CHECK(strstr(failure.message, "authorization: Bearer TOKEN"));
    CHECK_STR(fixture.caller, "");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK_EQ(ask(&fixture, POLICY_READ, &local, wrong[i], &failure),
                 TRIT_UNAUTHENTICATED);
    CHECK_EQ(ask(&fixture, POLICY_EVERYONE, &local, wrong[0], NULL), TRIT_OK);
    teardown(&fixture);
}

CASE(plain_tcp, "a token over plain TCP from another machine is refused")
{
    const struct peer unix_peer = {.address = "unix:", .unix_socket = true};
    struct fixture fixture;
    struct failure failure;

    setup(&fixture, rules, false);
    CHECK_EQ(ask(&fixture, POLICY_READ, &distant, TOKEN, &failure), TRIT_UNAUTHENTICATED);
    CHECK(strstr(failure.message, "plain TCP"));
    CHECK_EQ(ask(&fixture, POLICY_READ, NULL, TOKEN, NULL), TRIT_UNAUTHENTICATED);
    CHECK_EQ(ask(&fixture, POLICY_READ, &distant_tls, TOKEN, NULL), TRIT_OK);
    CHECK_EQ(ask(&fixture, POLICY_READ, &unix_peer, TOKEN, NULL), TRIT_OK);
    teardown(&fixture);
}

CASE(by_certificate, "a certificate has the policies of its subject's line")
{
    struct peer node = distant_tls, boss = distant_tls, stranger = distant_tls;
    struct fixture fixture;
    struct failure failure;

    strcpy(node.subject, "CN=node,O=Example");
    strcpy(boss.subject, "CN=boss");
    strcpy(stranger.subject, "CN=stranger");
    setup(&fixture, rules, true);
    CHECK_EQ(ask(&fixture, POLICY_PROJECT, &node, NULL, NULL), TRIT_OK);
    CHECK_EQ(ask(&fixture, POLICY_READ, &node, NULL, NULL), TRIT_PERMISSION_DENIED);
    for (unsigned policy = POLICY_EVERYONE; policy < POLICIES; policy++)
        CHECK_EQ(ask(&fixture, (enum policy)policy, &boss, NULL, NULL), TRIT_OK);
    CHECK_EQ(ask(&fixture, POLICY_READ, &stranger, NULL, &failure),
             TRIT_PERMISSION_DENIED);
    CHECK(strstr(failure.message, "cert:CN=stranger"));
    /* A token counts before the certificate, and a wrong one is not overlooked. */
    CHECK_EQ(ask(&fixture, POLICY_READ, &node, TOKEN, NULL), TRIT_OK);
    CHECK_EQ(ask(&fixture, POLICY_PROJECT, &node, TOKEN, NULL), TRIT_PERMISSION_DENIED);
    CHECK_EQ(ask(&fixture, POLICY_PROJECT, &node, "Bearer x", NULL),
             TRIT_UNAUTHENTICATED);
    teardown(&fixture);
}

CASE(certificates_alone,
     "with a client CA and no token file, a certificate may project, verify and read")
{
    struct peer node = distant_tls;
    struct fixture fixture;
    struct failure failure;

    strcpy(node.subject, "CN=node");
    setup(&fixture, NULL, true);
    CHECK(access_required(fixture.access));
    CHECK_EQ(ask(&fixture, POLICY_PROJECT, &node, NULL, NULL), TRIT_OK);
    CHECK_EQ(ask(&fixture, POLICY_VERIFY, &node, NULL, NULL), TRIT_OK);
    CHECK_EQ(ask(&fixture, POLICY_READ, &node, NULL, NULL), TRIT_OK);
    CHECK_EQ(ask(&fixture, POLICY_LAYERS, &node, NULL, &failure), TRIT_PERMISSION_DENIED);
    CHECK(strstr(failure.message, "this certificate has read,verify,project"));
    CHECK_EQ(ask(&fixture, POLICY_ADMIN, &node, NULL, NULL), TRIT_PERMISSION_DENIED);
    CHECK_EQ(ask(&fixture, POLICY_READ, &local, NULL, &failure), TRIT_UNAUTHENTICATED);
    CHECK(strstr(failure.message, "client certificate"));
    CHECK_EQ(ask(&fixture, POLICY_READ, &local, TOKEN, NULL), TRIT_UNAUTHENTICATED);
    teardown(&fixture);
}

CASE(reload, "a reload applies the new file; a broken file leaves the rules unchanged")
{
    struct fixture fixture;
    struct failure failure = {.status = TRIT_OK};

    setup(&fixture, rules, false);
    put(&fixture, "reader sha256:" OPEN_SESAME " layers\n");
    CHECK_EQ(ask(&fixture, POLICY_READ, &local, TOKEN, NULL), TRIT_OK); /* not yet */
    CHECK(access_reload(fixture.access, &failure) == 0);
    CHECK_EQ(ask(&fixture, POLICY_READ, &local, TOKEN, NULL), TRIT_PERMISSION_DENIED);
    CHECK_EQ(ask(&fixture, POLICY_LAYERS, &local, TOKEN, NULL), TRIT_OK);
    CHECK_EQ(access_count(fixture.access), 1);

    put(&fixture, "reader sha256:" OPEN_SESAME " read\nbroken\n");
    CHECK(access_reload(fixture.access, &failure) < 0);
    CHECK(strstr(failure.message, ":2: "));
    CHECK_EQ(ask(&fixture, POLICY_LAYERS, &local, TOKEN, NULL), TRIT_OK);
    unlink(fixture.path);
    failure.status = TRIT_OK;
    CHECK(access_reload(fixture.access, &failure) < 0);
    CHECK_EQ(ask(&fixture, POLICY_LAYERS, &local, TOKEN, NULL), TRIT_OK);
    teardown(&fixture);

    setup(&fixture, NULL, false);
    failure.status = TRIT_OK;
    CHECK(access_reload(fixture.access, &failure) == 0); /* nothing to read */
    teardown(&fixture);
}

struct asking {
    struct fixture *fixture;
    _Atomic bool stop;
    unsigned wrong;
};

static void *ask_on(void *arg)
{
    struct asking *asking = arg;

    while (!atomic_load(&asking->stop))
        if (access_allows(asking->fixture->access, POLICY_READ, "x", &local, TOKEN, NULL,
                          NULL) < 0)
            asking->wrong++;
    return NULL;
}

CASE(reload_meanwhile,
     "reloads during queries never refuse a token that is in both files")
{
    struct fixture fixture;
    struct asking asking = {.fixture = &fixture};
    struct failure failure = {.status = TRIT_OK};
    pthread_t thread;

    setup(&fixture, rules, false);
    CHECK(pthread_create(&thread, NULL, ask_on, &asking) == 0);
    for (int i = 0; i < 300; i++)
        CHECK(access_reload(fixture.access, &failure) == 0);
    atomic_store(&asking.stop, true);
    pthread_join(thread, NULL);
    CHECK_EQ(asking.wrong, 0);
    teardown(&fixture);
}

CASE(no_memory, "if memory runs out, access_create fails cleanly")
{
    struct fixture fixture;

    setup(&fixture, rules, false);
    for (uint64_t n = 1;; n++) {
        const struct access_config config = {.token_file = fixture.path};
        struct failure failure = {.status = TRIT_OK};
        struct access *access;

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        int result = access_create(&access, &config, &failure);
        bool failed = fault_disarm();

        if (result == 0)
            access_destroy(access);
        else
            CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
        if (!failed)
            break;
    }
    teardown(&fixture);
}
