/* What Centrifugo's clients are told, as JSON and as Protobuf. The Protobuf was written by
 * protoc --encode, and is hex here; its length stands before it. */
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
#include "wire/close_code.h"
#include "wire/leat_v1.h"

#define S(text) leat_slice_of(text)
#define FAILURE(code, message) (&(leat_failure){code, leat_slice_of(message), 0, false})

static const leat_slice none = {NULL, 0};
static leat_buf json, proto, ids; /* emptied by each expectation */

/* Lets both codecs write the same. */
#define WRITE(function, ...)                                                                       \
    do {                                                                                           \
        leat_centrifuge_json.function(&json, __VA_ARGS__);                                         \
        leat_centrifuge_proto.function(&proto, __VA_ARGS__);                                       \
    } while (0)

static void expect(const char *text, const char *hex)
{
    leat_buf digits = LEAT_BUF_INIT;
    char wanted[1000];
    size_t n = 0;
    for (const char *at = hex; *at != '\0'; at++)
        if (*at != ' ')
            wanted[n++] = *at;
    wanted[n] = '\0';
    if (!leat_slice_is(leat_buf_view(&json), text))
        fail_msg("%.*s\ninstead of\n%s", (int)json.len, json.at, text);
    hex_write(&digits, leat_buf_view(&proto));
    if (!leat_slice_is(leat_buf_view(&digits), wanted))
        fail_msg("%.*s\ninstead of\n%s", (int)digits.len, digits.at, wanted);
    json.len = proto.len = ids.len = 0;
    leat_buf_close(&digits);
}

/* The id that the server keeps of such a command. */
static leat_slice id_of(centrifuge_command command)
{
    leat_buf_reserve(&ids, CENTRIFUGE_SCRATCH);
    return centrifuge_write_id(&command, &ids);
}

#define ID(method_, number) id_of((centrifuge_command){.method = method_, .id = number})

static void writes_snapshots(void **state)
{
    (void)state;
    WRITE(write_snapshot, ID(CENTRIFUGE_SUBSCRIBE, 2),
          &(leat_subscribed){
              .topic = S("chat:42"), .epoch = S("1-a-b"), .seq = 17, .data = S("{\"a\":[]}")});
    expect("{\"id\":2,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"1-a-b\","
           "\"offset\":17,\"data\":{\"a\":[]}}}",
           "1b 0802 3217 1801 3205312d612d62 4811 5001 5a087b2261223a5b5d7d");
    WRITE(write_snapshot, ID(CENTRIFUGE_SUBSCRIBE, 2),
          &(leat_subscribed){.topic = S("c"), .epoch = S("e"), .data = S("0")});
    expect("{\"id\":2,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"e\","
           "\"offset\":0,\"data\":0}}",
           "0e 0802 320a 1801 320165 5001 5a0130");
}

/* A stale snapshot has an epoch at which nothing can begin. */
static void writes_a_snapshot_in_place_of_a_recovery(void **state)
{
    (void)state;
    leat_slice id =
        id_of((centrifuge_command){.method = CENTRIFUGE_SUBSCRIBE, .id = 300, .recovers = true});
    WRITE(write_snapshot, id,
          &(leat_subscribed){.topic = S("c"), .epoch = S("e"), .seq = LEAT_SEQ_MAX, .stale = true});
    expect("{\"id\":300,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":"
           "\"stale\",\"offset\":9007199254740991,\"was_recovering\":true,\"data\":null}}",
           "21 08ac02 321c 1801 32057374616c65 48ffffffffffffff0f 5001 5a046e756c6c 6001");
}

static void refuses_a_snapshot_to_who_wants_none(void **state)
{
    (void)state;
    leat_slice id = id_of((centrifuge_command){
        .method = CENTRIFUGE_SUBSCRIBE, .id = 2, .recovers = true, .flags = 2});
    WRITE(write_snapshot, id,
          &(leat_subscribed){.topic = S("c"), .epoch = S("e"), .seq = 1, .data = S("0")});
    expect("{\"id\":2,\"error\":{\"code\":112,\"message\":\"unrecoverable position\"}}",
           "1e 0802 121a 0870 1216756e7265636f76657261626c6520706f736974696f6e");
}

static void tells_a_client_to_subscribe_anew(void **state)
{
    (void)state;
    leat_subscribed sub = {.topic = S("chat:42"), .epoch = S("e"), .seq = 1, .data = S("0")};
    assert_false(leat_centrifuge_json.write_snapshot(&json, none, &sub));
    assert_false(leat_centrifuge_proto.write_snapshot(&proto, none, &sub));
    expect("{\"push\":{\"channel\":\"chat:42\",\"unsubscribe\":{\"code\":2500,\"reason\":"
           "\"resync\"}}}",
           "18 2216 1207636861743a3432 3a0b 10c413 1a06726573796e63");
}

