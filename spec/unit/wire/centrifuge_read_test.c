/* Commands of Centrifugo's clients, each as JSON and as Protobuf, which must be read as the same
 * message. The Protobuf was written by protoc --encode, and is hex here.
 *
 * What is expected of a good one: its op, then each part that it has, as name=<text>. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hex.h"
#include "wire/centrifuge.h"
#include "wire/centrifuge_command.h"
#include "wire/json.h"

enum { MAX_VALUES = 300 };

static const struct {
    const char *json;
    const char *proto;
    const char *parts;
} good[] = {
    {"{\"id\":1,\"connect\":{\"token\":\"alice\"}}", "0801 2207 0a05616c696365",
     "authenticate id=<1 token> token=<alice>"},
    {"{\"id\":1,\"connect\":{}}", "0801 2200", "authenticate id=<1>"},
    {"{\"id\":4294967295,\"refresh\":{\"token\":\"bob\"}}", "08ffffffff0f 7205 0a03626f62",
     "authenticate id=<4294967295> token=<bob>"},

    {"{\"id\":2,\"subscribe\":{\"channel\":\"chat:42\"}}", "0802 2a09 0a07636861743a3432",
     "subscribe id=<2> topic=<chat:42>"},
    {"{\"id\":3,\"subscribe\":{\"channel\":\"c\",\"recover\":true,\"epoch\":\"1-a-b\",\"offset\":"
     "300}}",
     "0803 2a0f 0a0163 1801 3205312d612d62 38ac02",
     "subscribe id=<3 recovers> topic=<c> since=<1-a-b>:300"},
    {"{\"id\":3,\"subscribe\":{\"channel\":\"c\",\"recover\":true,\"epoch\":\"1-a-b\",\"offset\":"
     "17,\"flag\":3}}",
     "0803 2a10 0a0163 1801 3205312d612d62 3811 7003",
     "subscribe id=<3 recovers rejects> topic=<c> since=<1-a-b>:17"},
    {"{\"id\":3,\"subscribe\":{\"channel\":\"c\",\"recover\":true}}", "0803 2a05 0a0163 1801",
     "subscribe id=<3 recovers> topic=<c> since=<>:0"},
    {"{\"id\":3,\"subscribe\":{\"channel\":\"c\",\"recover\":true,\"epoch\":\"e\",\"offset\":"
     "9007199254740992}}",
     "0803 2a11 0a0163 1801 320165 388080808080808010", "subscribe id=<3 recovers> topic=<c>"},
    {"{\"id\":4,\"subscribe\":{\"channel\":\"c\",\"data\":{\"a\":[1]}}}",
     "0804 2a0e 0a0163 42097b2261223a5b315d7d", "subscribe id=<4> topic=<c> params=<{\"a\":[1]}>"},
    {"{\"id\":4,\"subscribe\":{\"channel\":\"c\",\"token\":\"t\\\"\\u0001B\",\"data\":5}}",
     "0804 2a0c 0a0163 120474220142 420135",
     "subscribe id=<4 token> topic=<c> params=<{\"token\":\"t\\\"\\u0001B\",\"data\":5}>"},
    {"{\"id\":4,\"subscribe\":{\"channel\":\"c\",\"token\":\"t\"}}", "0804 2a06 0a0163 120174",
     "subscribe id=<4 token> topic=<c> params=<{\"token\":\"t\"}>"},
    {"{\"id\":4,\"subscribe\":{\"channel\":\"c\",\"type\":1}}", "0804 2a05 0a0163 7801",
     "absent id=<4>"},

    {"{\"id\":5,\"unsubscribe\":{\"channel\":\"\xc3\xa9\"}}", "0805 3204 0a02c3a9",
     "unsubscribe id=<5> topic=<\xc3\xa9>"},
    {"{\"id\":6,\"publish\":{\"channel\":\"c\",\"data\":  {\"b\": null} }}",
     "0806 3a12 0a0163 120d207b2262223a206e756c6c7d0a",
     "publish id=<6> topic=<c> data=<{\"b\": null}>"},
    {"{\"id\":7,\"rpc\":{\"method\":\"echo\",\"data\":\"x\"}}", "0807 6a0b 0a03227822 12046563686f",
     "call id=<7> method=<echo> params=<\"x\">"},
    {"{\"id\":7,\"rpc\":{\"method\":\"echo\"}}", "0807 6a06 12046563686f",
     "call id=<7> method=<echo>"},

    {"{\"id\":9,\"history\":{\"channel\":\"c\",\"limit\":10,\"since\":{\"offset\":7,\"epoch\":"
     "\"1-a-b\"},\"reverse\":true}}",
     "0809 5212 0a0163 380a 4209 0807 1205312d612d62 4801",
     "history id=<9> topic=<c> since=<1-a-b>:7 limit=10 reverse"},
    {"{\"id\":9,\"history\":{\"channel\":\"c\",\"limit\":-1}}",
     "0809 520e 0a0163 38ffffffffffffffffff01", "history id=<9> topic=<c> limit=-1"},

    {"{\"id\":8,\"presence\":{\"channel\":\"c\"}}", "0808 4203 0a0163", "absent id=<8>"},
    {"{\"id\":8,\"presence_stats\":{\"channel\":\"c\"}}", "0808 4a03 0a0163", "absent id=<8>"},

    /* signs of life */
    {"{}", "", "nothing"},
    {"{\"id\":10,\"ping\":{}}", "080a 5a00", "nothing id=<10>"},
    {"{\"send\":{\"data\":1}}", "6203 0a0131", "nothing"},

    /* what is not known is passed over, of whatever type */
    {"{\"x\":[{}],\"id\":2,\"subscribe\":{\"channel\":\"c\",\"y\":{\"channel\":\"d\"},\"z\":1.5},"
     "\"x\":\"\"}",
     "8007 01 0802 2a19 0a0163 fa0600 f90600000000000000c0 fd06000000c0 f80605 8a0700",
     "subscribe id=<2> topic=<c>"},
    /* of what is given twice the last holds */
    {"{\"id\":1,\"id\":2,\"subscribe\":{\"channel\":\"c\",\"channel\":\"d\"}}",
     "0801 0802 2a06 0a0163 0a0164", "subscribe id=<2> topic=<d>"},
};

