#include "net/host_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static bool has(const char *list, const char *host)
{
    leat_host_list l;
    assert_int_equal(leat_host_list_parse(&l, list), 0);
    bool found = leat_host_list_has(&l, leat_slice_of(host));
    leat_host_list_close(&l);
    return found;
}

static void expect_bad(const char *list)
{
    leat_host_list l;
    assert_int_equal(leat_host_list_parse(&l, list), LEAT_EBADMSG);
}

static void finds_names(void **state)
{
    (void)state;
    assert_true(has("example.org", "example.org"));
    assert_true(has("example.org", "EXAMPLE.org"));
    assert_true(has("Example.Org", "example.org."));
    assert_true(has("example.org.", "example.org"));
    assert_true(has("example.org", "example.org:8443"));
    assert_true(has("example.org", "example.org:"));
    assert_true(has(" a.example ,\texample.org ", "example.org"));
    assert_false(has("example.org", "www.example.org"));
    assert_false(has("example.org", "example.org.evil.example"));
    assert_false(has("example.org", "evilexample.org"));
    assert_false(has("example.org", "example.org@evil.example"));
    assert_false(has("example.org", "example.org:evil"));
    assert_false(has("example.org", "example.org:80:80"));
    assert_false(has("example.org", "example.org:0"));
    assert_false(has("example.org", "example.org:65536"));
    assert_false(has("example.org", "example.org.."));
    assert_false(has("example.org", ""));
    assert_false(has("example.org", ":80"));
    assert_false(has("", "example.org"));
    assert_false(has("", ""));
}

static void finds_names_below_another(void **state)
{
    (void)state;
    assert_true(has("*.example.org", "a.example.org"));
    assert_true(has("*.example.org", "a.b.EXAMPLE.org:80"));
    assert_false(has("*.example.org", "example.org"));
    assert_false(has("*.example.org", ".example.org"));
    assert_false(has("*.example.org", "aexample.org"));
    assert_false(has("*.example.org", "a.example.org.evil.example"));
    assert_false(has("*.example.org:81", "a.example.org:80"));
}

static void compares_ports_that_are_named(void **state)
{
    (void)state;
    assert_true(has("example.org:8443", "example.org:8443"));
    assert_false(has("example.org:8443", "example.org"));
    assert_false(has("example.org:8443", "example.org:443"));
    assert_true(has("example.org:443", "example.org"));
    assert_true(has("example.org:80", "example.org"));
    assert_false(has("example.org:443", "example.org:80"));
}

static void compares_addresses_by_value(void **state)
{
    (void)state;
    assert_true(has("192.0.2.1", "192.0.2.1:8080"));
    assert_true(has("[2001:db8::1]", "[2001:DB8:0:0::1]"));
    assert_true(has("[2001:db8::1]:80", "[2001:db8::1]"));
    assert_false(has("[2001:db8::1]:80", "[2001:db8::1]:81"));
    assert_false(has("[2001:db8::1]", "[2001:db8::2]"));
    assert_false(has("192.0.2.1", "192.0.2.10"));
    assert_false(has("[2001:db8::1]", "[2001:db8::1"));
    assert_false(has("[2001:db8::1]", "2001:db8::1"));
    assert_false(has("[2001:db8::1]", "[2001:db8::1]x:80"));
}

static void a_star_is_any(void **state)
{
    (void)state;
    assert_true(has("*", "evil.example"));
    assert_true(has("*", ""));
    assert_true(has("example.org, *", "x y"));
}

static bool is_own(const char *host)
{
    return leat_host_list_is_own(leat_slice_of(host));
}

static bool is_local(const char *host)
{
    return leat_host_list_is_local(leat_slice_of(host));
}

static void knows_the_name_of_this_machine(void **state)
{
    (void)state;
    char own[256], text[300];
    assert_int_equal(gethostname(own, sizeof(own)), 0);
    assert_true(is_own(own));
    snprintf(text, sizeof(text), "%s.:8080", own);
    assert_true(is_own(text));
    snprintf(text, sizeof(text), "%sx", own);
    assert_false(is_own(text));
    snprintf(text, sizeof(text), "%s.evil.example", own);
    assert_false(is_own(text));
}

