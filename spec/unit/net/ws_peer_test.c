/* ws_peer: messages, control frames and the close handshake of RFC 6455, and how much may wait. */
#include "fixture.h"
#include "ws_far_end.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "net/sse_peer.h"
#include "net/ws_peer.h"

typedef struct owner {
    fixture *f;
    leat_limits limits;
    leat_net net;
    ws_far_end far;
    leat_peer *peer; /* NULL once it is gone */
    leat_buf got;    /* each message between brackets */
    int messages;
    bool holds;   /* after each message */
    bool lingers; /* 16 messages take longer than what peers share of a turn */
    int closes;
    int close_code;
    char reason[128];
    bool has_reason;
    int writable;
    int slow;
    bool gone;
} owner;

static void on_message(void *arg, bool binary, leat_slice payload)
{
    owner *o = arg;
    o->messages++;
    leat_buf_char(&o->got, binary ? '(' : '[');
    leat_buf_slice(&o->got, payload);
    leat_buf_char(&o->got, binary ? ')' : ']');
    for (uint64_t end = uv_hrtime() + 50000; o->lingers && uv_hrtime() < end;)
        continue;
    if (o->holds)
        leat_peer_hold(o->peer);
}

static void on_close(void *arg, int code, leat_slice reason)
{
    owner *o = arg;
    o->closes++;
    o->close_code = code;
    o->has_reason = reason.at != NULL;
    snprintf(o->reason, sizeof(o->reason), "%.*s", (int)reason.len,
             reason.at == NULL ? "" : reason.at);
}

static void on_writable(void *arg)
{
    ((owner *)arg)->writable++;
}

static void on_slow(void *arg)
{
    owner *o = arg;
    o->slow++;
    leat_peer_close(o->peer, LEAT_CLOSE_TOO_SLOW, "too slow");
}

static void on_gone(void *arg, int err)
{
    (void)err;
    owner *o = arg;
    leat_peer_free(o->peer);
    o->peer = NULL;
    o->gone = true;
}

enum { BACKLOG = 16384 }; /* max_signal_backlog */

static const leat_peer_handler handler = {on_message, on_close, on_writable,
                                          on_slow,    on_gone,  NULL};

static void turn(void *arg)
{
    fixture_turn(arg);
}

static leat_conn *begin(owner *o, fixture *f)
{
    *o = (owner){.f = f};
    o->limits = (leat_limits){
        .max_message_bytes = 1000,
        .max_send_buffer_bytes = 300000,
        .max_signal_backlog = BACKLOG,
        .max_snapshot_bytes = 100000,
        .slow_client_timeout_ms = 60000,
        .ping_interval_ms = 60000,
        .pong_timeout_ms = 60000,
        .close_timeout_ms = 5000,
    };
    o->net = (leat_net){.loop = f->loop, .metrics = f->metrics, .limits = &o->limits};
    leat_conn *conn = NULL;
    int fd = ws_far_end_open(&o->far, turn, f);
    assert_int_equal(leat_conn_new(&conn, &o->net, fd, &(struct sockaddr_storage){0}), 0);
    return conn;
}

static void open_with(owner *o, fixture *f, leat_buf *rest)
{
    leat_conn *conn = begin(o, f);
    leat_opening opening = {.conn = conn, .rest = *rest};
    *rest = LEAT_BUF_INIT;
    o->peer = leat_ws_peer_new(&opening, &o->net, &handler, o);
}

static void open_peer(owner *o, void **state)
{
    leat_buf rest = LEAT_BUF_INIT;
    open_with(o, *state, &rest);
}

/* The far end hangs up, and nothing is left. */
static void end(owner *o)
{
    ws_far_end_hang_up(&o->far);
    WS_FAR_END_UNTIL(&o->far, o->gone);
    ws_far_end_close(&o->far);
    leat_buf_close(&o->got);
}

static void expect_got(owner *o, const char *messages)
{
    size_t len = strlen(messages);
    WS_FAR_END_UNTIL(&o->far, o->got.len >= len);
    assert_true(leat_slice_is(leat_buf_view(&o->got), messages));
    o->got.len = 0;
}

/* --- messages --- */

static void delivers_messages(void **state)
{
    owner o;
    open_peer(&o, state);
    ws_far_end_say_text(&o.far, "one");
    ws_far_end_say_text(&o.far, "");
    ws_far_end_say(&o.far, LEAT_FRAME_BINARY, "\xff", 1);
    expect_got(&o, "[one][](\xff)");
    end(&o);
}

/* RFC 6455 §5.4: a control frame may stand between fragments. */
static void joins_fragments_around_a_ping(void **state)
{
    owner o;
    leat_buf b = LEAT_BUF_INIT;
    open_peer(&o, state);
    ws_far_end_write(&b, 0, LEAT_FRAME_TEXT, "a", 1);
    ws_far_end_write(&b, 0x80, LEAT_FRAME_PING, "p", 1);
    ws_far_end_write(&b, 0, LEAT_FRAME_CONTINUATION, "b", 1);
    ws_far_end_write(&b, 0x80, LEAT_FRAME_CONTINUATION, "c", 1);
    ws_far_end_say_bytes(&o.far, b.at, b.len);
    expect_got(&o, "[abc]");
    ws_far_end_expect(&o.far, "\x8a\x01p", 3);
    leat_buf_close(&b);
    end(&o);
}

