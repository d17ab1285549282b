/* The decoder writes down what it hands on: T<text>, B<binary>, P<ping>, O<pong>, C1000<close>. */
#include "wire/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "split.h"

enum {
    MAX_MESSAGE = 100000,
    RSV1 = 4,
};

#define BYTES(text) (text), sizeof(text) - 1
#define MASK0 "\0\0\0\0" /* a key that changes nothing */

typedef struct sample {
    const char *name;
    const char *bytes;
    size_t len;
    const char *events;
    int code;
    size_t max_message; /* 0: MAX_MESSAGE */
    uint8_t claimed_rsv;
} sample;

static const sample samples[] = {
    {"masked text (RFC 6455 5.7)", BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
     "T<Hello>", 0, 0, 0},
    {"masked pong (RFC 6455 5.7)", BYTES("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
     "O<Hello>", 0, 0, 0},
    {"ping", BYTES("\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "P<Hello>", 0, 0, 0},
    {"empty text", BYTES("\x81\x80" MASK0), "T<>", 0, 0, 0},
    {"empty ping and text", BYTES("\x89\x80" MASK0 "\x81\x80" MASK0), "P<>T<>", 0, 0, 0},
    {"binary", BYTES("\x82\x83" MASK0 "\xff\xfe\xfd"), "B<\xff\xfe\xfd>", 0, 0, 0},
    {"two messages", BYTES("\x81\x81" MASK0 "a\x82\x81" MASK0 "b"), "T<a>B<b>", 0, 0, 0},
    {"an unfinished frame", BYTES("\x81\x83" MASK0 "ab"), "", 0, 0, 0},
    {"an unfinished header", BYTES("\x81\x83\0\0"), "", 0, 0, 0},

    {"fragments", BYTES("\x01\x83" MASK0 "Hel\x80\x82" MASK0 "lo"), "T<Hello>", 0, 0, 0},
    {"masked fragments",
     BYTES("\x01\x83\x37\xfa\x21\x3d\x7f\x9f\x4d\x80\x82\x37\xfa\x21\x3d\x5b\x95"), "T<Hello>", 0,
     0, 0},
    {"empty fragments", BYTES("\x01\x80" MASK0 "\0\x80" MASK0 "\x80\x80" MASK0), "T<>", 0, 0, 0},
    {"an empty last fragment", BYTES("\x02\x81" MASK0 "x\x80\x80" MASK0), "B<x>", 0, 0, 0},
    {"ping between fragments", BYTES("\x01\x83" MASK0 "Hel\x89\x81" MASK0 "p\x80\x82" MASK0 "lo"),
     "P<p>T<Hello>", 0, 0, 0},
    {"close between fragments",
     BYTES("\x01\x83" MASK0 "Hel\x88\x82" MASK0 "\x03\xe8\x80\x82" MASK0 "lo"), "C1000<>", 0, 0, 0},
    {"a message after fragments", BYTES("\x01\x81" MASK0 "a\x80\x81" MASK0 "b\x81\x81" MASK0 "c"),
     "T<ab>T<c>", 0, 0, 0},
    {"continuation of nothing", BYTES("\x80\x81" MASK0 "a"), "", 1002, 0, 0},
    {"continuation after the end", BYTES("\x81\x81" MASK0 "a\x80\x81" MASK0 "b"), "T<a>", 1002, 0,
     0},
    {"a message within a message", BYTES("\x01\x81" MASK0 "a\x81\x81" MASK0 "b"), "", 1002, 0, 0},
    {"a fragmented ping", BYTES("\x09\x80" MASK0), "", 1002, 0, 0},
    {"a fragmented close", BYTES("\x08\x80" MASK0), "", 1002, 0, 0},

    {"no mask (RFC 6455 5.7)", BYTES("\x81\x05\x48\x65\x6c\x6c\x6f"), "", 1002, 0, 0},
    {"RSV1", BYTES("\xc1\x80" MASK0), "", 1002, 0, 0},
    {"RSV2", BYTES("\xa1\x80" MASK0), "", 1002, 0, 0},
    {"RSV3", BYTES("\x91\x80" MASK0), "", 1002, 0, 0},
    {"RSV1 claimed", BYTES("\xc1\x81" MASK0 "\xff"), "T<\xff>", 0, 0, RSV1},
    {"RSV1 claimed, the next message plain", BYTES("\xc1\x81" MASK0 "\xff\x81\x81" MASK0 "\xff"),
     "T<\xff>", 1007, 0, RSV1},
    {"RSV1 claimed, fragments", BYTES("\x41\x81" MASK0 "\xff\x80\x81" MASK0 "\xfe"), "T<\xff\xfe>",
     0, 0, RSV1},
    {"RSV1 claimed, on a continuation", BYTES("\x41\x81" MASK0 "a\xc0\x81" MASK0 "b"), "", 1002, 0,
     RSV1},
    {"RSV1 claimed, on a ping", BYTES("\xc9\x80" MASK0), "", 1002, 0, RSV1},
    {"RSV1 claimed, RSV2 is not", BYTES("\xe1\x80" MASK0), "", 1002, 0, RSV1},

    {"a ping of 126 bytes", BYTES("\x89\xfe\0\x7e"), "", 1002, 0, 0},
    {"5 in 16 bits", BYTES("\x81\xfe\0\x05" MASK0 "Hello"), "", 1002, 0, 0},
    {"125 in 16 bits", BYTES("\x82\xfe\0\x7d" MASK0), "", 1002, 0, 0},
    {"5 in 64 bits", BYTES("\x81\xff\0\0\0\0\0\0\0\x05" MASK0 "Hello"), "", 1002, 0, 0},
    {"65535 in 64 bits", BYTES("\x82\xff\0\0\0\0\0\0\xff\xff" MASK0), "", 1002, 0, 0},
    {"the top bit of 64", BYTES("\x82\xff\x80\0\0\0\0\x01\0\0" MASK0), "", 1002, 0, 0},

    {"at the limit", BYTES("\x81\x85" MASK0 "Hello"), "T<Hello>", 0, 5, 0},
    {"over the limit", BYTES("\x81\x86" MASK0), "", 1009, 5, 0},
    {"a second message at the limit", BYTES("\x81\x85" MASK0 "Hello\x81\x85" MASK0 "Hello"),
     "T<Hello>T<Hello>", 0, 5, 0},
    {"fragments at the limit", BYTES("\x01\x83" MASK0 "Hel\x80\x82" MASK0 "lo"), "T<Hello>", 0, 5,
     0},
    {"fragments over the limit", BYTES("\x01\x83" MASK0 "Hel\x80\x83" MASK0), "", 1009, 5, 0},
    {"far over the limit", BYTES("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" MASK0), "", 1009, 5, 0},
    {"a ping longer than the limit", BYTES("\x89\x86" MASK0 "Hello!"), "P<Hello!>", 0, 5, 0},

    {"text of several bytes a character",
     BYTES("\x81\x8a" MASK0 "\xc2\xa2\xe2\x82\xac\xf0\x90\x8d\x88 "),
     "T<\xc2\xa2\xe2\x82\xac\xf0\x90\x8d\x88 >", 0, 0, 0},
    {"a character across fragments", BYTES("\x01\x82" MASK0 "\xe2\x82\x80\x81" MASK0 "\xac"),
     "T<\xe2\x82\xac>", 0, 0, 0},
    {"a character across a ping",
     BYTES("\x01\x82" MASK0 "\xe2\x82\x89\x80" MASK0 "\x80\x81" MASK0 "\xac"), "P<>T<\xe2\x82\xac>",
     0, 0, 0},
    {"text that ends in a character", BYTES("\x81\x82" MASK0 "\xe2\x82"), "", 1007, 0, 0},
    {"fragments that end in a character", BYTES("\x01\x81" MASK0 "\xe2\x80\x81" MASK0 "\x82"), "",
     1007, 0, 0},
    {"a bad byte", BYTES("\x81\x82" MASK0 "a\xff"), "", 1007, 0, 0},
    {"a bad byte in an unfinished frame", BYTES("\x81\x90" MASK0 "a\xff"), "", 1007, 0, 0},
    {"a bad byte in a first fragment", BYTES("\x01\x82" MASK0 "a\xff"), "", 1007, 0, 0},
    {"a surrogate", BYTES("\x81\x83" MASK0 "\xed\xa0\x80"), "", 1007, 0, 0},

    {"close", BYTES("\x88\x80" MASK0), "C1005<>", 0, 0, 0},
    {"close with a code", BYTES("\x88\x82" MASK0 "\x03\xe8"), "C1000<>", 0, 0, 0},
    {"close with a reason",
     BYTES("\x88\x86" MASK0 "\x03\xe9"
           "away"),
     "C1001<away>", 0, 0, 0},
    {"nothing comes after close", BYTES("\x88\x82" MASK0 "\x03\xe8\x81\x81" MASK0 "a\x83\x00"),
     "C1000<>", 0, 0, 0},
    {"close with half a code", BYTES("\x88\x81" MASK0 "\x03"), "", 1002, 0, 0},
    {"close with a bad reason", BYTES("\x88\x83" MASK0 "\x03\xe8\xff"), "", 1007, 0, 0},
    {"close with half a character", BYTES("\x88\x84" MASK0 "\x03\xe8\xe2\x82"), "", 1007, 0, 0},
};

typedef struct journal {
    leat_buf text;
} journal;

static bool on_frame(void *arg, leat_frame_op op, leat_slice payload, int close_code)
{
    journal *j = arg;
    switch (op) {
    case LEAT_FRAME_TEXT:
        leat_buf_char(&j->text, 'T');
        break;
    case LEAT_FRAME_BINARY:
        leat_buf_char(&j->text, 'B');
        break;
    case LEAT_FRAME_PING:
        leat_buf_char(&j->text, 'P');
        break;
    case LEAT_FRAME_PONG:
        leat_buf_char(&j->text, 'O');
        break;
    case LEAT_FRAME_CLOSE:
        leat_buf_printf(&j->text, "C%d", close_code);
        break;
    case LEAT_FRAME_CONTINUATION:
        fail_msg("a continuation was handed on");
    }
    leat_buf_char(&j->text, '<');
    leat_buf_slice(&j->text, payload);
    leat_buf_char(&j->text, '>');
    return true;
}

/* Feeds a copy of the bytes, each piece in a block of its own so that reading past it is seen. */
static int feed(leat_frame_decoder *d, const char *bytes, size_t len, unsigned plan, journal *j)
{
    split s = split_plan(plan);
    int code = 0;
    for (size_t at = 0; at < len && code == 0;) {
        size_t n = split_next(&s, len - at);
        char *piece = malloc(n);
        memcpy(piece, bytes + at, n);
        code = leat_frame_feed(d, piece, n, on_frame, j, NULL);
        free(piece);
        at += n;
    }
    return code;
}

static void check(const sample *c, unsigned plan)
{
    leat_frame_decoder d;
    leat_frame_decoder_init(&d, c->max_message == 0 ? MAX_MESSAGE : c->max_message);
    d.claimed_rsv = c->claimed_rsv;
    journal j = {LEAT_BUF_INIT};

    int code = feed(&d, c->bytes, c->len, plan, &j);

    leat_buf_char(&j.text, '\0');
    if (code != c->code || strcmp(j.text.at, c->events) != 0)
        fail_msg("%s, plan %u: code %d, events %s", c->name, plan, code, j.text.at);
    leat_buf_close(&j.text);
    leat_frame_decoder_close(&d);
}

static void decodes_the_samples_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        for (unsigned plan = 0; plan < SPLIT_PLANS; plan++)
            check(&samples[i], plan);
}

static void refuses_reserved_opcodes(void **state)
{
    (void)state;
    for (int op = 0; op < 16; op++) {
        bool reserved = (op >= 3 && op <= 7) || op >= 11;
        char bytes[] = {(char)(0x80 | op), (char)0x80, 0, 0, 0, 0};
        if (!reserved)
            continue;
        for (unsigned plan = 0; plan < 2; plan++)
            check(&(sample){"reserved opcode", bytes, sizeof(bytes), "", 1002, 0, 0}, plan);
    }
}

static void accepts_the_close_codes_that_may_be_sent(void **state)
{
    (void)state;
    static const struct {
        int code;
        bool valid;
    } codes[] = {
        {0, false},    {999, false},  {1000, true},  {1001, true},   {1002, true}, {1003, true},
        {1004, false}, {1005, false}, {1006, false}, {1007, true},   {1008, true}, {1009, true},
        {1010, true},  {1011, true},  {1012, true},  {1013, true},   {1014, true}, {1015, false},
        {1016, false}, {1100, false}, {2000, false}, {2999, false},  {3000, true}, {3999, true},
        {4000, true},  {4999, true},  {5000, false}, {65535, false},
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        char bytes[] = {(char)0x88,
                        (char)0x82,
                        0,
                        0,
                        0,
                        0,
                        (char)(codes[i].code >> 8),
                        (char)(codes[i].code & 0xff)};
        char events[16];
        snprintf(events, sizeof(events), "C%d<>", codes[i].code);
        sample c = {"close code",
                    bytes,
                    sizeof(bytes),
                    codes[i].valid ? events : "",
                    codes[i].valid ? 0 : 1002,
                    0,
                    0};
        check(&c, 0);
        check(&c, 1);
    }
}

/* A binary frame of n bytes, with whatever length form is given, masked byte by byte. */
static void check_long(const char *header, size_t header_len, size_t n)
{
    static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
    leat_buf frame = LEAT_BUF_INIT;
    leat_buf events = LEAT_BUF_INIT;
    leat_buf_append(&frame, header, header_len);
    leat_buf_append(&frame, key, sizeof(key));
    leat_buf_text(&events, "B<");
    for (size_t i = 0; i < n; i++) {
        char c = (char)('a' + i % 26);
        leat_buf_char(&events, c);
        leat_buf_char(&frame, (char)(c ^ key[i % 4]));
    }
    leat_buf_char(&events, '>');
    leat_buf_char(&events, '\0');
    for (unsigned plan = 0; plan < 12; plan++)
        check(&(sample){"long frame", frame.at, frame.len, events.at, 0, 0, 0}, plan);
    leat_buf_close(&frame);
    leat_buf_close(&events);
}

static void decodes_every_form_of_length(void **state)
{
    (void)state;
    check_long(BYTES("\x82\xfd"), 125);
    check_long(BYTES("\x82\xfe\x00\x7e"), 126);
    check_long(BYTES("\x82\xfe\x01\x00"), 256);
    check_long(BYTES("\x82\xfe\xff\xff"), 65535);
    check_long(BYTES("\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00"), 65536);
}

/* Unmasking works on words of eight bytes: every length and every alignment of a piece. */
static void unmasks_every_length_and_alignment(void **state)
{
    (void)state;
    for (size_t n = 0; n < 40; n++) {
        char header[2] = {(char)0x82, (char)(0x80 | n)};
        check_long(header, 2, n);
    }
}

static bool stop_and_free(void *arg, leat_frame_op op, leat_slice payload, int close_code)
{
    (void)op;
    (void)payload;
    (void)close_code;
    leat_frame_decoder_close(arg);
    free(arg);
    return false;
}

static void lets_the_owner_go_in_the_callback(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        "\x81\x81\x01\x01\x01\x01"
        "a"
        "\x81\x81\x01\x01\x01\x01"
        "b",
        "\x01\x81\x01\x01\x01\x01"
        "a"
        "\x80\x81\x01\x01\x01\x01"
        "b",
        "\x89\x81\x01\x01\x01\x01"
        "a"
        "\x81\x81\x01\x01\x01\x01"
        "b",
    };
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        leat_frame_decoder *d = malloc(sizeof(*d));
        leat_frame_decoder_init(d, 100);
        char bytes[14];
        memcpy(bytes, inputs[i], sizeof(bytes));

        assert_int_equal(leat_frame_feed(d, bytes, sizeof(bytes), stop_and_free, d, NULL), 0);
    }
}