static void writes_recoveries(void **state)
{
    (void)state;
    WRITE(write_resumed, ID(CENTRIFUGE_SUBSCRIBE, 2),
          &(leat_subscribed){.topic = S("chat:42"), .epoch = S("1-a-b"), .seq = 17});
    expect("{\"id\":2,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"1-a-b\","
           "\"offset\":17,\"recovered\":true,\"was_recovering\":true}}",
           "15 0802 3211 1801 3205312d612d62 4001 4811 5001 6001");
}

/* Only who brought a token can bring another one. */
static void tells_when_a_right_is_to_be_renewed(void **state)
{
    (void)state;
    leat_subscribed sub = {.topic = S("c"), .epoch = S("e"), .data = S("0"), .expires_s = 60};
    centrifuge_command command = {.method = CENTRIFUGE_SUBSCRIBE, .id = 2, .token = S("t")};
    WRITE(write_snapshot, id_of(command), &sub);
    expect("{\"id\":2,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"e\","
           "\"offset\":0,\"expires\":true,\"ttl\":45,\"data\":0}}",
           "12 0802 320e 0801 102d 1801 320165 5001 5a0130");
    WRITE(write_resumed, id_of(command), &sub);
    expect("{\"id\":2,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"e\","
           "\"offset\":0,\"expires\":true,\"ttl\":45,\"recovered\":true,\"was_recovering\":true}}",
           "13 0802 320f 0801 102d 1801 320165 4001 5001 6001");
    WRITE(write_snapshot, ID(CENTRIFUGE_SUBSCRIBE, 2), &sub);
    expect("{\"id\":2,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"e\","
           "\"offset\":0,\"data\":0}}",
           "0e 0802 320a 1801 320165 5001 5a0130");
}

static void writes_renewals(void **state)
{
    (void)state;
    WRITE(write_renewed, ID(CENTRIFUGE_SUB_REFRESH, 3), 4);
    expect("{\"id\":3,\"sub_refresh\":{\"expires\":true,\"ttl\":3}}", "08 0803 7a04 0801 1003");
    /* However short it is, it is to be renewed before it ends. */
    WRITE(write_renewed, ID(CENTRIFUGE_SUB_REFRESH, 3), 2);
    expect("{\"id\":3,\"sub_refresh\":{\"expires\":true,\"ttl\":1}}", "08 0803 7a04 0801 1001");
    WRITE(write_renewed, ID(CENTRIFUGE_SUB_REFRESH, 3), 0);
    expect("{\"id\":3,\"sub_refresh\":{}}", "04 0803 7a00");
}

static void expect_params(const char *params, const char *token, const char *expected)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_slice got = leat_centrifuge_json.with_token(leat_slice_of(params), S(token), &out);
    assert_int_equal(leat_slice_of(expected).len, got.len);
    assert_memory_equal(expected, got.at, got.len);
    leat_buf_close(&out);
}

static void puts_another_token_into_params(void **state)
{
    (void)state;
    expect_params("{\"token\":\"old\"}", "new", "{\"token\":\"new\"}");
    expect_params("{\"token\":\"\",\"data\":{\"token\":\"x\"}}", "n\"w",
                  "{\"token\":\"n\\\"w\",\"data\":{\"token\":\"x\"}}");
    expect_params("{\"token\":\"a\\\"b\\\\\",\"data\":1}", "c", "{\"token\":\"c\",\"data\":1}");
}

static void puts_no_token_where_none_was(void **state)
{
    (void)state;
    const char *params[] = {NULL, "", "1", "{}", "{\"a\":1}", "{\"token\":", "{\"token\":1}"};
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
        expect_params(params[i], "new", NULL);
}

static void writes_answers(void **state)
{
    (void)state;
    WRITE(write_ok, ID(CENTRIFUGE_PUBLISH, 3), S("{\"ignored\":1}"), S("[]"));
    expect("{\"id\":3,\"publish\":{}}", "04 0803 4200");
    WRITE(write_ok, ID(CENTRIFUGE_UNSUBSCRIBE, 4), none, none);
    expect("{\"id\":4,\"unsubscribe\":{}}", "04 0804 3a00");
    WRITE(write_ok, ID(CENTRIFUGE_RPC, 5), S("{\"n\":1}"), none);
    expect("{\"id\":5,\"rpc\":{\"data\":{\"n\":1}}}", "0d 0805 6a09 0a077b226e223a317d");
    WRITE(write_ok, ID(CENTRIFUGE_RPC, 5), none, none);
    expect("{\"id\":5,\"rpc\":{\"data\":null}}", "0a 0805 6a06 0a046e756c6c");
}

