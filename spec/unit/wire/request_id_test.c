#include "wire/request_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define TAIL "-00f067aa0ba902b7-01"

/* The id by both ways; NULL: there is none. */
static void check(const char *expected, const leat_http_header *headers, size_t n)
{
    leat_http_request request = {
        .headers = headers, .n_headers = n, .method = leat_slice_of("GET")};
    leat_buf packed = LEAT_BUF_INIT;
    leat_head_pack(&packed, &request, "", (leat_slice){NULL, 0});
    leat_head head = leat_head_read(leat_buf_view(&packed));
    leat_slice ids[] = {leat_request_id(&request), leat_request_id_of_head(&head)};

    for (size_t i = 0; i < 2; i++) {
        if (expected == NULL)
            assert_null(ids[i].at);
        else
            assert_true(ids[i].at != NULL && leat_slice_is(ids[i], expected));
    }
    leat_buf_close(&packed);
}

static void check_one(const char *expected, const char *name, const char *value)
{
    leat_http_header header = {leat_slice_of(name), leat_slice_of(value)};
    check(expected, &header, 1);
}

static void takes_the_trace_of_a_traceparent(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00-" TRACE "-00f067aa0ba902b7",
        "00-" TRACE TAIL "-more",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736" TAIL,
        "00-00000000000000000000000000000000" TAIL,
        "ff-" TRACE TAIL,
        "0x-" TRACE TAIL,
        "00_" TRACE TAIL,
        "01-" TRACE TAIL "more",
        "00-4bf92f3577b34da6a3ce929d0e0e473*" TAIL,
        "00-" TRACE "-00f067aa0ba902b7-0z",
    };
    check_one(TRACE, "traceparent", "00-" TRACE TAIL);
    check_one(TRACE, "traceparent", "01-" TRACE TAIL "-more");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_one(NULL, "traceparent", bad[i]);
}

static void takes_a_plain_x_request_id(void **state)
{
    (void)state;
    char longest[LEAT_REQUEST_ID_MAX + 2];
    static const char *const bad[] = {"",     "a b",      "a*/b", "a\"", "a=b",
                                      "a\nb", "\xc3\xa4", "a;b",  "--'"};
    memset(longest, 'x', sizeof(longest));
    longest[LEAT_REQUEST_ID_MAX] = '\0';
    check_one("7b.F_-1", "x-request-id", "7b.F_-1");
    check_one(longest, "x-request-id", longest);
    longest[LEAT_REQUEST_ID_MAX] = 'x';
    longest[LEAT_REQUEST_ID_MAX + 1] = '\0';
    check_one(NULL, "x-request-id", longest);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_one(NULL, "x-request-id", bad[i]);
    check_one(NULL, "x-other", "7b");
}

static void prefers_the_trace(void **state)
{
    (void)state;
    leat_http_header both[] = {{leat_slice_of("x-request-id"), leat_slice_of("plain")},
                               {leat_slice_of("traceparent"), leat_slice_of("00-" TRACE TAIL)}};
    check(TRACE, both, 2);
    both[1].value = leat_slice_of("nonsense");
    check("plain", both, 2);
    check(NULL, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_trace_of_a_traceparent),
        cmocka_unit_test(takes_a_plain_x_request_id),
        cmocka_unit_test(prefers_the_trace),
    };
    return cmocka_run_group_tests_name("wire/request_id", tests, NULL, NULL);
}
