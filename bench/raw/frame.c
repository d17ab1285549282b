/* frame.c - RFC 6455, section 5.2. */
#include "raw/frame.h"

#include <stdint.h>
#include <string.h>

size_t frame_head(unsigned char second)
{
    unsigned marker = second & 127;
    return marker < 126 ? 2 : marker == 126 ? 4 : 10;
}

size_t frame_length(const char *frame)
{
    const unsigned char *b = (const unsigned char *)frame;
    size_t head = frame_head(b[1]), length = 0;
    if (head == 2)
        return b[1] & 127;
    for (size_t i = 2; i < head; i++)
        length = length << 8 | b[i];
    return length;
}

size_t frame_write(char *out, const char *text, size_t n)
{
    size_t head = n < 126 ? 2 : n < 65536 ? 4 : 10;
    out[0] = (char)0x81;
    out[1] = (char)(n < 126 ? n : n < 65536 ? 126 : 127);
    for (size_t i = 2; i < head; i++)
        out[i] = (char)((uint64_t)n >> 8 * (head - 1 - i));
    memcpy(out + head, text, n);
    return head + n;
}
