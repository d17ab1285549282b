#include "pg/pg_shares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MAX = 200 };

typedef struct stand {
    leat_metrics_registry *registry;
    leat_metrics *metrics;
    leat_pg_shares *shares;
    leat_pg_place places[MAX];
    leat_pg_lease leases[MAX];
    int n_places;
    int n_leases;
} stand;

static const leat_pg_shares_limits limits = {
    .size = 10, .reserve = 2, .per_client = 3, .per_user = 5, .crowd = 3, .max_waiters = 40};

static void set_up(stand *s)
{
    memset(s, 0, sizeof(*s));
    s->registry = leat_metrics_registry_new();
    s->metrics = leat_metrics_new(s->registry);
    s->shares = leat_pg_shares_new(&limits, s->metrics);
    for (int i = 0; i < MAX; i++)
        leat_list_init(&s->places[i].link_);
}

static void tear_down(stand *s)
{
    for (int i = 0; i < s->n_leases; i++)
        leat_pg_shares_return(s->shares, &s->leases[i]);
    while (leat_pg_shares_drain(s->shares) != NULL)
        continue;
    leat_pg_shares_free(s->shares);
    leat_metrics_registry_free(s->registry);
}

static int try_wait(stand *s, leat_pg_kind kind, uint64_t client, const char *user)
{
    leat_pg_bill bill = {.kind = kind, .client = client, .user = leat_slice_of(user)};
    int err = leat_pg_shares_wait(s->shares, &s->places[s->n_places], &bill, 0);
    s->n_places += err == 0;
    return err;
}

static void wait_n(stand *s, int n, leat_pg_kind kind, uint64_t client, const char *user)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(try_wait(s, kind, client, user), 0);
}

/* A client of its own each, for control. */
static int try_wait_in_crowd(stand *s, leat_pg_kind kind)
{
    leat_pg_bill bill = {.kind = kind, .client = 1000 + (uint64_t)s->n_places, .of_crowd = true};
    int err = leat_pg_shares_wait(s->shares, &s->places[s->n_places], &bill, 0);
    s->n_places += err == 0;
    return err;
}

static void wait_in_crowd(stand *s, int n, leat_pg_kind kind)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(try_wait_in_crowd(s, kind), 0);
}

/* Who is next, by the number of its place; -1: nobody may. */
static int next(stand *s)
{
    leat_pg_place *t = leat_pg_shares_next(s->shares, &s->leases[s->n_leases]);
    if (t == NULL)
        return -1;
    s->n_leases++;
    return (int)(t - s->places);
}

static int lease_all(stand *s)
{
    int n = 0;
    while (s->n_leases < (int)limits.size && next(s) >= 0)
        n++;
    return n;
}

static void serves_a_client_in_his_order(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    wait_n(&s, 3, LEAT_PG_CONTROL, 1, NULL);

    assert_int_equal(next(&s), 0);
    assert_int_equal(next(&s), 1);
    assert_int_equal(next(&s), 2);
    tear_down(&s);
}

static void alternates_between_clients(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    wait_n(&s, 10, LEAT_PG_CONTROL, 1, NULL); /* 0 to 9 */
    wait_n(&s, 1, LEAT_PG_CONTROL, 2, NULL);  /* 10 */
    wait_n(&s, 1, LEAT_PG_CONTROL, 3, NULL);  /* 11 */

    assert_int_equal(next(&s), 0);
    assert_int_equal(next(&s), 10);
    assert_int_equal(next(&s), 11);
    assert_int_equal(next(&s), 1);
    tear_down(&s);
}

static void alternates_between_the_two_kinds(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    for (uint64_t c = 1; c <= 3; c++)
        wait_n(&s, 1, LEAT_PG_CALL, c, NULL);
    for (uint64_t c = 4; c <= 6; c++)
        wait_n(&s, 1, LEAT_PG_CONTROL, c, NULL);

    assert_int_equal(next(&s), 3);
    assert_int_equal(next(&s), 0);
    assert_int_equal(next(&s), 4);
    assert_int_equal(next(&s), 1);
    tear_down(&s);
}

