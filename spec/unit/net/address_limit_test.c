#include "net/address_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <pthread.h>

#include <cmocka.h>

static leat_ip ip_of(const char *text)
{
    leat_ip ip;
    assert_int_equal(leat_ip_parse(&ip, leat_slice_of(text)), 0);
    return ip;
}

static leat_address_verdict enter(leat_address_limit *l, const char *text, uint64_t now_ms,
                                  leat_address_slot **slot)
{
    leat_ip ip = ip_of(text);
    return leat_address_limit_enter(l, &ip, now_ms, slot);
}

static void counts_connections_of_an_address(void **state)
{
    (void)state;
    const leat_address_limits limits = {.connections = 2, .opening = {100, 100}};
    leat_address_limit *l = leat_address_limit_new(&limits);
    leat_address_slot *a, *b, *other, *again;

    assert_int_equal(enter(l, "192.0.2.1", 1, &a), LEAT_ADDRESS_OK);
    assert_int_equal(enter(l, "::ffff:192.0.2.1", 1, &b), LEAT_ADDRESS_OK);
    assert_int_equal(enter(l, "192.0.2.1", 1, &again), LEAT_ADDRESS_TOO_MANY);
    assert_int_equal(enter(l, "192.0.2.2", 1, &other), LEAT_ADDRESS_OK);
    leat_address_limit_leave(a);
    assert_int_equal(enter(l, "192.0.2.1", 1, &again), LEAT_ADDRESS_OK);

    leat_address_limit_leave(b);
    leat_address_limit_leave(again);
    leat_address_limit_leave(other);
    leat_address_limit_free(l);
}

static void gives_this_machine_a_number_of_its_own(void **state)
{
    (void)state;
    const leat_address_limits limits = {
        .connections = 1, .local_connections = 2, .opening = {100, 100}};
    leat_address_limit *l = leat_address_limit_new(&limits);
    leat_address_slot *a, *b, *other, *none;

    assert_int_equal(enter(l, "127.0.0.1", 1, &a), LEAT_ADDRESS_OK);
    assert_int_equal(enter(l, "127.0.0.1", 1, &b), LEAT_ADDRESS_OK);
    assert_int_equal(enter(l, "127.0.0.1", 1, &none), LEAT_ADDRESS_TOO_MANY);
    assert_int_equal(enter(l, "::1", 1, &other), LEAT_ADDRESS_OK);

    leat_address_limit_leave(a);
    leat_address_limit_leave(b);
    leat_address_limit_leave(other);
    leat_address_limit_free(l);
}

static void takes_a_64_network_of_ipv6_for_one(void **state)
{
    (void)state;
    const leat_address_limits limits = {.connections = 1, .opening = {100, 100}};
    leat_address_limit *l = leat_address_limit_new(&limits);
    leat_address_slot *a, *b, *none;
    leat_ip near = ip_of("2001:db8:1:2:ffff::9");
    leat_ip far = ip_of("2001:db8:1:3::1");

    assert_int_equal(enter(l, "2001:db8:1:2::1", 1, &a), LEAT_ADDRESS_OK);
    assert_int_equal(leat_address_limit_enter(l, &near, 1, &none), LEAT_ADDRESS_TOO_MANY);
    assert_int_equal(leat_address_limit_enter(l, &far, 1, &b), LEAT_ADDRESS_OK);
    assert_true(leat_address_limit_holds(a, &near));
    assert_false(leat_address_limit_holds(a, &far));

    leat_address_limit_leave(a);
    leat_address_limit_leave(b);
    leat_address_limit_free(l);
}

