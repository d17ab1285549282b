/* What a terminal is shown of texts that clients have chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "app/render.h"

/* "[2J" clears the screen behind each of the two control sequence introducers, U+001B '[' and
 * U+009B; U+00A0 and U+061B are no control characters. */
#define HOSTILE                                                                                    \
    "a\\u001b[2Jb\xc2\x9b"                                                                         \
    "2Jc\x7f"                                                                                      \
    "d\\u009b2J\xc2\xa0\xd8\x9b"

static void expect(const leat_buf *out, const char *expected)
{
    assert_int_equal(strlen(expected), out->len);
    assert_memory_equal(expected, out->at, out->len);
}

static void test_text_has_no_control_characters(void **state)
{
    (void)state;
    static const char json[] = "{\"users\":[{\"user\":\"" HOSTILE "\"}],\"is\":\"" HOSTILE "\"}";
    leat_buf out = LEAT_BUF_INIT;
    leat_value *v = leat_tree_parse(leat_slice_of(json));

    leat_render(&out, v);

    expect(&out, "is  a [2Jb 2Jc d 2J\xc2\xa0\xd8\x9b\n\nUSER\na [2Jb 2Jc d 2J\xc2\xa0\xd8\x9b\n");
    leat_tree_free(v);
    leat_buf_close(&out);
}

static void test_a_message_is_not_cut(void **state)
{
    (void)state;
    char text[400], expected[400];
    leat_buf out = LEAT_BUF_INIT;
    memset(text, 'x', sizeof(text));
    memcpy(text + 300, "\x1b[2J\xc2\x9b", 7);
    text[307] = '\0';
    memset(expected, 'x', sizeof(expected));
    memcpy(expected + 300, " [2J ", 6);

    leat_render_text(&out, text);

    expect(&out, expected);
    leat_buf_close(&out);
}

static void test_long_text_ends_with_a_character(void **state)
{
    (void)state;
    leat_buf json = LEAT_BUF_INIT, out = LEAT_BUF_INIT, expected = LEAT_BUF_INIT;
    leat_buf_text(&json, "{\"is\":\"x");
    leat_buf_text(&expected, "is  x");
    for (int i = 0; i < 150; i++)
        leat_buf_text(&json, "\xc3\xa9");
    for (int i = 0; i < 99; i++)
        leat_buf_text(&expected, "\xc3\xa9");
    leat_buf_text(&json, "\"}");
    leat_buf_text(&expected, "...\n");
    leat_value *v = leat_tree_parse(leat_buf_view(&json));

    leat_render(&out, v);

    leat_buf_char(&expected, '\0');
    expect(&out, expected.at);
    leat_tree_free(v);
    leat_buf_close(&json);
    leat_buf_close(&out);
    leat_buf_close(&expected);
}

static void test_json_stays_what_it_is(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;

    leat_render_json(&out, leat_slice_of("{\"a\":\n\"" HOSTILE "\xc2"));

    expect(&out, "{\"a\":\n\"a\\u001b[2Jb\\u009b2Jc\\u007fd\\u009b2J\xc2\xa0\xd8\x9b\xc2");
    leat_buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_has_no_control_characters),
        cmocka_unit_test(test_a_message_is_not_cut),
        cmocka_unit_test(test_long_text_ends_with_a_character),
        cmocka_unit_test(test_json_stays_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