static void expect_header(size_t payload_len, const char *bytes, size_t len)
{
    char header[10];
    assert_int_equal(leat_frame_header_len(payload_len), len);
    assert_int_equal(leat_frame_write_header(header, LEAT_FRAME_BINARY, payload_len), len);
    assert_memory_equal(header, bytes, len);
}

static void writes_the_shortest_header(void **state)
{
    (void)state;
    expect_header(0, BYTES("\x82\x00"));
    expect_header(125, BYTES("\x82\x7d"));
    expect_header(126, BYTES("\x82\x7e\x00\x7e"));
    expect_header(256, BYTES("\x82\x7e\x01\x00"));
    expect_header(65535, BYTES("\x82\x7e\xff\xff"));
    expect_header(65536, BYTES("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"));
    expect_header(0x1234567890, BYTES("\x82\x7f\x00\x00\x00\x12\x34\x56\x78\x90"));
}

static void expect_bytes(leat_buf *out, const char *bytes, size_t len)
{
    assert_int_equal(out->len, len);
    assert_memory_equal(out->at, bytes, len);
    leat_buf_close(out);
}

static void writes_whole_frames(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;

    leat_frame_write(&out, LEAT_FRAME_TEXT, leat_slice_of("Hello"));
    leat_frame_write(&out, LEAT_FRAME_PING, (leat_slice){NULL, 0});

    expect_bytes(&out, BYTES("\x81\x05\x48\x65\x6c\x6c\x6f\x89\x00"));
}

