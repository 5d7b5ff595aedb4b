/* SPDX-License-Identifier: Apache-2.0 */
/* The CRC-32C of bytes whose parts come in any order, on any threads: the CRC of the whole is
 * the XOR of what its parts give. */
#ifndef DRIVE_CRC_PARTS_H
#define DRIVE_CRC_PARTS_H

#include <stdint.h>

/* The CRC of bytes whose own CRC is `crc`, with `behind` bytes that count as 0 behind them. */
uint32_t crc_part(uint32_t crc, uint64_t behind);

#endif