static void takes_frames_byte_by_byte(void **state)
{
    owner o;
    leat_buf b = LEAT_BUF_INIT;
    open_peer(&o, state);
    ws_far_end_write(&b, 0x80, LEAT_FRAME_TEXT, "slow", 4);
    ws_far_end_write(&b, 0x80, LEAT_FRAME_PING, "", 0);
    ws_far_end_write(&b, 0x80, LEAT_FRAME_TEXT, "ly", 2);
    for (size_t i = 0; i < b.len; i++) {
        ws_far_end_say_bytes(&o.far, b.at + i, 1);
        ws_far_end_hear(&o.far);
    }
    expect_got(&o, "[slow][ly]");
    ws_far_end_expect(&o.far, "\x8a\x00", 2);
    leat_buf_close(&b);
    end(&o);
}

static void takes_bytes_from_behind_the_head(void **state)
{
    owner o;
    leat_buf rest = LEAT_BUF_INIT;
    ws_far_end_write(&rest, 0x80, LEAT_FRAME_TEXT, "early", 5);
    open_with(&o, *state, &rest);
    assert_int_equal(o.messages, 0); /* not from inside the call */
    expect_got(&o, "[early]");
    ws_far_end_say_text(&o.far, "later");
    expect_got(&o, "[later]");
    end(&o);
}

static void say_messages(owner *o, int n)
{
    leat_buf b = LEAT_BUF_INIT;
    for (int i = 0; i < n; i++)
        ws_far_end_write(&b, 0x80, LEAT_FRAME_TEXT, "m", 1);
    ws_far_end_say_bytes(&o->far, b.at, b.len);
    leat_buf_close(&b);
}

static void delivers_a_few_messages_at_once_and_the_others_in_turn(void **state)
{
    owner o;
    open_peer(&o, state);
    say_messages(&o, 1000);
    WS_FAR_END_UNTIL(&o.far, o.messages > 0);
    assert_int_equal(o.messages, 16);
    WS_FAR_END_UNTIL(&o.far, o.messages == 1000);
    assert_int_equal(leat_peer_received(o.peer), 0);
    end(&o);
}

/* Each pong has three bytes. */
static void answers_a_few_pings_at_once_and_the_others_in_turn(void **state)
{
    owner o;
    open_peer(&o, state);
    leat_buf b = LEAT_BUF_INIT;
    for (int i = 0; i < 1000; i++)
        ws_far_end_write(&b, 0x80, LEAT_FRAME_PING, "p", 1);
    ws_far_end_say_bytes(&o.far, b.at, b.len);
    leat_buf_close(&b);
    WS_FAR_END_UNTIL(&o.far, o.far.heard.len > 0);
    assert_int_equal(o.far.heard.len, 16 * 3);
    WS_FAR_END_UNTIL(&o.far, o.far.heard.len == 1000 * 3);
    ws_far_end_say_text(&o.far, "last");
    expect_got(&o, "[last]");
    end(&o);
}

static void delivers_in_turn_what_a_busy_peer_sends(void **state)
{
    owner o;
    open_peer(&o, state);
    o.limits.allowance.messages = (leat_rate){1, 8};
    say_messages(&o, 5);
    WS_FAR_END_UNTIL(&o.far, o.messages == 5);
    say_messages(&o, 1);
    WS_FAR_END_UNTIL(&o.far, leat_peer_received(o.peer) > 0);
    assert_int_equal(o.messages, 5);
    WS_FAR_END_UNTIL(&o.far, o.messages == 6);
    end(&o);
}

static void keeps_the_order_of_what_comes_while_others_wait(void **state)
{
    owner o;
    open_peer(&o, state);
    o.lingers = true;
    say_messages(&o, 60);
    WS_FAR_END_UNTIL(&o.far, o.messages > 0);
    ws_far_end_say_text(&o.far, "last");
    WS_FAR_END_UNTIL(&o.far, o.messages == 61);
    assert_memory_equal("[m][last]", o.got.at + o.got.len - 9, 9);
    end(&o);
}

/* What was read waits; nothing else is read. */
static void holds_messages_back(void **state)
{
    owner o;
    leat_buf b = LEAT_BUF_INIT;
    open_peer(&o, state);
    o.holds = true;
    for (int i = 0; i < 3; i++)
        ws_far_end_write(&b, 0x80, LEAT_FRAME_TEXT, "m", 1);
    ws_far_end_say_bytes(&o.far, b.at, b.len);
    for (int i = 1; i <= 3; i++) {
        WS_FAR_END_UNTIL(&o.far, o.messages == i);
        ws_far_end_hear(&o.far);
        ws_far_end_hear(&o.far);
        assert_int_equal(o.messages, i);
        leat_peer_release(o.peer);
    }
    leat_buf_close(&b);
    end(&o);
}

static void pausing_delivers_what_was_read(void **state)
{
    owner o;
    leat_buf b = LEAT_BUF_INIT;
    open_peer(&o, state);
    ws_far_end_write(&b, 0x80, LEAT_FRAME_TEXT, "a", 1);
    ws_far_end_write(&b, 0x80, LEAT_FRAME_TEXT, "b", 1);
    ws_far_end_say_bytes(&o.far, b.at, b.len);
    expect_got(&o, "[a][b]");
    leat_ws_peer_pause(o.peer);
    ws_far_end_say_text(&o.far, "c");
    ws_far_end_hear(&o.far);
    ws_far_end_hear(&o.far);
    assert_int_equal(o.messages, 2);
    leat_peer_release(o.peer);
    expect_got(&o, "[c]");
    leat_buf_close(&b);
    end(&o);
}

