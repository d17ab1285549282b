/* Messages of clients. What is expected of a good one: its op, then each part that it has, as
 * name=<text>. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/json.h"
#include "wire/leat_v1.h"

enum { MAX_VALUES = 300 };

static const struct {
    const char *text;
    const char *parts;
} good[] = {
    {"{\"op\":\"subscribe\",\"id\":1,\"topic\":\"chat:42\"}", "subscribe id=<1> topic=<chat:42>"},
    {"{\"op\":\"subscribe\",\"topic\":\"chat:42\"}", "subscribe topic=<chat:42>"},
    {" { \"topic\" : \"chat:42\" , \"id\" : 1 ,\n\"op\":\"subscribe\" } ",
     "subscribe id=<1> topic=<chat:42>"},
    {"{\"op\":\"subscribe\",\"id\":1,\"topic\":\"c\",\"since\":{\"epoch\":\"e-1\",\"seq\":17},"
     "\"timeout_ms\":2000,\"params\":{\"a\": [1]}}",
     "subscribe id=<1> topic=<c> params=<{\"a\": [1]}> since=<e-1>:17 timeout=2000"},
    {"{\"op\":\"unsubscribe\",\"id\":2,\"topic\":\"chat:42\"}",
     "unsubscribe id=<2> topic=<chat:42>"},
    {"{\"op\":\"publish\",\"id\":3,\"topic\":\"t\",\"data\":{\"b\":\"\\u0041\"}}",
     "publish id=<3> topic=<t> data=<{\"b\":\"\\u0041\"}>"},
    {"{\"op\":\"publish\",\"topic\":\"t\",\"data\":null}", "publish topic=<t> data=<null>"},
    {"{\"op\":\"call\",\"id\":4,\"method\":\"rename\",\"params\":null}",
     "call id=<4> method=<rename> params=<null>"},
    {"{\"op\":\"authenticate\",\"id\":5,\"token\":\"secret\"}",
     "authenticate id=<5> token=<secret>"},
    {"{\"op\":\"authenticate\",\"token\":\"\"}", "authenticate token=<>"},

    /* ids */
    {"{\"op\":\"call\",\"method\":\"m\",\"id\":-1}", "call id=<-1> method=<m>"},
    {"{\"op\":\"call\",\"method\":\"m\",\"id\":123456789012345678901234567890}",
     "call id=<123456789012345678901234567890> method=<m>"},
    {"{\"op\":\"call\",\"method\":\"m\",\"id\":\"a\\n\\u00e9\"}",
     "call id=<\"a\\n\\u00e9\"> method=<m>"},
    {"{\"op\":\"call\",\"method\":\"m\",\"id\":\"\"}", "call id=<\"\"> method=<m>"},

    /* escapes, of which several have to live on side by side */
    {"{\"\\u006fp\":\"\\u0073ubscribe\",\"topic\":\"c\\u0068at\\/1\"}", "subscribe topic=<chat/1>"},
    {"{\"op\":\"subscribe\",\"topic\":\"\\ud83d\\ude00\",\"method\":\"m\\\"\",\"token\":\"t\\\\\","
     "\"since\":{\"\\u0065poch\":\"\\u0065\",\"s\\u0065q\":0}}",
     "subscribe topic=<\xf0\x9f\x98\x80> method=<m\"> token=<t\\> since=<e>:0"},
    {"{\"op\":\"subscribe\",\"topic\":\"\xc3\xa9\"}", "subscribe topic=<\xc3\xa9>"},

    /* what is not known is passed over */
    {"{\"op\":\"call\",\"method\":\"m\",\"extra\":{\"op\":1},\"extra\":[{}],\"OP\":1}",
     "call method=<m>"},
    {"{\"op\":\"subscribe\",\"topic\":\"t\",\"since\":{\"seq\":1,\"x\":[1,2],\"epoch\":\"e\",\"x\":"
     "\"\\n\"}}",
     "subscribe topic=<t> since=<e>:1"},

    /* the ends of ranges */
    {"{\"op\":\"subscribe\",\"topic\":\"t\",\"since\":{\"epoch\":\"\",\"seq\":9007199254740991}}",
     "subscribe topic=<t> since=<>:9007199254740991"},
    {"{\"op\":\"subscribe\",\"topic\":\"t\",\"timeout_ms\":1}", "subscribe topic=<t> timeout=1"},
    {"{\"op\":\"subscribe\",\"topic\":\"t\",\"timeout_ms\":9007199254740992}",
     "subscribe topic=<t> timeout=9007199254740992"},
};

