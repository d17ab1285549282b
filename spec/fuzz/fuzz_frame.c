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

enum { SETTINGS = 4, MAX_HEADER = 8 }; /* bytes before the frames; of a frame that is made here */

/* Writes a frame as a client sends it: the length is right, and the payload is masked. Returns its
 * size, 0 if there is no room. */
static size_t write_frame(uint8_t *out, size_t room, uint32_t random)
{
    static const uint8_t first[] = {0x81, 0x01, 0x80, 0x00, 0x82, 0x88, 0x89, 0x8a, 0xc1, 0x41};
    uint8_t payload[300] = "text \xc3\xa4";
    size_t len = LLVMFuzzerMutate(payload, random % 16, random % 8 == 0 ? sizeof(payload) : 100);
    size_t header = len < 126 ? 6 : MAX_HEADER;
    if (room < header + len)
        return 0;
    out[0] = first[random % sizeof(first)];
    out[1] = (uint8_t)(0x80 | (len < 126 ? len : 126));
    out[2] = (uint8_t)(len >> 8);
    out[3] = (uint8_t)len;
    uint8_t *mask = out + header - 4;
    for (int i = 0; i < 4; i++)
        mask[i] = (uint8_t)(random >> (8 * i));
    for (size_t i = 0; i < len; i++)
        out[header + i] = payload[i] ^ mask[i % 4];
    return header + len;
}

/* Random bytes rarely make a frame that is valid, so every other time one is put behind the input.
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint32_t random = seed | 1;
    if (next_piece(&random, 2) == 1 || size < SETTINGS)
        return LLVMFuzzerMutate(data, size, max_size);
    return size + write_frame(data + size, max_size - size, random);
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
