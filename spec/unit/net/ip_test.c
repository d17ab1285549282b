#include "net/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void reads_addresses_with_and_without_ports(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"192.0.2.1", "192.0.2.1"},           {"192.0.2.1:80", "192.0.2.1"},
        {"2001:db8::1", "2001:db8::1"},       {"[2001:db8::1]", "2001:db8::1"},
        {"[2001:db8::1]:80", "2001:db8::1"},  {"::ffff:192.0.2.1", "192.0.2.1"},
        {"[::ffff:c000:201]:1", "192.0.2.1"}, {"::1", "::1"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        leat_ip ip;
        char text[LEAT_IP_TEXT];
        assert_int_equal(leat_ip_parse(&ip, leat_slice_of(table[i][0])), 0);
        leat_ip_format(&ip, text);
        assert_string_equal(text, table[i][1]);
    }
}

static void refuses_everything_else(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "x",
        "unknown",
        "_hidden",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4:",
        "1.2.3.4:x",
        "1.2.3.4:123456",
        "01.2.3.4:1x",
        "[1.2.3.4]",
        "[1.2.3.4]:80",
        "[::1",
        "::1]",
        "[::1]80",
        "[::1]:",
        "[]",
        "[",
        "fe80::1%eth0",
        " 1.2.3.4",
        "1.2.3.4 ",
        "1.2.3.4,5.6.7.8",
        "12345:80",
        "localhost",
        "[::1]:80:80",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        leat_ip ip;
        if (leat_ip_parse(&ip, leat_slice_of(wrong[i])) != LEAT_EBADMSG)
            fail_msg("%s", wrong[i]);
    }
    leat_ip ip;
    assert_int_equal(leat_ip_parse(&ip, (leat_slice){NULL, 0}), LEAT_EBADMSG);
    assert_int_equal(leat_ip_parse(&ip, (leat_slice){"1.2.3.4\0", 8}), LEAT_EBADMSG);
}

static bool have(const char *list, const char *address)
{
    leat_networks networks;
    leat_ip ip;
    assert_int_equal(leat_networks_parse(&networks, list), 0);
    assert_int_equal(leat_ip_parse(&ip, leat_slice_of(address)), 0);
    bool found = leat_networks_have(&networks, &ip);
    leat_networks_close(&networks);
    return found;
}

static void knows_what_lies_in_a_network(void **state)
{
    (void)state;
    assert_false(have("", "127.0.0.1"));
    assert_false(have("  ", "127.0.0.1"));
    assert_true(have("127.0.0.1", "127.0.0.1"));
    assert_false(have("127.0.0.1", "127.0.0.2"));
    assert_true(have("127.0.0.1", "::ffff:127.0.0.1"));
    assert_true(have("10.0.0.0/8 , ::1", "10.255.0.1"));
    assert_true(have("10.0.0.0/8 , ::1", "::1"));
    assert_false(have("10.0.0.0/8 , ::1", "11.0.0.1"));
    assert_true(have("10.1.2.3/9", "10.127.0.1"));
    assert_false(have("10.1.2.3/9", "10.128.0.1"));
    assert_true(have("0.0.0.0/0", "203.0.113.9"));
    assert_false(have("0.0.0.0/0", "2001:db8::1"));
    assert_true(have("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(have("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(have("::ffff:10.0.0.0/104", "10.9.9.9"));
}

/* An IPv4 address is kept as an IPv6 one. For who writes the list it is none. */
static void has_no_ipv4_in_networks_of_ipv6(void **state)
{
    (void)state;
    static const char *const wide[] = {"::/0", "::/1", "::/63", "::/64", "::/65", "::ffff:0:0/95"};
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
        assert_false(have(wide[i], "203.0.113.9"));
    assert_true(have("::/0", "2001:db8::1"));
    assert_true(have("::/64", "::1"));
    assert_true(have("::ffff:0:0/96", "203.0.113.9"));
    assert_false(have("::ffff:0:0/96", "::1"));
    assert_true(have("::/0, 0.0.0.0/0", "203.0.113.9"));
}

static void refuses_lists_that_are_malformed(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "x",
        ",",
        ",127.0.0.1",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/x",
        "10.0.0.0/-1",
        "::1/129",
        "::1/",
        "127.0.0.1:80",
        "[::1]",
        "10.0.0.0/8 10.0.0.1",
        "10.0.0.0/0008",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        leat_networks networks;
        if (leat_networks_parse(&networks, wrong[i]) != LEAT_EBADMSG)
            fail_msg("%s", wrong[i]);
    }
}

static bool loopback(const char *text)
{
    leat_ip ip;
    assert_int_equal(leat_ip_parse(&ip, leat_slice_of(text)), 0);
    return leat_ip_is_loopback(&ip);
}

static void knows_loopback(void **state)
{
    (void)state;
    assert_true(loopback("127.0.0.1"));
    assert_true(loopback("127.9.9.9"));
    assert_true(loopback("::ffff:127.0.0.1"));
    assert_true(loopback("::1"));
    assert_false(loopback("::2"));
    assert_false(loopback("::"));
    assert_false(loopback("128.0.0.1"));
    assert_false(loopback("::7f00:1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_addresses_with_and_without_ports),
        cmocka_unit_test(refuses_everything_else),
        cmocka_unit_test(knows_what_lies_in_a_network),
        cmocka_unit_test(has_no_ipv4_in_networks_of_ipv6),
        cmocka_unit_test(refuses_lists_that_are_malformed),
        cmocka_unit_test(knows_loopback),
    };
    return cmocka_run_group_tests_name("net/ip", tests, NULL, NULL);
}
