#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/leat_v1.h"

#define S(text) leat_slice_of(text)

static const leat_slice none = {NULL, 0};

/* Text frames of up to 65535 bytes have two or four bytes of header (RFC 6455 5.2). */
static void expect_frame(leat_slice frame, const char *json)
{
    size_t len = strlen(json);
    size_t header = len < 126 ? 2 : 4;
    assert_int_equal(frame.len, header + len);
    assert_int_equal((unsigned char)frame.at[0], 0x81);
    if (header == 2) {
        assert_int_equal(frame.at[1], len);
    } else {
        assert_int_equal(frame.at[1], 126);
        assert_int_equal((unsigned char)frame.at[2], len >> 8);
        assert_int_equal((unsigned char)frame.at[3], len & 255);
    }
    if (memcmp(frame.at + header, json, len) != 0)
        fail_msg("%.*s\ninstead of\n%s", (int)len, frame.at + header, json);
}

static void expect(leat_buf *out, const char *json)
{
    if (!leat_slice_is(leat_buf_view(out), json))
        fail_msg("%.*s\ninstead of\n%s", (int)out->len, out->at, json);
    out->len = 0;
}

static void writes_snapshots(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_v1_write_snapshot(
        &out, S("1"),
        &(leat_subscribed){
            .topic = S("chat:42"), .epoch = S("00000001-e"), .seq = 17, .data = S("{\"a\":[]}")});
    expect(&out, "{\"op\":\"snapshot\",\"id\":1,\"topic\":\"chat:42\",\"epoch\":\"00000001-e\","
                 "\"seq\":17,\"data\":{\"a\":[]}}");
    leat_v1_write_snapshot(
        &out, none,
        &(leat_subscribed){.topic = S("c"), .epoch = S("e"), .stale = true, .data = S("null")});
    expect(&out, "{\"op\":\"snapshot\",\"topic\":\"c\",\"epoch\":\"e\",\"seq\":0,\"stale\":true,"
                 "\"data\":null}");
    leat_v1_write_snapshot(
        &out, S("\"x\\n\""),
        &(leat_subscribed){.topic = S("a\"\\\xc3\xa9"), .epoch = S("e"), .seq = LEAT_SEQ_MAX});
    expect(&out, "{\"op\":\"snapshot\",\"id\":\"x\\n\",\"topic\":\"a\\\"\\\\\xc3\xa9\",\"epoch\":"
                 "\"e\",\"seq\":9007199254740991,\"data\":null}");
    leat_buf_close(&out);
}

static void writes_resumed(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_v1_write_resumed(&out, S("1"),
                          &(leat_subscribed){.topic = S("chat:42"), .epoch = S("e"), .seq = 17});
    expect(&out, "{\"op\":\"resumed\",\"id\":1,\"topic\":\"chat:42\",\"epoch\":\"e\",\"seq\":17}");
    leat_v1_write_resumed(&out, none, &(leat_subscribed){.topic = S("chat:42"), .epoch = S("e")});
    expect(&out, "{\"op\":\"resumed\",\"topic\":\"chat:42\",\"epoch\":\"e\",\"seq\":0}");
    leat_buf_close(&out);
}

static void writes_ok(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_v1_write_ok(&out, S("3"), S("{\"n\":1}"), none);
    expect(&out, "{\"op\":\"ok\",\"id\":3,\"data\":{\"n\":1}}");
    leat_v1_write_ok(&out, S("3"), none, none);
    expect(&out, "{\"op\":\"ok\",\"id\":3}");
    leat_v1_write_ok(&out, none, none, none);
    expect(&out, "{\"op\":\"ok\"}");
    leat_buf_close(&out);
}

#define FAILURE(code, message, retry_after_ms)                                                     \
    (&(leat_failure){code, leat_slice_of(message), retry_after_ms, false})

static void writes_errors(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_v1_write_error(&out, S("1"), FAILURE(LEAT_CODE_FORBIDDEN, "not yours", 0));
    expect(&out, "{\"op\":\"error\",\"id\":1,\"code\":\"forbidden\",\"message\":\"not yours\"}");
    leat_v1_write_error(&out, none, FAILURE(LEAT_CODE_UNAVAILABLE, NULL, 1500));
    expect(&out, "{\"op\":\"error\",\"code\":\"unavailable\",\"retry_after_ms\":1500}");
    leat_v1_write_error(&out, none, FAILURE(LEAT_CODE_LIMIT, "", 4294967295));
    expect(&out, "{\"op\":\"error\",\"code\":\"limit\",\"retry_after_ms\":4294967295}");
    leat_v1_write_error(&out, S("\"a\""), FAILURE(LEAT_CODE_BAD_REQUEST, "unknown op \"x\"\n", 1));
    expect(&out, "{\"op\":\"error\",\"id\":\"a\",\"code\":\"bad_request\","
                 "\"message\":\"unknown op \\\"x\\\"\\n\",\"retry_after_ms\":1}");
    leat_v1_write_error(&out, none, FAILURE(LEAT_CODE_INTERNAL, "half a character: \xc3", 0));
    expect(&out, "{\"op\":\"error\",\"code\":\"internal\",\"message\":\"half a character: ?\"}");
    leat_v1_write_topic_error(&out, S("chat:42"), FAILURE(LEAT_CODE_UNAVAILABLE, "later", 200));
    expect(&out, "{\"op\":\"error\",\"topic\":\"chat:42\",\"code\":\"unavailable\","
                 "\"message\":\"later\",\"retry_after_ms\":200}");
    leat_v1_write_closed(&out, S("chat:42"), FAILURE(LEAT_CODE_REVOKED, "gone", 7));
    expect(&out, "{\"op\":\"closed\",\"topic\":\"chat:42\",\"code\":\"revoked\","
                 "\"message\":\"gone\"}");
    leat_v1_write_closed(&out, S("chat:42"), FAILURE(LEAT_CODE_NOT_FOUND, NULL, 7));
    expect(&out, "{\"op\":\"closed\",\"topic\":\"chat:42\",\"code\":\"not_found\"}");
    leat_buf_close(&out);
}