static const char *op_name(leat_op op)
{
    static const char *const ops[] = {
        [LEAT_OP_SUBSCRIBE] = "subscribe",
        [LEAT_OP_UNSUBSCRIBE] = "unsubscribe",
        [LEAT_OP_PUBLISH] = "publish",
        [LEAT_OP_CALL] = "call",
        [LEAT_OP_AUTHENTICATE] = "authenticate",
        [LEAT_OP_HISTORY] = "history",
        [LEAT_OP_ABSENT] = "absent",
        [LEAT_OP_NOTHING] = "nothing",
    };
    return ops[op];
}

static void put(leat_buf *out, const char *name, leat_slice value)
{
    if (value.at != NULL)
        leat_buf_printf(out, " %s=<%.*s>", name, (int)value.len, value.at);
}

static void put_id(leat_buf *out, leat_slice id)
{
    centrifuge_id to = centrifuge_read_id(id);
    if (id.at != NULL)
        leat_buf_printf(out, " id=<%.*s%s%s%s>", (int)to.number.len, to.number.at,
                        to.has_token ? " token" : "", to.recovers ? " recovers" : "",
                        to.rejects ? " rejects" : "");
}

static void describe(leat_buf *out, const leat_message *m)
{
    bool takes_data = m->op == LEAT_OP_PUBLISH;
    bool takes_params = m->op == LEAT_OP_SUBSCRIBE || m->op == LEAT_OP_CALL;
    bool takes_topic = m->op != LEAT_OP_ABSENT;
    leat_buf_text(out, op_name(m->op));
    put_id(out, m->id);
    put(out, "topic", takes_topic ? m->topic : (leat_slice){NULL, 0});
    put(out, "method", m->method);
    put(out, "token", m->op == LEAT_OP_AUTHENTICATE ? m->token : (leat_slice){NULL, 0});
    put(out, "params", takes_params ? m->params : (leat_slice){NULL, 0});
    put(out, "data", takes_data ? m->data : (leat_slice){NULL, 0});
    if (m->has_since) {
        put(out, "since", m->since_epoch);
        leat_buf_printf(out, ":%lld", (long long)m->since_seq);
    }
    if (m->op == LEAT_OP_HISTORY)
        leat_buf_printf(out, " limit=%lld%s", (long long)m->limit, m->reverse ? " reverse" : "");
}