static void lets_what_has_started_go_on_first(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    wait_n(&s, 1, LEAT_PG_CONTROL, 1, NULL); /* 0 */
    wait_n(&s, 1, LEAT_PG_CONTROL, 2, NULL);
    wait_n(&s, 1, LEAT_PG_CALL, 3, NULL);
    wait_n(&s, 1, LEAT_PG_STARTED, 4, NULL); /* 3 */
    wait_n(&s, 1, LEAT_PG_STARTED, 1, NULL);

    assert_int_equal(leat_pg_shares_ahead(s.shares, false), 5);
    assert_int_equal(next(&s), 3);
    assert_int_equal(next(&s), 2); /* a call has its turn all the same */
    assert_int_equal(next(&s), 4);
    assert_int_equal(next(&s), 0);
    assert_int_equal(next(&s), 1);
    tear_down(&s);
}

static void lets_others_begin_though_a_crowd_goes_on(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    for (uint64_t c = 1; c <= 8; c++)
        wait_n(&s, 1, LEAT_PG_STARTED, c, NULL); /* 0 to 7 */
    wait_n(&s, 1, LEAT_PG_CONTROL, 9, NULL);     /* 8 */
    wait_n(&s, 1, LEAT_PG_CONTROL, 10, NULL);    /* 9 */

    static const int order[] = {0, 1, 2, 8, 3, 4, 5, 9, 6, 7};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        assert_int_equal(next(&s), order[i]);
    tear_down(&s);
}

static void holds_a_client_to_his_share(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    wait_n(&s, 10, LEAT_PG_CALL, 1, NULL); /* 0 to 9 */
    assert_int_equal(lease_all(&s), 2);
    wait_n(&s, 10, LEAT_PG_CONTROL, 1, NULL); /* 10 to 19: one of the share is theirs */
    assert_int_equal(next(&s), 10);
    assert_int_equal(next(&s), -1);
    wait_n(&s, 1, LEAT_PG_CALL, 2, NULL); /* 20 */
    assert_int_equal(next(&s), 20);

    leat_pg_shares_return(s.shares, &s.leases[0]);
    leat_pg_shares_return(s.shares, &s.leases[2]);
    assert_int_equal(next(&s), 11);
    assert_int_equal(next(&s), 2);
    assert_int_equal(next(&s), -1);
    assert_true(leat_metrics_get(s.metrics, LEAT_M_POOL_HELD_CLIENT) > 0);
    tear_down(&s);
}

static void holds_all_clients_of_a_user_to_his_share(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    for (uint64_t c = 1; c <= 8; c++)
        wait_n(&s, 1, LEAT_PG_CONTROL, c, "eve"); /* 0 to 7 */
    assert_int_equal(lease_all(&s), 5);
    wait_n(&s, 1, LEAT_PG_CONTROL, 9, "bob"); /* 8 */
    assert_int_equal(next(&s), 8);
    assert_int_equal(next(&s), -1);

    leat_pg_shares_return(s.shares, &s.leases[0]);
    assert_int_equal(next(&s), 5);
    assert_int_equal(next(&s), -1);
    assert_true(leat_metrics_get(s.metrics, LEAT_M_POOL_HELD_USER) > 0);
    tear_down(&s);
}

static void holds_all_crowds_to_their_share(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    wait_in_crowd(&s, 8, LEAT_PG_CONTROL); /* 0 to 7 */
    assert_int_equal(lease_all(&s), 3);
    assert_int_equal(leat_metrics_get(s.metrics, LEAT_M_POOL_HELD_CROWD), 0);
    wait_in_crowd(&s, 1, LEAT_PG_STARTED); /* 8 */
    assert_int_equal(leat_metrics_get(s.metrics, LEAT_M_POOL_HELD_CROWD), 1);
    assert_int_equal(next(&s), -1);
    wait_n(&s, 1, LEAT_PG_CONTROL, 9, NULL); /* 9 */
    wait_n(&s, 1, LEAT_PG_CALL, 10, NULL);   /* 10 */
    assert_int_equal(leat_pg_shares_ahead(s.shares, false), 3);
    assert_int_equal(leat_pg_shares_ahead(s.shares, true), 8);
    assert_int_equal(next(&s), 10);
    assert_int_equal(next(&s), 9);
    assert_int_equal(next(&s), -1);

    leat_pg_shares_return(s.shares, &s.leases[0]);
    assert_int_equal(next(&s), 8); /* what has started goes on first */
    assert_int_equal(next(&s), -1);
    tear_down(&s);
}