static void writes_welcomes(void **state)
{
    (void)state;
    WRITE(write_welcome, ID(CENTRIFUGE_CONNECT, 1),
          &(leat_welcome){.client = {"7", 1}, .ping_ms = 25999});
    expect("{\"id\":1,\"connect\":{\"client\":\"7\",\"version\":\"leat\",\"ping\":25}}",
           "0f 0801 2a0b 0a0137 12046c656174 3819");
    WRITE(write_welcome, ID(CENTRIFUGE_CONNECT, 1),
          &(leat_welcome){.client = {"7", 1}, .expires_s = 600, .ping_ms = 1});
    expect("{\"id\":1,\"connect\":{\"client\":\"7\",\"version\":\"leat\",\"expires\":true,"
           "\"ttl\":585,\"ping\":1}}",
           "14 0801 2a10 0a0137 12046c656174 1801 20c904 3801");
    WRITE(write_welcome, ID(CENTRIFUGE_REFRESH, 6),
          &(leat_welcome){.client = {"7", 1}, .expires_s = 4, .ping_ms = 1000});
    expect("{\"id\":6,\"refresh\":{\"client\":\"7\",\"version\":\"leat\",\"expires\":true,"
           "\"ttl\":3}}",
           "11 0806 720d 0a0137 12046c656174 1801 2003");
}

static const leat_subscribed fresh = {
    .topic = {"a", 1}, .epoch = {"e", 1}, .seq = 3, .data = {"[1]", 3}};
static const leat_subscribed resumed = {
    .topic = {"b", 1}, .epoch = {"e", 1}, .seq = 4, .recovers = true};

static void writes_subscriptions_that_the_server_makes(void **state)
{
    (void)state;
    leat_buf subs = LEAT_BUF_INIT;
    leat_welcome welcome = {.client = {"7", 1}, .ping_ms = 25000};
    const leat_codec *codecs[] = {&leat_centrifuge_json, &leat_centrifuge_proto};
    leat_buf *to[] = {&json, &proto};
    for (size_t i = 0; i < 2; i++) {
        subs.len = 0;
        codecs[i]->write_sub(&subs, &fresh);
        codecs[i]->write_sub(&subs, &resumed);
        welcome.subs = leat_buf_view(&subs);
        codecs[i]->write_welcome(to[i], ID(CENTRIFUGE_CONNECT, 1), &welcome);
    }
    expect("{\"id\":1,\"connect\":{\"client\":\"7\",\"version\":\"leat\",\"ping\":25,\"subs\":{"
           "\"a\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"e\",\"offset\":3,"
           "\"data\":[1]},\"b\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"e\","
           "\"offset\":4,\"was_recovering\":true,\"recovered\":true}}}}",
           "38 0801 2a34 0a0137 12046c656174"
           "3213 0a0161 120e 1801 320165 4803 5001 5a035b315d"
           "3212 0a0162 120d 1801 320165 4001 4804 5001 6001 3819");
    leat_buf_close(&subs);
}

static void tells_of_a_subscription_that_the_server_has_made(void **state)
{
    (void)state;
    WRITE(write_subscribed, &fresh);
    expect("{\"push\":{\"channel\":\"a\",\"subscribe\":{\"recoverable\":true,\"positioned\":true,"
           "\"epoch\":\"e\",\"offset\":3,\"data\":[1]}}}",
           "15 2213 120161 4a0e 0801 220165 2803 3001 3a035b315d");
}

static void writes_errors(void **state)
{
    (void)state;
    WRITE(write_error, ID(CENTRIFUGE_RPC, 7), FAILURE(LEAT_CODE_UNAVAILABLE, "later"));
    expect("{\"id\":7,\"error\":{\"code\":100,\"message\":\"later\",\"temporary\":true}}",
           "0f 0807 120b 0864 12056c61746572 1801");
    WRITE(write_error, ID(CENTRIFUGE_RPC, 7), FAILURE(LEAT_CODE_NOT_FOUND, "?"));
    expect("{\"id\":7,\"error\":{\"code\":104,\"message\":\"?\"}}", "09 0807 1205 0868 12013f");
    WRITE(write_error, none, FAILURE(LEAT_CODE_BAD_REQUEST, "x"));
    expect("{\"id\":0,\"error\":{\"code\":107,\"message\":\"x\"}}", "07 1205 086b 120178");
    WRITE(write_error, ID(CENTRIFUGE_UNSUBSCRIBE, 4), FAILURE(LEAT_CODE_NOT_FOUND, "not there"));
    expect("{\"id\":4,\"unsubscribe\":{}}", "04 0804 3a00");
    leat_slice id =
        id_of((centrifuge_command){.method = CENTRIFUGE_CONNECT, .id = 1, .token = {"t", 1}});
    WRITE(write_error, id, FAILURE(LEAT_CODE_UNAUTHENTICATED, "expired"));
    expect("{\"id\":1,\"error\":{\"code\":109,\"message\":\"expired\"}}",
           "0f 0801 120b 086d 120765787069726564");
}

