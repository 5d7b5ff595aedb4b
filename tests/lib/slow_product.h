/* SPDX-License-Identifier: Apache-2.0 */
/* Products for grad_input that are counted, and wait until the test lets them go on. Link
 * with -Wl,--wrap=linear_grad_input. */
#ifndef TESTS_SLOW_PRODUCT_H
#define TESTS_SLOW_PRODUCT_H

#include <stdbool.h>

/* Counts from 0; from now on products wait. */
void slow_product_hold(void);

bool slow_product_waits(void);
void slow_product_release(void);

/* From now on products take no time: they leave their output as it is. */
void slow_product_leave_out(void);

/* Since slow_product_hold. */
unsigned slow_product_count(void);

#endif
