/* Framing. A frame's story: leat_frame_feed gathers its header (gather_header), which is checked as
 * soon as it is whole (open_frame); then take_payload unmasks what is there, and either hands the
 * payload on where it lies or collects it; end_control and end_message end frames and messages. */
#include "wire/frame.h"

#include "base/err.h"

enum phase {
    PHASE_HEADER,
    PHASE_PAYLOAD,
    PHASE_DONE, /* after a close frame or an error: the rest is nobody's */
};

enum {
    MAX_CONTROL = 125,
    HEADER_MIN = 2,
    BIT_FIN = 0x80,
    BIT_MASK = 0x80,
};

static bool is_control(uint8_t op)
{
    return (op & 8) != 0;
}

/* Checks a frame's first byte, against the message that is open (RFC 6455 §5.2, §5.4). */
static int check_first_byte(leat_frame_decoder *d, uint8_t byte)
{
    d->fin_ = (byte & BIT_FIN) != 0;
    d->op_ = byte & 0x0f;
    uint8_t rsv = byte >> 4 & 7;
    bool opens_message = d->op_ == LEAT_FRAME_TEXT || d->op_ == LEAT_FRAME_BINARY;
    if ((rsv & ~d->claimed_rsv) != 0 || (rsv != 0 && !opens_message))
        return LEAT_CLOSE_PROTOCOL;
    switch (d->op_) {
    case LEAT_FRAME_CONTINUATION:
        return d->message_op_ == 0 ? LEAT_CLOSE_PROTOCOL : 0;
    case LEAT_FRAME_TEXT:
    case LEAT_FRAME_BINARY:
        if (d->message_op_ != 0)
            return LEAT_CLOSE_PROTOCOL;
        d->message_op_ = d->op_;
        d->rsv_ = rsv;
        d->utf8_ = LEAT_UTF8_INIT;
        return 0;
    case LEAT_FRAME_CLOSE:
    case LEAT_FRAME_PING:
    case LEAT_FRAME_PONG:
        return d->fin_ ? 0 : LEAT_CLOSE_PROTOCOL;
    default:
        return LEAT_CLOSE_PROTOCOL;
    }
}

/* Checks the second byte, which says how long the header is. */
static int check_second_byte(leat_frame_decoder *d, uint8_t byte)
{
    uint8_t len = byte & 0x7f;
    if ((byte & BIT_MASK) == 0 || (is_control(d->op_) && len > MAX_CONTROL))
        return LEAT_CLOSE_PROTOCOL;
    d->header_need_ = (uint8_t)(HEADER_MIN + (len == 127 ? 8 : len == 126 ? 2 : 0) + 4);
    return 0;
}

static uint64_t read_be(const uint8_t *at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | at[i];
    return value;
}

/* The header is whole: takes length and mask from it. The limit is checked here, before any of the
 * payload is waited for. */
static int open_frame(leat_frame_decoder *d)
{
    size_t ext = d->header_need_ - HEADER_MIN - 4u;
    uint64_t len = ext == 0 ? d->header_[1] & 0x7fu : read_be(d->header_ + HEADER_MIN, ext);
    if ((ext == 2 && len < 126) || (ext == 8 && (len <= UINT16_MAX || len > INT64_MAX)))
        return LEAT_CLOSE_PROTOCOL;
    if (!is_control(d->op_) && len > d->max_message - d->message_.len)
        return LEAT_CLOSE_TOO_BIG;
    memcpy(d->mask_, d->header_ + HEADER_MIN + ext, 4);
    d->frame_len_ = len;
    d->frame_got_ = 0;
    d->phase_ = PHASE_PAYLOAD;
    return 0;
}

/* Takes header bytes, each checked as it comes. */
static int gather_header(leat_frame_decoder *d, const char *bytes, size_t len, size_t *used)
{
    int code = 0;
    size_t i = 0;
    while (i < len && code == 0 && d->phase_ == PHASE_HEADER) {
        uint8_t byte = (uint8_t)bytes[i++];
        d->header_[d->header_len_++] = byte;
        if (d->header_len_ == 1)
            code = check_first_byte(d, byte);
        else if (d->header_len_ == HEADER_MIN)
            code = check_second_byte(d, byte);
        else if (d->header_len_ == d->header_need_)
            code = open_frame(d);
    }
    *used = i;
    return code;
}