#define SINCE(since) "{\"op\":\"subscribe\",\"topic\":\"t\",\"id\":1,\"since\":" since "}"
#define TIMEOUT(ms) "{\"op\":\"subscribe\",\"topic\":\"t\",\"id\":1,\"timeout_ms\":" ms "}"
#define TOPIC(topic) "{\"op\":\"subscribe\",\"topic\":\"" topic "\",\"id\":1}"
#define ID(id) "{\"op\":\"call\",\"method\":\"m\",\"id\":" id "}"
#define SEQ_RANGE "\"since.seq\" must be an integer from 0 to 2^53 - 1"
#define TIMEOUT_RANGE "\"timeout_ms\" must be an integer from 1 to 2^53"
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
    const char *text;
    const char *reason;
    const char *id; /* NULL: not to be read */
} bad[] = {
    {"", "invalid JSON at offset 0: expected a value", NULL},
    {"hello", "invalid JSON at offset 0: expected a value", NULL},
    {"{\"op\":\"call\",\"method\":\"m\"", "invalid JSON at offset 25: expected ',' or '}'", NULL},
    {"{\"op\":\"call\",\"method\":\"m\"} x", "invalid JSON at offset 27: more text after the value",
     NULL},
    {"{\"id\":7,\"op\":\"call\",}", "invalid JSON at offset 20: expected a member name in quotes",
     "7"},
    {"{\"id\":7,\"op\":\"foo\",}", "invalid JSON at offset 19: expected a member name in quotes",
     "7"},
    {"{\"op\":\"call\",\"id\":01}", "invalid JSON at offset 19: a number must not begin with 0",
     NULL},
    {"{\"id\":\"\xff\"}", "invalid JSON at offset 7: invalid UTF-8", NULL},
    {"null", "a message must be a JSON object", NULL},
    {"[1]", "a message must be a JSON object", NULL},
    {"\"subscribe\"", "a message must be a JSON object", NULL},

    {"{}", "\"op\" is missing", NULL},
    {"{\"id\":1,\"topic\":\"t\"}", "\"op\" is missing", "1"},
    {"{\"op\":1,\"id\":1}", "\"op\" must be a string", "1"},
    {"{\"op\":null,\"id\":1}", "\"op\" must be a string", "1"},
    {"{\"op\":\"foo\",\"id\":1}", "unknown op \"foo\"", "1"},
    {"{\"id\":1,\"op\":\"foo\"}", "unknown op \"foo\"", "1"},
    {"{\"op\":\"\",\"id\":1}", "unknown op \"\"", "1"},
    {"{\"op\":\"Subscribe\",\"id\":1}", "unknown op \"Subscribe\"", "1"},
    {"{\"op\":\"event\",\"id\":1}", "unknown op \"event\"", "1"},
    {"{\"op\":\"a\\n\\u0000b\",\"id\":1}", "unknown op \"a  b\"", "1"},
    {"{\"op\":\"" HUNDRED "\",\"id\":1}", "unknown op \"" TEN TEN TEN TEN "...\"", "1"},
    {"{\"op\":\"" TEN TEN TEN "012345678\xc3\xa9" TEN "\",\"id\":1}",
     "unknown op \"" TEN TEN TEN "012345678...\"", "1"},
    {"{\"op\":\"call\",\"id\":1,\"method\":\"m\",\"op\":\"call\"}", "\"op\" is given twice", "1"},

    {"{\"op\":\"subscribe\",\"id\":1}", "subscribe needs \"topic\"", "1"},
    {"{\"op\":\"unsubscribe\",\"id\":1}", "unsubscribe needs \"topic\"", "1"},
    {"{\"op\":\"publish\",\"id\":1,\"data\":1}", "publish needs \"topic\"", "1"},
    {"{\"op\":\"publish\",\"id\":1,\"topic\":\"t\"}", "publish needs \"data\"", "1"},
    {"{\"op\":\"call\",\"id\":1,\"params\":{}}", "call needs \"method\"", "1"},
    {"{\"op\":\"authenticate\",\"id\":1}", "authenticate needs \"token\"", "1"},

    {"{\"topic\":1,\"op\":\"subscribe\",\"id\":1}", "\"topic\" must be a string", "1"},
    {"{\"op\":\"call\",\"id\":1,\"method\":\"m\",\"topic\":[]}", "\"topic\" must be a string", "1"},
    {"{\"op\":\"call\",\"id\":1,\"method\":{}}", "\"method\" must be a string", "1"},
    {"{\"op\":\"call\",\"id\":1,\"method\":\"\"}", "the method is empty", "1"},
    {"{\"op\":\"authenticate\",\"id\":1,\"token\":null}", "\"token\" must be a string", "1"},
    {TOPIC(""), "the topic is empty", "1"},
    {TOPIC("a\\nb"), "the topic contains a control character", "1"},
    {TOPIC("a\\u0000"), "the topic contains a control character", "1"},
    {TOPIC("\x7f"), "the topic contains a control character", "1"},
    {TOPIC("\xc2\x85"), "the topic contains a control character", "1"},
    {TOPIC("\\u009f"), "the topic contains a control character", "1"},
    {TOPIC(HUNDRED HUNDRED TEN TEN TEN TEN TEN "123456"), "the topic is longer than 255 bytes",
     "1"},
    {"{\"op\":\"subscribe\",\"id\":1,\"topic\":\"a\",\"topic\":\"a\"}", "\"topic\" is given twice",
     "1"},
    {"{\"op\":\"call\",\"id\":1,\"method\":\"m\",\"params\":1,\"params\":1}",
     "\"params\" is given twice", "1"},

    {ID("null"), "\"id\" must be an integer or a string", NULL},
    {ID("true"), "\"id\" must be an integer or a string", NULL},
    {ID("1.0"), "\"id\" must be an integer or a string", NULL},
    {ID("1e3"), "\"id\" must be an integer or a string", NULL},
    {ID("1E3"), "\"id\" must be an integer or a string", NULL},
    {ID("[1]"), "\"id\" must be an integer or a string", NULL},
    {ID("{\"a\":1}"), "\"id\" must be an integer or a string", NULL},
    {ID("\"" HUNDRED TEN TEN TEN "\""), "\"id\" is longer than 128 bytes", NULL},
    {ID("1" HUNDRED TEN TEN TEN), "\"id\" is longer than 128 bytes", NULL},
    {"{\"op\":\"call\",\"method\":\"m\",\"id\":1,\"id\":2}", "\"id\" is given twice", "1"},

    {SINCE("1"), "\"since\" must be an object", "1"},
    {SINCE("null"), "\"since\" must be an object", "1"},
    {SINCE("[]"), "\"since\" must be an object", "1"},
    {SINCE("\"e:1\""), "\"since\" must be an object", "1"},
    {SINCE("{}"), "\"since\" needs \"epoch\" and \"seq\"", "1"},
    {SINCE("{\"epoch\":\"e\"}"), "\"since\" needs \"epoch\" and \"seq\"", "1"},
    {SINCE("{\"seq\":1}"), "\"since\" needs \"epoch\" and \"seq\"", "1"},
    {SINCE("{\"epoch\":1,\"seq\":1}"), "\"since.epoch\" must be a string", "1"},
    {SINCE("{\"epoch\":\"e\",\"seq\":-1}"), SEQ_RANGE, "1"},
    {SINCE("{\"epoch\":\"e\",\"seq\":1.5}"), SEQ_RANGE, "1"},
    {SINCE("{\"epoch\":\"e\",\"seq\":\"1\"}"), SEQ_RANGE, "1"},
    {SINCE("{\"epoch\":\"e\",\"seq\":9007199254740992}"), SEQ_RANGE, "1"},
    {SINCE("{\"epoch\":\"e\",\"seq\":99999999999999999999}"), SEQ_RANGE, "1"},
    {SINCE("{\"epoch\":\"e\",\"seq\":1,\"seq\":2}"), "\"since.seq\" is given twice", "1"},
    {SINCE("{\"epoch\":\"e\",\"seq\":1,\"epoch\":\"f\"}"), "\"since.epoch\" is given twice", "1"},

    {TIMEOUT("0"), TIMEOUT_RANGE, "1"},
    {TIMEOUT("-5"), TIMEOUT_RANGE, "1"},
    {TIMEOUT("1.5"), TIMEOUT_RANGE, "1"},
    {TIMEOUT("2e3"), TIMEOUT_RANGE, "1"},
    {TIMEOUT("\"2000\""), TIMEOUT_RANGE, "1"},
    {TIMEOUT("null"), TIMEOUT_RANGE, "1"},
    {TIMEOUT("9007199254740993"), TIMEOUT_RANGE, "1"},

    /* the first mistake is told, and the id still found */
    {"{\"op\":\"foo\",\"topic\":5,\"since\":[{\"id\":9}],\"id\":\"x\"}", "unknown op \"foo\"",
     "\"x\""},
};

