/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to `trit pack` and `trit unpack`: shared by their files. */
#ifndef CLI_PACK_H
#define CLI_PACK_H

#include "client/cli/bar.h"
#include "client/cli/interrupt.h"
#include "client/cli/side.h"
#include "client/cli/wording.h"
#include "client/lib/matrix_call.h"
#include "drive/lanes.h"
#include "drive/plan_cursor.h"
#include "drive/put.h"
#include "files/writer.h"

struct packing_run {
    const struct options *options;
    const char *command; /* "pack" or "unpack" */
    struct trit_client *client;
    struct side input;
    struct plan plan;
    struct writer *writer;
    struct interrupt interrupt;
    struct bar bar;
    struct plan_cursor cursor; /* of the next piece */
    uint64_t rounded;          /* scales that were rounded to the output's type */
    struct failure failure;
};

/* A tensor that is copied, or a matrix of a layer. */
struct pack_piece {
    struct plan_piece what;
    uint64_t rounded;
};

/* What one lane needs for its piece. */
struct pack_work {
    struct packing_run *p;
    struct pack_piece *piece;
    const struct content *content; /* of the layer */
    enum trit_dtype dtype;         /* of the source's elements */
    bool streamed;                 /* the source is read piece by piece */
    struct matrix source;
    struct side_matrix scales; /* of the source; its `scales` alone */
    struct data_put data;
    struct progress_piece progress;
    struct trit_call_options call;
    struct failure *failure;
};

/* The options of a call; scales are those of the whole matrix. */
struct trit_pack_options pack_options(struct pack_work *work);
struct trit_unpack_options unpack_options(struct pack_work *work);

/* Makes the source's separate scales those of the output's groups, which are another size: a
 * scale stands several times, or the scales within a longer group are equal. INVALID_ARGUMENT:
 * they are not, or no size divides the other; the message names the first group. */
int pack_regroup(struct pack_work *work);

/* The type of the dense output. */
enum trit_dtype pack_dtype(const struct pack_work *work);

/* Scales that a report says were rounded. */
uint64_t pack_rounded(const struct trit_report *report);

/* Packs or unpacks a large matrix where source or output is hf_bitnet: some rows a call,
 * the same ones of each quarter of the rows, which share bytes in hf_bitnet. */
int pack_quarters(struct pack_work *work);

/* Has the daemon pack or unpack the layers matrix by matrix and writes the results; copies
 * every other tensor. */
int pack_pieces(struct packing_run *p);

#endif
