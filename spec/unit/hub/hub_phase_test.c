/* hub_phase_test.c - workers are told when the hub becomes ready, and when it no longer is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub_phase.h"

static int n_told;
static bool last_told;

void hub_worker_tell_confirmed(hub_worker *w, bool confirmed)
{
    (void)w;
    n_told++;
    last_told = confirmed;
}

static void tells_workers_of_what_concerns_them(void **state)
{
    (void)state;
    leat_hub hub = {0};
    hub_worker worker = {0};
    leat_list_init(&hub.workers);
    leat_list_push(&hub.workers, &worker.hub_link);
    assert_int_equal(0, hub_health_init(&hub.health));

    hub_phase_set(&hub, HUB_UNCONFIRMED);
    assert_int_equal(0, n_told);
    hub_phase_set(&hub, HUB_READY);
    assert_int_equal(1, n_told);
    assert_true(last_told);
    hub_phase_set(&hub, HUB_READY);
    assert_int_equal(1, n_told);
    hub_phase_set(&hub, HUB_UNCONNECTED);
    assert_int_equal(2, n_told);
    assert_false(last_told);

    hub_health_close(&hub.health);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_workers_of_what_concerns_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
