/* sql_scan: the statements that a Lua file has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "script/sql_scan.h"

static void on_statement(void *arg, int line, leat_slice sql)
{
    leat_buf_printf(arg, "%d:%.*s|", line, (int)sql.len, sql.at == NULL ? "" : sql.at);
}

static void on_spliced(void *arg, int line)
{
    leat_buf_printf(arg, "%d!|", line);
}

static void on_require(void *arg, leat_slice module)
{
    leat_buf_printf(arg, "<%.*s>|", (int)module.len, module.at);
}

static void scan(const char *text, leat_buf *found)
{
    const leat_sql_scan callbacks = {on_statement, on_spliced, on_require, found};
    found->len = 0;
    leat_sql_scan_text(leat_slice_of(text), &callbacks);
    leat_buf_char(found, '\0');
}

static void test_what_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text, *found;
    } cases[] = {
        {"", ""},
        {"db:one('select 1', x)", "1:select 1|"},
        {"ctx.db:rows(\"select 1\")", "1:select 1|"},
        {"tx:exec [[\nselect\n2]]", "1:select\n2|"},
        {"\n\ndb:one(\n'a')", "4:a|"},
        {"db:one([==[a]]b]=]]==])", "1:a]]b]=]|"},
        {"db:one('a\\'b\\n\\65\\x42\\z  c')", "1:a'b\nABc|"},
        {"db:one('\\u{20ac}')", "1:?|"},
        /* Batches. */
        {"db:batch { { 'a', 1 }, { 'b' } }", "1:a|1:b|"},
        {"tx:batch({\n{ 'a', f({ 'x' }), { 'y' } },\n{ T }, { 'b' .. c } }) db:one('c')",
         "2:a|3!|3:c|"},
        {"local T = 'b' db:batch { { 'a' }, { T, x } }", "1:a|1:b|"},
        {"db:batch(list) db:batch { sql, list } db:one('a')", "1:a|"},
        {"db:batch { {}, { { 'a' } }, { ('b %s'):format(x) }, { 'c' } }", "1!|1:c|"},
        {"db:batch { { 'a', db:one('b') }, { 'c' } }", "1:a|1:c|"},
        /* Constants. */
        {"local T = 'b'\ndb:one('a ' .. T .. ' c')", "2:a b c|"},
        {"local T <const> = 'b'\ndb:one(T, 1)", "2:b|"},
        {"local A = 'x' local B = A .. 'y' db:rows(B)", "1:xy|"},
        {"local A = 'x' local A = 'y' db:rows(A)", ""},
        {"local A = 'x' A = f() db:rows(A)", ""},
        {"local A = 'x' if A == 'x' then db:rows(A) end", "1:x|"},
        /* Made of variables. */
        {"db:one('a ' .. id)", "1!|"},
        {"db:one('a ' .. M.COLUMNS .. ' b')", "1!|"},
        {"db:one(('a %s'):format(id))", "1!|"},
        {"db:one(name .. ' b')", "1!|"},
        {"local T = 'a' .. id\ndb:one(T .. ' b')", "2!|"},
        {"db:one(sql)", ""},
        {"db:one(make('a'))", ""},
        {"db:one(sql, 'a' .. b)", ""},
        /* No statements. */
        {"list:one('a')", ""},
        {"db:transaction(function(db) return db:exec('a') end)", "1:a|"},
        {"-- db:one('a')\n--[[ db:one('b')\n]] db:one('c')", "3:c|"},
        {"x = 'db:one(\"a\")'", ""},
        {"f(...) db:one('a')", "1:a|"},
        /* Modules. */
        {"local m = require 'a.b' require(\"c\")", "<a.b>|<c>|"},
        /* Cut off in the middle. */
        {"db:one(", ""},
        {"db:one('a", "1:a|"},
        {"db:one([[a", "1:a|"},
        {"db:batch { { 'a', {", "1:a|"},
        {"db:one('a\\", "1:a\\|"},
        {"local T =", ""},
        {"--[==[", ""},
    };
    leat_buf found = LEAT_BUF_INIT;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scan(cases[i].text, &found);
        assert_string_equal(found.at, cases[i].found);
    }
    leat_buf_close(&found);
}

/* Whatever the text, the scan ends and reads nothing behind it. */
static void test_every_prefix(void **state)
{
    (void)state;
    static const char text[] =
        "local A <const> = [=[x]=] .. 'y\\x41\\u{1}\\z \\065' --[[c]] require('m')\n"
        "ctx.db:one(A .. \"z\" .. f(1), ...) tx:rows [[\n]] a.b = c == d";
    leat_buf found = LEAT_BUF_INIT;
    for (size_t len = 0; len < sizeof(text); len++) {
        leat_buf copy = LEAT_BUF_INIT;
        leat_buf_append(&copy, text, len);
        leat_sql_scan callbacks = {on_statement, on_spliced, on_require, &found};
        leat_sql_scan_text(leat_buf_view(&copy), &callbacks);
        leat_buf_close(&copy);
    }
    leat_buf_close(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_found),
        cmocka_unit_test(test_every_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
