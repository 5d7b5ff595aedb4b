/* SPDX-License-Identifier: Apache-2.0 */
#include "layers/name.h"

#include <stdbool.h>
#include <stddef.h>

int file_name(const char *name, char out[LAYER_FILE_NAME_BYTES_MAX + 1])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t length = 0;

    for (size_t i = 0; name[i]; i++) {
        unsigned char byte = (unsigned char)name[i];
        bool plain = byte >= 0x20 && byte != '/' && byte != '%' && byte != 0x7f &&
                     (i > 0 || byte != '.');

        if (length + (plain ? 1 : 3) > LAYER_FILE_NAME_BYTES_MAX)
            return -1;
        if (plain) {
            out[length++] = (char)byte;
        } else {
            out[length++] = '%';
            out[length++] = digits[byte >> 4];
            out[length++] = digits[byte & 15];
        }
    }
    out[length] = '\0';
    return 0;
}