static void writes_close_frames(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_frame_write_close(&out, 1001, "retry_after_ms=5");
    expect_bytes(&out, BYTES("\x88\x12\x03\xe9retry_after_ms=5"));
    leat_frame_write_close(&out, 4401, NULL);
    expect_bytes(&out, BYTES("\x88\x02\x11\x31"));
    leat_frame_write_close(&out, LEAT_CLOSE_NO_STATUS, "unused");
    expect_bytes(&out, BYTES("\x88\x00"));
}

/* 123 bytes are room for the reason; the euro sign that would cross the end is left out. */
static void cuts_a_close_reason_between_characters(void **state)
{
    (void)state;
    char reason[127];
    memset(reason, 'r', sizeof(reason));
    memcpy(reason + 121, "\xe2\x82\xac!", 5);
    leat_buf out = LEAT_BUF_INIT;

    leat_frame_write_close(&out, 1000, reason);

    assert_int_equal(out.len, 2 + 2 + 121);
    assert_memory_equal(out.at, "\x88\x7b\x03\xe8rrr", 7);
    assert_int_equal(out.at[out.len - 1], 'r');
    leat_buf_close(&out);
    reason[120] = 'r';
    memcpy(reason + 120, "\xe2\x82\xac!!", 6);
    leat_frame_write_close(&out, 1000, reason);
    assert_int_equal(out.len, 2 + 2 + 123);
    leat_buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_the_samples_however_they_are_cut),
        cmocka_unit_test(refuses_reserved_opcodes),
        cmocka_unit_test(accepts_the_close_codes_that_may_be_sent),
        cmocka_unit_test(decodes_every_form_of_length),
        cmocka_unit_test(unmasks_every_length_and_alignment),
        cmocka_unit_test(lets_the_owner_go_in_the_callback),
        cmocka_unit_test(writes_the_shortest_header),
        cmocka_unit_test(writes_whole_frames),
        cmocka_unit_test(writes_close_frames),
        cmocka_unit_test(cuts_a_close_reason_between_characters),
    };
    return cmocka_run_group_tests_name("wire/frame", tests, NULL, NULL);
}
