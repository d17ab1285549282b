/* http_refusal: every code of the wire has its status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http_refusal.h"
#include "wire/http.h"

static const struct {
    leat_code code;
    int status;
    int connect_status;
    leat_metric metric;
} cases[] = {
    {LEAT_CODE_BAD_REQUEST, 400, 401, LEAT_M_HANDSHAKES_REFUSED},
    {LEAT_CODE_UNAUTHENTICATED, 401, 401, LEAT_M_HANDSHAKES_REFUSED},
    {LEAT_CODE_FORBIDDEN, 403, 401, LEAT_M_HANDSHAKES_REFUSED},
    {LEAT_CODE_NOT_FOUND, 404, 401, LEAT_M_HANDSHAKES_REFUSED},
    {LEAT_CODE_ALREADY_SUBSCRIBED, 409, 401, LEAT_M_HANDSHAKES_REFUSED},
    {LEAT_CODE_LIMIT, 429, 429, LEAT_M_HANDSHAKES_REFUSED},
    {LEAT_CODE_RATE_LIMITED, 429, 429, LEAT_M_HANDSHAKES_REFUSED},
    {LEAT_CODE_DEADLINE_EXCEEDED, 503, 503, LEAT_M_HANDSHAKES_DEADLINE},
    {LEAT_CODE_UNAVAILABLE, 503, 503, LEAT_M_HANDSHAKES_UNAVAILABLE},
    {LEAT_CODE_TOO_LARGE, 413, 401, LEAT_M_HANDSHAKES_REFUSED},
    {LEAT_CODE_INTERNAL, 500, 500, LEAT_M_HANDSHAKES_INTERNAL},
    {LEAT_CODE_REVOKED, 403, 401, LEAT_M_HANDSHAKES_REFUSED},
};

static void test_statuses(void **state)
{
    (void)state;
    assert_int_equal(sizeof(cases) / sizeof(cases[0]), LEAT_CODE_COUNT - 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(leat_http_status_of(cases[i].code), cases[i].status);
        assert_int_equal(leat_http_refusal_connect_status(cases[i].code), cases[i].connect_status);
        assert_int_equal(leat_http_refusal_metric(cases[i].code), cases[i].metric);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_statuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