/* XORs bytes with the mask, of which the first `shift` bytes have been used (modulo 4). */
static void unmask(char *bytes, size_t len, const uint8_t mask[4], uint64_t shift)
{
    uint8_t turned[8];
    for (size_t i = 0; i < 8; i++)
        turned[i] = mask[(shift + i) & 3];
    uint64_t mask64;
    memcpy(&mask64, turned, 8);
    size_t i = 0;
    for (; len - i >= 8; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        word ^= mask64;
        memcpy(bytes + i, &word, 8);
    }
    for (; i < len; i++)
        bytes[i] = (char)((uint8_t)bytes[i] ^ turned[i & 7]);
}

/* RFC 6455 §7.4: codes that may stand in a close frame; 1012 to 1014 are IANA's later ones. */
static bool close_code_ok(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

/* Reads a close frame's payload and leaves the reason in it. */
static int check_close(leat_slice *payload, int *close_code)
{
    *close_code = LEAT_CLOSE_NO_STATUS;
    if (payload->len == 0)
        return 0;
    if (payload->len == 1)
        return LEAT_CLOSE_PROTOCOL;
    *close_code = (int)read_be((const uint8_t *)payload->at, 2);
    payload->at += 2;
    payload->len -= 2;
    if (!close_code_ok(*close_code))
        return LEAT_CLOSE_PROTOCOL;
    return leat_utf8_valid(payload->at, payload->len) ? 0 : LEAT_CLOSE_BAD_DATA;
}

/* Where the frame after this one begins. */
static void expect_header(leat_frame_decoder *d)
{
    d->phase_ = PHASE_HEADER;
    d->header_len_ = 0;
    d->header_need_ = HEADER_MIN;
}

/* A control frame is whole. *go_on is false if the owner has closed: then d may be gone. */
static int end_control(leat_frame_decoder *d, leat_slice payload, leat_frame_cb cb, void *arg,
                       bool *go_on)
{
    int close_code = 0;
    leat_frame_op op = (leat_frame_op)d->op_;
    leat_buf own = d->control_;
    d->control_ = LEAT_BUF_INIT;
    expect_header(d);
    int code = 0;
    if (op == LEAT_FRAME_CLOSE) {
        d->phase_ = PHASE_DONE;
        code = check_close(&payload, &close_code);
    }
    if (code == 0)
        *go_on = cb(arg, op, payload, close_code);
    leat_buf_close(&own);
    return code;
}

/* The last frame of a message is whole. */
static bool end_message(leat_frame_decoder *d, leat_slice payload, leat_frame_cb cb, void *arg)
{
    leat_frame_op op = (leat_frame_op)d->message_op_;
    leat_buf own = d->message_;
    d->message_ = LEAT_BUF_INIT;
    d->message_op_ = 0;
    expect_header(d);
    bool go_on = cb(arg, op, payload, 0);
    leat_buf_close(&own);
    return go_on;
}

/* What an extension has put into a message is not text yet: only it can check that. */
static bool check_text(leat_frame_decoder *d, const char *bytes, size_t len, bool last)
{
    if (d->message_op_ != LEAT_FRAME_TEXT || d->rsv_ != 0)
        return true;
    return leat_utf8_feed(&d->utf8_, bytes, len) && (!last || leat_utf8_complete(&d->utf8_));
}

static int take_control(leat_frame_decoder *d, leat_slice part, leat_frame_cb cb, void *arg,
                        bool *go_on)
{
    bool whole = part.len == d->frame_len_;
    d->frame_got_ += part.len;
    if (!whole)
        leat_buf_slice(&d->control_, part);
    if (d->frame_got_ < d->frame_len_)
        return 0;
    return end_control(d, whole ? part : leat_buf_view(&d->control_), cb, arg, go_on);
}

static int take_data(leat_frame_decoder *d, leat_slice part, leat_frame_cb cb, void *arg,
                     bool *go_on)
{
    d->frame_got_ += part.len;
    bool frame_ends = d->frame_got_ == d->frame_len_;
    bool message_ends = frame_ends && d->fin_;
    if (!check_text(d, part.at, part.len, message_ends))
        return LEAT_CLOSE_BAD_DATA;
    bool whole = message_ends && part.len == d->frame_len_ && d->op_ != LEAT_FRAME_CONTINUATION;
    if (!whole)
        leat_buf_slice(&d->message_, part);
    if (message_ends)
        *go_on = end_message(d, whole ? part : leat_buf_view(&d->message_), cb, arg);
    else if (frame_ends)
        expect_header(d);
    return 0;
}

static int take_payload(leat_frame_decoder *d, char *bytes, size_t len, size_t *used,
                        leat_frame_cb cb, void *arg, bool *go_on)
{
    uint64_t left = d->frame_len_ - d->frame_got_;
    size_t n = left < len ? (size_t)left : len;
    unmask(bytes, n, d->mask_, d->frame_got_);
    *used = n;
    leat_slice part = {bytes, n};
    return is_control(d->op_) ? take_control(d, part, cb, arg, go_on)
                              : take_data(d, part, cb, arg, go_on);
}

void leat_frame_decoder_init(leat_frame_decoder *d, size_t max_message)
{
    *d = (leat_frame_decoder){.max_message = max_message};
    expect_header(d);
}

void leat_frame_decoder_close(leat_frame_decoder *d)
{
    leat_buf_close(&d->message_);
    leat_buf_close(&d->control_);
    d->phase_ = PHASE_DONE;
}

bool leat_frame_at_rest(const leat_frame_decoder *d)
{
    return d->phase_ == PHASE_HEADER && d->header_len_ == 0 && d->message_op_ == 0;
}

int leat_frame_feed(leat_frame_decoder *d, char *bytes, size_t len, leat_frame_cb cb, void *arg,
                    size_t *fed)
{
    size_t at = 0;
    size_t ignored;
    if (fed == NULL)
        fed = &ignored;
    *fed = len;
    /* An empty frame is whole although no bytes of it are left to come. */
    while (d->phase_ != PHASE_DONE &&
           (at < len || (d->phase_ == PHASE_PAYLOAD && d->frame_len_ == 0))) {
        size_t used = 0;
        bool go_on = true;
        int code = d->phase_ == PHASE_HEADER
                       ? gather_header(d, bytes + at, len - at, &used)
                       : take_payload(d, bytes + at, len - at, &used, cb, arg, &go_on);
        if (!go_on) {
            *fed = at + used; /* the owner may have closed: d is not ours to touch */
            return 0;
        }
        if (code != 0) {
            d->phase_ = PHASE_DONE;
            return code;
        }
        at += used;
    }
    return 0;
}

size_t leat_frame_header_len(size_t payload_len)
{
    if (payload_len <= 125)
        return 2;
    return payload_len <= UINT16_MAX ? 4 : 10;
}

size_t leat_frame_write_header(char *out, leat_frame_op op, size_t payload_len)
{
    size_t len = leat_frame_header_len(payload_len);
    out[0] = (char)(BIT_FIN | op);
    out[1] = (char)(len == 2 ? payload_len : len == 4 ? 126 : 127);
    uint64_t rest = payload_len;
    for (size_t i = len; i > HEADER_MIN; i--) {
        out[i - 1] = (char)(rest & 0xff);
        rest >>= 8;
    }
    return len;
}

void leat_frame_write(leat_buf *out, leat_frame_op op, leat_slice payload)
{
    char *at = leat_buf_reserve(out, leat_frame_header_len(payload.len) + payload.len);
    out->len += leat_frame_write_header(at, op, payload.len);
    leat_buf_slice(out, payload);
}

/* The most of text that fits limit without cutting a character in two. */
static size_t cut_text(const char *text, size_t limit)
{
    size_t len = strlen(text);
    if (len <= limit)
        return len;
    len = limit;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

void leat_frame_write_close(leat_buf *out, int code, const char *reason)
{
    char payload[MAX_CONTROL];
    size_t len = 0;
    if (code != LEAT_CLOSE_NO_STATUS) {
        payload[0] = (char)(code >> 8);
        payload[1] = (char)(code & 0xff);
        size_t text = reason == NULL ? 0 : cut_text(reason, sizeof(payload) - 2);
        if (text > 0)
            memcpy(payload + 2, reason, text);
        len = 2 + text;
    }
    leat_frame_write(out, LEAT_FRAME_CLOSE, (leat_slice){payload, len});
}
