/* Frames must be decoded alike however they are cut, and never beyond the limit. */
#include "fuzz.h"

#include "base/utf8.h"
#include "wire/frame.h"

typedef struct journal {
    leat_buf text;
    size_t max_message;
    uint8_t claimed_rsv;
} journal;

static bool on_frame(void *arg, leat_frame_op op, leat_slice payload, int close_code)
{
    journal *j = arg;
    CHECK(payload.len <= (op >= LEAT_FRAME_CLOSE ? 125 : j->max_message));
    CHECK((close_code != 0) == (op == LEAT_FRAME_CLOSE));
    if (op == LEAT_FRAME_CLOSE || (op == LEAT_FRAME_TEXT && j->claimed_rsv == 0))
        CHECK(leat_utf8_valid(payload.at, payload.len));
    leat_buf_printf(&j->text, "%d,%d,%zu:", (int)op, close_code, payload.len);
    leat_buf_slice(&j->text, payload);
    return true;
}

static int decode(leat_slice input, journal *j, uint32_t random)
{
    leat_frame_decoder d;
    leat_frame_decoder_init(&d, j->max_message);
    d.claimed_rsv = j->claimed_rsv;
    int code = 0;
    for (size_t at = 0; at < input.len && code == 0;) {
        size_t n = random == 0 ? input.len : next_piece(&random, input.len - at);
        char *piece = malloc(n);
        memcpy(piece, input.at + at, n);
        code = leat_frame_feed(&d, piece, n, on_frame, j, NULL);
        free(piece);
        at += n;
    }
    leat_frame_decoder_close(&d);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    leat_slice input = {(const char *)data + 4, size - 4};
    journal whole = {.max_message = data[0] * 16u, .claimed_rsv = data[1] & 7};
    journal cut = whole;
    uint32_t random = 1u + data[2] + ((uint32_t)data[3] << 8);
    int code = decode(input, &whole, 0);
    CHECK(code == 0 || code == 1002 || code == 1007 || code == 1009);
    CHECK(decode(input, &cut, random) == code);
    CHECK(leat_slice_equal(leat_buf_view(&whole.text), leat_buf_view(&cut.text)));
    leat_buf_close(&whole.text);
    leat_buf_close(&cut.text);
    return 0;
}
