#include "wire/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void writes_the_head(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_sse_write_head(&out, leat_slice_of("Vary: Origin\r\n"));
    leat_buf_char(&out, '\0');
    assert_int_equal(strncmp(out.at, "HTTP/1.1 200 OK\r\nDate: ", 23), 0);
    assert_non_null(strstr(out.at, "\r\nContent-Type: text/event-stream\r\n"));
    assert_non_null(strstr(out.at, "\r\nCache-Control: no-cache, no-store\r\n"));
    assert_non_null(strstr(out.at, "\r\nConnection: close\r\nVary: Origin\r\n"));
    assert_null(strstr(out.at, "Content-Length"));
    assert_string_equal(out.at + strlen(out.at) - 4, "\r\n\r\n");
    leat_buf_close(&out);
}

static void writes_events(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_sse_write_prefix(&out, "event", leat_slice_of("00000001-x"), 9007199254740991);
    leat_buf_text(&out, "{}" LEAT_SSE_END);
    leat_sse_write_prefix(&out, "signal", (leat_slice){NULL, 0}, 0);
    leat_buf_text(&out, "{}" LEAT_SSE_END);
    leat_buf_char(&out, '\0');
    assert_string_equal(out.at, "event: event\nid: 00000001-x:9007199254740991\ndata: {}\n\n"
                                "event: signal\ndata: {}\n\n");
    leat_buf_close(&out);
}

static void reads_positions_back(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        const char *epoch; /* NULL: not one of ours */
        int64_t seq;
    } ids[] = {
        {"00000001-x:17", "00000001-x", 17},
        {"e:0", "e", 0},
        {"a:b:3", "a:b", 3},
        {"e:9007199254740991", "e", 9007199254740991},
        {"e:9007199254740992", NULL, 0},
        {"e:99999999999999999999", NULL, 0},
        {"e:-1", NULL, 0},
        {"e:+1", NULL, 0},
        {"e:01", NULL, 0},
        {"e:1.0", NULL, 0},
        {"e: 1", NULL, 0},
        {"e:1 ", NULL, 0},
        {"e:", NULL, 0},
        {":1", NULL, 0},
        {"17", NULL, 0},
        {":", NULL, 0},
        {"", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        leat_slice epoch = {NULL, 0};
        int64_t seq = -7;
        bool ok = leat_sse_parse_id(leat_slice_of(ids[i].id), &epoch, &seq);
        assert_int_equal(ok, ids[i].epoch != NULL);
        assert_true(leat_slice_is(epoch, ids[i].epoch));
        assert_true(seq == (ok ? ids[i].seq : -7));
    }
    leat_slice epoch;
    int64_t seq;
    assert_false(leat_sse_parse_id((leat_slice){NULL, 0}, &epoch, &seq));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_head),
        cmocka_unit_test(writes_events),
        cmocka_unit_test(reads_positions_back),
    };
    return cmocka_run_group_tests_name("wire/sse", tests, NULL, NULL);
}