/* --- the close handshake --- */

static void tells_of_the_peers_close_frame(void **state)
{
    owner o;
    open_peer(&o, state);
    ws_far_end_say(&o.far, LEAT_FRAME_CLOSE, "\x0f\xa1why", 5);
    WS_FAR_END_UNTIL(&o.far, o.closes == 1);
    assert_int_equal(o.close_code, 4001);
    assert_string_equal(o.reason, "why");
    assert_true(leat_ws_peer_is_open(o.peer)); /* until it is answered */
    leat_ws_peer_send(o.peer, false, leat_slice_of("bye"));
    leat_ws_peer_answer(o.peer, "why");
    assert_false(leat_ws_peer_is_open(o.peer));
    leat_ws_peer_send(o.peer, false, leat_slice_of("dropped"));
    ws_far_end_expect(&o.far,
                      "\x81\x03"
                      "bye\x88\x05\x0f\xa1why",
                      12);
    WS_FAR_END_UNTIL(&o.far, o.far.eof);
    end(&o);
}

static void answers_an_empty_close_frame_with_one(void **state)
{
    owner o;
    open_peer(&o, state);
    ws_far_end_say(&o.far, LEAT_FRAME_CLOSE, "", 0);
    WS_FAR_END_UNTIL(&o.far, o.closes == 1);
    assert_int_equal(o.close_code, LEAT_CLOSE_NO_STATUS);
    leat_ws_peer_answer(o.peer, "");
    ws_far_end_expect(&o.far, "\x88\x00", 2);
    end(&o);
}

static void nothing_counts_after_a_close_frame(void **state)
{
    owner o;
    leat_buf b = LEAT_BUF_INIT;
    open_peer(&o, state);
    ws_far_end_write(&b, 0x80, LEAT_FRAME_CLOSE, "\x03\xe8", 2);
    ws_far_end_write(&b, 0x80, LEAT_FRAME_TEXT, "late", 4);
    ws_far_end_write(&b, 0x80, LEAT_FRAME_CLOSE, "\x03\xe9", 2);
    ws_far_end_say_bytes(&o.far, b.at, b.len);
    WS_FAR_END_UNTIL(&o.far, o.closes == 1);
    ws_far_end_hear(&o.far);
    assert_int_equal(o.messages, 0);
    assert_int_equal(o.close_code, 1000);
    leat_buf_close(&b);
    end(&o);
}

static void waits_for_the_answer_to_its_own_close_frame(void **state)
{
    owner o;
    open_peer(&o, state);
    leat_peer_close(o.peer, 1001, "bye");
    leat_peer_close(o.peer, 1002, "again");
    ws_far_end_expect_close(&o.far, 1001, "bye");
    ws_far_end_say_text(&o.far, "ignored");
    ws_far_end_say(&o.far, LEAT_FRAME_PING, "", 0);
    ws_far_end_hear(&o.far);
    assert_false(o.far.eof);
    ws_far_end_say(&o.far, LEAT_FRAME_CLOSE, "\x03\xe9", 2);
    WS_FAR_END_UNTIL(&o.far, o.far.eof);
    assert_int_equal(o.far.heard.len, 0);
    assert_int_equal(o.messages, 0);
    assert_int_equal(o.closes, 1);
    end(&o);
}

/* Its close frame may be among what was held back. */
static void closing_ends_holding(void **state)
{
    owner o;
    leat_buf b = LEAT_BUF_INIT;
    open_peer(&o, state);
    o.holds = true;
    ws_far_end_write(&b, 0x80, LEAT_FRAME_TEXT, "m", 1);
    ws_far_end_write(&b, 0x80, LEAT_FRAME_CLOSE, "\x03\xe8", 2);
    ws_far_end_say_bytes(&o.far, b.at, b.len);
    WS_FAR_END_UNTIL(&o.far, o.messages == 1);
    leat_peer_close(o.peer, 1001, "");
    WS_FAR_END_UNTIL(&o.far, o.far.eof);
    assert_int_equal(o.closes, 1);
    leat_buf_close(&b);
    end(&o);
}

static void gives_up_a_close_that_is_not_answered(void **state)
{
    owner o;
    open_peer(&o, state);
    o.limits.close_timeout_ms = 20;
    leat_peer_close(o.peer, 1001, "");
    WS_FAR_END_UNTIL(&o.far, o.gone);
    assert_int_equal(o.closes, 0);
    end(&o);
}

/* --- breaches: the code of RFC 6455 §7.4.1 --- */