/* ::1 is this machine, and not the network ::/64. */
static void knows_this_machine_by_either_family(void **state)
{
    (void)state;
    static const char *const own[] = {"127.0.0.1", "::ffff:127.0.0.2", "::1"};
    const leat_address_limits limits = {.connections = 1,
                                        .local_connections = 2,
                                        .opening = {100, 100},
                                        .uses = {[LEAT_ADDRESS_REQUEST] = {1, 1}}};
    leat_address_limit *l = leat_address_limit_new(&limits);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        leat_address_slot *a, *b, *none;
        assert_int_equal(enter(l, own[i], 1, &a), LEAT_ADDRESS_OK);
        assert_int_equal(enter(l, own[i], 1, &b), LEAT_ADDRESS_OK);
        assert_int_equal(enter(l, own[i], 1, &none), LEAT_ADDRESS_TOO_MANY);
        for (int n = 0; n < 5; n++)
            assert_int_equal(leat_address_limit_use(a, LEAT_ADDRESS_REQUEST, 1), 0);
        leat_address_limit_leave(a);
        leat_address_limit_leave(b);
    }
    leat_address_limit_free(l);
}

/* All of IPv4, as a translator shows it to a machine that has IPv6 alone (RFC 6052, RFC 7755). */
static void tells_translated_ipv4_addresses_apart(void **state)
{
    (void)state;
    const leat_address_limits limits = {.connections = 1, .opening = {100, 100}};
    leat_address_limit *l = leat_address_limit_new(&limits);
    leat_address_slot *a, *b, *none;
    leat_ip other = ip_of("64:ff9b::192.0.2.2");

    assert_int_equal(enter(l, "64:ff9b::192.0.2.1", 1, &a), LEAT_ADDRESS_OK);
    assert_int_equal(enter(l, "64:ff9b::192.0.2.2", 1, &b), LEAT_ADDRESS_OK);
    assert_int_equal(enter(l, "64:ff9b::192.0.2.1", 1, &none), LEAT_ADDRESS_TOO_MANY);
    assert_false(leat_address_limit_holds(a, &other));
    leat_address_limit_leave(b);

    /* beside that prefix, a /64 is one address as anywhere */
    assert_int_equal(enter(l, "64:ff9b::1:0:1", 1, &b), LEAT_ADDRESS_OK);
    assert_int_equal(enter(l, "64:ff9b::2:0:1", 1, &none), LEAT_ADDRESS_TOO_MANY);

    leat_address_limit_leave(a);
    leat_address_limit_leave(b);

    /* the prefix for translators of one's own network (RFC 8215) */
    assert_int_equal(enter(l, "64:ff9b:1:ffff::192.0.2.1", 1, &a), LEAT_ADDRESS_OK);
    assert_int_equal(enter(l, "64:ff9b:1:ffff::192.0.2.2", 1, &b), LEAT_ADDRESS_OK);

    leat_address_limit_leave(a);
    leat_address_limit_leave(b);
    leat_address_limit_free(l);
}

static unsigned let_in(leat_address_limit *l, const char *text, uint64_t now_ms, unsigned tries)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++) {
        leat_address_slot *slot;
        if (enter(l, text, now_ms, &slot) == LEAT_ADDRESS_OK) {
            leat_address_limit_leave(slot);
            n++;
        }
    }
    return n;
}

static void bounds_their_rate(void **state)
{
    (void)state;
    const leat_address_limits limits = {.connections = 1000, .opening = {10, 20}};
    leat_address_limit *l = leat_address_limit_new(&limits);

    assert_int_equal(let_in(l, "192.0.2.1", 1000, 50), 20);
    assert_int_equal(let_in(l, "192.0.2.1", 1099, 50), 0);
    assert_int_equal(let_in(l, "192.0.2.1", 1100, 50), 1);
    assert_int_equal(let_in(l, "192.0.2.1", 2100, 50), 10);
    assert_int_equal(let_in(l, "192.0.2.1", 2000, 50), 0);
    assert_int_equal(let_in(l, "192.0.2.1", 1000000, 50), 20);
    assert_int_equal(let_in(l, "192.0.2.2", 1000000, 50), 20);

    leat_address_limit_free(l);
}

static unsigned used(leat_address_slot *slot, leat_address_use use, uint64_t now_ms, unsigned tries)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++)
        n += leat_address_limit_use(slot, use, now_ms) == 0;
    return n;
}

