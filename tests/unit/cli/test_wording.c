/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the daemon in words of the command line. */
#include <string.h>

#include "client/cli/wording.h"
#include "tests/lib/check.h"

static void becomes(const char *message, const char *wanted)
{
    char words[256];

    option_words(words, sizeof(words), message);
    CHECK_STR(words, wanted);
}

CASE(options_in_place_of_fields, "a message names the option in place of the field")
{
    becomes("tensor.data: group 5 has the scale 0.1; set options.allow_rounded_scales to "
            "round it",
            "group 5 has the scale 0.1; use --round-scales to round it");
    becomes("chunk.data: group 0 has two magnitudes; check options.group_size",
            "group 0 has two magnitudes; check --group-size");
    becomes("use int8, or set allow_lost_scales", "use int8, or use --allow-lost");
    becomes("tensor.data: use group_size 64 to verify each block",
            "use --group-size 64 to verify each block");
    becomes("layer.step: 3 is taken", "--step: 3 is taken");
    becomes(
        "report of run \"r\": already exists; use another step, or attempt 2 if the run "
        "was resumed (see Reports.Rewind)",
        "report of run \"r\": already exists; use another --step, or --attempt 2 if the "
        "run was resumed (see trit reports rewind)");
    becomes("spec.in_features: 0", "--in-features: 0");
    becomes("token_file: /x: No such file", "--token-file: /x: No such file");
    becomes("tls_key is set without tls_cert", "--tls-key is set without --tls-cert");
    becomes("a.gguf: it exists already",
            "a.gguf: it exists already; --force replaces it");
}

CASE(other_words_stay, "what a message quotes stays as it is")
{
    becomes("", "");
    becomes("run \"layer.run: x\", layer.step: 3", "run \"layer.run: x\", layer.step: 3");
    becomes("tensor.shape: [3]", "tensor.shape: [3]");
    becomes("options.group_sizes", "options.group_sizes");
}

CASE(findings, "a finding's hint names options too")
{
    char words[FINDING_TEXT_BYTES];
    struct file_finding finding = {
        .layer = "l.weight",
        .finding = {.kind = TRIT_FINDING_NOT_TERNARY, .severity = TRIT_SEVERITY_ERROR}};

    strcpy(finding.finding.hint, "project the latents, or check group_size");
    CHECK_STR(finding_words(words, &finding),
              "error: l.weight: not_ternary: project the latents, or check --group-size");
}

CASE(is_cut, "a message that is too long is cut, also within an option")
{
    static const char message[] = "abc set allow_lost_scales";
    char words[sizeof(message) + 8];

    for (size_t size = 1; size <= sizeof(words); size++) {
        memset(words, 'x', sizeof(words));
        option_words(words, size, message);
        CHECK(strlen(words) < size);
        CHECK(strncmp("abc use --allow-lost", words, strlen(words)) == 0);
        CHECK(size < 21 || strlen(words) == 20);
    }
    words[0] = 'x';
    option_words(words, 0, message);
    CHECK_EQ(words[0], 'x');
}
