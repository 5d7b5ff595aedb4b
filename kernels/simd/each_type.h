/* SPDX-License-Identifier: Apache-2.0 */
/* Includes the file that TEMPLATE names once for each element type, and forgets the name:
 * see typed.h. */

#define ELEMENT f32
#include TEMPLATE
#undef ELEMENT

#define ELEMENT f16
#include TEMPLATE
#undef ELEMENT

#define ELEMENT bf16
#include TEMPLATE
#undef ELEMENT

#undef TEMPLATE
