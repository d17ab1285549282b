/* hex.h - bytes written as hex digits, with spaces where one likes. */
#ifndef LEAT_SPEC_WIRE_HEX_H
#define LEAT_SPEC_WIRE_HEX_H

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* Appends the bytes. */
static inline void hex_append(leat_buf *out, const char *hex)
{
    char pair[3] = {0};
    for (const char *at = hex; *at != '\0'; at++) {
        if (*at == ' ')
            continue;
        memcpy(pair, at++, 2);
        leat_buf_char(out, (char)strtoul(pair, NULL, 16));
    }
}

/* Appends the digits. */
static inline void hex_write(leat_buf *out, leat_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        leat_buf_printf(out, "%02x", (unsigned char)bytes.at[i]);
}

#endif
