/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that were built with the headers of a past version find each struct, member
 * and enum value where it was (docs/abi.md). Most of this test is done by the compiler:
 * a layout is a list of assertions about today's trit.h. */
#include <trit.h>

#include <string.h>

#include "tests/data/abi/0.2.0/layout.h"

#include "client/lib/sized.h"
#include "tests/lib/check.h"

static const struct {
    const char *name;
    size_t bytes;
} structs[] = {
#define STRUCT_SIZE(name, bytes) {#name, bytes},
    ABI_SIZES_0_2_0(STRUCT_SIZE)};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

CASE(accepts_the_sizes_of_0_2_0,
     "structs of version 0.2.0 are accepted, and their layout is unchanged")
{
    const struct sized *const all[] = {
#define SIZED_ADDRESS(type, init, last) &sized_##type,
        SIZED_STRUCTS(SIZED_ADDRESS)};
    size_t found = 0;

    for (size_t i = 0; i < COUNT_OF(structs); i++)
        for (size_t j = 0; j < COUNT_OF(all); j++)
            if (strcmp(structs[i].name, all[j]->name) == 0) {
                CHECK(all[j]->bytes_first <= structs[i].bytes);
                found++;
            }
    CHECK_EQ(found, COUNT_OF(structs));
}