/* The number of each code, of a subscribe. */
static void gives_each_failure_its_number(void **state)
{
    static const struct {
        leat_code code;
        uint32_t number;
        bool temporary;
    } numbers[] = {
        {LEAT_CODE_BAD_REQUEST, 107, false},
        {LEAT_CODE_UNAUTHENTICATED, 101, false},
        {LEAT_CODE_FORBIDDEN, 103, false},
        {LEAT_CODE_NOT_FOUND, 102, false},
        {LEAT_CODE_ALREADY_SUBSCRIBED, 105, false},
        {LEAT_CODE_LIMIT, 106, false},
        {LEAT_CODE_RATE_LIMITED, 111, true},
        {LEAT_CODE_DEADLINE_EXCEEDED, 100, true},
        {LEAT_CODE_UNAVAILABLE, 100, true},
        {LEAT_CODE_TOO_LARGE, 106, false},
        {LEAT_CODE_INTERNAL, 100, true},
    };
    (void)state;
    centrifuge_id id = {.method = CENTRIFUGE_SUBSCRIBE};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        centrifuge_error error = centrifuge_error_of(&id, FAILURE(numbers[i].code, "m"));
        assert_int_equal(error.code, numbers[i].number);
        assert_int_equal(error.temporary, numbers[i].temporary);
    }
}

static void writes_ends(void **state)
{
    (void)state;
    WRITE(write_closed, S("chat:42"), FAILURE(LEAT_CODE_REVOKED, "gone"));
    expect("{\"push\":{\"channel\":\"chat:42\",\"unsubscribe\":{\"code\":2000,\"reason\":"
           "\"revoked\"}}}",
           "19 2217 1207636861743a3432 3a0c 10d00f 1a077265766f6b6564");
    WRITE(write_closed, S("chat:42"), FAILURE(LEAT_CODE_UNAVAILABLE, NULL));
    expect("{\"push\":{\"channel\":\"chat:42\",\"unsubscribe\":{\"code\":2500,\"reason\":"
           "\"unavailable\"}}}",
           "1d 221b 1207636861743a3432 3a10 10c413 1a0b756e617661696c61626c65");
}

static void writes_history(void **state)
{
    (void)state;
    leat_stored_event events[] = {{8, S("{\"a\":1}")}, {9, S("2")}};
    leat_stored stored = {.epoch = S("e"), .seq = 9, .events = events, .n = 2};
    WRITE(write_history, ID(CENTRIFUGE_HISTORY, 9), &stored);
    expect("{\"id\":9,\"history\":{\"epoch\":\"e\",\"offset\":9,\"publications\":["
           "{\"data\":{\"a\":1},\"offset\":8},{\"data\":2,\"offset\":9}]}}",
           "1d 0809 5a19 0a0b 22077b2261223a317d 3008 0a05 220132 3009 120165 1809");
    WRITE(write_history, ID(CENTRIFUGE_HISTORY, 9), (&(leat_stored){.epoch = S("e")}));
    expect("{\"id\":9,\"history\":{\"epoch\":\"e\",\"offset\":0,\"publications\":[]}}",
           "07 0809 5a03 120165");
    WRITE(write_history, ID(CENTRIFUGE_HISTORY, 2), (&(leat_stored){.lost = true}));
    expect("{\"id\":2,\"error\":{\"code\":112,\"message\":\"unrecoverable position\"}}",
           "1e 0802 121a 0870 1216756e7265636f76657261626c6520706f736974696f6e");
}

static void a_ping_is_a_message_without_anything(void **state)
{
    (void)state;
    leat_centrifuge_json.write_ping(&json);
    leat_centrifuge_proto.write_ping(&proto);
    expect("{}", "00");
}

