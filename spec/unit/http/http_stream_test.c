/* http_stream: what the request of a stream route asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/http_stream.h"

static void test_accept(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool sse;
    } cases[] = {
        {"text/event-stream", true},
        {"Text/Event-Stream", true},
        {"text/html, text/event-stream;q=0.9", true},
        {"text/event-stream ; q=1", true},
        {"text/event-stream;q=0.001", true},
        {"text/event-stream;charset=utf-8;q=1", true},
        {"text/event-stream;q=0", false},
        {"text/event-stream; charset=utf-8 ; Q=0.000, */*", false},
        {"text/event-streams", false},
        {"*/*", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_http_header header = {leat_slice_of("accept"), leat_slice_of(cases[i].value)};
        leat_http_request r = {.headers = &header, .n_headers = 1};
        assert_int_equal(leat_http_stream_wants_sse(&r), cases[i].sse);
    }
}

static void test_params(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a=1&b=two", "{\"a\":\"1\",\"b\":\"two\"}"},
        {"token=secret&a=%C3%A4+%22", "{\"a\":\"\xC3\xA4 \\\"\"}"},
        {"a=1&a=2&b", "{\"a\":\"1\",\"b\":\"\"}"},
        {"ab=1&a=2&b=3", "{\"ab\":\"1\",\"a\":\"2\",\"b\":\"3\"}"},
        {"", "{}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_http_request r = {.query = leat_slice_of(cases[i][0])};
        leat_buf out = LEAT_BUF_INIT;
        const char *reason = NULL;
        assert_int_equal(leat_http_stream_params(&r, &out, &reason), 0);
        leat_buf_char(&out, '\0');
        assert_string_equal(out.at, cases[i][1]);
        leat_buf_close(&out);
    }
}

static void test_params_without_query(void **state)
{
    (void)state;
    leat_http_request r = {.query = {NULL, 0}};
    leat_buf out = LEAT_BUF_INIT;
    const char *reason = NULL;
    assert_int_equal(leat_http_stream_params(&r, &out, &reason), 0);
    assert_true(leat_slice_is(leat_buf_view(&out), "{}"));
    leat_buf_close(&out);
}

static void test_params_refused(void **state)
{
    (void)state;
    char many[1024] = "";
    for (int i = 0; i < 65; i++)
        snprintf(many + strlen(many), sizeof(many) - strlen(many), "p%d&", i);
    const char *const cases[][2] = {
        {"a=%FF", "a query parameter is not UTF-8"},
        {"%FF=1", "a query parameter is not UTF-8"},
        {many, "too many query parameters"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_http_request r = {.query = leat_slice_of(cases[i][0])};
        leat_buf out = LEAT_BUF_INIT;
        const char *reason = NULL;
        assert_int_equal(leat_http_stream_params(&r, &out, &reason), LEAT_EBADMSG);
        assert_string_equal(reason, cases[i][1]);
        leat_buf_close(&out);
    }
}

static void test_since_of_query(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int err;
        const char *epoch; /* NULL: no position */
        int64_t seq;
    } cases[] = {
        {"epoch=00000001-a&seq=17", 0, "00000001-a", 17},
        {"x=1&seq=0&epoch=e", 0, "e", 0},
        {"x=1", 0, NULL, 0},
        {"epoch=e", LEAT_EBADMSG, NULL, 0},
        {"seq=1", LEAT_EBADMSG, NULL, 0},
        {"epoch=e&seq=-1", LEAT_EBADMSG, NULL, 0},
        {"epoch=e&seq=1.0", LEAT_EBADMSG, NULL, 0},
        {"epoch=e&seq=9007199254740992", LEAT_EBADMSG, NULL, 0},
        {"epoch=&seq=1", LEAT_EBADMSG, NULL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_http_request r = {.query = leat_slice_of(cases[i].query)};
        leat_buf epoch = LEAT_BUF_INIT;
        leat_named_position since;
        const char *reason = NULL;
        assert_int_equal(leat_http_stream_since(&r, false, &epoch, &since, &reason), cases[i].err);
        if (cases[i].err == 0) {
            assert_true(cases[i].epoch == NULL ? since.epoch.at == NULL
                                               : leat_slice_is(since.epoch, cases[i].epoch));
            assert_int_equal(since.seq, cases[i].seq);
        }
        leat_buf_close(&epoch);
    }
}

static void test_last_event_id_wins(void **state)
{
    (void)state;
    leat_http_header header = {leat_slice_of("last-event-id"), leat_slice_of("00000001-a:9")};
    leat_http_request r = {
        .headers = &header, .n_headers = 1, .query = leat_slice_of("epoch=e&seq=1")};
    leat_buf epoch = LEAT_BUF_INIT;
    leat_named_position since;
    const char *reason = NULL;

    assert_int_equal(leat_http_stream_since(&r, true, &epoch, &since, &reason), 0);
    assert_true(leat_slice_is(since.epoch, "00000001-a"));
    assert_int_equal(since.seq, 9);

    header.value = leat_slice_of("not ours");
    assert_int_equal(leat_http_stream_since(&r, true, &epoch, &since, &reason), 0);
    assert_null(since.epoch.at);
    leat_buf_close(&epoch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept),         cmocka_unit_test(test_params),
        cmocka_unit_test(test_params_refused), cmocka_unit_test(test_params_without_query),
        cmocka_unit_test(test_since_of_query), cmocka_unit_test(test_last_event_id_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
