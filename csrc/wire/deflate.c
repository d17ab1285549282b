/* Compressed messages. A sender ends a message's last block with an empty stored one (a sync flush)
 * and leaves its four bytes, `tail`, out; the receiver puts them back. Nothing survives a message:
 * inflater and deflater are reset for each, which for the deflater means to clear its hash table.
 * So short messages have a deflater of their own, with a small table. Clients with small windows
 * have one for each size, for the messages that are longer than their window. */
#include "wire/deflate.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/err.h"
#include "base/mem.h"

enum {
    WINDOW_BITS = 15,
    INFLATE_STEP = 4096,  /* the first room for an inflated message */
    SHORT_MESSAGE = 4096, /* messages up to that length use the small deflater */
    SHORT_WINDOW_BITS = 12,
    SHORT_MEM_LEVEL = 5,
    LONG_MEM_LEVEL = 8,
    NARROWEST = 9, /* zlib compresses with no window of 8 bits */
    /* z_stream.data_type after a step: the position is at the start of a block, and how many bits
     * of the last byte are unused. */
    AT_BLOCK_START = 128,
    UNUSED_BITS = 7,
};

static const char tail[4] = {0x00, 0x00, (char)0xff, (char)0xff};

struct leat_deflate {
    z_stream in;
    z_stream brief; /* compresses short messages */
    z_stream full;  /* compresses long ones */
    /* For clients with smaller windows, long messages; made when first used. */
    z_stream narrow[WINDOW_BITS - NARROWEST];
    int level;
    size_t min_bytes;
};

static void start_deflater(z_stream *s, int level, int window_bits, int mem_level)
{
    int err = deflateInit2(s, level, Z_DEFLATED, -window_bits, mem_level, Z_DEFAULT_STRATEGY);
    LEAT_ASSERT(err == Z_OK);
}

leat_deflate *leat_deflate_new(int level, size_t min_bytes)
{
    leat_deflate *z = leat_calloc(1, sizeof(*z));
    z->level = level;
    z->min_bytes = min_bytes;
    int err = inflateInit2(&z->in, -WINDOW_BITS);
    LEAT_ASSERT(err == Z_OK);
    start_deflater(&z->brief, level, SHORT_WINDOW_BITS, SHORT_MEM_LEVEL);
    start_deflater(&z->full, level, WINDOW_BITS, LONG_MEM_LEVEL);
    return z;
}

size_t leat_deflate_min_bytes(const leat_deflate *z)
{
    return z->min_bytes;
}

void leat_deflate_free(leat_deflate *z)
{
    if (z == NULL)
        return;
    inflateEnd(&z->in);
    deflateEnd(&z->brief);
    deflateEnd(&z->full);
    for (int i = 0; i < WINDOW_BITS - NARROWEST; i++)
        if (z->narrow[i].state != NULL)
            deflateEnd(&z->narrow[i]);
    free(z);
}

/* Makes room behind what out has of the message, at most up to one byte over the limit: that byte
 * shows that the message is too long. */
static void make_room(z_stream *s, leat_buf *out, size_t start, size_t max)
{
    size_t have = out->len - start;
    size_t more = have < INFLATE_STEP ? INFLATE_STEP : have;
    size_t left = max + 1 - have;
    more = more < left ? more : left;
    more = more < UINT_MAX ? more : UINT_MAX;
    s->next_out = (Bytef *)leat_buf_reserve(out, more);
    s->avail_out = (uInt)more;
}

/* A block was marked as the last one. Further blocks may follow in the same message (RFC 7692
 * §7.2.3.4 makes such messages), and may refer to what came before. */
static int continue_after_last_block(z_stream *s, const leat_buf *out, size_t start)
{
    size_t have = out->len - start;
    size_t window = have < (1u << WINDOW_BITS) ? have : 1u << WINDOW_BITS;
    if (inflateReset(s) != Z_OK)
        return Z_STREAM_ERROR;
    if (window == 0)
        return Z_OK;
    return inflateSetDictionary(s, (const Bytef *)out->at + out->len - window, (uInt)window);
}

