/* SPDX-License-Identifier: Apache-2.0 */
/* A token file: it is refused with a message, or each of its rules can be found again
 * and grants something. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int file = memfd_create("rules", MFD_CLOEXEC);
    struct failure failure = {.status = TRIT_OK};
    struct rules *rules = NULL;
    char path[64];

    if (file < 0 || fchmod(file, 0600) != 0 || write(file, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    if (rules_read(&rules, path, &failure) < 0) {
        assert(failure.status == TRIT_INVALID_ARGUMENT && strstr(failure.message, path));
    } else {
        static const uint8_t zeros[TOKEN_DIGEST_BYTES];
        const struct rule *rule = rules_find_token(rules, zeros);

        assert(rules_count(rules) > 0 && rules_count(rules) <= TOKEN_RULES_MAX);
        assert(!rule || (rule->policies && rule->name[0] && rule->line > 0));
        rule = rules_find_subject(rules, "CN=a");
        assert(!rule || strcmp(rule->subject, "CN=a") == 0);
        rules_free(rules);
    }
    close(file);
    return 0;
}
