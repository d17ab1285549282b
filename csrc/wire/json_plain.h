/* json_plain.h - the bytes that stand for themselves in a JSON string, and need no closer look: all
 * of ASCII but quote, backslash and control characters (RFC 8259 section 7).
 *
 * Ownership  none.
 * Threads    any.
 * Units      bytes.
 * Errors     none.
 */
#ifndef LEAT_WIRE_JSON_PLAIN_H
#define LEAT_WIRE_JSON_PLAIN_H

#include <stdint.h>
#include <string.h>

/* 0x80 in each byte that is not plain. A byte above one that is not may be reported, too; none is
 * missed. */
static inline uint64_t leat_json_special_bytes_(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t quote = (w ^ ones * '"') - ones;
    uint64_t backslash = (w ^ ones * '\\') - ones;
    uint64_t control = w - ones * 0x20;
    return (quote | backslash | control | w) & ones * 0x80;
}

/* Returns the first byte from at that is not plain, or end. */
static inline const char *leat_json_skip_plain(const char *at, const char *end)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        if (leat_json_special_bytes_(word) != 0)
            break;
        at += 8;
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    return at;
}

#endif
