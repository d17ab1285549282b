#include "base/log.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

typedef struct capture {
    int lines;
    leat_log_level level;
    size_t len;
    char last[16384];
} capture;

static void on_line(void *arg, leat_log_level level, const char *line, size_t len)
{
    capture *c = arg;
    assert_true(len < sizeof(c->last));
    c->lines++;
    c->level = level;
    c->len = len;
    memcpy(c->last, line, len);
    c->last[len] = '\0';
}

static void writes_time_level_subsystem_and_text(void **state)
{
    (void)state;
    capture c = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_INFO, on_line, &c);
    leat_log_bind(log);

    LEAT_LOG_WARN("pg", "connect failed host=%s err=%d", "db", -5);

    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        if (shape[i] == 'd')
            assert_in_range(c.last[i], '0', '9');
        else
            assert_int_equal(c.last[i], shape[i]);
    }
    assert_string_equal(c.last + sizeof(shape) - 1, " WARN pg connect failed host=db err=-5");
    assert_int_equal(c.len, strlen(c.last));
    assert_int_equal(c.level, LEAT_LOG_LEVEL_WARN);
    leat_log_bind(NULL);
    leat_log_free(log);
}

/* What ends within a span is over, and the span goes on. */
static void says_which_request_lines_are_about(void **state)
{
    (void)state;
    capture c = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_INFO, on_line, &c);
    leat_log_bind(log);

    leat_log_subject none = leat_log_about(leat_slice_of("outer"));
    leat_log_subject outer = leat_log_about(leat_slice_of("inner"));
    LEAT_LOG_INFO("x", "first");
    assert_non_null(strstr(c.last, " x first request=inner"));
    leat_log_about_end(&outer);
    LEAT_LOG_INFO("x", "second");
    assert_non_null(strstr(c.last, " x second request=outer"));
    leat_log_about_end(&none);
    LEAT_LOG_INFO("x", "third");
    assert_string_equal(strstr(c.last, " x third"), " x third");

    leat_log_bind(NULL);
    leat_log_free(log);
}

static void drops_lines_below_its_level(void **state)
{
    (void)state;
    capture c = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_WARN, on_line, &c);
    leat_log_bind(log);

    LEAT_LOG_INFO("x", "no");
    LEAT_LOG_ERROR("x", "yes");
    leat_log_levels levels = leat_log_levels_all(LEAT_LOG_LEVEL_DEBUG);
    leat_log_set_levels(log, &levels);
    LEAT_LOG_DEBUG("x", "yes");

    assert_int_equal(c.lines, 2);
    leat_log_bind(NULL);
    LEAT_LOG_ERROR("x", "nobody listens");
    assert_int_equal(c.lines, 2);
    leat_log_free(log);
}

static void keeps_a_line_one_line(void **state)
{
    (void)state;
    capture c = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_INFO, on_line, &c);
    leat_log_bind(log);

    LEAT_LOG_INFO("x", "a%sb", "\r\n\x1b");

    assert_non_null(strstr(c.last, " x a   b"));
    leat_log_bind(NULL);
    leat_log_free(log);
}

static void cuts_a_line_that_is_too_long(void **state)
{
    (void)state;
    capture c = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_INFO, on_line, &c);
    leat_log_bind(log);
    char text[12000];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';

    LEAT_LOG_INFO("x", "%s", text);

    assert_int_equal(c.len, 8191);
    assert_string_equal(c.last + c.len - 4, "a...");
    leat_log_bind(NULL);
    leat_log_free(log);
}

/* One of these lines is cut where a character would begin, the others within one. */
static void cuts_no_character_in_two(void **state)
{
    (void)state;
    char text[9001];
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = "\xe2\x82\xac"[i % 3];
    text[sizeof(text) - 1] = '\0';
    capture c = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_INFO, on_line, &c);
    leat_log_bind(log);

    for (int before = 0; before < 3; before++) {
        LEAT_LOG_INFO("x", "%.*s%s", before, "ab", text);
        assert_true(leat_utf8_valid(c.last, c.len));
        assert_string_equal(c.last + c.len - 3, "...");
    }

    leat_log_bind(NULL);
    leat_log_free(log);
}

static void *write_lines(void *arg)
{
    leat_log_bind(arg);
    for (int i = 0; i < 200; i++)
        LEAT_LOG_INFO("x", "line");
    leat_log_bind(NULL);
    return NULL;
}

static void calls_its_sink_for_one_thread_at_a_time(void **state)
{
    (void)state;
    capture c = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_INFO, on_line, &c);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, log), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);

    assert_int_equal(c.lines, 800);
    leat_log_free(log);
}