/* A frame in a block of its own, which must live as long as the messages. */
typedef struct frame {
    const leat_codec *codec;
    char *bytes;
    leat_slice left;
    leat_buf scratch;
    leat_message message;
    char reason[160];
} frame;

static frame open_frame(const leat_codec *codec, leat_slice bytes)
{
    frame f = {.codec = codec, .bytes = malloc(bytes.len + (bytes.len == 0))};
    if (bytes.len > 0)
        memcpy(f.bytes, bytes.at, bytes.len);
    f.left = (leat_slice){f.bytes, bytes.len};
    return f;
}

static void close_frame(frame *f)
{
    free(f->bytes);
    leat_buf_close(&f->scratch);
}

static int read_next(frame *f)
{
    return f->codec->read(&f->message, &f->left, MAX_VALUES, &f->scratch, f->reason,
                          sizeof(f->reason));
}

static void append_varint(leat_buf *out, size_t n)
{
    for (; n >= 128; n >>= 7)
        leat_buf_char(out, (char)((n & 127) | 128));
    leat_buf_char(out, (char)n);
}

/* Appends a command with its length before it. */
static void append_proto(leat_buf *out, const char *hex)
{
    leat_buf content = LEAT_BUF_INIT;
    hex_append(&content, hex);
    append_varint(out, content.len);
    leat_buf_slice(out, leat_buf_view(&content));
    leat_buf_close(&content);
}

static void append_json(leat_buf *out, const char *json)
{
    if (out->len > 0)
        leat_buf_char(out, '\n');
    leat_buf_text(out, json);
}

static void expect_good(frame *f, size_t i)
{
    leat_buf text = LEAT_BUF_INIT;
    int err = read_next(f);
    if (err != 0)
        fail_msg("%s, as %s: %s", good[i].json, f->codec->name, f->reason);
    describe(&text, &f->message);
    leat_buf_char(&text, '\0');
    if (strcmp(text.at, good[i].parts) != 0)
        fail_msg("%s, as %s: %s", good[i].json, f->codec->name, text.at);
    leat_buf_close(&text);
}

static void reads_the_same_in_both_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        leat_buf bytes = LEAT_BUF_INIT;
        frame json = open_frame(&leat_centrifuge_json, leat_slice_of(good[i].json));
        expect_good(&json, i);
        assert_int_equal(json.left.len, 0);
        close_frame(&json);
        append_proto(&bytes, good[i].proto);
        frame proto = open_frame(&leat_centrifuge_proto, leat_buf_view(&bytes));
        expect_good(&proto, i);
        assert_int_equal(proto.left.len, 0);
        close_frame(&proto);
        leat_buf_close(&bytes);
    }
}

static void reads_the_commands_of_a_frame_one_by_one(void **state)
{
    (void)state;
    leat_buf json = LEAT_BUF_INIT, proto = LEAT_BUF_INIT;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        append_json(&json, good[i].json);
        append_proto(&proto, good[i].proto);
    }
    frame frames[] = {open_frame(&leat_centrifuge_json, leat_buf_view(&json)),
                      open_frame(&leat_centrifuge_proto, leat_buf_view(&proto))};
    for (size_t f = 0; f < 2; f++) {
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
            assert_true(frames[f].left.len > 0);
            expect_good(&frames[f], i);
        }
        assert_int_equal(frames[f].left.len, 0);
        close_frame(&frames[f]);
    }
    leat_buf_close(&json);
    leat_buf_close(&proto);
}

/* Some codecs wait for the rest of a message; a frame has no rest. */
static void refuses_every_beginning_of_a_command(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        leat_buf bytes = LEAT_BUF_INIT;
        append_proto(&bytes, good[i].proto);
        for (size_t len = 1; len < bytes.len; len++) {
            frame f = open_frame(&leat_centrifuge_proto, (leat_slice){bytes.at, len});
            assert_int_equal(read_next(&f), LEAT_EBADMSG);
            assert_string_equal(f.reason, "invalid Protobuf: the length of a command is wrong");
            assert_null(f.message.id.at);
            assert_int_equal(f.left.len, 0);
            close_frame(&f);
        }
        leat_buf_close(&bytes);
    }
}