static void bounds_what_they_ask_for(void **state)
{
    (void)state;
    const leat_address_limits limits = {
        .connections = 10,
        .local_connections = 20,
        .opening = {100, 100},
        .uses = {[LEAT_ADDRESS_REQUEST] = {10, 3}, [LEAT_ADDRESS_SUBSCRIBE] = {2, 5}},
    };
    leat_address_limit *l = leat_address_limit_new(&limits);
    leat_address_slot *a, *same, *other, *local;
    enter(l, "192.0.2.1", 1000, &a);
    enter(l, "192.0.2.1", 1000, &same);
    enter(l, "192.0.2.2", 1000, &other);
    enter(l, "127.0.0.1", 1000, &local);

    assert_int_equal(used(a, LEAT_ADDRESS_REQUEST, 1000, 2), 2);
    assert_int_equal(used(same, LEAT_ADDRESS_REQUEST, 1000, 9), 1);
    assert_int_equal(leat_address_limit_use(a, LEAT_ADDRESS_REQUEST, 1000), 100);
    assert_int_equal(used(a, LEAT_ADDRESS_REQUEST, 1100, 9), 1);
    assert_int_equal(used(a, LEAT_ADDRESS_SUBSCRIBE, 1100, 9), 5);
    assert_int_equal(used(other, LEAT_ADDRESS_REQUEST, 1100, 9), 3);
    assert_int_equal(used(local, LEAT_ADDRESS_REQUEST, 1100, 9), 9); /* it may be many peers */

    leat_address_limit_leave(a);
    leat_address_limit_leave(same);
    leat_address_limit_leave(other);
    leat_address_limit_leave(local);
    enter(l, "192.0.2.1", 1100, &a); /* who leaves and comes back is remembered */
    assert_int_equal(used(a, LEAT_ADDRESS_SUBSCRIBE, 1100, 9), 0);
    leat_address_limit_leave(a);
    leat_address_limit_free(l);
}

static void knows_a_crowd(void **state)
{
    (void)state;
    const leat_address_limits limits = {
        .connections = 10,
        .local_connections = 20,
        .opening = {100, 100},
        .uses = {[LEAT_ADDRESS_SUBSCRIBE] = {2, 100}},
    };
    leat_address_limit *l = leat_address_limit_new(&limits);
    leat_address_slot *a, *local;
    enter(l, "192.0.2.1", 1000, &a);
    enter(l, "127.0.0.1", 1000, &local);

    assert_int_equal(used(a, LEAT_ADDRESS_SUBSCRIBE, 1000, 9), 9);
    assert_false(leat_address_limit_is_crowd(a, LEAT_ADDRESS_SUBSCRIBE, 1000));
    assert_int_equal(used(a, LEAT_ADDRESS_SUBSCRIBE, 1000, 1), 1); /* five seconds of the rate */
    assert_true(leat_address_limit_is_crowd(a, LEAT_ADDRESS_SUBSCRIBE, 1000));
    assert_false(leat_address_limit_is_crowd(a, LEAT_ADDRESS_REQUEST, 1000));
    assert_false(leat_address_limit_is_crowd(a, LEAT_ADDRESS_SUBSCRIBE, 1001));
    assert_int_equal(used(local, LEAT_ADDRESS_SUBSCRIBE, 1000, 90), 90);
    assert_false(leat_address_limit_is_crowd(local, LEAT_ADDRESS_SUBSCRIBE, 1000));

    leat_address_limit_leave(a);
    leat_address_limit_leave(local);
    leat_address_limit_free(l);
}

static void bounds_their_failed_attempts(void **state)
{
    (void)state;
    const leat_address_limits limits = {
        .connections = 10, .opening = {100, 100}, .failing = {1, 3}};
    leat_address_limit *l = leat_address_limit_new(&limits);
    leat_address_slot *slot, *other;
    assert_int_equal(enter(l, "192.0.2.1", 1000, &slot), LEAT_ADDRESS_OK);
    assert_int_equal(enter(l, "192.0.2.2", 1000, &other), LEAT_ADDRESS_OK);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(leat_address_limit_wait_ms(slot, 1000), 0);
        leat_address_limit_charge_failure(slot, 1000);
    }
    leat_address_limit_leave(slot);

    assert_int_equal(let_in(l, "192.0.2.9", 1500, 1), 1); /* forgets nobody who still has to wait */
    assert_int_equal(enter(l, "192.0.2.1", 1500, &slot), LEAT_ADDRESS_OK);
    assert_int_equal(leat_address_limit_wait_ms(slot, 1500), 500);
    assert_int_equal(leat_address_limit_wait_ms(slot, 2000), 0);
    assert_int_equal(leat_address_limit_wait_ms(other, 1500), 0);
    leat_address_limit_leave(slot);
    leat_address_limit_leave(other);
    leat_address_limit_free(l);
}

