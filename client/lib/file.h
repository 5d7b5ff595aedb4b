/* SPDX-License-Identifier: Apache-2.0 */
/* An open file, shared by the calls about files and outputs. */
#ifndef LIB_FILE_H
#define LIB_FILE_H

#include "client/lib/checkpoint.h"

struct trit_file {
    struct trit_checkpoint checkpoint; /* its reader is `reader` */
    struct reader *reader;
    char *path; /* as the caller gave it */
};

#endif