static void knows_whose_names_can_be_had_by_others(void **state)
{
    (void)state;
    static const char *const own[] = {
        "",
        "localhost",
        "LOCALHOST:8080",
        "a.localhost",
        "a.b.localhost:1",
        "127.0.0.1",
        "10.0.0.5:8080",
        "[::1]",
        "[::1]:8080",
        "192.0.2.1",
        "localhost.",
        "127.0.0.1.",
        "[::ffff:127.0.0.1]",
        "localhost:",
    };
    static const char *const others[] = {
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example.",
        "127.0.0.1.a",
        "evil.example:8080",
        "[::1].evil.example",
        "[::1]evil.example",
        "1.127.0.0.1.2.",
        "localhost@evil.example",
        ".localhost",
        "a b.example",
        "localhost,evil",
        "localhost:0",
        "localhost:65536",
        "127.1",
        "::1",
        "[localhost]",
    };
    static const char *const of_the_network[] = {
        "evil", "evil:8080", "evil.", "2130706433", "0x7f000001",
    };
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        assert_true(is_own(own[i]) && is_local(own[i]));
    for (size_t i = 0; i < sizeof(of_the_network) / sizeof(of_the_network[0]); i++)
        assert_true(!is_own(of_the_network[i]) && is_local(of_the_network[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(is_own(others[i]) || is_local(others[i]));
}

static void refuses_malformed_lists(void **state)
{
    (void)state;
    expect_bad("https://example.org");
    expect_bad("example.org/path");
    expect_bad("example.org,");
    expect_bad(",example.org");
    expect_bad("a..b,,c");
    expect_bad("exam ple.org");
    expect_bad("*.*.org");
    expect_bad("a.*.org");
    expect_bad("*.");
    expect_bad("*example.org");
    expect_bad(".example.org");
    expect_bad("example.org:http");
    expect_bad("[::1");
    expect_bad("::1");
    expect_bad("b\xc3\xbc"
               "cher.example");
}

static void knows_the_form_of_origins(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        " ",
        "*",
        "https://example.org",
        "https://example.org:8443, http://localhost:3000",
        "https://a.example,*",
        "http://192.0.2.1:8080",
        "http://[2001:db8::1]",
        "http://[2001:DB8::1]:81",
        "http://[2001:db8:0:1:1:1:1:1]",
        "http://[::ffff:7f00:1]",
        "http://[::7f00:1]:3000",
        "chrome-extension://abcdefghijklmnop",
        "https://example.org:80",
        "HTTPS://EXAMPLE.org",
    };
    static const char *const bad[] = {
        "example.org",
        "//example.org",
        "://example.org",
        "https:/example.org",
        "https://",
        "https://example.org/",
        "https://example.org/chat",
        "https://example.org?x",
        "https://example.org:443",
        "http://example.org:80",
        "https://example.org:",
        "https://example.org:0",
        "https://example.org:65536",
        "https://user@example.org",
        "https://*.example.org",
        "https://example.org https://www.example.org",
        "https://example.org,",
        "https://example.org,,https://www.example.org",
        ",",
        "1https://example.org",
        "ht tp://example.org",
        "http://2001:db8::1",
        "http://[2001:db8::1",
        "http://[0:0:0:0:0:0:0:1]:3000", /* what follows, browsers write in another way */
        "http://[2001:db8:0::1]",
        "http://[2001:0db8::1]",
        "http://[2001:db8::1:1:1:1:1]",
        "http://[::ffff:127.0.0.1]",
        "https://b\xc3\xbc"
        "cher.example",
        "null",
        "https://null, null",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!leat_host_list_origins_ok(good[i]))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (leat_host_list_origins_ok(bad[i]))
            fail_msg("accepted: %s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_names),
        cmocka_unit_test(finds_names_below_another),
        cmocka_unit_test(compares_ports_that_are_named),
        cmocka_unit_test(compares_addresses_by_value),
        cmocka_unit_test(a_star_is_any),
        cmocka_unit_test(knows_whose_names_can_be_had_by_others),
        cmocka_unit_test(knows_the_name_of_this_machine),
        cmocka_unit_test(refuses_malformed_lists),
        cmocka_unit_test(knows_the_form_of_origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
