#include "base/event.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char frame[] = "\x81\x15{\"op\":1,\"data\":[1,2]}";

static leat_event *make_event(void)
{
    leat_event *e = leat_event_new(LEAT_EVENT_DATA, leat_slice_of("chat:42"), 9007199254740991,
                                   sizeof(frame) - 1, 2, 17, 5);
    memcpy(leat_event_frame_room(e), frame, sizeof(frame) - 1);
    return e;
}

static void shows_the_parts_of_its_frame(void **state)
{
    (void)state;

    leat_event *e = make_event();

    assert_int_equal(leat_event_kind_of(e), LEAT_EVENT_DATA);
    assert_true(leat_slice_is(leat_event_topic(e), "chat:42"));
    assert_true(leat_event_seq(e) == 9007199254740991);
    assert_true(leat_slice_is(leat_event_frame(e), frame));
    assert_true(leat_slice_is(leat_event_payload(e), "{\"op\":1,\"data\":[1,2]}"));
    assert_true(leat_slice_is(leat_event_data(e), "[1,2]"));
    assert_true(leat_event_bytes(e) > sizeof(frame) - 1 + 7);
    leat_event_unref(e);
}

static void may_have_a_key_that_is_not_sent(void **state)
{
    (void)state;
    leat_event *e = make_event();
    assert_null(leat_event_key(e).at);
    size_t plain = leat_event_bytes(e);
    leat_event_unref(e);

    e = leat_event_new_conflating(leat_slice_of("chat:42"), leat_slice_of("key"), sizeof(frame) - 1,
                                  2, 17, 5);
    memcpy(leat_event_frame_room(e), frame, sizeof(frame) - 1);

    assert_int_equal(leat_event_kind_of(e), LEAT_EVENT_SIGNAL);
    assert_true(leat_slice_is(leat_event_key(e), "key"));
    assert_true(leat_slice_is(leat_event_frame(e), frame));
    assert_int_equal(plain + 3, leat_event_bytes(e));
    leat_event_unref(e);
}

static void lives_until_the_last_reference_is_dropped(void **state)
{
    (void)state;
    leat_event *e = make_event();

    assert_ptr_equal(leat_event_ref(e), e);
    leat_event_unref(e);

    assert_true(leat_slice_is(leat_event_data(e), "[1,2]"));
    leat_event_unref(e);
}

static void *ref_and_unref(void *arg)
{
    for (int i = 0; i < 10000; i++)
        leat_event_unref(leat_event_ref(arg));
    return NULL;
}

static void counts_references_of_several_threads(void **state)
{
    (void)state;
    leat_event *e = make_event();
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, e), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);

    assert_true(leat_slice_is(leat_event_data(e), "[1,2]"));
    leat_event_unref(e);
}

static void *offer_a_twin(void *arg)
{
    return leat_event_set_form(arg, LEAT_FORM_COMPRESSED, make_event());
}

static void has_one_twin_whoever_is_first(void **state)
{
    (void)state;
    leat_event *e = make_event();
    pthread_t threads[4];
    void *twins[4];

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, offer_a_twin, e), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], &twins[i]);

    for (int i = 0; i < 4; i++)
        assert_ptr_equal(twins[i], leat_event_in_form(e, LEAT_FORM_COMPRESSED));
    leat_event_unref(e); /* all others are freed already: the leak checker would tell */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_the_parts_of_its_frame),
        cmocka_unit_test(may_have_a_key_that_is_not_sent),
        cmocka_unit_test(lives_until_the_last_reference_is_dropped),
        cmocka_unit_test(counts_references_of_several_threads),
        cmocka_unit_test(has_one_twin_whoever_is_first),
    };
    return cmocka_run_group_tests_name("base/event", tests, NULL, NULL);
}
