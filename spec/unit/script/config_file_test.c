#include "script/config_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct reading {
    leat_buf entries; /* "key=type:value;" each */
    leat_buf error;
    const char *refused; /* the key for which the callback fails */
    int err;
};

static int on_entry(void *arg, const char *key, const leat_config_value *value)
{
    struct reading *r = arg;
    if (r->refused != NULL && strcmp(key, r->refused) == 0)
        return LEAT_EBUSY;
    leat_buf_printf(&r->entries, "%s=", key);
    switch (value->type) {
    case LEAT_CONFIG_BOOL:
        leat_buf_printf(&r->entries, "bool:%d;", value->boolean);
        break;
    case LEAT_CONFIG_INT:
        leat_buf_printf(&r->entries, "int:%lld;", (long long)value->integer);
        break;
    case LEAT_CONFIG_FLOAT:
        leat_buf_printf(&r->entries, "float:%g;", value->number);
        break;
    case LEAT_CONFIG_STRING:
        leat_buf_printf(&r->entries, "string:%.*s;", (int)value->string.len, value->string.at);
        break;
    case LEAT_CONFIG_OTHER:
        leat_buf_printf(&r->entries, "other:%.*s;", (int)value->string.len, value->string.at);
        break;
    }
    return 0;
}

static struct reading read_text(const char *text, const char *refused)
{
    struct reading r = {LEAT_BUF_INIT, LEAT_BUF_INIT, refused, 0};
    char path[] = "/tmp/leat-config-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    r.err = leat_config_file_read(path, on_entry, &r, &r.error);
    unlink(path);
    leat_buf_char(&r.entries, '\0');
    leat_buf_char(&r.error, '\0');
    return r;
}

static void close_reading(struct reading *r)
{
    leat_buf_close(&r->entries);
    leat_buf_close(&r->error);
}

static void assert_reads(const char *text, const char *entries)
{
    struct reading r = read_text(text, NULL);
    assert_string_equal(r.error.at, "");
    assert_int_equal(r.err, 0);
    assert_string_equal(r.entries.at, entries);
    close_reading(&r);
}

/* part: of the message. */
static void assert_fails(const char *text, const char *part)
{
    struct reading r = read_text(text, NULL);
    assert_int_equal(r.err, LEAT_ECONFIG);
    if (strstr(r.error.at, part) == NULL)
        fail_msg("no \"%s\" in: %s", part, r.error.at);
    close_reading(&r);
}

static void reads_values_sorted_by_key(void **state)
{
    (void)state;
    assert_reads("return {}", "");
    assert_reads("return { text = 'x', flag = true, off = false, n = 5, f = 0.5 }",
                 "f=float:0.5;flag=bool:1;n=int:5;off=bool:0;text=string:x;");
    assert_reads("#!/usr/bin/env lua\nreturn { n = 1 }", "n=int:1;");
    assert_reads("return { n = 10 * 1024 ^ 2 // 1 | 0 }", "n=int:10485760;");
}

static void flattens_sections(void **state)
{
    (void)state;
    assert_reads("return { b = { c = { d = 1 }, a = 2 }, a = 3 }",
                 "a=int:3;b.a=int:2;b.c.d=int:1;");
}

static void tells_other_types(void **state)
{
    (void)state;
    assert_reads("return { list = {1, 2}, none = {}, mixed = {1, x = 2}, f = print or tostring }",
                 "f=other:function;list=other:table;mixed=other:table;none=other:table;");
}

static void computes(void **state)
{
    (void)state;
    setenv("LEAT_CONFIG_TEST", "from outside", 1);
    assert_reads("local n = {} for i = 1, 3 do n['k' .. i] = string.rep('x', i) end "
                 "n.e = os.getenv('LEAT_CONFIG_TEST') n.no = os.getenv('LEAT_NO_SUCH') "
                 "n.ok = pcall(error) return n",
                 "e=string:from outside;k1=string:x;k2=string:xx;k3=string:xxx;ok=bool:0;");
}

static void changes_nothing(void **state)
{
    (void)state;
    assert_reads("return { n = io or require or load or loadfile or dofile or debug or print or "
                 "package or os.execute or os.remove or os.exit }",
                 "");
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    assert_fails("return {", ":1: unexpected symbol near <eof>");
    assert_fails("return { x = }", ":1: unexpected symbol near '}'");
    assert_fails("error('no such thing')", ":1: no such thing");
    assert_fails("error({})", "it raised an error that is not a text");
    assert_fails("return", "it must return a table, not a nil");
    assert_fails("return 5", "it must return a table, not a number");
    assert_fails("return { 1 }", "a key must be a string, not a number");
    assert_fails("local t = { x = 1 } t.t = t return t", "nested too deeply");
    assert_fails("\033Lua", "attempt to load a binary chunk");
    assert_fails("return { [('x'):rep(300)] = 1 }", "is too long");
    assert_fails("local text = nil return { a = text.b }", ":1: attempt to index a nil value");
}

static void says_which_file_is_missing(void **state)
{
    (void)state;
    struct reading r = {LEAT_BUF_INIT, LEAT_BUF_INIT, NULL, 0};
    int err = leat_config_file_read("/no/such/leat.lua", on_entry, &r, &r.error);
    leat_buf_char(&r.error, '\0');
    assert_int_equal(err, LEAT_ECONFIG);
    assert_string_equal(r.error.at, "cannot open /no/such/leat.lua: No such file or directory");
    close_reading(&r);
}

static void ends_endless_files(void **state)
{
    (void)state;
    assert_fails("while true do end", ":1: it computes for too long");
    assert_fails("while true do pcall(function() while true do end end) end",
                 "it computes for too long");
}

static void the_callback_ends_the_walk(void **state)
{
    (void)state;
    struct reading r = read_text("return { a = 1, b = { x = 1, y = 2, z = 3 }, c = 4 }", "b.y");
    assert_int_equal(r.err, LEAT_EBUSY);
    assert_string_equal(r.entries.at, "a=int:1;b.x=int:1;");
    assert_string_equal(r.error.at, "");
    close_reading(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_values_sorted_by_key),
        cmocka_unit_test(flattens_sections),
        cmocka_unit_test(tells_other_types),
        cmocka_unit_test(computes),
        cmocka_unit_test(changes_nothing),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(says_which_file_is_missing),
        cmocka_unit_test(ends_endless_files),
        cmocka_unit_test(the_callback_ends_the_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
