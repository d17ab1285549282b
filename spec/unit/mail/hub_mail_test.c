/* hub_mail_test.c - a mail holds the news of a turn, in order, with all that they name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/hub_mail.h"
#include "wire/leat_v1.h"

static leat_event *event(int64_t seq)
{
    return leat_v1_event(LEAT_EVENT_DATA, leat_slice_of("t"), seq, leat_slice_of("1"));
}

static void copies_what_it_is_told(void **state)
{
    (void)state;
    char name[] = "t", epoch[] = "e";
    leat_topic_life life = {leat_slice_of(name), 5};
    leat_hub_mail *m = leat_hub_mail_new();
    leat_hub_mail_armed(m, life);
    leat_hub_mail_begin(m, life, &(leat_named_position){leat_slice_of(epoch), 3, 2});
    leat_hub_mail_reset(m, life, LEAT_RESET_EPOCH);
    name[0] = epoch[0] = 'x';

    assert_int_equal(3, m->n);
    assert_int_equal(LEAT_HUB_ARMED, m->news[0].kind);
    assert_true(leat_slice_is(m->news[0].armed.name, "t"));
    assert_int_equal(5, m->news[0].armed.generation);
    assert_int_equal(LEAT_HUB_BEGIN, m->news[1].kind);
    assert_true(leat_slice_is(m->news[1].begin.topic.name, "t"));
    assert_int_equal(5, m->news[1].begin.topic.generation);
    assert_true(leat_slice_is(m->news[1].begin.at.epoch, "e"));
    assert_int_equal(3, m->news[1].begin.at.seq);
    assert_int_equal(2, m->news[1].begin.at.revoked);
    assert_int_equal(LEAT_HUB_RESET, m->news[2].kind);
    assert_true(leat_slice_is(m->news[2].reset.topic.name, "t"));
    assert_int_equal(LEAT_RESET_EPOCH, m->news[2].reset.reason);
    leat_hub_mail_free(m);
}

static void keeps_the_order_of_any_number(void **state)
{
    (void)state;
    leat_hub_mail *m = leat_hub_mail_new();
    size_t bytes = 0;
    for (int64_t seq = 1; seq <= 100; seq++) {
        leat_event *e = event(seq);
        bytes += leat_event_bytes(e);
        leat_hub_mail_event(m, LEAT_HUB_EVENT, 1, e);
        leat_event_unref(e);
    }
    leat_hub_mail_add(m, LEAT_HUB_CLOSED);

    assert_int_equal(101, m->n);
    assert_int_equal(bytes, m->bytes);
    for (int64_t seq = 1; seq <= 100; seq++)
        assert_int_equal(seq, leat_event_seq(m->news[seq - 1].event.event));
    assert_int_equal(LEAT_HUB_CLOSED, m->news[100].kind);
    leat_hub_mail_free(m);
}

static void gives_an_event_away(void **state)
{
    (void)state;
    leat_event *e = event(1);
    leat_hub_mail *m = leat_hub_mail_new();
    leat_hub_mail_event(m, LEAT_HUB_EVENT, 1, e);
    leat_event_unref(e);

    leat_event *taken = leat_hub_news_take_event(&m->news[0]);
    leat_hub_mail_free(m);

    assert_int_equal(1, leat_event_seq(taken));
    leat_event_unref(taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_what_it_is_told),
        cmocka_unit_test(keeps_the_order_of_any_number),
        cmocka_unit_test(gives_an_event_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
