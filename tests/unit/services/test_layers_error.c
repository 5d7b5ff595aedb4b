/* SPDX-License-Identifier: Apache-2.0 */
/* The error of products by int8 activations: found whatever the parts, and honest
 * about what is not finite. */
#include "services/layers/int8_error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/asks.h"
#include "tests/lib/check.h"

enum { ROWS = 70, COLUMNS = 200, BATCH = 11, GROUP = 128, GROUPS = 2 };

/* A matrix of random trits, x, a bias, and y by f32. */
struct product {
    const struct kernels *kernels;
    uint8_t *codes;
    float scales[ROWS * GROUPS], bias[ROWS];
    float x[BATCH * COLUMNS], y[BATCH * ROWS];
    float scratch[ROWS * BATCH];
    struct linear_matrix matrix;
};

static struct product *product_make(void)
{
    struct product *product = calloc(1, sizeof(*product));
    size_t packed = 2 * GROUP / 4, count = ROWS * packed;
    uint8_t *codes = malloc(count);
    uint64_t seed = 9;

    CHECK(product && codes);
    for (size_t i = 0; i < count; i++) /* codes 0, 1, 2 */
        codes[i] = (uint8_t)(check_random(&seed) % 3 | check_random(&seed) % 3 << 2 |
                             check_random(&seed) % 3 << 4 | check_random(&seed) % 3 << 6);
    random_weights(product->scales, ROWS * GROUPS, 10);
    random_weights(product->bias, ROWS, 11);
    random_weights(product->x, BATCH * COLUMNS, 12);
    product->kernels = kernels_select(NULL);
    product->codes = aligned_alloc(64, linear_code_bytes(ROWS, COLUMNS));
    CHECK(product->codes);
    linear_pack(COLUMNS, GROUP, codes, 0, ROWS, product->codes);
    free(codes);
    product->matrix =
        (struct linear_matrix){ROWS, COLUMNS, GROUP, product->codes, product->scales};
    linear_forward(product->kernels, &product->matrix, product->x, BATCH, product->bias,
                   0, ROWS, product->y);
    return product;
}

static void product_free(struct product *product)
{
    free(product->codes);
    free(product);
}

/* Compares all of it, `rows` by `batch` at a time. */
static struct product_error compared(struct product *product, uint64_t rows,
                                     uint64_t batch)
{
    struct product_error error = {0};

    for (uint64_t b = 0; b < BATCH; b += batch)
        for (uint64_t first = 0; first < ROWS; first += rows) {
            struct product_part part = {
                .matrix = &product->matrix,
                .x = product->x + b * COLUMNS,
                .batch = BATCH - b < batch ? BATCH - b : batch,
                .bias = product->bias,
                .first = first,
                .rows = ROWS - first < rows ? ROWS - first : rows,
                .y = product->y + b * ROWS,
            };

            CHECK(product_error_scratch_bytes(part.rows) <= sizeof(product->scratch));
            product_error_add(&error, product->kernels, &part, product->scratch);
        }
    return error;
}

CASE(same_for_every_cut,
     "the error is the largest of all elements, however they are split")
{
    static const uint64_t rows[] = {16, 32, 48, 80}, batches[] = {1, 3, 4, 9, 11};
    struct product *product = product_make();
    float largest = 0;

    for (size_t i = 0; i < BATCH * ROWS; i++)
        largest = fmaxf(largest, fabsf(product->y[i]));
    product->y[10 * ROWS + 69] -= 0.25f; /* the last of all */
    product->y[0] += 0.125f;
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 5; j++) {
            struct product_error error = compared(product, rows[i], batches[j]);

            CHECK(fabsf(product_error_max(&error) - 0.25f) < 1e-6f);
            CHECK(product_error_relative(&error) ==
                  (float)((double)product_error_max(&error) / (double)largest));
        }
    product_free(product);
}

CASE(none_where_equal,
     "equal products have error 0, and a wrong zero has an infinite error")
{
    struct product *product = product_make();
    struct product_error error = compared(product, ROWS, BATCH);

    CHECK(product_error_max(&error) == 0 && product_error_relative(&error) == 0);
    memset(product->x, 0, sizeof(product->x));
    memset(product->bias, 0, sizeof(product->bias));
    memset(product->y, 0, sizeof(product->y));
    error = compared(product, ROWS, BATCH);
    CHECK(product_error_max(&error) == 0 && product_error_relative(&error) == 0);
    product->y[5] = 1;
    error = compared(product, ROWS, BATCH);
    CHECK(product_error_max(&error) == 1 && isinf(product_error_relative(&error)));
    product_free(product);
}

CASE(not_finite, "an element that is not finite makes the error not finite")
{
    static const float wrong[] = {INFINITY, -INFINITY, NAN};

    for (size_t i = 0; i < 3; i++) {
        struct product *product = product_make();
        struct product_error error;

        product->y[100] = wrong[i];
        error = compared(product, 16, 2);
        CHECK(!isfinite(product_error_max(&error)));
        CHECK(!isfinite(product_error_relative(&error)));
        product_free(product);
    }
}