/* Inflates one stretch of input. Returns a close code, or 0 with all of the input taken. */
static int inflate_part(z_stream *s, leat_slice part, size_t start, size_t max, leat_buf *out)
{
    LEAT_ASSERT(part.len <= UINT_MAX);
    s->next_in = (const Bytef *)part.at;
    s->avail_in = (uInt)part.len;
    int status = Z_OK;
    do {
        make_room(s, out, start, max);
        uInt room = s->avail_out;
        status = inflate(s, Z_SYNC_FLUSH);
        out->len += room - s->avail_out;
        if (out->len - start > max)
            return LEAT_CLOSE_TOO_BIG;
        if (status == Z_STREAM_END)
            status = continue_after_last_block(s, out, start);
        /* Z_BUF_ERROR: no progress was possible, which is the end of the input. */
    } while (status == Z_OK && (s->avail_in > 0 || s->avail_out == 0));
    return status == Z_OK || (status == Z_BUF_ERROR && s->avail_in == 0) ? 0 : LEAT_CLOSE_BAD_DATA;
}

int leat_deflate_inflate(leat_deflate *z, leat_slice compressed, size_t max, leat_buf *out)
{
    z_stream *s = &z->in;
    size_t start = out->len;
    inflateReset(s);
    int code = inflate_part(s, compressed, start, max, out);
    if (code == 0)
        code = inflate_part(s, (leat_slice){tail, sizeof(tail)}, start, max, out);
    /* A message that is cut off leaves the inflater inside a block. */
    bool ended = (s->data_type & AT_BLOCK_START) != 0 && (s->data_type & UNUSED_BITS) == 0;
    if (code == 0 && !ended)
        code = LEAT_CLOSE_BAD_DATA;
    if (code != 0)
        out->len = start;
    return code;
}

/* NULL if the message is longer than a window that is too small for a compressor. */
static z_stream *deflater_for(leat_deflate *z, size_t len, uint8_t window_bits)
{
    if (leat_deflate_suits(window_bits, len))
        return len <= SHORT_MESSAGE ? &z->brief : &z->full;
    if (window_bits < NARROWEST)
        return NULL;
    z_stream *s = &z->narrow[window_bits - NARROWEST];
    if (s->state == NULL)
        start_deflater(s, z->level, window_bits, SHORT_MEM_LEVEL);
    return s;
}

bool leat_deflate_frame(leat_deflate *z, leat_frame_op op, leat_slice payload, uint8_t window_bits,
                        leat_buf *out)
{
    enum { HEADER_MAX = 10 };
    if (payload.len < z->min_bytes || payload.len <= sizeof(tail) || payload.len > INT_MAX)
        return false;
    z_stream *s = deflater_for(z, payload.len, window_bits);
    if (s == NULL)
        return false;
    /* The room is one byte short of the payload and a tail: what does not fit is not shorter. */
    size_t room = payload.len + sizeof(tail) - 1;
    char *frame = leat_buf_reserve(out, HEADER_MAX + room);
    deflateReset(s);
    s->next_in = (const Bytef *)payload.at;
    s->avail_in = (uInt)payload.len;
    s->next_out = (Bytef *)frame + HEADER_MAX;
    s->avail_out = (uInt)room;
    int status = deflate(s, Z_SYNC_FLUSH);
    if (status != Z_OK || s->avail_in > 0 || s->avail_out == 0)
        return false;
    size_t len = room - s->avail_out - sizeof(tail);
    size_t header_len = leat_frame_write_header(frame, op, len);
    frame[0] = (char)((uint8_t)frame[0] | LEAT_DEFLATE_RSV << 4);
    memmove(frame + header_len, frame + HEADER_MAX, len);
    out->len += header_len + len;
    return true;
}

leat_event *leat_deflate_event(leat_deflate *z, leat_event *e)
{
    leat_event *twin = leat_event_in_form(e, LEAT_FORM_COMPRESSED);
    if (twin != NULL)
        return twin;
    leat_buf frame = LEAT_BUF_INIT;
    twin = e;
    leat_frame_op op = (leat_frame_op)(leat_event_frame(e).at[0] & 0x0f);
    if (leat_deflate_frame(z, op, leat_event_payload(e), WINDOW_BITS, &frame)) {
        twin = leat_event_new(leat_event_kind_of(e), (leat_slice){NULL, 0}, leat_event_seq(e),
                              frame.len, 0, 0, 0);
        memcpy(leat_event_frame_room(twin), frame.at, frame.len);
    }
    leat_buf_close(&frame);
    return leat_event_set_form(e, LEAT_FORM_COMPRESSED, twin);
}