#define INVALID "invalid Protobuf: "
#define BYTES " must be bytes with their length"
#define TOO_LONG                                                                                   \
    "0a8002" /* 256 times 'a' */                                                                   \
        SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN    \
            SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN
#define SIXTEEN "61616161616161616161616161616161"

/* Of commands that are no use as Protobuf. The id is told if it was before the mistake. */
static const struct {
    const char *proto;
    const char *reason;
    const char *id; /* NULL: none */
} bad[] = {
    /* what the protocol does not allow */
    {"2203 0a0161", "a command needs an id", NULL},
    {"0800 2203 0a0161", "a command needs an id", NULL},
    {"0801", "unknown command", "1"},
    {"0801 820100", "unknown command", "1"},
    {"088080808010 2200", "field 1 must be an integer of 32 bits", NULL},
    {"08ffffffffffffffffff01 2200", "field 1 must be an integer of 32 bits", NULL},
    {"0801 2200 6a03 120161", "a command holds one request", "1"},
    {"0801 2a00", "the channel is empty, too long, or has control characters", "1"},
    {"0801 2a04 0a02610a", "the channel is empty, too long, or has control characters", "1"},
    {"0801 2a8302" TOO_LONG, "the channel is empty, too long, or has control characters", "1"},
    {"0801 2a03 0a0100", "the channel is empty, too long, or has control characters", "1"},
    {"0801 6a03 0a0131", "the method is empty", "1"},
    {"0801 3a03 0a0163", "publish needs \"data\"", "1"},
    {"0801 3a05 0a0163 1200", "publish needs \"data\"", "1"},

    /* data is JSON */
    {"0801 3a06 0a0163 12017b",
     "invalid JSON at offset 1 of field 2: expected a member name in quotes", "1"},
    {"0801 3a08 0a0163 1203312032",
     "invalid JSON at offset 2 of field 2: more text after the value", "1"},
    {"0801 3a08 0a0163 120322ff22", "invalid JSON at offset 1 of field 2: invalid UTF-8", "1"},

    /* text is UTF-8 */
    {"0801 2203 0a01ff", "field 1 must be UTF-8", "1"},
    {"0801 2a04 0a02c328", "field 1 must be UTF-8", "1"},
    {"0801 6a04 1202eda0", "field 2 must be UTF-8", "1"},

    /* fields of another type */
    {"0a00 2200", "field 1 must be a number", NULL},
    {"0d01000000 2200", "field 1 must be a number", NULL},
    {"0801 2001", "field 4" BYTES, "1"},
    {"0801 2a02 0863", "field 1" BYTES, "1"},
    {"0801 2a06 0a0163 1a0101", "field 3 must be a number", "1"},
    {"0801 210000000000000000", "field 4" BYTES, "1"},

    /* no Protobuf */
    {"0801 00", INVALID "a field has the number 0", "1"},
    {"0801 2a02 0001", INVALID "a field has the number 0", "1"},
    {"0801 2300", "field 4" BYTES, "1"},
    {"0801 2a04 0a0563", INVALID, "1"},
    {"0801 2a7f 0a0163", INVALID, "1"},
    {"0801 2a05 0a0163 38", INVALID, "1"},
    {"08", INVALID, NULL},
    {"08ffffffffffffffffffff01", INVALID, NULL},
    {"0801 8b07", INVALID, "1"},
    {"0801 8207ff", INVALID, "1"},
};

static void says_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        leat_buf bytes = LEAT_BUF_INIT;
        append_proto(&bytes, bad[i].proto);
        append_proto(&bytes, good[0].proto);
        frame f = open_frame(&leat_centrifuge_proto, leat_buf_view(&bytes));
        int err = read_next(&f);
        bool is_library = strcmp(bad[i].reason, INVALID) == 0; /* its sentence is nanopb's */
        if (err != LEAT_EBADMSG ||
            strncmp(f.reason, bad[i].reason, is_library ? strlen(INVALID) : 160) != 0)
            fail_msg("%s: error %d, %s", bad[i].proto, err, err < 0 ? f.reason : "");
        assert_int_equal(f.message.id.at != NULL, bad[i].id != NULL);
        if (bad[i].id != NULL)
            assert_true(leat_slice_is(centrifuge_read_id(f.message.id).number, bad[i].id));
        expect_good(&f, 0); /* the next command of the frame is not lost */
        assert_int_equal(f.left.len, 0);
        close_frame(&f);
        leat_buf_close(&bytes);
    }
}

