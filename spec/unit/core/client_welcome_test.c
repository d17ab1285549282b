/* client_welcome_test.c - the parts of a welcome, one for each topic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/client_welcome.h"

#define S(text) leat_slice_of(text)

static int open_welcome(void **state)
{
    char id[] = "b0\"1", known[] = "{}";
    client_welcome *w = client_welcome_new(S(id), S(known), 99);
    id[0] = known[0] = '?'; /* they were copied */
    *state = w;
    return 0;
}

static int close_welcome(void **state)
{
    client_welcome_free(*state);
    return 0;
}

static void put(client_welcome *w, const char *topic, const char *text)
{
    leat_buf part = LEAT_BUF_INIT;
    leat_buf_text(&part, text);
    client_welcome_put(w, S(topic), &part);
    assert_int_equal(0, part.len); /* it was taken */
}

static void expect(const client_welcome *w, const char *text)
{
    leat_buf out = LEAT_BUF_INIT;
    client_welcome_join(w, &out);
    assert_int_equal(strlen(text), out.len);
    assert_int_equal(out.len, w->bytes);
    assert_memory_equal(text, out.len == 0 ? "" : out.at, out.len);
    leat_buf_close(&out);
}

static void keeps_the_greeting(void **state)
{
    const client_welcome *w = *state;
    assert_true(leat_slice_is(leat_buf_view(&w->id), "b0\"1"));
    assert_true(leat_slice_is(leat_buf_view(&w->known), "{}"));
    assert_int_equal(99, w->deadline_ms);
    assert_int_equal(0, w->n_open);
}

static void joins_its_parts_in_the_order_in_which_they_came(void **state)
{
    expect(*state, "");
    put(*state, "b", ",first");
    put(*state, "a", ",second");
    expect(*state, ",first,second");
}

/* A resync before the welcome is sent. */
static void replaces_a_part(void **state)
{
    put(*state, "a", ",old");
    put(*state, "b", ",b");
    put(*state, "a", ",a longer one");
    expect(*state, ",b,a longer one");
}

static void drops_a_part(void **state)
{
    put(*state, "a", ",a");
    put(*state, "ab", ",ab");
    client_welcome_drop(*state, S("b"));
    expect(*state, ",a,ab");
    client_welcome_drop(*state, S("a"));
    expect(*state, ",ab");
    client_welcome_drop(*state, S("ab"));
    expect(*state, "");
}

static void is_freed_with_parts_or_without(void **state)
{
    put(*state, "a", ",a"); /* the sanitizer sees what is left over */
    client_welcome_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_welcome, close_welcome)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keeps_the_greeting),
        TEST(joins_its_parts_in_the_order_in_which_they_came),
        TEST(replaces_a_part),
        TEST(drops_a_part),
        TEST(is_freed_with_parts_or_without),
    };
    return cmocka_run_group_tests_name("client_welcome", tests, NULL, NULL);
}
