#include "base/utf8.h"

#include <string.h>

/* A state inside a character holds the number of bytes to come, and the range of the next one. Only
 * the second byte can make a form overlong, a surrogate, or too large. */
#define STATE(left, low, high) ((uint32_t)(left) << 16 | (uint32_t)(low) << 8 | (uint32_t)(high))

enum {
    STATE_INVALID = 0x7fffffff,
};

static uint32_t start(uint8_t lead)
{
    if (lead < 0xc2) /* a continuation byte, or an overlong form of two */
        return STATE_INVALID;
    if (lead < 0xe0)
        return STATE(1, 0x80, 0xbf);
    if (lead == 0xe0)
        return STATE(2, 0xa0, 0xbf);
    if (lead == 0xed)
        return STATE(2, 0x80, 0x9f);
    if (lead < 0xf0)
        return STATE(2, 0x80, 0xbf);
    if (lead == 0xf0)
        return STATE(3, 0x90, 0xbf);
    if (lead < 0xf4)
        return STATE(3, 0x80, 0xbf);
    if (lead == 0xf4)
        return STATE(3, 0x80, 0x8f);
    return STATE_INVALID;
}

static uint32_t step(uint32_t state, uint8_t byte)
{
    if (byte < (state >> 8 & 0xff) || byte > (state & 0xff))
        return STATE_INVALID;
    uint32_t left = (state >> 16) - 1;
    return left == 0 ? 0 : STATE(left, 0x80, 0xbf);
}

/* The number of ASCII bytes at the beginning, in whole words of eight bytes. */
static size_t skip_ascii(const uint8_t *at, size_t len)
{
    size_t i = 0;
    for (; len - i >= 8; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, 8);
        if ((word & 0x8080808080808080u) != 0)
            break;
    }
    return i;
}

bool leat_utf8_feed(leat_utf8 *u, const char *bytes, size_t len)
{
    const uint8_t *at = (const uint8_t *)bytes;
    uint32_t state = u->state_;
    size_t i = 0;
    while (i < len && state != STATE_INVALID) {
        if (state == 0) {
            i += skip_ascii(at + i, len - i);
            while (i < len && at[i] < 0x80)
                i++;
            if (i < len)
                state = start(at[i++]);
        } else {
            state = step(state, at[i++]);
        }
    }
    u->state_ = state;
    return state != STATE_INVALID;
}

bool leat_utf8_complete(const leat_utf8 *u)
{
    return u->state_ == 0;
}

bool leat_utf8_valid(const char *bytes, size_t len)
{
    leat_utf8 u = LEAT_UTF8_INIT;
    return leat_utf8_feed(&u, bytes, len) && leat_utf8_complete(&u);
}