/* The length of a command, where it is none. */
static void checks_lengths(void **state)
{
    static const char *const frames[] = {"05 0801", "80", "ffffffff0f 00",
                                         "8080808080808080808001 00", "ffffffffffffffffff01 00"};
    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        leat_buf bytes = LEAT_BUF_INIT;
        hex_append(&bytes, frames[i]);
        frame f = open_frame(&leat_centrifuge_proto, leat_buf_view(&bytes));
        assert_int_equal(read_next(&f), LEAT_EBADMSG);
        assert_int_equal(f.left.len, 0);
        close_frame(&f);
        leat_buf_close(&bytes);
    }
}

static void an_empty_frame_is_a_sign_of_life(void **state)
{
    (void)state;
    const leat_codec *codecs[] = {&leat_centrifuge_json, &leat_centrifuge_proto};
    for (size_t i = 0; i < 2; i++) {
        frame f = open_frame(codecs[i], (leat_slice){NULL, 0});
        assert_int_equal(read_next(&f), 0);
        assert_int_equal(f.message.op, LEAT_OP_NOTHING);
        assert_null(f.message.id.at);
        close_frame(&f);
    }
}

/* A publish of that data. */
static frame publish(leat_slice data)
{
    leat_buf content = LEAT_BUF_INIT, bytes = LEAT_BUF_INIT;
    leat_buf inner = LEAT_BUF_INIT;
    hex_append(&inner, "0a0163 12");
    append_varint(&inner, data.len);
    leat_buf_slice(&inner, data);
    hex_append(&content, "0801 3a");
    append_varint(&content, inner.len);
    leat_buf_slice(&content, leat_buf_view(&inner));
    append_varint(&bytes, content.len);
    leat_buf_slice(&bytes, leat_buf_view(&content));
    frame f = open_frame(&leat_centrifuge_proto, leat_buf_view(&bytes));
    leat_buf_close(&inner);
    leat_buf_close(&content);
    leat_buf_close(&bytes);
    return f;
}

static void append_times(leat_buf *out, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        leat_buf_text(out, text);
}

static void limits_the_depth_of_data(void **state)
{
    (void)state;
    for (size_t depth = LEAT_JSON_MAX_DEPTH - 2; depth <= LEAT_JSON_MAX_DEPTH - 1; depth++) {
        leat_buf data = LEAT_BUF_INIT;
        append_times(&data, "[", depth);
        append_times(&data, "]", depth);
        frame f = publish(leat_buf_view(&data));
        assert_int_equal(read_next(&f), depth == LEAT_JSON_MAX_DEPTH - 2 ? 0 : LEAT_EBADMSG);
        close_frame(&f);
        leat_buf_close(&data);
    }
}

static void limits_the_values_of_data(void **state)
{
    (void)state;
    for (size_t n = MAX_VALUES - 1; n <= MAX_VALUES; n++) {
        leat_buf data = LEAT_BUF_INIT;
        leat_buf_text(&data, "[0");
        append_times(&data, ",0", n - 1);
        leat_buf_char(&data, ']');
        frame f = publish(leat_buf_view(&data));
        assert_int_equal(read_next(&f), n < MAX_VALUES ? 0 : LEAT_ETOOLARGE);
        if (n == MAX_VALUES)
            assert_string_equal(f.reason, "the command has more than 300 values");
        assert_true(leat_slice_is(centrifuge_read_id(f.message.id).number, "1"));
        close_frame(&f);
        leat_buf_close(&data);
    }
}

