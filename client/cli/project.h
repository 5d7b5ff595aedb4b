/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to `trit project`: shared by its files. */
#ifndef CLI_PROJECT_H
#define CLI_PROJECT_H

#include "client/cli/bar.h"
#include "client/cli/engine.h"
#include "client/cli/file.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/show.h"
#include "drive/project.h"

struct project_command {
    const struct options *options;
    struct call_engine engine;
    struct interrupt interrupt;
    struct bar bar;
    struct showing showing;
    struct projecting run;
};

/* Checks the plan before anything is sent. Returns DONE, or names everything that is
 * refused and returns MISMATCH. Unless --again is given, it reads the layers' data to
 * find those that are ternary already. */
enum exit_code project_check(struct project_command *p);

#endif
