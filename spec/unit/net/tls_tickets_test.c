#include "net/tls_tickets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { HOUR = LEAT_TLS_KEY_S };

static void keeps_a_key_for_its_time(void **state)
{
    (void)state;
    leat_tls_tickets *t = leat_tls_tickets_new();
    leat_tls_ticket_key first, again, next;

    leat_tls_tickets_current(t, 1, &first);
    leat_tls_tickets_current(t, HOUR, &again);
    leat_tls_tickets_current(t, HOUR + 1, &next);

    assert_memory_equal(&first, &again, sizeof(first));
    assert_memory_not_equal(first.name, next.name, sizeof(first.name));
    assert_memory_not_equal(first.cipher, next.cipher, sizeof(first.cipher));
    assert_memory_not_equal(first.mac, next.mac, sizeof(first.mac));
    leat_tls_tickets_free(t);
}

static void knows_a_replaced_key_for_as_long_again(void **state)
{
    (void)state;
    leat_tls_tickets *t = leat_tls_tickets_new();
    leat_tls_ticket_key first, next, found;
    leat_tls_tickets_current(t, 1, &first);
    assert_int_equal(leat_tls_tickets_find(t, 10, first.name, &found), 1);
    assert_memory_equal(&first, &found, sizeof(first));

    leat_tls_tickets_current(t, HOUR + 1, &next);

    assert_int_equal(leat_tls_tickets_find(t, HOUR + 1, next.name, &found), 1);
    assert_int_equal(leat_tls_tickets_find(t, 2 * HOUR, first.name, &found), 2);
    assert_memory_equal(&first, &found, sizeof(first));
    assert_int_equal(leat_tls_tickets_find(t, 2 * HOUR + 1, first.name, &found), 0);
    leat_tls_tickets_free(t);
}

/* Without any new ticket, the key is not replaced, and is too old all the same. */
static void asks_for_another_ticket_when_the_key_is_old(void **state)
{
    (void)state;
    leat_tls_tickets *t = leat_tls_tickets_new();
    leat_tls_ticket_key key, found;
    leat_tls_tickets_current(t, 1, &key);

    assert_int_equal(leat_tls_tickets_find(t, HOUR + 1, key.name, &found), 2);
    assert_int_equal(leat_tls_tickets_find(t, 2 * HOUR + 1, key.name, &found), 0);
    leat_tls_tickets_free(t);
}

static void does_not_know_other_names(void **state)
{
    (void)state;
    leat_tls_tickets *t = leat_tls_tickets_new();
    leat_tls_ticket_key key, found;
    unsigned char zeros[sizeof(key.name)] = {0};

    assert_int_equal(leat_tls_tickets_find(t, 1, zeros, &found), 0);
    leat_tls_tickets_current(t, 1, &key);
    assert_int_equal(leat_tls_tickets_find(t, 1, zeros, &found), 0);
    leat_tls_tickets_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_a_key_for_its_time),
        cmocka_unit_test(knows_a_replaced_key_for_as_long_again),
        cmocka_unit_test(asks_for_another_ticket_when_the_key_is_old),
        cmocka_unit_test(does_not_know_other_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