static void names_breaches(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int code;
    } breaches[] = {
        {"\x81\x01x", 3, 1002},                    /* not masked */
        {"\x83\x80\0\0\0\0", 6, 1002},             /* a reserved opcode */
        {"\xc1\x80\0\0\0\0", 6, 1002},             /* a reserved bit */
        {"\x80\x80\0\0\0\0", 6, 1002},             /* a continuation of nothing */
        {"\x09\x80\0\0\0\0", 6, 1002},             /* a fragmented ping */
        {"\x89\xfe\0\x7e\0\0\0\0", 8, 1002},       /* a ping of 126 bytes */
        {"\x88\x81\0\0\0\0x", 7, 1002},            /* a close frame of one byte */
        {"\x88\x82\0\0\0\0\x03\xed", 8, 1002},     /* a code that is never sent */
        {"\x88\x83\0\0\0\0\x03\xe8\xff", 9, 1007}, /* a reason that is not UTF-8 */
        {"\x81\x81\0\0\0\0\xff", 7, 1007},         /* a text that is not UTF-8 */
        {"\x82\xfe\x03\xe9\0\0\0\0", 8, 1009},     /* 1001 bytes */
    };
    for (size_t i = 0; i < sizeof(breaches) / sizeof(breaches[0]); i++) {
        owner o;
        open_peer(&o, state);
        ws_far_end_say_bytes(&o.far, breaches[i].bytes, breaches[i].len);
        WS_FAR_END_UNTIL(&o.far, o.closes == 1);
        assert_int_equal(o.close_code, breaches[i].code);
        assert_false(o.has_reason);
        leat_ws_peer_answer(o.peer, "");
        ws_far_end_expect_close(&o.far, breaches[i].code, "");
        WS_FAR_END_UNTIL(&o.far, o.far.eof);
        end(&o);
    }
    fixture *f = *state;
    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_PROTOCOL_ERRORS), 11);
}

/* --- compressed messages (RFC 7692); the codec has a test of its own --- */

enum { COMPRESSED = 0x80 | LEAT_DEFLATE_RSV << 4 }; /* flags of a whole frame */

#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00"

static leat_deflate *open_with_window(owner *o, void **state, uint8_t bits)
{
    leat_deflate *deflate = leat_deflate_new(1, 20);
    leat_opening opening = {.conn = begin(o, *state), .window_bits = bits};
    o->net.deflate = deflate;
    o->peer = leat_ws_peer_new(&opening, &o->net, &handler, o);
    return deflate;
}

static leat_deflate *open_with_deflate(owner *o, void **state)
{
    return open_with_window(o, state, 8);
}

/* Two events of ten bytes each, as far as the peer knows. */
static bool send_joined(owner *o, size_t longest)
{
    leat_slice none = {NULL, 0};
    leat_event *joined = leat_event_new(LEAT_EVENT_DATA, none, 2, 24, 0, 24, 0);
    memcpy(leat_event_frame_room(joined),
           "\x81\x0a"
           "1234567890"
           "\x81\x0a"
           "abcdefghij",
           24);
    bool sent = leat_peer_send_joined(o->peer, joined, longest);
    leat_event_unref(joined);
    return sent;
}

static void joins_no_events_that_it_would_compress(void **state)
{
    owner o;
    leat_deflate *deflate = open_with_deflate(&o, state);
    assert_false(send_joined(&o, 20)); /* the least that is compressed */
    assert_true(send_joined(&o, 19));
    ws_far_end_expect(&o.far,
                      "\x81\x0a"
                      "1234567890"
                      "\x81\x0a"
                      "abcdefghij",
                      24);
    end(&o);
    leat_deflate_free(deflate);
}

static void say_compressed(owner *o, int op, const char *payload, size_t len)
{
    leat_buf frame = LEAT_BUF_INIT;
    ws_far_end_write(&frame, COMPRESSED, op, payload, len);
    ws_far_end_say_bytes(&o->far, frame.at, frame.len);
    leat_buf_close(&frame);
}

static void takes_compressed_and_plain_messages(void **state)
{
    owner o;
    leat_deflate *deflate = open_with_deflate(&o, state);
    say_compressed(&o, LEAT_FRAME_TEXT, HELLO, 7);
    ws_far_end_say_text(&o.far, "plain");
    say_compressed(&o, LEAT_FRAME_BINARY, HELLO, 7);
    WS_FAR_END_UNTIL(&o.far, o.messages == 3);
    assert_true(leat_slice_is(leat_buf_view(&o.got), "[Hello][plain](Hello)"));
    end(&o);
    leat_deflate_free(deflate);
}

static void takes_a_compressed_message_in_fragments(void **state)
{
    owner o;
    leat_deflate *deflate = open_with_deflate(&o, state);
    leat_buf frames = LEAT_BUF_INIT;
    ws_far_end_write(&frames, LEAT_DEFLATE_RSV << 4, LEAT_FRAME_TEXT, HELLO, 3);
    ws_far_end_write(&frames, 0x80, LEAT_FRAME_PING, "p", 1);
    ws_far_end_write(&frames, 0x80, LEAT_FRAME_CONTINUATION, HELLO + 3, 4);
    for (size_t i = 0; i < frames.len; i++)
        ws_far_end_say_bytes(&o.far, frames.at + i, 1);
    WS_FAR_END_UNTIL(&o.far, o.messages == 1);
    assert_true(leat_slice_is(leat_buf_view(&o.got), "[Hello]"));
    leat_buf_close(&frames);
    end(&o);
    leat_deflate_free(deflate);
}

