/* What Lua's own functions answer is what ours must: each case is evaluated in a plain Lua state
 * and in a sandbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#include "script/sandbox/sandbox.h"

struct states {
    lua_State *plain;
    leat_sandbox *sandbox;
};

static int make_states(void **state)
{
    struct states *s = test_calloc(1, sizeof(*s));
    s->plain = luaL_newstate();
    luaL_openlibs(s->plain);
    assert_int_equal(leat_sandbox_new(&s->sandbox, 64 << 20, 2000), 0);
    *state = s;
    return 0;
}

static int free_states(void **state)
{
    struct states *s = *state;
    lua_close(s->plain);
    leat_sandbox_free(s->sandbox);
    test_free(s);
    return 0;
}

/* Runs the chunk, which returns one text; that or the error's text is pushed. */
static const char *evaluate(lua_State *L, const char *chunk)
{
    lua_settop(L, 0);
    if (luaL_loadbufferx(L, chunk, strlen(chunk), "=case", "t") != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    if (lua_pcall(L, 0, 1, 0) == LUA_OK && lua_type(L, -1) != LUA_TSTRING)
        fail_msg("no text from: %s", chunk);
    return lua_tostring(L, -1);
}

/* Turns any values into a text that shows all of them. */
#define SHOW                                                                                       \
    "local function show(...) local t = table.pack(...) "                                          \
    "for i = 1, t.n do t[i] = math.type(t[i]) == 'integer' and tostring(t[i]) "                    \
    "or string.format('%%q', tostring(t[i])) end "                                                 \
    "return t.n .. ':' .. table.concat(t, ',') end "

static void same(void **state, const char *expression)
{
    struct states *s = *state;
    char chunk[2048];
    snprintf(chunk, sizeof(chunk), SHOW "return show(%s)", expression);
    const char *expected = evaluate(s->plain, chunk);
    const char *found = evaluate(leat_sandbox_state(s->sandbox), chunk);
    if (strcmp(expected, found) != 0)
        fail_msg("%s\n  Lua's: %s\n  ours:  %s", expression, expected, found);
}

static void answers_like_luas_own(void **state)
{
    static const char *const cases[] = {
        "('hello world'):find('wor')",
        "('hello world'):find('o', 6)",
        "('hello world'):find('l+')",
        "('hello'):find('')",
        "('hello'):find('', 6)",
        "('hello'):find('', 7)",
        "('hello'):find('xyz')",
        "('a.b'):find('.', 1, true)",
        "('a.b'):find('%.')",
        "('a+b'):find('+b', 1, true)",
        "('hello'):find('l', -2)",
        "('hello'):find('h', -200)",
        "('a\\0b\\0c'):find('\\0c')",
        "('a\\0b'):find('%z')",
        "('a\\0b'):find('[\\0]')",
        "('hello'):find('(l)(l)')",
        "('hello'):find('()ll()')",
        "('hello'):match('h(.*)o')",
        "('hello'):match('.-l')",
        "('hello'):match('.-o$')",
        "('hello'):match('^hell$')",
        "('hello'):match('^h')",
        "('hello'):match('l', 3)",
        "('hello'):match('^l', 3)",
        "('hello'):match('^')",
        "('hello'):match('$')",
        "('he$lo'):match('e$l')",
        "('he^lo'):match('e^l')",
        "('  trim  '):match('^%s*(.-)%s*$')",
        "('key = value'):match('^(%w+)%s*=%s*(%w+)$')",
        "('2024-01-31'):match('(%d+)-(%d+)-(%d+)')",
        "('f(a(b)c)d'):match('%b()')",
        "('f(a(bc)d'):match('%b()')",
        "('xaax'):match('%bxx')",
        "('THE (quick) fox'):find('%f[%a]%a+%f[%A]')",
        "('THE (quick) fox'):find('%f[%l]%l+')",
        "('word'):find('%f[%z]')",
        "('\"hi\" said'):match('([\"\\'])(.-)%1')",
        "('abcabc'):match('(abc)%1')",
        "('abab'):match('((a)(b))%1')",
        "('aXbX'):match('()%1')",
        "('x]y'):match('[]]')",
        "('x]y'):match('[^]]+')",
        "('a-z'):match('[a-]+')",
        "('a-z'):match('[-z]+')",
        "('x^y'):match('[x^]+')",
        "('a%b'):match('[%%]')",
        "('a]b'):match('[%]]')",
        "('abc123'):match('[%a%d]+')",
        "('abc_123'):match('[%w_]+')",
        "('\\225\\233'):match('[\\128-\\255]+')",
        "('aaa'):match('a?a?a?a')",
        "('aaab'):match('a-b')",
        "('aaab'):match('a*ab')",
        "('aaa'):match('a+?')",
        "('a+'):match('a%+')",
        "('a**'):match('a**')",
        "('tail*'):match('%bti*')",
        "(12345):match('%d%d')",
        "('x'):rep(100):find('x*y')",
        "('abc'):gsub('%w', '%0%0')",
        "('abc'):gsub('%w', '%1%%')",
        "('hello world'):gsub('(%w+) (%w+)', '%2 %1')",
        "('hello'):gsub('', '-')",
        "('hello'):gsub('l*', 'x')",
        "('hello'):gsub('.', {h = 'H', e = false, l = 1})",
        "('hello'):gsub('(h)(e)', {h = 'H'})",
        "('hello'):gsub('l', function() end)",
        "('hello'):gsub('()l', function(p) return p end)",
        "('hello'):gsub('l', 7)",
        "('hello'):gsub('l', '()', 1)",
        "('hello'):gsub('l', 'L', 0)",
        "('hello'):gsub('l', 'L', -1)",
        "('hello'):gsub('^h', 'j')",
        "('hhh'):gsub('^h', 'j')",
        "('abc def'):gsub('%f[%w]%w+', string.upper)",
        "('abc'):gsub('$', 'x')",
        "('a,b,,c'):gsub(',', ';')",
        "('()'):gsub('%(', '%%')",
        "('ab'):gsub('()', '%1')",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        same(state, cases[i]);
}

static void gmatch_answers_like_luas_own(void **state)
{
    static const char *const cases[] = {
        "'one two  three', '%a+'",
        "'k=v, x=y', '(%w+)=(%w+)'",
        "'hello', ''",
        "'hello', '()'",
        "'abc', '.-'",
        "'abc', 'x*'",
        "'^a^a', '^a'",
        "'hello', 'l', 4",
        "'hello', 'l', -2",
        "'hello', '', 6",
        "'hello', '', 7",
        "'hello', '', 100",
        "'a1b22c', '%d*'",
        "('x'):rep(30), ('x'):rep(30)",
        "'aXbX', '()X()'",
    };
    char expression[512];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(expression, sizeof(expression),
                 "(function() local t = {} for a, b in string.gmatch(%s) do "
                 "t[#t + 1] = tostring(a) .. '/' .. tostring(b) end "
                 "return table.concat(t, '|') end)()",
                 cases[i]);
        same(state, expression);
    }
}

static void refuses_what_luas_own_refuses(void **state)
{
    static const char *const cases[] = {
        "('a'):match('%')",
        "('a'):match('[a')",
        "('a'):match('[]')",
        "('a'):match('[^]')",
        "('a'):match('[a%')",
        "('a'):match('(a')",
        "('a'):match('a)')",
        "('a'):match('%1')",
        "('ab'):match('(a%1)')",
        "('a'):match('%f')",
        "('a'):match('%b')",
        "('a'):match('%bx')",
        "('a'):gsub('a', '%2')",
        "('a'):gsub('a', '%x')",
        "('a'):gsub('a', '%')",
        "('a'):gsub('a', true)",
        "('a'):gsub('a', function() return {} end)",
        "('a'):rep(33):match(('(a)'):rep(33))",
        "string.find()",
        "string.gmatch('x')",
        "string.match('a', {})",
        "string.gsub('a', 'b')",
    };
    char expression[512];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(expression, sizeof(expression),
                 "select('#', pcall(function() return %s end)), "
                 "(select(2, pcall(function() return %s end)):gsub(' in .*', ''))",
                 cases[i], cases[i]);
        same(state, expression);
    }
}

