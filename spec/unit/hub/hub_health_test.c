/* hub_health_test.c - what /readyz says about the hub. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub_health.h"

static hub_health health;

static int set_up(void **state)
{
    (void)state;
    return hub_health_init(&health);
}

static int tear_down(void **state)
{
    (void)state;
    hub_health_close(&health);
    return 0;
}

/* reason: "" if all is to be well. */
static void expect(leat_hub_part part, const char *reason)
{
    leat_buf b = LEAT_BUF_INIT;
    assert_int_equal(reason[0] == '\0', hub_health_check(&health, part, &b));
    assert_true(leat_slice_is(leat_buf_view(&b), reason));
    leat_buf_close(&b);
}

static void is_not_well_at_first(void **state)
{
    (void)state;
    expect(LEAT_HUB_LISTENER, "down");
    expect(LEAT_HUB_HISTORY, "not confirmed yet");
    expect(LEAT_HUB_OUTBOX, "");
}

static void is_well_when_it_is_ready(void **state)
{
    (void)state;
    hub_health_set_phase(&health, HUB_UNCONFIRMED);
    expect(LEAT_HUB_LISTENER, "");
    expect(LEAT_HUB_HISTORY, "not confirmed yet");
    hub_health_set_phase(&health, HUB_READY);
    expect(LEAT_HUB_HISTORY, "");
}

static void tells_why_the_listener_is_down(void **state)
{
    (void)state;
    hub_health_set_trouble(&health, LEAT_HUB_LISTENER, "too many connections");
    expect(LEAT_HUB_LISTENER, "down: too many connections");
    hub_health_set_trouble(&health, LEAT_HUB_LISTENER, NULL);
    hub_health_set_phase(&health, HUB_UNCONFIRMED);
    expect(LEAT_HUB_LISTENER, "");
}

static void tells_what_is_wrong_until_it_is_well_again(void **state)
{
    (void)state;
    hub_health_set_trouble(&health, LEAT_HUB_HISTORY, "lost");
    hub_health_set_trouble(&health, LEAT_HUB_OUTBOX, "denied");
    expect(LEAT_HUB_HISTORY, "lost");
    expect(LEAT_HUB_OUTBOX, "denied");
    hub_health_set_trouble(&health, LEAT_HUB_OUTBOX, NULL);
    expect(LEAT_HUB_OUTBOX, "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(is_not_well_at_first),
        TEST(is_well_when_it_is_ready),
        TEST(tells_why_the_listener_is_down),
        TEST(tells_what_is_wrong_until_it_is_well_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