static void put(leat_buf *out, const char *name, leat_slice value)
{
    if (value.at != NULL)
        leat_buf_printf(out, " %s=<%.*s>", name, (int)value.len, value.at);
}

static void describe(leat_buf *out, const leat_message *m)
{
    static const char *const ops[] = {
        [LEAT_OP_SUBSCRIBE] = "subscribe",       [LEAT_OP_UNSUBSCRIBE] = "unsubscribe",
        [LEAT_OP_PUBLISH] = "publish",           [LEAT_OP_CALL] = "call",
        [LEAT_OP_AUTHENTICATE] = "authenticate",
    };
    leat_buf_text(out, ops[m->op]);
    put(out, "id", m->id);
    put(out, "topic", m->topic);
    put(out, "method", m->method);
    put(out, "token", m->token);
    put(out, "params", m->params);
    put(out, "data", m->data);
    if (m->has_since) {
        put(out, "since", m->since_epoch);
        leat_buf_printf(out, ":%lld", (long long)m->since_seq);
    }
    if (m->timeout_ms > 0)
        leat_buf_printf(out, " timeout=%llu", (unsigned long long)m->timeout_ms);
}

/* Parses text from a block of its own, which must live as long as the message. */
typedef struct parsed {
    char *text;
    leat_buf scratch;
    leat_message message;
    char reason[160];
    int err;
} parsed;