/* In the params each byte of it becomes six. What was written to scratch before must not move. */
static void takes_a_token_of_control_characters(void **state)
{
    enum { TOKEN = 4000 };
    leat_buf bytes = LEAT_BUF_INIT, wanted = LEAT_BUF_INIT;
    (void)state;
    append_varint(&bytes, TOKEN + 11);
    hex_append(&bytes, "0804 2a");
    append_varint(&bytes, TOKEN + 6);
    hex_append(&bytes, "0a0163 12");
    append_varint(&bytes, TOKEN);
    append_times(&bytes, "\x01", TOKEN);
    leat_buf_text(&wanted, "{\"token\":\"");
    append_times(&wanted, "\\u0001", TOKEN);
    leat_buf_text(&wanted, "\"}");
    frame f = open_frame(&leat_centrifuge_proto, leat_buf_view(&bytes));
    assert_int_equal(read_next(&f), 0);
    assert_true(leat_slice_equal(f.message.params, leat_buf_view(&wanted)));
    assert_true(leat_slice_is(centrifuge_read_id(f.message.id).number, "4"));
    close_frame(&f);
    leat_buf_close(&bytes);
    leat_buf_close(&wanted);
}

/* The positions of a connect, by channel: chat:1 has one, chat:2 none, chat:3 no epoch. */
static void expect_known(frame *f)
{
    leat_buf scratch = LEAT_BUF_INIT;
    leat_named_position at = {.seq = -1};
    assert_int_equal(read_next(f), 0);
    assert_int_equal(f->message.op, LEAT_OP_AUTHENTICATE);
    assert_true(f->codec->find_known(f->message.known, leat_slice_of("chat:1"), &at, &scratch));
    assert_true(leat_slice_is(at.epoch, "1-a-b"));
    assert_int_equal(at.seq, 17);
    assert_true(f->codec->find_known(f->message.known, leat_slice_of("chat:3"), &at, &scratch));
    assert_true(leat_slice_is(at.epoch, ""));
    assert_false(f->codec->find_known(f->message.known, leat_slice_of("chat:2"), &at, &scratch));
    assert_false(f->codec->find_known(f->message.known, leat_slice_of("chat:4"), &at, &scratch));
    leat_buf_close(&scratch);
    close_frame(f);
}

static void finds_the_positions_that_a_connect_brings(void **state)
{
    (void)state;
    frame json = open_frame(
        &leat_centrifuge_json,
        leat_slice_of("{\"id\":1,\"connect\":{\"token\":\"a\",\"subs\":{\"chat:1\":{\"recover\":"
                      "true,\"epoch\":\"1-a-b\",\"offset\":17},\"chat:2\":{},\"chat:3\":"
                      "{\"recover\":true}}}}"));
    expect_known(&json);
    leat_buf bytes = LEAT_BUF_INIT;
    append_proto(&bytes, "0801 2234 0a0161"
                         "1a15 0a06636861743a31 120b 1801 3205312d612d62 3811"
                         "1a0a 0a06636861743a32 1200"
                         "1a0c 0a06636861743a33 1202 1801");
    frame proto = open_frame(&leat_centrifuge_proto, leat_buf_view(&bytes));
    expect_known(&proto);
    leat_buf_close(&bytes);
}

static void a_connect_without_positions_has_none(void **state)
{
    leat_named_position at;
    leat_buf scratch = LEAT_BUF_INIT;
    leat_buf bytes = LEAT_BUF_INIT;
    (void)state;
    append_proto(&bytes, good[0].proto);
    frame f = open_frame(&leat_centrifuge_proto, leat_buf_view(&bytes));
    assert_int_equal(read_next(&f), 0);
    assert_null(f.message.known.at);
    assert_false(f.codec->find_known(f.message.known, leat_slice_of("c"), &at, &scratch));
    close_frame(&f);
    leat_buf_close(&bytes);
    leat_buf_close(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_same_in_both_forms),
        cmocka_unit_test(reads_the_commands_of_a_frame_one_by_one),
        cmocka_unit_test(refuses_every_beginning_of_a_command),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(checks_lengths),
        cmocka_unit_test(an_empty_frame_is_a_sign_of_life),
        cmocka_unit_test(limits_the_depth_of_data),
        cmocka_unit_test(limits_the_values_of_data),
        cmocka_unit_test(takes_a_token_of_control_characters),
        cmocka_unit_test(finds_the_positions_that_a_connect_brings),
        cmocka_unit_test(a_connect_without_positions_has_none),
    };
    return cmocka_run_group_tests_name("wire/centrifuge_read", tests, NULL, NULL);
}
