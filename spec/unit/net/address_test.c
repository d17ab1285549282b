#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

static void formats_what_it_parsed(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"127.0.0.1:8080", "127.0.0.1:8080"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"255.255.255.255:65535", "255.255.255.255:65535"},
        {"[::1]:0", "[::1]:0"},
        {"[::]:80", "[::]:80"},
        {":8080", "[::]:8080"},
        {"[0:0::1]:007", "[::1]:7"},
        {"[::ffff:10.0.0.1]:5", "10.0.0.1:5"},
        {"[1111:2222:3333:4444:5555:6666:7777:8888]:65535",
         "[1111:2222:3333:4444:5555:6666:7777:8888]:65535"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct sockaddr_storage addr;
        char text[LEAT_ADDRESS_TEXT];
        assert_int_equal(leat_address_parse(&addr, table[i][0]), 0);
        leat_address_format(&addr, text, sizeof(text));
        assert_string_equal(text, table[i][1]);
    }
}

/* Sockets of one family share a port evenly; one of each would not. */
static void takes_an_ipv4_address_in_ipv6_for_ipv4(void **state)
{
    (void)state;
    struct sockaddr_storage addr;
    assert_int_equal(leat_address_parse(&addr, "[::ffff:127.0.0.1]:80"), 0);
    assert_int_equal(addr.ss_family, AF_INET);
    assert_int_equal(((struct sockaddr_in *)&addr)->sin_port, htons(80));
    assert_int_equal(leat_address_parse(&addr, "[::127.0.0.1]:80"), 0);
    assert_int_equal(addr.ss_family, AF_INET6);
}

static void formats_an_ipv4_address_in_ipv6_as_ipv4(void **state)
{
    (void)state;
    struct sockaddr_storage addr = {0};
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;
    char text[LEAT_ADDRESS_TEXT];
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(5);
    assert_int_equal(inet_pton(AF_INET6, "::ffff:10.0.0.1", &in6->sin6_addr), 1);

    leat_address_format(&addr, text, sizeof(text));

    assert_string_equal(text, "10.0.0.1:5");
}

static void refuses_what_is_no_numeric_address(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "8080",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:-1",
        "127.0.0.1:65536",
        "127.0.0.1: 80",
        "127.0.0.1:80 ",
        "127.0.0.1:000080",
        "127.0.0:80",
        "localhost:80",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[]:80",
        "[127.0.0.1]:80",
        "[::1:80",
        "::1]:80",
        "[::g]:80",
        "*:80",
        "1111:2222:3333:4444:5555:6666:7777:8888:1111:2222:3333:80",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct sockaddr_storage addr = {.ss_family = 77};
        assert_int_equal(leat_address_parse(&addr, wrong[i]), LEAT_EBADMSG);
        assert_int_equal(addr.ss_family, 77);
    }
}

static void calls_other_families_local(void **state)
{
    (void)state;
    struct sockaddr_storage addr = {.ss_family = AF_UNIX};
    char text[LEAT_ADDRESS_TEXT];

    leat_address_format(&addr, text, sizeof(text));

    assert_string_equal(text, "local");
}

static void cuts_the_text_to_the_room_there_is(void **state)
{
    (void)state;
    struct sockaddr_storage addr;
    char text[10];

    assert_int_equal(leat_address_parse(&addr, "127.0.0.1:8080"), 0);
    leat_address_format(&addr, text, sizeof(text));

    assert_string_equal(text, "127.0.0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_what_it_parsed),
        cmocka_unit_test(takes_an_ipv4_address_in_ipv6_for_ipv4),
        cmocka_unit_test(formats_an_ipv4_address_in_ipv6_as_ipv4),
        cmocka_unit_test(refuses_what_is_no_numeric_address),
        cmocka_unit_test(calls_other_families_local),
        cmocka_unit_test(cuts_the_text_to_the_room_there_is),
    };
    return cmocka_run_group_tests_name("net/address", tests, NULL, NULL);
}
