/* What the lines of a log look like as JSON, with all that a careless caller may write. */
#include "base/log_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

#define TIME "2026-11-23T18:31:58.123Z"
#define HEAD "{\"time\":\"" TIME "\",\"level\":\"warn\",\"subsystem\":\"pool\",\"message\":"

static void expect(const char *text, const char *object)
{
    char line[1024] = TIME " WARN pool ";
    strcat(line, text);
    size_t len = strlen(line);
    char *exact = malloc(len); /* for the address sanitizer */
    memcpy(exact, line, len);
    char *out = malloc(LEAT_LOG_JSON_MAX(len) + 1);
    out[leat_log_json(out, exact, len)] = '\0';
    assert_memory_equal(out, HEAD, sizeof(HEAD) - 1);
    assert_string_equal(out + sizeof(HEAD) - 1, object);
    free(out);
    free(exact);
}

static void writes_message_and_fields(void **state)
{
    (void)state;
    expect("connected", "\"connected\"}");
    expect("query slow ms=812", "\"query slow\",\"ms\":812}");
    expect("slow ms=0.5 pid=-1 id=007", "\"slow\",\"ms\":0.5,\"pid\":-1,\"id\":\"007\"}");
    expect("slow a=1.2.3 b=. c=- d=1234567890123456 e=1.",
           "\"slow\",\"a\":\"1.2.3\",\"b\":\".\",\"c\":\"-\",\"d\":\"1234567890123456\","
           "\"e\":\"1.\"}");
    expect("gone remote=10.0.0.1:80 user=", "\"gone\",\"remote\":\"10.0.0.1:80\",\"user\":\"\"}");
}

static void takes_quotes_and_escapes_off(void **state)
{
    (void)state;
    expect("failed err=\"no such \\\"table\\\"\\n\" sql=\"a\\\\b\\x00\"",
           "\"failed\",\"err\":\"no such \\\"table\\\"\\n\",\"sql\":\"a\\\\b\\\\x00\"}");
    expect("\"renamed by=mallory\" chat=42", "\"renamed by=mallory\",\"chat\":42}");
    expect("found topic=\"a=1 b=2\" n=\"3\"", "\"found\",\"topic\":\"a=1 b=2\",\"n\":\"3\"}");
}

static void keeps_what_nobody_quoted(void **state)
{
    (void)state;
    expect("failed err=no such table code=3", "\"failed\",\"err\":\"no such table\",\"code\":3}");
    expect("failed err=\"a\" b c=\"d", "\"failed\",\"err\":\"\\\"a\\\" b\",\"c\":\"\\\"d\"}");
    expect("a=1 b=2", "\"\",\"a\":1,\"b\":2}");
    expect("", "\"\"}");
    expect("two  spaces  a=b  ", "\"two  spaces \",\"a\":\"b  \"}");
}

static void keeps_its_own_keys(void **state)
{
    (void)state;
    expect("x time=1 level=2 message=m subsystem=s times=5",
           "\"x\",\"time_\":1,\"level_\":2,\"message_\":\"m\",\"subsystem_\":\"s\",\"times\":5}");
}

static void writes_utf8_or_question_marks(void **state)
{
    (void)state;
    expect("hi name=\"J\xc3\xbcrgen\"", "\"hi\",\"name\":\"J\xc3\xbcrgen\"}");
    expect("hi name=\xff\xc3", "\"hi\",\"name\":\"?"
                               "?\"}");
}

static void fits_the_bound_for_the_worst_line(void **state)
{
    (void)state;
    static const char *const worst[] = {"\"", "\\", " a=", " a=1", " time=", "\\\"", "=", " "};
    for (size_t i = 0; i < sizeof(worst) / sizeof(worst[0]); i++) {
        char line[8192];
        size_t len = 0;
        while (len + 8 < sizeof(line)) {
            memcpy(line + len, worst[i], strlen(worst[i]));
            len += strlen(worst[i]);
            char *out = len % 97 == 0 ? malloc(LEAT_LOG_JSON_MAX(len)) : NULL;
            if (out != NULL)
                assert_in_range(leat_log_json(out, line, len), 1, LEAT_LOG_JSON_MAX(len));
            free(out);
        }
    }
}

typedef struct capture {
    char last[32768];
} capture;

static void on_line(void *arg, leat_log_level level, const char *line, size_t len)
{
    capture *c = arg;
    (void)level;
    memcpy(c->last, line, len);
    c->last[len] = '\0';
}

static void is_the_format_of_a_log(void **state)
{
    (void)state;
    capture c = {0};
    leat_log_format format;
    assert_int_equal(leat_log_format_parse(&format, "xml"), LEAT_EBADMSG);
    assert_int_equal(leat_log_format_parse(&format, "json"), 0);
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_INFO, on_line, &c);
    leat_log_set_format(log, format);
    leat_log_bind(log);
    LEAT_LOG_WARN("pg", "connect failed host=%s err=%d", "db", -5);
    assert_string_equal(strstr(c.last, ",\"level\""),
                        ",\"level\":\"warn\",\"subsystem\":\"pg\",\"message\":\"connect failed\","
                        "\"host\":\"db\",\"err\":-5}");
    leat_log_bind(NULL);
    leat_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_message_and_fields),
        cmocka_unit_test(takes_quotes_and_escapes_off),
        cmocka_unit_test(keeps_what_nobody_quoted),
        cmocka_unit_test(keeps_its_own_keys),
        cmocka_unit_test(writes_utf8_or_question_marks),
        cmocka_unit_test(fits_the_bound_for_the_worst_line),
        cmocka_unit_test(is_the_format_of_a_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
