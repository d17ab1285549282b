#include "script/value/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <lauxlib.h>

static leat_pattern *compile(const char *text, bool path)
{
    char reason[200] = "";
    leat_pattern *p = NULL;
    if (leat_pattern_new(&p, leat_slice_of(text), path, reason, sizeof(reason)) < 0)
        fail_msg("%s", reason);
    return p;
}

/* A match as text: "id=42 (integer) name=x (text)"; "no match" if there is none. */
static void describe(const char *pattern, bool path, const char *name, char *out, size_t size)
{
    lua_State *L = luaL_newstate();
    leat_pattern *p = compile(pattern, path);
    bool matches = leat_pattern_matches(p, leat_slice_of(name));
    assert_int_equal(leat_pattern_push_args(p, leat_slice_of(name), L), matches);
    assert_int_equal(lua_gettop(L), matches ? 1 : 0);
    snprintf(out, size, "%s", matches ? "" : "no match");
    static const char *const names[] = {"id", "a", "b", "c"};
    for (size_t i = 0; matches && i < sizeof(names) / sizeof(names[0]); i++) {
        if (lua_getfield(L, 1, names[i]) != LUA_TNIL) {
            size_t len = strlen(out);
            const char *kind = lua_isinteger(L, -1) ? "int" : "str";
            snprintf(out + len, size - len, "%s%s=%s:%s", len > 0 ? " " : "", names[i], kind,
                     lua_tostring(L, -1));
        }
        lua_pop(L, 1);
    }
    leat_pattern_free(p);
    lua_close(L);
}

struct match_case {
    const char *pattern;
    const char *name;
    const char *expected;
};

static void check_cases(const struct match_case *cases, size_t n, bool path)
{
    char found[400];
    for (size_t i = 0; i < n; i++) {
        describe(cases[i].pattern, path, cases[i].name, found, sizeof(found));
        if (strcmp(found, cases[i].expected) != 0)
            fail_msg("%s on %s: %s, not %s", cases[i].name, cases[i].pattern, found,
                     cases[i].expected);
    }
}

static void matches_topics(void **state)
{
    (void)state;
    static const struct match_case cases[] = {
        {"lobby", "lobby", ""},
        {"lobby", "lobby2", "no match"},
        {"lobby", "", "no match"},
        {"chat:{id:int}", "chat:42", "id=int:42"},
        {"chat:{id:int}", "chat:-42", "id=int:-42"},
        {"chat:{id:int}", "chat:0", "id=int:0"},
        {"chat:{id:int}", "chat:9223372036854775807", "id=int:9223372036854775807"},
        {"chat:{id:int}", "chat:-9223372036854775808", "id=int:-9223372036854775808"},
        {"chat:{id:int}", "chat:9223372036854775808", "no match"},
        {"chat:{id:int}", "chat:99999999999999999999999999", "no match"},
        {"chat:{id:int}", "chat:042", "no match"},
        {"chat:{id:int}", "chat:-0", "no match"},
        {"chat:{id:int}", "chat:00", "no match"},
        {"chat:{id:int}", "chat:+1", "no match"},
        {"chat:{id:int}", "chat:1.0", "no match"},
        {"chat:{id:int}", "chat:42x", "no match"},
        {"chat:{id:int}", "chat: 42", "no match"},
        {"chat:{id:int}", "chat:", "no match"},
        {"chat:{id:int}", "chat:-", "no match"},
        {"chat:{id:int}", "Chat:42", "no match"},
        {"chat:{id:int}:log", "chat:42:log", "id=int:42"},
        {"{id:int}", "7", "id=int:7"},
        {"chat:{id}", "chat:x", "id=str:x"},
        {"chat:{id}", "chat:a:b", "id=str:a:b"},
        {"chat:{id:str}", "chat:42", "id=str:42"},
        {"chat:{id}", "chat:", "no match"},
        {"chat:{id}:log", "chat:a:b:log", "id=str:a:b"},
        {"chat:{id}:log", "chat::log", "no match"},
        {"chat:{id}:log", "chat:x:logs", "no match"},
        {"chat:{a}:{b}", "chat:x:y", "a=str:x b=str:y"},
        {"chat:{a}:{b}", "chat:x:y:z", "a=str:x b=str:y:z"},
        {"chat:{a}:{b}", "chat::y", "no match"},
        {"chat:{a}-{b}", "chat:x:y-z", "no match"},
        {"chat:{a}-{b}", "chat:x-y-z", "a=str:x b=str:y-z"},
        {"{a}->{b}", "x-y->z", "a=str:x-y b=str:z"},
        {"{a}:{b:int}:{c}", "x:5:y", "a=str:x b=int:5 c=str:y"},
        {"u:{id:uuid}", "u:00112233-4455-6677-8899-aabbccddeeff",
         "id=str:00112233-4455-6677-8899-aabbccddeeff"},
        {"u:{id:uuid}", "u:00112233-4455-6677-8899-AABBCCDDEEFF", "no match"},
        {"u:{id:uuid}", "u:00112233-4455-6677-8899-aabbccddeef", "no match"},
        {"u:{id:uuid}", "u:00112233445566778899aabbccddeeff0000", "no match"},
        {"u:{id:uuid}", "u:00112233-4455-6677-8899-aabbccddeefff", "no match"},
        {"caf\xc3\xa9:{id}", "caf\xc3\xa9:\xf0\x9f\x98\x80", "id=str:\xf0\x9f\x98\x80"},
        {"chat:{id}", "chat:100%25", "id=str:100%25"},
    };
    check_cases(cases, sizeof(cases) / sizeof(cases[0]), false);
}