static void closes_for_a_bad_compressed_message(void **state)
{
    static const struct {
        const char *payload;
        size_t len;
        int code;
    } cases[] = {
        {"\x07\x00", 2, LEAT_CLOSE_BAD_DATA},                     /* not DEFLATE */
        {"\x00\x01\x00\xfe\xff\xff\x00", 7, LEAT_CLOSE_BAD_DATA}, /* not UTF-8 */
        {HELLO, 7, LEAT_CLOSE_TOO_BIG},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        owner o;
        leat_deflate *deflate = open_with_deflate(&o, state);
        if (cases[i].code == LEAT_CLOSE_TOO_BIG)
            o.limits.max_message_bytes = 4;
        say_compressed(&o, LEAT_FRAME_TEXT, cases[i].payload, cases[i].len);
        WS_FAR_END_UNTIL(&o.far, o.closes == 1);
        assert_int_equal(o.close_code, cases[i].code);
        assert_int_equal(o.messages, 0);
        end(&o);
        leat_deflate_free(deflate);
    }
}

static void refuses_compressed_frames_that_were_not_agreed(void **state)
{
    owner o;
    open_peer(&o, state);
    say_compressed(&o, LEAT_FRAME_TEXT, HELLO, 7);
    WS_FAR_END_UNTIL(&o.far, o.closes == 1);
    assert_int_equal(o.close_code, LEAT_CLOSE_PROTOCOL);
    end(&o);
}

/* The window that was agreed holds 256 bytes: longer messages are sent as they are. */
static void compresses_what_the_window_holds(void **state)
{
    owner o;
    leat_deflate *deflate = open_with_deflate(&o, state);
    char text[300];
    memset(text, 'a', sizeof(text));
    leat_ws_peer_send(o.peer, false, (leat_slice){text, 256});
    WS_FAR_END_UNTIL(&o.far, o.far.heard.len > 2);
    assert_int_equal((uint8_t)o.far.heard.at[0], 0xc1);
    assert_true(o.far.heard.len < 20);
    o.far.heard.len = 0;
    leat_ws_peer_send(o.peer, true, leat_slice_of("short"));
    ws_far_end_expect(&o.far, "\x82\x05short", 7);
    leat_ws_peer_send(o.peer, true, (leat_slice){text, sizeof(text)});
    WS_FAR_END_UNTIL(&o.far, o.far.heard.len >= 304);
    assert_int_equal((uint8_t)o.far.heard.at[0], 0x82);
    end(&o);
    leat_deflate_free(deflate);
}

static void leaves_much_that_is_inflated_to_later_turns(void **state)
{
    enum { MESSAGES = 40, LONG = 60000, PER_LOOK = 20 };
    owner o;
    leat_deflate *deflate = open_with_window(&o, state, 15);
    o.limits.max_message_bytes = LONG;
    leat_buf frame = LEAT_BUF_INIT;
    leat_buf all = LEAT_BUF_INIT;
    char *text = leat_calloc(1, LONG);
    memset(text, 'a', LONG);
    assert_true(leat_deflate_frame(deflate, LEAT_FRAME_TEXT, (leat_slice){text, LONG}, 15, &frame));
    size_t header = frame.at[1] == 126 ? 4 : 2;
    for (int i = 0; i < MESSAGES; i++)
        ws_far_end_write(&all, COMPRESSED, LEAT_FRAME_TEXT, frame.at + header, frame.len - header);
    ws_far_end_say_bytes(&o.far, all.at, all.len);
    int most = 0;
    while (o.messages < MESSAGES && o.closes == 0) {
        int before = o.messages;
        ws_far_end_hear(&o.far); /* one turn, or a few */
        most = o.messages - before > most ? o.messages - before : most;
    }
    assert_int_equal(o.closes, 0);
    leat_buf_close(&all);
    leat_buf_close(&frame);
    free(text);
    end(&o);
    leat_deflate_free(deflate);
    assert_true(most <= PER_LOOK);
}

/* Of a sanitizer, if the test is built with one. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();
    return __sanitizer_get_current_allocated_bytes != NULL
               ? __sanitizer_get_current_allocated_bytes()
               : info.uordblks + info.hblkhd;
}

/* What waits to be sent takes no more memory than what counts for max_send_buffer_bytes. */
static void holds_what_counts_as_queued(void **state)
{
    enum { MESSAGES = 30, LONG = 60000, NOISE = 1000, SLACK = 16 * 1024 };
    owner o;
    leat_deflate *deflate = open_with_window(&o, state, 15);
    char *text = leat_calloc(1, LONG);
    leat_random random;
    leat_random_init(&random);
    memset(text, 'a', LONG);
    for (int i = 0; i < NOISE; i++)
        text[i] = (char)('a' + leat_random_below(&random, 26));
    size_t before = allocated();
    for (int i = 0; i < MESSAGES; i++)
        leat_ws_peer_send(o.peer, false, (leat_slice){text, LONG});
    size_t queued = leat_peer_queued(o.peer);
    assert_true(queued > (size_t)MESSAGES * NOISE / 2 && queued < (size_t)MESSAGES * NOISE * 2);
    assert_true(allocated() - before <= queued + SLACK);
    free(text);
    end(&o);
    leat_deflate_free(deflate);
}

/* --- how much it sends --- */

static void open_with_allowance(owner *o, void **state, leat_allowance allowance)
{
    leat_opening opening = {.conn = begin(o, *state)};
    o->limits.allowance = allowance;
    o->peer = leat_ws_peer_new(&opening, &o->net, &handler, o);
}

static void expect_flood(owner *o, const char *reason)
{
    WS_FAR_END_UNTIL(&o->far, o->closes == 1);
    assert_int_equal(LEAT_CLOSE_TOO_MANY, o->close_code);
    assert_string_equal(reason, o->reason);
    leat_ws_peer_answer(o->peer, reason);
    ws_far_end_expect_close(&o->far, LEAT_CLOSE_TOO_MANY, reason);
    assert_int_equal(1, leat_metrics_get(o->f->metrics, LEAT_M_FLOODS_CLOSED));
}