static void parses_level_names(void **state)
{
    (void)state;
    leat_log_levels levels;
    leat_buf text = LEAT_BUF_INIT;
    static const char *const bad[] = {"",
                                      "WARN",
                                      "info,",
                                      "pg=debug",
                                      "info,pg",
                                      "info,pgg=debug",
                                      "info,pg=loud",
                                      "info,warn",
                                      "info pg=",
                                      ",info",
                                      "info,pg=debug,pg=warn"};

    assert_int_equal(leat_log_levels_parse(&levels, "error"), 0);
    assert_int_equal(levels.of[LEAT_LOG_OF_pg], LEAT_LOG_LEVEL_ERROR);
    assert_int_equal(leat_log_levels_parse(&levels, "info,pg=debug,http=warn"), 0);
    assert_int_equal(levels.of[LEAT_LOG_OF_pg], LEAT_LOG_LEVEL_DEBUG);
    assert_int_equal(levels.of[LEAT_LOG_OF_http], LEAT_LOG_LEVEL_WARN);
    assert_int_equal(levels.of[LEAT_LOG_OF_sub], LEAT_LOG_LEVEL_INFO);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(leat_log_levels_parse(&levels, bad[i]), LEAT_EBADMSG);
    leat_log_levels_write(&levels, &text);
    leat_buf_char(&text, '\0');
    assert_string_equal("info,http=warn,pg=debug", text.at);
    leat_buf_close(&text);
}

static void writes_what_the_level_of_a_subsystem_lets_through(void **state)
{
    (void)state;
    capture c = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_WARN, on_line, &c);
    leat_log_levels levels;
    assert_int_equal(leat_log_levels_parse(&levels, "warn,pg=debug,http=error"), 0);
    leat_log_set_levels(log, &levels);
    leat_log_bind(log);

    LEAT_LOG_DEBUG("pg", "seen");
    LEAT_LOG_INFO("sub", "hidden");
    LEAT_LOG_WARN("http", "hidden, too");
    LEAT_LOG_WARN("sub", "seen, too");
    LEAT_LOG_ERROR("http", "an error");

    assert_int_equal(3, c.lines);
    leat_log_bind(NULL);
    leat_log_free(log);
}

static void writes_what_is_always_to_be_told(void **state)
{
    (void)state;
    capture c = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_ERROR, on_line, &c);
    leat_log_write_always("x", "nobody listens");
    leat_log_bind(log);

    LEAT_LOG_INFO("x", "hidden");
    leat_log_write_always("x", "seen n=%d", 7);

    assert_int_equal(c.lines, 1);
    assert_non_null(strstr(c.last, " INFO x seen n=7"));
    leat_log_bind(NULL);
    leat_log_free(log);
}

typedef struct quoted {
    const char *text;
    size_t size;
    const char *expected;
} quoted;

static void quotes_what_needs_it(void **state)
{
    (void)state;
    static const quoted table[] = {
        {"plain", 64, "plain"},
        {"caf\xc3\xa9", 64, "caf\xc3\xa9"},
        {"", 64, "\"\""},
        {"two words", 64, "\"two words\""},
        {"a=b", 64, "\"a=b\""},
        {"say \"x\"", 64, "\"say \\\"x\\\"\""},
        {"back\\slash", 64, "\"back\\\\slash\""},
        {"a\nb\r", 64, "\"a\\nb\\x0d\""},
        {"bad\xff", 64, "\"bad\\xff\""},
        {"exactly7", 9, "exactly7"},
        {"exactly7", 8, "exac..."},
        {"two words", 12, "\"two words\""},
        {"two words", 11, "\"two w...\""},
        {"\n\n\n\n", 10, "\"\\n\\n...\""},
        {"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 9, "\xe2\x82\xac..."},
        {"abcdef", 2, ""},
        {"abcdef", 4, "..."},
        {"abc", 1, ""},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char out[64];
        memset(out, '#', sizeof(out));
        leat_log_quote(out, table[i].size, table[i].text, strlen(table[i].text));
        assert_string_equal(out, table[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_time_level_subsystem_and_text),
        cmocka_unit_test(says_which_request_lines_are_about),
        cmocka_unit_test(drops_lines_below_its_level),
        cmocka_unit_test(keeps_a_line_one_line),
        cmocka_unit_test(cuts_a_line_that_is_too_long),
        cmocka_unit_test(cuts_no_character_in_two),
        cmocka_unit_test(calls_its_sink_for_one_thread_at_a_time),
        cmocka_unit_test(parses_level_names),
        cmocka_unit_test(writes_what_the_level_of_a_subsystem_lets_through),
        cmocka_unit_test(writes_what_is_always_to_be_told),
        cmocka_unit_test(quotes_what_needs_it),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
