#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire/written.h"

#define S(text) leat_slice_of(text)

static void assert_text(leat_buf *b, const char *expected)
{
    leat_buf_char(b, '\0');
    assert_string_equal(b->at, expected);
    b->len--;
}

static void keeps_the_last_position_of_each_topic(void **state)
{
    (void)state;
    leat_buf lines = LEAT_BUF_INIT;
    assert_int_equal(leat_written_add(&lines, S("0a\nh-e 1 a b\nh-f 2 c")), 0);
    assert_text(&lines, "0a-h-e 1 a b\n0a-h-f 2 c\n");
    assert_int_equal(leat_written_add(&lines, S("0a\nh-e 3 a b\n")), 0);
    assert_text(&lines, "0a-h-f 2 c\n0a-h-e 3 a b\n");
    leat_buf_close(&lines);
}

static void keeps_the_last_topics(void **state)
{
    (void)state;
    leat_buf lines = LEAT_BUF_INIT;
    for (int i = 0; i < LEAT_WRITTEN_MAX + 2; i++) {
        char report[64];
        snprintf(report, sizeof(report), "0\ne 1 t%d", i);
        assert_int_equal(leat_written_add(&lines, S(report)), 0);
    }
    leat_slice rest = leat_buf_view(&lines);
    leat_written_position at;
    size_t n = 0;
    while (leat_written_next(&rest, &at))
        if (n++ == 0)
            assert_true(leat_slice_is(at.topic, "t2"));
    assert_int_equal(n, LEAT_WRITTEN_MAX);
    leat_buf_close(&lines);
}

static void refuses_what_is_no_report(void **state)
{
    (void)state;
    static const char *const reports[] = {
        "",
        "0",
        "0\n",
        "\ne 1 t",
        "0\ne 1",
        "0\ne 1 ",
        "0\n 1 t",
        "0\ne x t",
        "0\ne -1 t",
        "0\ne 0 t",
        "0\ne  t",
        "0\ne 1 t\nx",
        "0\ne 1 t\x01",
        "0\ne 9007199254740992 t",
        "0\ne 99999999999999999 t",
        "0\ne 1 t\xff",
    };
    for (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
        leat_buf lines = LEAT_BUF_INIT;
        if (leat_written_add(&lines, S(reports[i])) != LEAT_EBADMSG || lines.len != 0)
            fail_msg("%zu was taken", i);
        leat_buf_close(&lines);
    }
}

static void writes_a_header(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_written_write_header(&out, S(""));
    assert_int_equal(out.len, 0);
    leat_written_write_header(&out, S("e-f 7 chat:42\ng 8 k\xc3\xa4se, 1%\"\n"));
    assert_text(&out, "Leat-Position: chat:42 e-f:7, k%C3%A4se%2C%201%25%22 g:8\r\n");
    leat_buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_last_position_of_each_topic),
        cmocka_unit_test(keeps_the_last_topics),
        cmocka_unit_test(refuses_what_is_no_report),
        cmocka_unit_test(writes_a_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