static void reads_a_peer_that_owes_bytes_more_slowly(void **state)
{
    owner o;
    open_with_allowance(&o, state, (leat_allowance){.bytes = {.per_s = 1000, .burst = 20}});
    ws_far_end_say_text(&o.far, "twelve bytes"); /* 18 with its frame */
    expect_got(&o, "[twelve bytes]");
    assert_int_equal(0, leat_metrics_get(o.f->metrics, LEAT_M_LIMITED_BYTES));

    ws_far_end_say_text(&o.far, "and twelve more");
    expect_got(&o, "[and twelve more]");
    assert_int_equal(1, leat_metrics_get(o.f->metrics, LEAT_M_LIMITED_BYTES));
    ws_far_end_say_text(&o.far, "later");
    expect_got(&o, "[later]");
    end(&o);
}

/* Its owner has ended it: what was read, and would have its turn now, is nobody's. */
static void delivers_nothing_once_it_is_shed(void **state)
{
    owner o;
    leat_buf rest = LEAT_BUF_INIT;
    ws_far_end_write(&rest, 0x80, LEAT_FRAME_TEXT, "early", 5);
    open_with(&o, *state, &rest);
    leat_ws_peer_send(o.peer, false, leat_slice_of("unsent"));
    leat_peer_shed(o.peer, LEAT_CLOSE_TOO_SLOW, "");
    WS_FAR_END_UNTIL(&o.far, o.gone);
    assert_int_equal(0, o.messages);
    assert_int_equal(0, o.closes);
    end(&o);
}

static void answers_in_turn_what_pings_often(void **state)
{
    owner o;
    open_with_allowance(&o, state, (leat_allowance){.controls = {.per_s = 1, .burst = 3}});
    ws_far_end_say(&o.far, LEAT_FRAME_PING, "1", 1);
    ws_far_end_say(&o.far, LEAT_FRAME_PING, "2", 1);
    ws_far_end_expect(&o.far, "\x8a\x01\x31\x8a\x01\x32", 6);
    ws_far_end_say(&o.far, LEAT_FRAME_PING, "3", 1);
    WS_FAR_END_UNTIL(&o.far, leat_peer_received(o.peer) > 0);
    ws_far_end_expect(&o.far, "\x8a\x01\x33", 3);
    end(&o);
}

static void closes_for_a_flood_of_pings(void **state)
{
    owner o;
    open_with_allowance(&o, state, (leat_allowance){.controls = {.per_s = 1, .burst = 2}});
    ws_far_end_say(&o.far, LEAT_FRAME_PING, "1", 1);
    ws_far_end_say(&o.far, LEAT_FRAME_PONG, "2", 1);
    ws_far_end_say(&o.far, LEAT_FRAME_PING, "3", 1);
    ws_far_end_expect(&o.far, "\x8a\x01\x31", 3);
    expect_flood(&o, "too many pings or pongs");
    end(&o);
}

static void closes_for_a_flood_of_messages(void **state)
{
    owner o;
    open_with_allowance(&o, state, (leat_allowance){.messages = {.per_s = 1, .burst = 2}});
    ws_far_end_say_text(&o.far, "1");
    ws_far_end_say_text(&o.far, "2");
    expect_got(&o, "[1][2]");
    assert_int_equal(0, leat_ws_peer_message_wait_ms(o.peer));
    ws_far_end_say_text(&o.far, "3");
    expect_got(&o, "[3]");
    assert_true(leat_ws_peer_message_wait_ms(o.peer) > 0);
    ws_far_end_say_text(&o.far, "4");
    ws_far_end_say_text(&o.far, "5");
    expect_flood(&o, "too many messages");
    end(&o);
}

/* --- is it still there --- */

static void pings_a_silent_peer_and_gives_it_up(void **state)
{
    owner o;
    leat_opening opening = {.conn = begin(&o, *state)};
    o.limits.ping_interval_ms = o.limits.pong_timeout_ms = 30;
    o.peer = leat_ws_peer_new(&opening, &o.net, &handler, &o);
    ws_far_end_expect(&o.far, "\x89\x00", 2);
    ws_far_end_say(&o.far, LEAT_FRAME_PONG, "", 0);
    ws_far_end_expect(&o.far, "\x89\x00", 2);
    WS_FAR_END_UNTIL(&o.far, o.gone);
    end(&o);
}

/* Its answers are not read, so it is not given up for them. */
/* Nothing more is read of it meanwhile, so the answer is not seen. */
static void gives_up_no_peer_that_waits_for_its_turn(void **state)
{
    enum { MANY = 2000 };
    owner o;
    leat_opening opening = {.conn = begin(&o, *state)};
    o.limits.ping_interval_ms = o.limits.pong_timeout_ms = 2;
    o.peer = leat_ws_peer_new(&opening, &o.net, &handler, &o);
    o.lingers = true;
    say_messages(&o, MANY);
    WS_FAR_END_UNTIL(&o.far, o.gone);
    assert_in_range(o.messages, MANY / 2, MANY);
    end(&o);
}

