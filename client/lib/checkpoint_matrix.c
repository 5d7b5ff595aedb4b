/* SPDX-License-Identifier: Apache-2.0 */
/* Matrices of the layers of a plan or a verification, read from their file piece by piece. */
#include <inttypes.h>
#include <stdlib.h>

#include "client/lib/client.h"
#include "client/lib/file.h"
#include "client/lib/matrix_handle.h"
#include "client/lib/plan.h"
#include "client/lib/verification.h"
#include "drive/foreign_read.h"

/* The matrix that is asked for. */
struct asked {
    const struct trit_file *file;
    const struct contents *contents; /* of `file` */
    size_t index;                    /* of the tensor in it */
    struct matrices matrices;        /* as the file has them */
    uint64_t number;
};

static int open_matrix(struct trit_matrix *made, const struct asked *asked,
                       struct failure *failure)
{
    const struct content *item = &asked->contents->items[asked->index];

    if (asked->file->checkpoint.table != asked->contents->table)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "file",
                          "%s is another file than the one that was planned",
                          asked->file->path);
    if (asked->number >= asked->matrices.count)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "number",
                          "%" PRIu64 ", but the tensor has %" PRIu64 " matrices",
                          asked->number, asked->matrices.count);
    if (content_is_foreign(item)) {
        matrix_open_packed(&made->matrix, asked->file->reader, asked->contents,
                           asked->index, asked->number, &made->failure);
        return 0;
    }
    return matrix_open(&made->matrix, true, asked->file->reader,
                       &asked->contents->table->entries[asked->index], &asked->matrices,
                       asked->number, &made->failure);
}

static int give_matrix(struct trit_matrix **matrix, const struct asked *asked,
                       struct failure *failure)
{
    struct trit_matrix *made = calloc(1, sizeof(*made));

    if (!made)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (open_matrix(made, asked, failure) < 0) {
        trit_matrix_free(made);
        return -1;
    }
    *matrix = made;
    return 0;
}

/* Codes of an encoding that does not keep the layout are never transposed. */
static struct matrices stored_matrices(const struct content *item)
{
    struct matrices matrices = content_matrices(item);

    matrices.transposed &= encoding_keeps_layout(item->terms.encoding);
    return matrices;
}

enum trit_status trit_plan_matrix(const struct trit_plan *plan,
                                  const struct trit_file *file, const char *tensor,
                                  uint64_t number, struct trit_matrix **matrix,
                                  struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct asked asked = {.file = file, .number = number};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!plan || !file || !tensor || !matrix) {
        fail_null(&failure, !plan     ? "plan"
                            : !file   ? "file"
                            : !tensor ? "tensor"
                                      : "matrix");
    } else if (checkpoint_find(plan->input->table, tensor, &asked.index, &failure) == 0) {
        const enum plan_action action = plan->plan.items[asked.index].action;
        const struct content *item = &plan->plan.contents.items[asked.index];

        asked.contents = &plan->plan.contents;
        asked.matrices =
            action == PLAN_PACK ? stored_matrices(item) : content_matrices(item);
        if (action != PLAN_PACK && action != PLAN_TERNARIZE)
            fail_field(&failure, TRIT_NOT_FOUND, "tensor",
                       "\"%s\" is not a layer of the plan", tensor);
        else
            give_matrix(matrix, &asked, &failure);
    }
    return client_answer(&failure, error);
}

/* The tensor of the latents that a layer of the claim is compared with. */
static int ask_latents(const struct trit_verification *v, struct asked *asked,
                       struct failure *failure)
{
    const struct match_pair *pair = v->steps[asked->index].pair;

    if (v->steps[asked->index].check != CHECK_PROJECTION)
        return fail_field(failure, TRIT_NOT_FOUND, "tensor", "\"%s\" has no latents",
                          v->table->entries[asked->index].name);
    if (asked->number >= content_matrices(&v->claim.items[asked->index]).count)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "number",
                          "%" PRIu64 " is not below the number of matrices",
                          asked->number);
    asked->contents = &v->of_latents;
    asked->index = match_reference(pair, asked->number);
    asked->number = match_number(pair, asked->number);
    const struct tensor_entry *entry = &v->latents->entries[asked->index];
    asked->matrices = matrices_of(pair->layout, entry->rank, entry->shape);
    asked->matrices.heads = pair->heads;
    return 0;
}

/* A matrix of the claim. What is decoded later no longer shows wrong scales. */
static int give_claimed(const struct trit_verification *v, struct trit_matrix **matrix,
                        const struct asked *asked, struct failure *failure)
{
    struct scale_faults faults = {.lost = {.count = 0}};

    if (give_matrix(matrix, asked, failure) < 0)
        return -1;
    if (content_is_foreign(&v->claim.items[asked->index]) &&
        foreign_read_faults(asked->file->reader, &v->claim, asked->index, asked->number,
                            &faults, failure) < 0) {
        trit_matrix_free(*matrix);
        *matrix = NULL;
        return -1;
    }
    v->steps[asked->index].faults = faults;
    return 0;
}

enum trit_status trit_verification_matrix(const struct trit_verification *verification,
                                          const struct trit_file *file, bool latents,
                                          const char *tensor, uint64_t number,
                                          struct trit_matrix **matrix,
                                          struct trit_error *error)
{
    const struct trit_verification *v = verification;
    struct failure failure = {.status = TRIT_OK};
    struct asked asked = {.file = file, .number = number};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!v || !file || !tensor || !matrix) {
        fail_null(&failure, !v        ? "verification"
                            : !file   ? "file"
                            : !tensor ? "tensor"
                                      : "matrix");
    } else if (checkpoint_find(v->table, tensor, &asked.index, &failure) == 0) {
        const enum check check = v->steps[asked.index].check;

        asked.contents = &v->claim;
        asked.matrices = stored_matrices(&v->claim.items[asked.index]);
        if (check != CHECK_TERNARY && check != CHECK_PROJECTION)
            fail_field(&failure, TRIT_NOT_FOUND, "tensor", "\"%s\" is not a layer",
                       tensor);
        else if (!latents)
            give_claimed(v, matrix, &asked, &failure);
        else if (ask_latents(v, &asked, &failure) == 0)
            give_matrix(matrix, &asked, &failure);
    }
    return client_answer(&failure, error);
}

uint64_t trit_matrix_bytes(const struct trit_matrix *matrix)
{
    return matrix ? matrix->matrix.bytes : 0;
}

int trit_matrix_read(void *matrix, uint64_t offset, void *to, uint64_t bytes)
{
    return matrix_read(&((struct trit_matrix *)matrix)->matrix, offset, to, bytes);
}

enum trit_status trit_matrix_check(const struct trit_matrix *matrix,
                                   struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!matrix)
        fail_null(&failure, "matrix");
    else
        failure = matrix->failure;
    return client_answer(&failure, error);
}

void trit_matrix_free(struct trit_matrix *matrix)
{
    if (!matrix)
        return;
    matrix_close(&matrix->matrix);
    free(matrix);
}