static void a_flood_costs_a_hundred_openings(void **state)
{
    (void)state;
    const leat_address_limits limits = {
        .connections = 1000, .local_connections = 2000, .opening = {10, 200}};
    leat_address_limit *l = leat_address_limit_new(&limits);
    leat_address_slot *slot, *local;
    assert_int_equal(enter(l, "192.0.2.1", 1000, &slot), LEAT_ADDRESS_OK);
    assert_int_equal(enter(l, "127.0.0.1", 1000, &local), LEAT_ADDRESS_OK);

    leat_address_limit_charge_flood(slot, 1000);
    leat_address_limit_charge_flood(local, 1000);

    assert_int_equal(let_in(l, "192.0.2.1", 1000, 250), 99);
    assert_int_equal(let_in(l, "127.0.0.1", 1000, 250), 199);
    leat_address_limit_leave(slot);
    leat_address_limit_leave(local);
    leat_address_limit_free(l);
}

static void forgets_who_has_gone(void **state)
{
    (void)state;
    const leat_address_limits limits = {.connections = 10, .opening = {1, 5}};
    leat_address_limit *l = leat_address_limit_new(&limits);
    char text[64];
    for (unsigned i = 0; i < 200000; i++) {
        snprintf(text, sizeof(text), "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
        assert_int_equal(let_in(l, text, 1, 1), 1);
    }

    assert_true(leat_address_limit_count(l) <= 16 * 2049);

    for (unsigned i = 0; i < 40000; i++) {
        snprintf(text, sizeof(text), "2001:db8:ffff:%x::1", i);
        (void)let_in(l, text, 100000 + i * 10000, 1);
    }
    assert_true(leat_address_limit_count(l) <= 32);
    leat_address_limit_free(l);
}

static void *crowd(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        leat_address_slot *slot;
        if (enter(arg, i % 2 ? "192.0.2.1" : "192.0.2.2", 1, &slot) == LEAT_ADDRESS_OK)
            leat_address_limit_leave(slot);
    }
    return NULL;
}

static void is_shared_by_threads(void **state)
{
    (void)state;
    const leat_address_limits limits = {.connections = 3, .opening = {1000000, 1000000}};
    leat_address_limit *l = leat_address_limit_new(&limits);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd, l), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);

    leat_address_slot *slots[3], *none;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(enter(l, "192.0.2.1", 1, &slots[i]), LEAT_ADDRESS_OK);
    assert_int_equal(enter(l, "192.0.2.1", 1, &none), LEAT_ADDRESS_TOO_MANY);
    for (size_t i = 0; i < 3; i++)
        leat_address_limit_leave(slots[i]);
    leat_address_limit_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_connections_of_an_address),
        cmocka_unit_test(gives_this_machine_a_number_of_its_own),
        cmocka_unit_test(takes_a_64_network_of_ipv6_for_one),
        cmocka_unit_test(knows_this_machine_by_either_family),
        cmocka_unit_test(tells_translated_ipv4_addresses_apart),
        cmocka_unit_test(bounds_their_rate),
        cmocka_unit_test(bounds_what_they_ask_for),
        cmocka_unit_test(knows_a_crowd),
        cmocka_unit_test(bounds_their_failed_attempts),
        cmocka_unit_test(a_flood_costs_a_hundred_openings),
        cmocka_unit_test(forgets_who_has_gone),
        cmocka_unit_test(is_shared_by_threads),
    };
    return cmocka_run_group_tests_name("net/address_limit", tests, NULL, NULL);
}