/* A WebSocket frame's payload, of which the header has two bytes. */
static void put_payload(leat_buf *out, leat_event *form, unsigned char first)
{
    leat_slice frame = leat_event_frame(form);
    assert_int_equal((unsigned char)frame.at[0], first);
    assert_int_equal(frame.at[1], frame.len - 2);
    leat_buf_append(out, frame.at + 2, frame.len - 2);
}

static void expect_event(leat_event *e, const char *text, const char *hex)
{
    leat_event *as_json = leat_codec_event(&leat_centrifuge_json, e);
    leat_event *as_proto = leat_codec_event(&leat_centrifuge_proto, e);
    put_payload(&json, as_json, 0x81);
    put_payload(&proto, as_proto, 0x82);
    expect(text, hex);
    assert_ptr_equal(leat_codec_event(&leat_centrifuge_json, e), as_json);
    assert_ptr_equal(leat_codec_event(&leat_centrifuge_proto, e), as_proto);
    leat_event_unref(e);
}

static void encodes_an_event_once(void **state)
{
    (void)state;
    leat_event *e = leat_v1_event(LEAT_EVENT_DATA, S("chat:42"), 302, S("{\"a\":1}"));
    assert_null(leat_event_in_form(e, leat_centrifuge_proto.form));
    assert_null(leat_event_in_form(e, leat_centrifuge_json.form));
    expect_event(e,
                 "{\"push\":{\"channel\":\"chat:42\",\"pub\":{\"data\":{\"a\":1},\"offset\":302}}}",
                 "19 2217 1207636861743a3432 220c 22077b2261223a317d 30ae02");
    expect_event(leat_v1_event(LEAT_EVENT_SIGNAL, S("c"), 0, S("\"s\"")),
                 "{\"push\":{\"channel\":\"c\",\"pub\":{\"data\":\"s\"}}}",
                 "0c 220a 120163 2205 2203227322");
}

static void shows_nothing_of_a_skip(void **state)
{
    (void)state;
    leat_event *e = leat_v1_event(LEAT_EVENT_SKIP, S("c"), 5, none);
    assert_ptr_equal(leat_codec_event(&leat_centrifuge_json, e), e);
    assert_ptr_equal(leat_codec_event(&leat_centrifuge_proto, e), e);
    leat_event_unref(e);
}

/* From 3500 to 3999 a client stays away. */
static void gives_each_close_its_code(void **state)
{
    (void)state;
    assert_int_equal(leat_centrifuge_proto.close_code(LEAT_CLOSE_UNSUPPORTED), 3501);
    assert_int_equal(leat_centrifuge_proto.close_code(LEAT_CLOSE_IDENTITY), 3500);
    assert_int_equal(leat_centrifuge_proto.close_code(LEAT_CLOSE_GOING_AWAY), 3001);
    assert_int_equal(leat_centrifuge_proto.close_code(LEAT_CLOSE_TOO_SLOW), 3008);
    assert_int_equal(leat_centrifuge_proto.close_code(LEAT_CLOSE_EXPIRED), 3005);
    assert_int_equal(leat_centrifuge_proto.close_code(LEAT_CLOSE_DEADLINE), 3003);
}

static int close_buffers(void **state)
{
    (void)state;
    leat_buf_close(&json);
    leat_buf_close(&proto);
    leat_buf_close(&ids);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_snapshots),
        cmocka_unit_test(writes_a_snapshot_in_place_of_a_recovery),
        cmocka_unit_test(refuses_a_snapshot_to_who_wants_none),
        cmocka_unit_test(tells_a_client_to_subscribe_anew),
        cmocka_unit_test(writes_recoveries),
        cmocka_unit_test(tells_when_a_right_is_to_be_renewed),
        cmocka_unit_test(writes_renewals),
        cmocka_unit_test(puts_another_token_into_params),
        cmocka_unit_test(puts_no_token_where_none_was),
        cmocka_unit_test(writes_answers),
        cmocka_unit_test(writes_welcomes),
        cmocka_unit_test(writes_subscriptions_that_the_server_makes),
        cmocka_unit_test(tells_of_a_subscription_that_the_server_has_made),
        cmocka_unit_test(writes_errors),
        cmocka_unit_test(gives_each_failure_its_number),
        cmocka_unit_test(writes_ends),
        cmocka_unit_test(writes_history),
        cmocka_unit_test(a_ping_is_a_message_without_anything),
        cmocka_unit_test(encodes_an_event_once),
        cmocka_unit_test(shows_nothing_of_a_skip),
        cmocka_unit_test(gives_each_close_its_code),
    };
    return cmocka_run_group_tests_name("wire/centrifuge_write", tests, NULL, close_buffers);
}
