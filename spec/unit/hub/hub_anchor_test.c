/* hub_anchor_test.c - which entries of the log a server remembers, and how it tells of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hub/hub_anchor.h"

static void announced(hub_anchors *all, const char *topic, int64_t seq, int64_t at)
{
    leat_announcement a = {
        .topic = leat_slice_of(topic), .epoch = leat_slice_of("h-e"), .seq = seq, .at = at};
    hub_anchor_announced(all, &a);
}

static void read_at(hub_anchors *all, const char *topic, int64_t seq, int64_t at)
{
    leat_named_position position = {leat_slice_of("00000001-h-e"), seq, LEAT_NEVER_REVOKED};
    hub_anchor_read(all, leat_slice_of(topic), &position, at);
}

static void expect(const hub_anchors *all, const char *json)
{
    leat_buf b = LEAT_BUF_INIT;
    hub_anchor_write(all, &b);
    leat_buf_char(&b, '\0');
    assert_string_equal(json, b.at);
    leat_buf_close(&b);
}

static void test_begins_with_none(void **state)
{
    (void)state;
    hub_anchors all = {0};
    expect(&all, "[]");
    announced(&all, "signal", 0, 0);
    read_at(&all, "empty", 0, 0);
    expect(&all, "[]");
}

static void test_keeps_the_newest_announcement(void **state)
{
    (void)state;
    hub_anchors all = {0};
    announced(&all, "a", 7, 100);
    announced(&all, "b\"", 3, 101);
    expect(&all, "[{\"topic\":\"b\\\"\",\"epoch\":\"h-e\",\"seq\":3,\"at\":101}]");
}

/* Or a session that repeats its own announcement could make the server forget. */
static void test_puts_no_older_one_in_its_place(void **state)
{
    (void)state;
    hub_anchors all = {0};
    announced(&all, "a", 7, 100);
    announced(&all, "b", 3, 99);
    expect(&all, "[{\"topic\":\"a\",\"epoch\":\"h-e\",\"seq\":7,\"at\":100},"
                 "{\"topic\":\"b\",\"epoch\":\"h-e\",\"seq\":3,\"at\":99}]");
}

static void test_adds_what_was_read(void **state)
{
    (void)state;
    hub_anchors all = {0};
    read_at(&all, "a", 7, 0);
    read_at(&all, "a", 6, 90);
    expect(&all, "[{\"topic\":\"a\",\"epoch\":\"h-e\",\"seq\":7,\"at\":null}]");
    read_at(&all, "a", 7, 91);
    read_at(&all, "b", 1, 0);
    expect(&all, "[{\"topic\":\"a\",\"epoch\":\"h-e\",\"seq\":7,\"at\":91},"
                 "{\"topic\":\"b\",\"epoch\":\"h-e\",\"seq\":1,\"at\":null}]");
    hub_anchor_clear(&all);
    expect(&all, "[]");
}

static void test_is_bounded(void **state)
{
    (void)state;
    hub_anchors all = {0};
    char topic[8] = "a";
    for (int i = 0; i < 3 * HUB_ANCHORS; i++) {
        topic[0] = (char)('0' + i);
        read_at(&all, topic, 1, 0);
    }
    leat_buf b = LEAT_BUF_INIT;
    hub_anchor_write(&all, &b);
    size_t n = 0;
    for (size_t i = 0; i < b.len; i++)
        n += b.at[i] == '{';
    assert_int_equal(HUB_ANCHORS, n);
    leat_buf_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_with_none),
        cmocka_unit_test(test_keeps_the_newest_announcement),
        cmocka_unit_test(test_puts_no_older_one_in_its_place),
        cmocka_unit_test(test_adds_what_was_read),
        cmocka_unit_test(test_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