static void alternates_between_crowds_and_the_rest(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    wait_in_crowd(&s, 4, LEAT_PG_CONTROL);   /* 0 to 3 */
    wait_n(&s, 1, LEAT_PG_CONTROL, 1, NULL); /* 4 */
    wait_n(&s, 1, LEAT_PG_CONTROL, 2, NULL); /* 5 */

    static const int order[] = {4, 0, 5, 1, 2, -1};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        assert_int_equal(next(&s), order[i]);
    tear_down(&s);
}

/* Calls have shares of their own. */
static void takes_a_crowds_calls_for_calls(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    wait_in_crowd(&s, 10, LEAT_PG_CALL);
    assert_int_equal(lease_all(&s), 8);
    tear_down(&s);
}

static void keeps_a_quarter_of_the_places_from_crowds(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    wait_in_crowd(&s, 30, LEAT_PG_CONTROL);
    assert_int_equal(try_wait_in_crowd(&s, LEAT_PG_STARTED), LEAT_EBUSY);
    assert_int_equal(try_wait(&s, LEAT_PG_CONTROL, 1, NULL), 0);
    tear_down(&s);
}

static void gives_the_chance_of_one_who_leaves_to_the_next(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    for (uint64_t c = 1; c <= 8; c++)
        wait_n(&s, 1, LEAT_PG_CONTROL, c, "eve");
    lease_all(&s); /* 0 to 4; 5, 6, 7 stand aside */
    leat_pg_shares_return(s.shares, &s.leases[0]);
    leat_pg_shares_leave(s.shares, &s.places[5]); /* who would have been next */

    assert_int_equal(next(&s), 6);
    assert_int_equal(next(&s), -1);
    tear_down(&s);
}

static void passes_by_a_client_that_has_his_share_though_the_user_has_not(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    wait_n(&s, 4, LEAT_PG_CONTROL, 1, "eve");      /* 0 to 3 */
    wait_n(&s, 3, LEAT_PG_CONTROL, 2, "eve");      /* 4 to 6 */
    assert_int_equal(lease_all(&s), 5);            /* 0 4 1 5 2 */
    wait_n(&s, 1, LEAT_PG_CONTROL, 3, "eve");      /* 7 */
    assert_int_equal(next(&s), -1);                /* 3, 6 and 7 stand aside */
    leat_pg_shares_return(s.shares, &s.leases[1]); /* client 2's */

    assert_int_not_equal(next(&s), 3); /* client 1 has three */
    assert_int_equal(next(&s), -1);
    tear_down(&s);
}

static void keeps_a_reserve_from_calls(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    for (uint64_t c = 1; c <= 12; c++)
        wait_n(&s, 1, LEAT_PG_CALL, c, NULL); /* 0 to 11 */
    assert_int_equal(lease_all(&s), 8);
    wait_n(&s, 1, LEAT_PG_CONTROL, 13, NULL); /* 12 */
    assert_int_equal(next(&s), 12);
    assert_int_equal(next(&s), -1);

    leat_pg_shares_return(s.shares, &s.leases[0]);
    assert_int_equal(next(&s), 8);
    tear_down(&s);
}

static void counts_nobodys_reads_for_nobody(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    wait_n(&s, 10, LEAT_PG_CONTROL, 0, NULL);

    assert_int_equal(lease_all(&s), 10);
    tear_down(&s);
}

