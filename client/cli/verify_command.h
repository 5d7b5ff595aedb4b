/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by `trit verify` and `trit attest`. */
#ifndef CLI_VERIFY_COMMAND_H
#define CLI_VERIFY_COMMAND_H

#include "checkpoint/attestation.h"
#include "client/cli/bar.h"
#include "client/cli/engine.h"
#include "client/cli/show.h"
#include "drive/verify.h"

struct verify_command {
    const struct options *options;
    const char *name; /* "verify" or "attest" */
    /* Shows what was found, after the last step. Returns DONE, or why that failed. */
    enum exit_code (*finish)(struct verify_command *v, enum trit_verdict verdict);
    struct call_engine engine;
    struct bar bar;
    struct showing showing;
    struct verifying run;
    struct attestation stated; /* by the statement of --attestation */
    struct attestation found;  /* files: only where there is a statement */
    char daemon[32];           /* its version; "": nothing was sent to one */
};

/* Verifies the file. Returns the exit code of the verdict, or of the failure. */
enum exit_code verify_command_run(struct verify_command *v);

#endif
