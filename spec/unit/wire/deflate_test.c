#include "wire/deflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) ((leat_slice){text, sizeof(text) - 1})

enum { MAX = 1 << 20 };

/* Compressed forms of one message, from RFC 7692 §7.2.3 where nothing else is said. */
static const struct {
    const char *what;
    leat_slice compressed;
    const char *message;
} valid[] = {
    {"one block", BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello"},
    {"a stored block", BYTES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "Hello"},
    {"a block marked as the last one", BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello"},
    {"two blocks", BYTES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), "Hello"},
    {"an empty message (§7.2.3.6)", BYTES("\x00"), ""},
    {"a last block and another one (of our own)",
     BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00"), "HelloHello"},
};

static const struct {
    const char *what;
    leat_slice compressed;
} invalid[] = {
    {"nothing at all", BYTES("")},
    {"cut off inside a block", BYTES("\xf2\x48\xcd")},
    {"cut off before the last byte", BYTES("\xf2\x48\xcd\xc9\xc9\x07")},
    {"block type 3", BYTES("\x07\x00")},
    {"a stored block whose lengths disagree",
     BYTES("\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00")},
    {"a distance to before the message", BYTES("\x02\x06\x00\x00")},
    {"the tail twice and a byte", BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\xff")},
};

static void inflates_each_form_of_a_message(void **state)
{
    (void)state;
    leat_deflate *z = leat_deflate_new(1, 0);
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        leat_buf out = LEAT_BUF_INIT;
        leat_buf_text(&out, "before ");

        int code = leat_deflate_inflate(z, valid[i].compressed, MAX, &out);

        if (code != 0)
            fail_msg("%s: %d", valid[i].what, code);
        assert_int_equal(out.len, 7 + strlen(valid[i].message));
        assert_memory_equal(out.at + 7, valid[i].message, strlen(valid[i].message));
        leat_buf_close(&out);
    }
    leat_deflate_free(z);
}

static void refuses_what_is_not_deflate(void **state)
{
    (void)state;
    leat_deflate *z = leat_deflate_new(1, 0);
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        leat_buf out = LEAT_BUF_INIT;

        int code = leat_deflate_inflate(z, invalid[i].compressed, MAX, &out);

        if (code != LEAT_CLOSE_BAD_DATA)
            fail_msg("%s: %d", invalid[i].what, code);
        assert_int_equal(out.len, 0);
        leat_buf_close(&out);
    }
    leat_deflate_free(z);
}

/* The window of a message is empty at its beginning, also after a message and after a failure. */
static void forgets_each_message(void **state)
{
    (void)state;
    leat_deflate *z = leat_deflate_new(1, 0);
    leat_buf out = LEAT_BUF_INIT;
    /* "Hello" as a client with context takeover sends it the second time (RFC 7692 §7.2.3.2). */
    leat_slice with_takeover = BYTES("\xf2\x00\x11\x00\x00");

    assert_int_equal(leat_deflate_inflate(z, valid[0].compressed, MAX, &out), 0);
    assert_int_equal(leat_deflate_inflate(z, with_takeover, MAX, &out), LEAT_CLOSE_BAD_DATA);
    assert_int_equal(leat_deflate_inflate(z, valid[0].compressed, MAX, &out), 0);

    assert_memory_equal(out.at, "HelloHello", 10);
    assert_int_equal(out.len, 10);
    leat_buf_close(&out);
    leat_deflate_free(z);
}

/* Returns the compressed payload of a frame, whose header it checks. */
static leat_slice payload_of(const leat_buf *frame, leat_frame_op op)
{
    uint8_t first = (uint8_t)frame->at[0];
    uint8_t len = (uint8_t)frame->at[1];
    size_t header = len <= 125 ? 2 : len == 126 ? 4 : 10;
    assert_int_equal(first, 0xc0 | op);
    assert_int_equal(leat_frame_header_len(frame->len - header), header);
    return (leat_slice){frame->at + header, frame->len - header};
}

static void compresses_and_inflates_messages_of_every_length(void **state)
{
    (void)state;
    leat_deflate *z = leat_deflate_new(1, 0);
    leat_buf text = LEAT_BUF_INIT;
    for (size_t i = 0; text.len < 300000; i++) {
        leat_buf frame = LEAT_BUF_INIT;
        leat_buf out = LEAT_BUF_INIT;
        leat_buf_printf(&text, "{\"n\":%zu,\"text\":\"abcabcabc\"}", i * i);
        if (text.len > 10000)
            for (size_t copy = text.len / 2; copy > 0; copy--)
                leat_buf_char(&text, text.at[text.len - copy]);

        assert_true(leat_deflate_frame(z, LEAT_FRAME_TEXT, leat_buf_view(&text), 15, &frame) ||
                    text.len < 40);
        if (frame.len > 0) {
            assert_true(frame.len < text.len + leat_frame_header_len(text.len));
            leat_slice compressed = payload_of(&frame, LEAT_FRAME_TEXT);
            assert_int_equal(leat_deflate_inflate(z, compressed, text.len, &out), 0);
            assert_int_equal(out.len, text.len);
            assert_memory_equal(out.at, text.at, text.len);
        }
        leat_buf_close(&frame);
        leat_buf_close(&out);
    }
    leat_buf_close(&text);
    leat_deflate_free(z);
}

static void sends_no_frame_that_would_be_longer(void **state)
{
    (void)state;
    leat_deflate *z = leat_deflate_new(6, 0);
    leat_buf out = LEAT_BUF_INIT;
    char noise[5000];
    uint32_t random = 7;
    for (size_t i = 0; i < sizeof(noise); i++) {
        random = random * 1664525u + 1013904223u;
        noise[i] = (char)(random >> 24);
    }

    for (size_t len = 0; len <= sizeof(noise); len += 1 + len / 8)
        assert_false(leat_deflate_frame(z, LEAT_FRAME_BINARY, (leat_slice){noise, len}, 15, &out));

    assert_int_equal(out.len, 0);
    leat_buf_close(&out);
    leat_deflate_free(z);
}

/* A message of 10 MB of zeros takes about 10 kB: only the limit stops it. */
static void stops_a_bomb_at_the_limit(void **state)
{
    (void)state;
    enum { BOMB = 10 << 20, LIMIT = 65536 };
    char *zeros = calloc(1, BOMB);
    leat_deflate *z = leat_deflate_new(9, 0);
    leat_buf frame = LEAT_BUF_INIT;
    leat_buf out = LEAT_BUF_INIT;
    assert_true(leat_deflate_frame(z, LEAT_FRAME_BINARY, (leat_slice){zeros, BOMB}, 15, &frame));
    leat_slice compressed = payload_of(&frame, LEAT_FRAME_BINARY);
    assert_true(compressed.len < 20000);

    assert_int_equal(leat_deflate_inflate(z, compressed, LIMIT, &out), LEAT_CLOSE_TOO_BIG);
    assert_int_equal(out.len, 0);
    assert_true(out.cap <= 4 * LIMIT);

    leat_buf_close(&frame);
    leat_buf_close(&out);
    leat_deflate_free(z);
    free(zeros);
}

static void takes_a_message_of_exactly_the_limit(void **state)
{
    (void)state;
    leat_deflate *z = leat_deflate_new(1, 0);
    leat_buf out = LEAT_BUF_INIT;

    assert_int_equal(leat_deflate_inflate(z, valid[0].compressed, 5, &out), 0);
    assert_int_equal(leat_deflate_inflate(z, valid[0].compressed, 4, &out), LEAT_CLOSE_TOO_BIG);
    assert_int_equal(leat_deflate_inflate(z, valid[4].compressed, 0, &out), 0);

    assert_int_equal(out.len, 5);
    leat_buf_close(&out);
    leat_deflate_free(z);
}

static void suits_clients_whose_window_holds_the_message(void **state)
{
    (void)state;
    assert_true(leat_deflate_suits(15, 1 << 20));
    assert_true(leat_deflate_suits(8, 256));
    assert_false(leat_deflate_suits(8, 257));
    assert_true(leat_deflate_suits(14, 16384));
    assert_false(leat_deflate_suits(14, 16385));
    assert_false(leat_deflate_suits(0, 0));
}

/* An event of that payload, in a text frame. */
static leat_event *event_of(leat_slice payload)
{
    size_t header = leat_frame_header_len(payload.len);
    leat_event *e = leat_event_new(LEAT_EVENT_DATA, BYTES("chat:1"), 7, header + payload.len,
                                   header, header, payload.len);
    leat_frame_write_header(leat_event_frame_room(e), LEAT_FRAME_TEXT, payload.len);
    memcpy(leat_event_frame_room(e) + header, payload.at, payload.len);
    return e;
}

static void compresses_an_event_once(void **state)
{
    (void)state;
    leat_slice text = BYTES("{\"op\":\"event\",\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}");
    leat_deflate *z = leat_deflate_new(1, 0);
    leat_event *e = event_of(text);
    assert_null(leat_event_in_form(e, LEAT_FORM_COMPRESSED));

    leat_event *twin = leat_deflate_event(z, e);

    assert_ptr_not_equal(twin, e);
    assert_ptr_equal(leat_deflate_event(z, e), twin);
    assert_int_equal(leat_event_seq(twin), 7);
    leat_slice frame = leat_event_frame(twin);
    leat_buf out = LEAT_BUF_INIT;
    assert_int_equal((uint8_t)frame.at[0], 0xc1);
    assert_int_equal(leat_deflate_inflate(z, (leat_slice){frame.at + 2, frame.len - 2}, MAX, &out),
                     0);
    assert_true(leat_slice_equal(leat_buf_view(&out), text));
    leat_buf_close(&out);
    leat_event_unref(e); /* the twin goes with it: the leak checker would tell */
    leat_deflate_free(z);
}

static void leaves_short_messages_alone(void **state)
{
    (void)state;
    leat_deflate *z = leat_deflate_new(1, 41);
    leat_slice text = BYTES("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    leat_buf out = LEAT_BUF_INIT;

    assert_true(leat_deflate_frame(z, LEAT_FRAME_TEXT, text, 15, &out));
    assert_false(leat_deflate_frame(z, LEAT_FRAME_TEXT, (leat_slice){text.at, 40}, 15, &out));

    leat_buf_close(&out);
    leat_deflate_free(z);
}

static void leaves_an_event_that_gets_no_shorter(void **state)
{
    (void)state;
    leat_deflate *z = leat_deflate_new(1, 0);
    leat_event *e = event_of(BYTES("{\"op\":\"event\"}"));

    assert_ptr_equal(leat_deflate_event(z, e), e);
    assert_ptr_equal(leat_deflate_event(z, e), e);

    leat_event_unref(e);
    leat_deflate_free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inflates_each_form_of_a_message),
        cmocka_unit_test(refuses_what_is_not_deflate),
        cmocka_unit_test(forgets_each_message),
        cmocka_unit_test(compresses_and_inflates_messages_of_every_length),
        cmocka_unit_test(sends_no_frame_that_would_be_longer),
        cmocka_unit_test(stops_a_bomb_at_the_limit),
        cmocka_unit_test(takes_a_message_of_exactly_the_limit),
        cmocka_unit_test(suits_clients_whose_window_holds_the_message),
        cmocka_unit_test(compresses_an_event_once),
        cmocka_unit_test(leaves_short_messages_alone),
        cmocka_unit_test(leaves_an_event_that_gets_no_shorter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