static void matches_paths(void **state)
{
    (void)state;
    static const struct match_case cases[] = {
        {"/", "/", ""},
        {"/hello", "/hello", ""},
        {"/hello", "/hello/", "no match"},
        {"/hello", "/h%65llo", ""},
        {"/chats/{id:int}/stream", "/chats/42/stream", "id=int:42"},
        {"/chats/{id:int}/stream", "/chats/4%32/stream", "id=int:42"},
        {"/chats/{id:int}/stream", "/chats/x/stream", "no match"},
        {"/chats/{id:int}/stream", "/chats/42", "no match"},
        {"/files/{a}", "/files/a.txt", "a=str:a.txt"},
        {"/files/{a}", "/files/a/b", "no match"},
        {"/files/{a}", "/files/", "no match"},
        {"/files/{a}", "/files/a%2Fb", "a=str:a/b"},
        {"/files/{a}", "/files%2Fa", "no match"},
        {"/files/{a}", "/files/a%20b%c3%a9", "a=str:a b\xc3\xa9"},
        {"/files/{a}", "/files/a+b", "a=str:a+b"},
        {"/files/{a}", "/files/%", "no match"},
        {"/files/{a}", "/files/%4", "no match"},
        {"/files/{a}", "/files/%zz", "no match"},
        {"/files/{a}", "/files/%00", "no match"},
        {"/files/{a}", "/files/%ff", "no match"},
        {"/files/{a}", "/files/\xff", "no match"},
        {"/files/{a}.{b}", "/files/x.tar.gz", "a=str:x b=str:tar.gz"},
        {"/files/{a}.json", "/files/x.json", "a=str:x"},
        {"/{a}/{b}", "/x/y", "a=str:x b=str:y"},
        {"/{a}/{b}", "/x:y/z:w", "a=str:x:y b=str:z:w"},
        {"/{a}/{b}", "//y", "no match"},
    };
    check_cases(cases, sizeof(cases) / sizeof(cases[0]), true);
}

static void refuses_malformed_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool path;
        const char *reason;
    } cases[] = {
        {"", false, "pattern \"\": it is empty (at byte 1)"},
        {"chat:{id", false, "pattern \"chat:{id\": the hole is not closed with '}' (at byte 6)"},
        {"chat:{id:int", false,
         "pattern \"chat:{id:int\": the hole is not closed with '}' (at byte 6)"},
        {"chat:{}", false,
         "pattern \"chat:{}\": a hole needs a name, as in {id} or {id:int} (at byte 7)"},
        {"chat:{1}", false,
         "pattern \"chat:{1}\": a hole needs a name, as in {id} or {id:int} (at byte 7)"},
        {"chat:id}", false, "pattern \"chat:id}\": '}' without '{' (at byte 8)"},
        {"{a}{b}", false, "pattern \"{a}{b}\": two holes need something between them (at byte 4)"},
        {"{a}:{a}", false, "pattern \"{a}:{a}\": the name of this hole is taken (at byte 6)"},
        {"{a:float}", false,
         "pattern \"{a:float}\": a hole's type is int, str or uuid (at byte 4)"},
        {"{a:}", false, "pattern \"{a:}\": a hole's type is int, str or uuid (at byte 4)"},
        {"a\nb", false, "pattern \"a\nb\": a control character (at byte 2)"},
        {"\xff", false, "pattern \"\xff\": it is not valid UTF-8 (at byte 1)"},
        {"chats", true, "pattern \"chats\": a path begins with '/' (at byte 1)"},
        {"{a}1{b}2{c}3{d}4{e}5{f}6{g}7{h}8{i}9{j}1{k}2{l}3{m}4{n}5{o}6{p}7{q}", false,
         "pattern \"{a}1{b}2{c}3{d}4{e}5{f}6{g}7{h}8{i}9{j}1{k}2{l}3{m}4{n}5{o}6{p}7{q}\": "
         "more than 16 holes (at byte 65)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char reason[200] = "";
        leat_pattern *p = NULL;
        int err = leat_pattern_new(&p, leat_slice_of(cases[i].text), cases[i].path, reason,
                                   sizeof(reason));
        assert_int_equal(err, LEAT_EBADMSG);
        assert_string_equal(reason, cases[i].reason);
    }
}