static void appends_to_what_is_there(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_v1_write_ok(&out, S("1"), none, none);
    leat_v1_write_ok(&out, S("2"), S("[]"), none);
    expect(&out, "{\"op\":\"ok\",\"id\":1}{\"op\":\"ok\",\"id\":2,\"data\":[]}");
    leat_buf_close(&out);
}

static void writes_data_of_any_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {2, 60, 130, 65530, 70000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *data = malloc(sizes[i]);
        memset(data, 'd', sizes[i]);
        data[0] = data[sizes[i] - 1] = '"';
        static const char before[] = "{\"op\":\"ok\",\"id\":3,\"data\":";
        leat_buf out = LEAT_BUF_INIT;

        leat_v1_write_ok(&out, S("3"), (leat_slice){data, sizes[i]}, none);

        assert_int_equal(out.len, sizeof(before) - 1 + sizes[i] + 1);
        assert_memory_equal(out.at, before, sizeof(before) - 1);
        assert_memory_equal(out.at + sizeof(before) - 1, data, sizes[i]);
        assert_int_equal(out.at[out.len - 1], '}');
        leat_buf_close(&out);
        free(data);
    }
}

/* Postgres' json_agg puts line breaks between elements; a message has none (SSE relies on it). */
static void writes_no_line_breaks(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_v1_write_ok(&out, none, S("[{\"a\":\"\\n\"}, \n {\r\n}]\n"), none);
    expect(&out, "{\"op\":\"ok\",\"data\":[{\"a\":\"\\n\"},   {  }] }");
    leat_buf_close(&out);
    leat_event *e = leat_v1_event(LEAT_EVENT_DATA, S("t"), 1, S("[1,\n2]"));
    expect_frame(leat_event_frame(e),
                 "{\"op\":\"event\",\"topic\":\"t\",\"seq\":1,\"data\":[1, 2]}");
    assert_true(leat_slice_is(leat_event_data(e), "[1, 2]"));
    leat_event_unref(e);
}

static void expect_event(leat_event *e, const char *json, const char *data)
{
    expect_frame(leat_event_frame(e), json);
    assert_true(leat_slice_is(leat_event_payload(e), json));
    assert_true(leat_slice_is(leat_event_data(e), data));
    leat_event_unref(e);
}

static void encodes_events(void **state)
{
    (void)state;
    leat_event *e = leat_v1_event(LEAT_EVENT_DATA, S("chat:42"), 18, S("{\"a\":1}"));
    assert_int_equal(leat_event_kind_of(e), LEAT_EVENT_DATA);
    assert_true(leat_event_seq(e) == 18);
    assert_true(leat_slice_is(leat_event_topic(e), "chat:42"));
    expect_event(e, "{\"op\":\"event\",\"topic\":\"chat:42\",\"seq\":18,\"data\":{\"a\":1}}",
                 "{\"a\":1}");
    expect_event(leat_v1_event(LEAT_EVENT_DATA, S("c"), LEAT_SEQ_MAX, none),
                 "{\"op\":\"event\",\"topic\":\"c\",\"seq\":9007199254740991,\"data\":null}",
                 "null");
    expect_event(leat_v1_event(LEAT_EVENT_SKIP, S("chat:42"), 19, none),
                 "{\"op\":\"skip\",\"topic\":\"chat:42\",\"seq\":19}", "");
    expect_event(leat_v1_conflating(S("t"), S("key"), S("\"x\"")),
                 "{\"op\":\"signal\",\"topic\":\"t\",\"data\":\"x\"}", "\"x\"");
    expect_event(leat_v1_event(LEAT_EVENT_SIGNAL, S("a\"b"), 0, S("\"x\"")),
                 "{\"op\":\"signal\",\"topic\":\"a\\\"b\",\"data\":\"x\"}", "\"x\"");
}

/* Who lost a right is not told to those who kept theirs. */
static void hides_the_subject_of_a_revocation(void **state)
{
    (void)state;
    expect_event(leat_v1_event(LEAT_EVENT_REVOKE, S("chat:42"), 20, S("\"7\"")),
                 "{\"op\":\"skip\",\"topic\":\"chat:42\",\"seq\":20}", "\"7\"");
    expect_event(leat_v1_event(LEAT_EVENT_REVOKE, S("chat:42"), 21, S("null")),
                 "{\"op\":\"skip\",\"topic\":\"chat:42\",\"seq\":21}", "null");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_snapshots),
        cmocka_unit_test(writes_resumed),
        cmocka_unit_test(writes_ok),
        cmocka_unit_test(writes_errors),
        cmocka_unit_test(appends_to_what_is_there),
        cmocka_unit_test(writes_data_of_any_size),
        cmocka_unit_test(writes_no_line_breaks),
        cmocka_unit_test(encodes_events),
        cmocka_unit_test(hides_the_subject_of_a_revocation),
    };
    return cmocka_run_group_tests_name("wire/leat_v1_write", tests, NULL, NULL);
}