static void pings_a_held_peer_without_giving_it_up(void **state)
{
    owner o;
    leat_opening opening = {.conn = begin(&o, *state)};
    o.limits.ping_interval_ms = o.limits.pong_timeout_ms = 20;
    o.peer = leat_ws_peer_new(&opening, &o.net, &handler, &o);
    leat_peer_hold(o.peer);
    WS_FAR_END_UNTIL(&o.far, o.far.heard.len >= 8);
    assert_false(o.gone);
    end(&o);
}

/* --- output --- */

static void send_message(owner *o, size_t len)
{
    leat_buf message = LEAT_BUF_INIT;
    leat_peer_begin(o->peer, &message, &(leat_peer_label){"event", {NULL, 0}, 0}, len);
    memset(leat_buf_reserve(&message, len), 'x', len);
    message.len += len;
    leat_peer_send(o->peer, &message);
    assert_int_equal(message.len, 0);
}

/* RFC 6455 §5.2: the three forms of a length. */
static void frames_messages_of_any_size(void **state)
{
    owner o;
    open_peer(&o, state);
    send_message(&o, 125);
    WS_FAR_END_UNTIL(&o.far, o.far.heard.len == 2 + 125);
    assert_memory_equal(o.far.heard.at, "\x81\x7dxx", 4);
    o.far.heard.len = 0;
    send_message(&o, 126);
    WS_FAR_END_UNTIL(&o.far, o.far.heard.len == 4 + 126);
    assert_memory_equal(o.far.heard.at, "\x81\x7e\0\x7exx", 6);
    o.far.heard.len = 0;
    send_message(&o, 65536);
    WS_FAR_END_UNTIL(&o.far, o.far.heard.len == 10 + 65536);
    assert_memory_equal(o.far.heard.at, "\x81\x7f\0\0\0\0\0\1\0\0xx", 12);
    end(&o);
}

/* Fills the socket, then the queue. */
static void fill(owner *o)
{
    while (leat_peer_is_open(o->peer))
        send_message(o, 50000);
}

static void is_full_until_the_socket_has_taken_all(void **state)
{
    owner o;
    open_peer(&o, state);
    fill(&o);
    assert_int_equal(o.peer->output, LEAT_PEER_FULL);
    fixture_turn(o.f);
    fixture_turn(o.f);
    assert_int_equal(o.peer->output, LEAT_PEER_BLOCKED);
    assert_int_equal(o.writable, 0);
    WS_FAR_END_UNTIL(&o.far, o.writable == 1);
    assert_true(leat_peer_is_open(o.peer));
    end(&o);
}

/* What is queued in one turn may be much, and yet leave at its end. */
static void is_prompt_again_when_the_turn_has_sent_all(void **state)
{
    owner o;
    open_peer(&o, state);
    assert_true(leat_peer_is_prompt(o.peer));
    send_message(&o, BACKLOG);
    assert_false(leat_peer_is_prompt(o.peer));
    assert_true(leat_peer_is_open(o.peer));
    leat_peer_await_prompt(o.peer);
    while (o.writable == 0)
        fixture_turn(o.f);
    assert_true(leat_peer_is_prompt(o.peer));
    assert_int_equal(o.peer->output, LEAT_PEER_OPEN);
    end(&o);
}

static void is_not_prompt_while_the_far_end_does_not_read(void **state)
{
    owner o;
    open_peer(&o, state);
    leat_peer_be_prompt(o.peer);
    for (int turns = 0; turns < 3; turns++) { /* in a row in which nothing could be sent */
        if (leat_peer_is_prompt(o.peer)) {
            send_message(&o, 1000);
            turns = 0;
        }
        fixture_turn(o.f);
    }
    leat_peer_await_prompt(o.peer);
    assert_int_equal(o.peer->output, LEAT_PEER_LAGS);
    assert_int_equal(o.writable, 0);
    WS_FAR_END_UNTIL(&o.far, o.writable == 1);
    assert_true(leat_peer_is_prompt(o.peer));
    end(&o);
}

/* RFC 6455 §5.5.3: the last of several pings may be answered alone. */
static void answers_the_last_ping_when_there_is_room(void **state)
{
    owner o;
    open_peer(&o, state);
    fill(&o);
    ws_far_end_say(&o.far, LEAT_FRAME_PING, "1", 1);
    ws_far_end_say(&o.far, LEAT_FRAME_PING, "2", 1);
    ws_far_end_say_text(&o.far, "seen");
    while (o.messages == 0)
        fixture_turn(o.f);
    WS_FAR_END_UNTIL(&o.far, o.writable == 1);
    WS_FAR_END_UNTIL(&o.far, memcmp(o.far.heard.at + o.far.heard.len - 3,
                                    "\x8a\x01"
                                    "2",
                                    3) == 0);
    end(&o);
}

static void has_room_for_one_snapshot_beyond_that(void **state)
{
    owner o;
    open_peer(&o, state);
    fill(&o);
    assert_true(leat_peer_takes(o.peer, 50000));
    assert_false(leat_peer_takes(o.peer, 200000));
    end(&o);
}

static void is_too_slow_when_its_messages_pile_up(void **state)
{
    owner o;
    open_peer(&o, state);
    fill(&o);
    for (int i = 0; i < 5; i++)
        send_message(&o, 60000);
    assert_int_equal(o.peer->output, LEAT_PEER_SHUT);
    size_t queued = leat_peer_queued(o.peer);
    assert_in_range(queued, 300000, 460000);
    assert_int_equal(o.slow, 0); /* not from inside the call */
    fixture_turn(o.f);
    assert_int_equal(o.slow, 1);
    end(&o);
}