static parsed parse(const char *text, size_t len)
{
    parsed p = {.text = malloc(len + (len == 0)), .scratch = LEAT_BUF_INIT};
    memcpy(p.text, text, len);
    p.err = leat_v1_parse(&p.message, (leat_slice){p.text, len}, MAX_VALUES, &p.scratch, p.reason,
                          sizeof(p.reason));
    return p;
}

static void parsed_close(parsed *p)
{
    free(p->text);
    leat_buf_close(&p->scratch);
}

static void reads_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        parsed p = parse(good[i].text, strlen(good[i].text));
        if (p.err != 0)
            fail_msg("%s: %s", good[i].text, p.reason);
        leat_buf text = LEAT_BUF_INIT;
        describe(&text, &p.message);
        leat_buf_char(&text, '\0');
        assert_string_equal(text.at, good[i].parts);
        leat_buf_close(&text);
        parsed_close(&p);
    }
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        parsed p = parse(bad[i].text, strlen(bad[i].text));
        if (p.err != LEAT_EBADMSG || strcmp(p.reason, bad[i].reason) != 0)
            fail_msg("%s: error %d, %s", bad[i].text, p.err, p.err < 0 ? p.reason : "");
        assert_int_equal(p.message.id.at != NULL, bad[i].id != NULL);
        assert_true(leat_slice_is(p.message.id, bad[i].id));
        parsed_close(&p);
    }
}

static void refuses_every_beginning_of_a_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        size_t whole = strlen(good[i].text);
        while (good[i].text[whole - 1] == ' ')
            whole--;
        for (size_t len = 0; len < whole; len++) {
            parsed p = parse(good[i].text, len);
            assert_int_equal(p.err, LEAT_EBADMSG);
            assert_int_equal(strncmp(p.reason, "invalid JSON at offset ", 23), 0);
            parsed_close(&p);
        }
    }
}

