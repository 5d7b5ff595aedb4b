/* SPDX-License-Identifier: Apache-2.0 */
/* The main() of a test program that has none. It lies apart from check.c, so that
 * the linker takes it from the archive only then. */
#include "tests/lib/check.h"

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