/* Patterns put together at random from a few pieces, against random subjects. Those that Lua's own
 * refuses only when it gets that far are left out. */
static void agrees_on_random_patterns(void **state)
{
    struct states *s = *state;
    static const char chunk[] =
        "local seed, results = 12345, {} "
        "local function random(n) seed = (seed * 1103515245 + 12345) % 2147483648 "
        "return seed // 65536 % n + 1 end "
        "local pieces = {'a', 'b', '.', '%a', '[ab]', '[^a]', '(a)', '(.-)', '(b*)', '()', '%w', "
        "'$', '%bab', '%f[b]', 'c', '[a-b]', '(a-)', '%1', '%A'} "
        "local repeats = {'', '', '', '*', '+', '-', '?'} "
        "for i = 1, 20000 do "
        "  local pattern = random(4) == 1 and '^' or '' "
        "  for j = 1, random(6) do "
        "    pattern = pattern .. pieces[random(#pieces)] .. repeats[random(#repeats)] end "
        "  local subject = '' "
        "  for j = 1, random(12) - 1 do subject = subject .. ('aabbc'):sub(random(5)):sub(1, 1) "
        "end "
        "  if not pattern:find('^[^(]*%%1') then "
        "    local t = table.pack(pcall(string.find, subject, pattern)) "
        "    for k = 1, t.n do t[k] = tostring(t[k]) end "
        "    if t[1] == 'true' then local ok, text, n = pcall(string.gsub, subject, pattern, "
        "'<%0>') "
        "      t[#t + 1] = tostring(text) .. tostring(n) end "
        "    results[#results + 1] = pattern .. ' ' .. subject .. ' ' .. table.concat(t, ',') end "
        "end "
        "return table.concat(results, '\\n')";
    const char *expected = evaluate(s->plain, chunk);
    const char *found = evaluate(leat_sandbox_state(s->sandbox), chunk);
    if (strcmp(expected, found) != 0) {
        size_t at = 0;
        while (expected[at] == found[at])
            at++;
        while (at > 0 && expected[at - 1] != '\n')
            at--;
        fail_msg("Lua's: %.80s\nours:  %.80s", expected + at, found + at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_like_luas_own),
        cmocka_unit_test(gmatch_answers_like_luas_own),
        cmocka_unit_test(refuses_what_luas_own_refuses),
        cmocka_unit_test(agrees_on_random_patterns),
    };
    return cmocka_run_group_tests(tests, make_states, free_states);
}