static void assert_expands(const char *path, const char *name, const char *template,
                           const char *expected)
{
    leat_pattern *p = compile(path, true);
    leat_buf out = LEAT_BUF_INIT;
    leat_buf_text(&out, ">");
    bool done = leat_pattern_expand(p, leat_slice_of(name), leat_slice_of(template), &out);
    leat_buf_char(&out, '\0');
    assert_string_equal(out.at, expected == NULL ? ">" : expected);
    assert_int_equal(done, expected != NULL);
    leat_buf_close(&out);
    leat_pattern_free(p);
}

static void fills_templates(void **state)
{
    (void)state;
    assert_expands("/chats/{id:int}/stream", "/chats/42/stream", "chat:{id}", ">chat:42");
    assert_expands("/chats/{id:int}", "/chats/42", "chat:{id:int}!", ">chat:42!");
    assert_expands("/{a}/{b}", "/x%20y/z", "{b}:{a}:{b}", ">z:x y:z");
    assert_expands("/{a}", "/x%2Fy", "t:{a}", ">t:x/y");
    assert_expands("/lobby", "/lobby", "lobby", ">lobby");
    assert_expands("/chats/{id:int}", "/chats/x", "chat:{id}", NULL);
    assert_expands("/chats/{id:int}", "/chats/1", "chat:{no}", NULL);
    assert_expands("/chats/{id:int}", "/chats/1", "chat:{id", NULL);
}

/* Only a path has slashes that were written %2F. */
static void keeps_a_zero_byte_of_a_topic(void **state)
{
    (void)state;
    static const char name[] = "chat:a\0b";
    leat_slice topic = {name, sizeof(name) - 1};
    leat_pattern *p = compile("chat:{id}", false);
    lua_State *L = luaL_newstate();
    leat_buf out = LEAT_BUF_INIT;
    assert_true(leat_pattern_expand(p, topic, leat_slice_of("chat:{id}"), &out));
    assert_true(leat_slice_equal(leat_buf_view(&out), topic));
    assert_true(leat_pattern_push_args(p, topic, L));
    lua_getfield(L, 1, "id");
    lua_pushlstring(L, "a\0b", 3);
    assert_true(lua_rawequal(L, -1, -2));
    leat_buf_close(&out);
    lua_close(L);
    leat_pattern_free(p);
}

static void knows_its_holes(void **state)
{
    (void)state;
    leat_pattern *p = compile("chat:{id:int}:{kind}", false);
    assert_true(leat_pattern_has_hole(p, leat_slice_of("id")));
    assert_true(leat_pattern_has_hole(p, leat_slice_of("kind")));
    assert_false(leat_pattern_has_hole(p, leat_slice_of("chat")));
    leat_pattern_free(p);
}

static void the_more_exact_comes_first(void **state)
{
    (void)state;
    static const char *const sorted[] = {"chat:lobby", "chat:{id}:log", "chat:{id:int}",
                                         "chat:{id}",  "{id:uuid}",     "{id}"};
    for (size_t i = 0; i + 1 < sizeof(sorted) / sizeof(sorted[0]); i++) {
        leat_pattern *a = compile(sorted[i], false);
        leat_pattern *b = compile(sorted[i + 1], false);
        if (leat_pattern_compare(a, b) >= 0 || leat_pattern_compare(b, a) <= 0)
            fail_msg("%s and %s", sorted[i], sorted[i + 1]);
        assert_int_equal(leat_pattern_compare(a, a), 0);
        leat_pattern_free(a);
        leat_pattern_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_topics),
        cmocka_unit_test(matches_paths),
        cmocka_unit_test(refuses_malformed_patterns),
        cmocka_unit_test(fills_templates),
        cmocka_unit_test(keeps_a_zero_byte_of_a_topic),
        cmocka_unit_test(knows_its_holes),
        cmocka_unit_test(the_more_exact_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