static void is_too_slow_when_it_takes_nothing(void **state)
{
    owner o;
    leat_opening opening = {.conn = begin(&o, *state)};
    o.limits.slow_client_timeout_ms = 20;
    o.peer = leat_ws_peer_new(&opening, &o.net, &handler, &o);
    fill(&o);
    while (o.slow == 0)
        fixture_turn(o.f);
    assert_false(leat_peer_is_open(o.peer));
    end(&o);
}

/* --- Server-Sent Events --- */

static void an_sse_peer_is_written_fields(void **state)
{
    owner o;
    leat_conn *conn = begin(&o, *state);
    o.peer = leat_sse_peer_new(conn, 0, &o.net, &handler, &o);
    leat_buf message = LEAT_BUF_INIT;
    leat_peer_begin(o.peer, &message, &(leat_peer_label){"snapshot", leat_slice_of("e"), 7}, 2);
    leat_buf_text(&message, "{}");
    leat_peer_send(o.peer, &message);
    static const char text[] = "event: snapshot\nid: e:7\ndata: {}\n\n";
    ws_far_end_expect(&o.far, text, sizeof(text) - 1);
    ws_far_end_say_text(&o.far, "ignored");
    leat_peer_close(o.peer, 1001, "");
    WS_FAR_END_UNTIL(&o.far, o.far.eof);
    assert_int_equal(o.far.heard.len, 0);
    assert_int_equal(o.messages, 0);
    end(&o);
}

static void an_sse_peer_gets_comments(void **state)
{
    owner o;
    leat_conn *conn = begin(&o, *state);
    o.limits.ping_interval_ms = 20;
    o.peer = leat_sse_peer_new(conn, 0, &o.net, &handler, &o);
    WS_FAR_END_UNTIL(&o.far, o.far.heard.len >= 6);
    assert_memory_equal(o.far.heard.at, ":\n\n:\n\n", 6);
    end(&o);
}

static void an_sse_peer_may_get_comments_more_often_than_others(void **state)
{
    owner o;
    leat_conn *conn = begin(&o, *state);
    o.limits.ping_interval_ms = LEAT_DEADLINE_NEVER / 4;
    o.limits.slow_client_timeout_ms = LEAT_DEADLINE_NEVER / 4;
    o.peer = leat_sse_peer_new(conn, 20, &o.net, &handler, &o);
    WS_FAR_END_UNTIL(&o.far, o.far.heard.len >= 6);
    assert_memory_equal(o.far.heard.at, ":\n\n:\n\n", 6);
    end(&o);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(delivers_messages),
        TEST(joins_fragments_around_a_ping),
        TEST(takes_frames_byte_by_byte),
        TEST(takes_bytes_from_behind_the_head),
        TEST(delivers_a_few_messages_at_once_and_the_others_in_turn),
        TEST(answers_a_few_pings_at_once_and_the_others_in_turn),
        TEST(delivers_in_turn_what_a_busy_peer_sends),
        TEST(keeps_the_order_of_what_comes_while_others_wait),
        TEST(holds_messages_back),
        TEST(pausing_delivers_what_was_read),
        TEST(tells_of_the_peers_close_frame),
        TEST(answers_an_empty_close_frame_with_one),
        TEST(nothing_counts_after_a_close_frame),
        TEST(waits_for_the_answer_to_its_own_close_frame),
        TEST(closing_ends_holding),
        TEST(gives_up_a_close_that_is_not_answered),
        TEST(names_breaches),
        TEST(joins_no_events_that_it_would_compress),
        TEST(takes_compressed_and_plain_messages),
        TEST(takes_a_compressed_message_in_fragments),
        TEST(closes_for_a_bad_compressed_message),
        TEST(refuses_compressed_frames_that_were_not_agreed),
        TEST(compresses_what_the_window_holds),
        TEST(holds_what_counts_as_queued),
        TEST(leaves_much_that_is_inflated_to_later_turns),
        TEST(reads_a_peer_that_owes_bytes_more_slowly),
        TEST(delivers_nothing_once_it_is_shed),
        TEST(answers_in_turn_what_pings_often),
        TEST(closes_for_a_flood_of_pings),
        TEST(closes_for_a_flood_of_messages),
        TEST(pings_a_silent_peer_and_gives_it_up),
        TEST(gives_up_no_peer_that_waits_for_its_turn),
        TEST(pings_a_held_peer_without_giving_it_up),
        TEST(frames_messages_of_any_size),
        TEST(is_full_until_the_socket_has_taken_all),
        TEST(is_prompt_again_when_the_turn_has_sent_all),
        TEST(is_not_prompt_while_the_far_end_does_not_read),
        TEST(answers_the_last_ping_when_there_is_room),
        TEST(has_room_for_one_snapshot_beyond_that),
        TEST(is_too_slow_when_its_messages_pile_up),
        TEST(is_too_slow_when_it_takes_nothing),
        TEST(an_sse_peer_is_written_fields),
        TEST(an_sse_peer_gets_comments),
        TEST(an_sse_peer_may_get_comments_more_often_than_others),
    };
    return cmocka_run_group_tests_name("net/ws_peer", tests, NULL, NULL);
}
