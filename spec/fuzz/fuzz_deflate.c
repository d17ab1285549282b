/* Inflating stays within the limit, and gives back whatever was compressed. */
#include "fuzz.h"

#include <string.h>

#include "wire/deflate.h"

static leat_deflate *codec;

static void inflate_anything(leat_slice input, size_t max)
{
    leat_buf once = LEAT_BUF_INIT;
    leat_buf again = LEAT_BUF_INIT;
    int code = leat_deflate_inflate(codec, input, max, &once);
    CHECK(code == 0 || code == LEAT_CLOSE_BAD_DATA || code == LEAT_CLOSE_TOO_BIG);
    CHECK(code == 0 ? once.len <= max : once.len == 0);
    /* Nothing of a message is left for the next one. */
    CHECK(leat_deflate_inflate(codec, input, max, &again) == code);
    CHECK(leat_slice_equal(leat_buf_view(&once), leat_buf_view(&again)));
    leat_buf_close(&once);
    leat_buf_close(&again);
}

/* What a frame of the server carries, which is not masked. */
static leat_slice payload_of(const leat_buf *frame)
{
    uint8_t len = (uint8_t)frame->at[1];
    size_t header = len <= 125 ? 2 : len == 126 ? 4 : 10;
    return (leat_slice){frame->at + header, frame->len - header};
}

static void compress_and_inflate(leat_slice input)
{
    leat_buf frame = LEAT_BUF_INIT;
    leat_buf out = LEAT_BUF_INIT;
    if (leat_deflate_frame(codec, LEAT_FRAME_TEXT, input, 15, &frame)) {
        CHECK(frame.len < leat_frame_header_len(input.len) + input.len);
        leat_slice compressed = payload_of(&frame);
        CHECK(leat_deflate_inflate(codec, compressed, input.len, &out) == 0);
        CHECK(leat_slice_equal(leat_buf_view(&out), input));
    }
    leat_buf_close(&frame);
    leat_buf_close(&out);
}

/* Returns the new size: the plain text behind the compressed one is changed, and compressed anew.
 */
static size_t mutate_text(uint8_t *data, size_t size, size_t max_size)
{
    leat_buf plain = LEAT_BUF_INIT;
    leat_buf frame = LEAT_BUF_INIT;
    uint8_t text[4096];
    leat_slice compressed = {(const char *)data + 1, size - 1};
    if (leat_deflate_inflate(codec, compressed, sizeof(text), &plain) == 0 && plain.len > 0)
        memcpy(text, plain.at, plain.len);
    size_t len = LLVMFuzzerMutate(text, plain.len, sizeof(text));
    leat_slice changed = {(const char *)text, len};
    if (leat_deflate_frame(codec, LEAT_FRAME_TEXT, changed, 15, &frame)) {
        leat_slice fresh = payload_of(&frame);
        if (fresh.len < max_size) {
            memcpy(data + 1, fresh.at, fresh.len);
            size = 1 + fresh.len;
        }
    }
    leat_buf_close(&plain);
    leat_buf_close(&frame);
    return size;
}

/* Random bytes rarely make a stream that inflates far, so every other time it is one that does. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    if (seed % 2 == 0 || size < 2 || codec == NULL)
        return LLVMFuzzerMutate(data, size, max_size);
    return mutate_text(data, size, max_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (codec == NULL)
        codec = leat_deflate_new(6, 0);
    if (size < 1)
        return 0;
    leat_slice input = {(const char *)data + 1, size - 1};
    inflate_anything(input, data[0] * 64u);
    compress_and_inflate(input);
    return 0;
}
