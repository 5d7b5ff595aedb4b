/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/policies.h"
#include "access/rules.h"
#include "tests/lib/check.h"
#include "tests/lib/compared.h"
#include "tests/lib/fault.h"

/* ---- helpers ---------------------------------------------------------------------- */

#define HEX_1 "1111111111111111111111111111111111111111111111111111111111111111"
#define HEX_2 "22222222222222222222222222222222222222222222222222222222222222Ab"
#define HEX_3 "0011111111111111111111111111111111111111111111111111111111111111"

static void write_file(char path[64], const char *text, size_t count)
{
    int file;

    strcpy(path, "/tmp/test_rules_XXXXXX");
    file = mkstemp(path);
    CHECK(file >= 0);
    CHECK(write(file, text, count) == (ssize_t)count);
    close(file);
}

static int read_text(struct rules **rules, const char *text, struct failure *failure)
{
    char path[64];
    int result;

    write_file(path, text, strlen(text));
    result = rules_read(rules, path, failure);
    unlink(path);
    return result;
}

/* The text is refused, and the message has the file's name, the line and the words. */
static void check_refused(const char *text, const char *place, const char *words)
{
    struct failure failure = {.status = TRIT_OK};
    struct rules *rules;

    CHECK(read_text(&rules, text, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    if (!strstr(failure.message, "/tmp/test_rules_") || !strstr(failure.message, place) ||
        !strstr(failure.message, words))
        check_failed(__FILE__, __LINE__, "\"%s\" should have \"%s\" and \"%s\"",
                     failure.message, place, words);
    CHECK_STR(failure.field, "token-file");
}

/* ---- cases ------------------------------------------------------------------------ */

CASE(reads_a_file, "names, tokens, subjects, policies and comments are read")
{
    static const char text[] =
        "# who may call\n"
        "\n"
        "trainer sha256:" HEX_1 " project,verify\n"
        "  release\tsha256:" HEX_2 "   read  # until May\r\n"
        "node cert:CN=node 1,O=Example Inc layers,admin,checkpoints"; /* no newline */
    static const uint8_t first[TOKEN_DIGEST_BYTES] =
        "\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11"
        "\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11";
    uint8_t second[TOKEN_DIGEST_BYTES];
    struct failure failure = {.status = TRIT_OK};
    const struct rule *rule;
    struct rules *rules;

    memset(second, 0x22, sizeof(second));
    second[31] = 0xab;
    CHECK(read_text(&rules, text, &failure) == 0);
    CHECK_EQ(rules_count(rules), 3);
    rule = rules_find_token(rules, first);
    CHECK(rule && !rule->subject);
    CHECK_STR(rule->name, "trainer");
    CHECK_EQ(rule->line, 3);
    CHECK_EQ(rule->policies, POLICY_BIT(POLICY_PROJECT) | POLICY_BIT(POLICY_VERIFY));
    rule = rules_find_token(rules, second);
    CHECK(rule);
    CHECK_STR(rule->name, "release");
    CHECK_EQ(rule->policies, POLICY_BIT(POLICY_READ));
    rule = rules_find_subject(rules, "CN=node 1,O=Example Inc");
    CHECK(rule);
    CHECK_EQ(rule->policies, POLICY_BIT(POLICY_LAYERS) | POLICY_BIT(POLICY_ADMIN) |
                                 POLICY_BIT(POLICY_CHECKPOINTS));
    CHECK(!rules_find_subject(rules, "CN=node 1"));
    rules_free(rules);
}

CASE(names_the_error, "every error names the file, the line and what to do")
{
    check_refused("a sha256:" HEX_1 " read\nalone\n", ":2: ", "trit token NAME POLICY");
    check_refused("a sha256:" HEX_1 "\n", ":1: ", "trit token NAME POLICY");
    check_refused("a md5:00 read", ":1: ", "sha256:HEX");
    check_refused("a sha256:1234 read", ":1: ", "64 hexadecimal digits");
    check_refused("a sha256:" HEX_1 "0 read", ":1: ", "64 hexadecimal digits");
    check_refused("a sha256:" HEX_1 " reads", ":1: \"reads\"", "checkpoints or admin");
    check_refused("a sha256:" HEX_1 " read,", ":1: \"\"", "checkpoints or admin");
    check_refused("a sha256:" HEX_1 " everyone", ":1: \"everyone\"", "not a policy");
    check_refused("a sha256:" HEX_1 " none", ":1: \"none\"", "not a policy");
    check_refused("a cert:CN=x read, verify", ":1: ", "without blanks");
    check_refused("a cert: read", ":1: ", "cert:CN=trainer");
    check_refused("a\x1b sha256:" HEX_1 " read", ":1: ", "control characters");
    check_refused("\n\na\xff sha256:" HEX_1 " read", ":3: ", "UTF-8");
    check_refused("", "", "has no rule");
    check_refused("# only words\n\n", "", "has no rule");
}

CASE(twice, "a token or subject may occur once, a name several times")
{
    struct failure failure = {.status = TRIT_OK};
    struct rules *rules;

    check_refused("a sha256:" HEX_1 " read\n\nb sha256:" HEX_1 " admin",
                  ":3: ", "same token as in line 1");
    check_refused("a cert:CN=x read\nb cert:CN=x admin",
                  ":2: ", "same subject as in line 1");
    CHECK(read_text(&rules, "a sha256:" HEX_1 " read\na sha256:" HEX_2 " read",
                    &failure) == 0);
    rules_free(rules);
}

CASE(bounds, "a file may have 1 MiB and 1024 rules, a name 64 bytes")
{
    static const char line[] = "%0*d sha256:%064d read\n";
    struct failure failure = {.status = TRIT_OK};
    char *text = malloc(TOKEN_FILE_BYTES_MAX + 2);
    struct rules *rules;
    size_t used = 0;

    CHECK(text);
    for (int i = 0; i < TOKEN_RULES_MAX; i++)
        used += (size_t)sprintf(text + used, line, 64, i, i);
    CHECK(read_text(&rules, text, &failure) == 0);
    CHECK_EQ(rules_count(rules), TOKEN_RULES_MAX);
    rules_free(rules);
    sprintf(text + used, line, 5, 1, TOKEN_RULES_MAX);
    check_refused(text, ":1025: ", "more than 1024 rules");
    sprintf(text, line, 65, 1, 1);
    check_refused(text, ":1: ", "at most 64 bytes");
    sprintf(text, "a cert:%0511d read", 1);
    CHECK(read_text(&rules, text, &failure) == 0);
    rules_free(rules);
    sprintf(text, "a cert:%0512d read", 1);
    check_refused(text, ":1: ", "longer than 511 bytes");

    memset(text, '#', TOKEN_FILE_BYTES_MAX + 1);
    text[TOKEN_FILE_BYTES_MAX + 1] = '\0';
    check_refused(text, "", "larger than 1048576 bytes");
    free(text);
}

CASE(kinds_of_file,
     "anything but a regular file that only its owner can write is refused")
{
    static const char text[] = "a sha256:" HEX_1 " read\n";
    struct failure failure = {.status = TRIT_OK};
    struct rules *rules;
    char path[64];

    CHECK(rules_read(&rules, "/no/such/file", &failure) < 0);
    CHECK(strstr(failure.message, "/no/such/file: No such file"));
    failure.status = TRIT_OK;
    CHECK(rules_read(&rules, "/tmp", &failure) < 0);
    CHECK(strstr(failure.message, "not a regular file"));

    write_file(path, text, sizeof(text)); /* with its NUL */
    failure.status = TRIT_OK;
    CHECK(rules_read(&rules, path, &failure) < 0);
    CHECK(strstr(failure.message, "NUL byte after"));
    unlink(path);

    write_file(path, text, sizeof(text) - 1);
    CHECK(chmod(path, 0666) == 0);
    failure.status = TRIT_OK;
    CHECK(rules_read(&rules, path, &failure) < 0);
    CHECK(strstr(failure.message, "chmod o-w /tmp/test_rules_"));
    CHECK(chmod(path, 0664) == 0);
    failure.status = TRIT_OK;
    CHECK(rules_read(&rules, path, &failure) == 0);
    rules_free(rules);
    unlink(path);
}

CASE(same_work, "a search compares with every token, even after a match")
{
    static const char text[] = "a sha256:" HEX_1 " read\nb sha256:" HEX_2 " read\n"
                               "c cert:CN=x read\nd sha256:" HEX_3 " read\n";
    struct failure failure = {.status = TRIT_OK};
    uint8_t digest[TOKEN_DIGEST_BYTES] = {0};
    struct rules *rules;

    CHECK(read_text(&rules, text, &failure) == 0);
    compared_reset();
    CHECK(!rules_find_token(rules, digest));
    CHECK_EQ(compared_count(), 3);
    memset(digest, 0x11, sizeof(digest));
    compared_reset();
    CHECK(rules_find_token(rules, digest));
    CHECK_EQ(compared_count(), 3);
    digest[0] = 0;
    compared_reset();
    CHECK(rules_find_token(rules, digest));
    CHECK_EQ(compared_count(), 3);
    rules_free(rules);
}

CASE(no_memory, "if memory runs out, nothing is left behind")
{
    for (uint64_t n = 1;; n++) {
        struct failure failure = {.status = TRIT_OK};
        struct rules *rules;
        char path[64];
        int result;

        write_file(path, "a sha256:" HEX_1 " read\n", 9 + 64 + 6);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        result = rules_read(&rules, path, &failure);
        bool failed = fault_disarm();
        unlink(path);
        if (result == 0)
            rules_free(rules);
        else
            CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
        if (!failed) {
            CHECK(result == 0);
            break;
        }
    }
}

CASE(policy_names, "policies have the names that docs/access.md lists")
{
    static const char *const names[] = {"read",   "verify",      "project",
                                        "layers", "checkpoints", "admin"};
    char all[POLICY_LIST_BYTES];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        CHECK_EQ(policy_by_name(names[i]), POLICY_READ + i);
        CHECK_STR(policy_name((enum policy)(POLICY_READ + i)), names[i]);
    }
    policy_list(UINT32_MAX, all);
    CHECK_STR(all, "read,verify,project,layers,checkpoints,admin");
    policy_list(0, all);
    CHECK_STR(all, "");
}