static void a_scratch_may_be_used_again(void **state)
{
    (void)state;
    leat_buf scratch = LEAT_BUF_INIT;
    char reason[16];
    for (int i = 0; i < 3; i++) {
        static const char text[] = "{\"op\":\"subscribe\",\"topic\":\"\\u0061b\"}";
        leat_message m;
        assert_int_equal(
            leat_v1_parse(&m, leat_slice_of(text), MAX_VALUES, &scratch, reason, sizeof(reason)),
            0);
        assert_true(leat_slice_is(m.topic, "ab"));
        assert_int_equal(leat_v1_parse(&m, leat_slice_of("{\"op\":\"a long unknown op\"}"),
                                       MAX_VALUES, &scratch, reason, sizeof(reason)),
                         LEAT_EBADMSG);
        assert_string_equal(reason, "unknown op \"a l");
    }
    leat_buf_close(&scratch);
}

static void limits_the_depth(void **state)
{
    (void)state;
    leat_buf text = LEAT_BUF_INIT;
    leat_buf_text(&text, "{\"op\":\"publish\",\"topic\":\"t\",\"id\":1,\"data\":");
    size_t at = text.len;
    for (int depth = LEAT_JSON_MAX_DEPTH - 1; depth <= LEAT_JSON_MAX_DEPTH; depth++) {
        text.len = at;
        for (int i = 0; i < depth; i++)
            leat_buf_char(&text, '[');
        for (int i = 0; i < depth; i++)
            leat_buf_char(&text, ']');
        leat_buf_char(&text, '}');
        parsed p = parse(text.at, text.len);
        assert_int_equal(p.err, depth < LEAT_JSON_MAX_DEPTH ? 0 : LEAT_EBADMSG);
        assert_true(leat_slice_is(p.message.id, "1"));
        parsed_close(&p);
    }
    leat_buf_close(&text);
}

/* The message itself, its id, op and method, and the list leave room for so many elements. */
static void limits_the_values(void **state)
{
    (void)state;
    enum { FIT = MAX_VALUES - 5 };
    for (int n = FIT; n <= FIT + 1; n++) {
        leat_buf text = LEAT_BUF_INIT;
        leat_buf_text(&text, "{\"id\":1,\"op\":\"call\",\"method\":\"m\",\"params\":[[]");
        for (int i = 1; i < n; i++)
            leat_buf_text(&text, i % 2 == 0 ? ",[]" : ",0");
        leat_buf_text(&text, "]}");
        parsed p = parse(text.at, text.len);
        assert_int_equal(p.err, n == FIT ? 0 : LEAT_ETOOLARGE);
        if (n > FIT)
            assert_string_equal(p.reason, "the message has more than 300 values");
        assert_true(leat_slice_is(p.message.id, "1"));
        parsed_close(&p);
        leat_buf_close(&text);
    }
}

static void checks_topics(void **state)
{
    (void)state;
    char longest[LEAT_TOPIC_MAX + 1];
    memset(longest, 't', sizeof(longest));
    assert_true(leat_v1_topic_ok((leat_slice){longest, LEAT_TOPIC_MAX}));
    assert_false(leat_v1_topic_ok((leat_slice){longest, LEAT_TOPIC_MAX + 1}));
    assert_false(leat_v1_topic_ok((leat_slice){"", 0}));
    assert_false(leat_v1_topic_ok((leat_slice){NULL, 0}));
    static const struct {
        const char *topic;
        bool ok;
    } topics[] = {
        {"chat:42", true},    {" ", true},         {"\"\\", true},
        {"\xc2\xa0", true},   {"\xc3\x85", true},  {"\xf0\x9f\x98\x80", true},
        {"a\tb", false},      {"a\x1f", false},    {"\x7f", false},
        {"a\xc2\x80", false}, {"\xc2\x9f", false}, {"\xff", false},
        {"a\xc2", false},
    };
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        assert_int_equal(leat_v1_topic_ok(leat_slice_of(topics[i].topic)), topics[i].ok);
    assert_false(leat_v1_topic_ok((leat_slice){"a\0b", 3}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_messages),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(refuses_every_beginning_of_a_message),
        cmocka_unit_test(a_scratch_may_be_used_again),
        cmocka_unit_test(limits_the_depth),
        cmocka_unit_test(limits_the_values),
        cmocka_unit_test(checks_topics),
    };
    return cmocka_run_group_tests_name("wire/leat_v1_parse", tests, NULL, NULL);
}
