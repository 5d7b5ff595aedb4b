/* SPDX-License-Identifier: Apache-2.0 */
/* A CRC is a polynomial over GF(2) modulo P. Bytes behind a part multiply its CRC by
 * x^(8 * bytes); what is done before and after the division cancels out. */
#include "drive/crc_parts.h"

static const uint32_t polynomial = 0x82f63b78; /* P, bits reversed, without x^32 */
static const uint32_t one = 1u << 31;          /* x^0 */

/* a * b modulo P. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = one; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b & 1 ? b >> 1 ^ polynomial : b >> 1;
    }
    return product;
}

uint32_t crc_part(uint32_t crc, uint64_t behind)
{
    uint32_t power = one >> 8; /* x^8, then its squares */

    for (; behind; behind >>= 1) {
        if (behind & 1)
            crc = multiply(power, crc);
        power = multiply(power, power);
    }
    return crc;
}