static void bounds_who_waits(void **state)
{
    (void)state;
    stand s;
    set_up(&s);

    wait_n(&s, 10, LEAT_PG_CALL, 1, "eve");
    assert_int_equal(try_wait(&s, LEAT_PG_CALL, 2, "eve"), LEAT_EBUSY); /* a quarter of all */
    assert_int_equal(try_wait(&s, LEAT_PG_CONTROL, 2, "eve"), LEAT_EBUSY);
    wait_n(&s, 20, LEAT_PG_CALL, 3, NULL);
    assert_int_equal(try_wait(&s, LEAT_PG_CALL, 4, NULL), LEAT_EBUSY); /* calls: three quarters */
    wait_n(&s, 10, LEAT_PG_CONTROL, 5, NULL);
    assert_int_equal(try_wait(&s, LEAT_PG_CONTROL, 6, NULL), LEAT_EBUSY);
    assert_int_equal(leat_metrics_get(s.metrics, LEAT_M_POOL_REFUSED), 4);
    tear_down(&s);
}

/* Whatever happens in whatever order: the shares hold, and nobody who may go stands aside. */
static void holds_its_shares_in_any_order(void **state)
{
    (void)state;
    uint64_t dice = 42;
    for (int round = 0; round < 300; round++) {
        stand s;
        int held[MAX];
        int client_of[MAX];
        bool control[MAX];
        int n_client[7] = {0}, n_user[3] = {0}, n_all = 0;
        set_up(&s);
        for (int step = 0; step < 150; step++) {
            dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407u;
            unsigned what = (unsigned)(dice >> 33) % 100;
            uint64_t client = 1 + (dice >> 41) % 6;
            char user[2] = {(char)('a' + client % 2), '\0'};
            if (what < 50) {
                client_of[s.n_places] = (int)client;
                control[s.n_places] = what % 2 == 0;
                (void)try_wait(&s, what % 2 ? LEAT_PG_CALL : LEAT_PG_CONTROL, client, user);
            } else if (what < 65 && s.n_places > 0) {
                leat_pg_place *t = &s.places[(dice >> 45) % (unsigned)s.n_places];
                if (t->line_ != NULL)
                    leat_pg_shares_leave(s.shares, t);
            } else if (what < 80 && s.n_leases > 0) {
                int i = (int)((dice >> 45) % (unsigned)s.n_leases);
                if (s.leases[i].line_ != NULL) {
                    leat_pg_shares_return(s.shares, &s.leases[i]);
                    n_all--;
                    n_client[held[i]]--;
                    n_user[held[i] % 2]--;
                }
            }
            while (n_all < (int)limits.size) {
                int place = next(&s);
                if (place < 0)
                    break;
                held[s.n_leases - 1] = client_of[place];
                n_all++;
                assert_in_range(++n_client[client_of[place]], 1, limits.per_client);
                assert_in_range(++n_user[client_of[place] % 2], 1, limits.per_user);
            }
            for (int i = 0; i < s.n_places && n_all < (int)limits.size; i++) {
                bool waits = s.places[i].line_ != NULL && control[i];
                assert_false(waits && n_client[client_of[i]] < (int)limits.per_client &&
                             n_user[client_of[i] % 2] < (int)limits.per_user);
            }
        }
        tear_down(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_a_client_in_his_order),
        cmocka_unit_test(alternates_between_clients),
        cmocka_unit_test(alternates_between_the_two_kinds),
        cmocka_unit_test(lets_what_has_started_go_on_first),
        cmocka_unit_test(lets_others_begin_though_a_crowd_goes_on),
        cmocka_unit_test(holds_a_client_to_his_share),
        cmocka_unit_test(holds_all_clients_of_a_user_to_his_share),
        cmocka_unit_test(holds_all_crowds_to_their_share),
        cmocka_unit_test(alternates_between_crowds_and_the_rest),
        cmocka_unit_test(takes_a_crowds_calls_for_calls),
        cmocka_unit_test(keeps_a_quarter_of_the_places_from_crowds),
        cmocka_unit_test(gives_the_chance_of_one_who_leaves_to_the_next),
        cmocka_unit_test(passes_by_a_client_that_has_his_share_though_the_user_has_not),
        cmocka_unit_test(keeps_a_reserve_from_calls),
        cmocka_unit_test(counts_nobodys_reads_for_nobody),
        cmocka_unit_test(bounds_who_waits),
        cmocka_unit_test(holds_its_shares_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
