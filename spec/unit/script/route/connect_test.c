/* app:connect, sessions, ctx.user and ctx.request. */
#include "script_fixture.h"

#include <string.h>

static leat_http_request request_of(const leat_http_header *headers, size_t n, const char *query)
{
    return (leat_http_request){.method = leat_slice_of("GET"),
                               .path = leat_slice_of("/ws%20x"),
                               .query = leat_slice_of(query),
                               .headers = headers,
                               .n_headers = n,
                               .body = {"", 0}};
}

static leat_http_header header(const char *name, const char *value)
{
    return (leat_http_header){leat_slice_of(name), leat_slice_of(value)};
}

static void without_a_handler_everybody_gets_in(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:method('who', function(ctx)\n"
                           "  return { user = ctx.user, path = ctx.request.path } end)");

    script_answer *a = script_fixture_connect(f, NULL);
    script_answer *m = script_fixture_method(f, a->session, "who", NULL);

    assert_int_equal(a->code, LEAT_CODE_OK);
    assert_null(leat_session_user_id(a->session).at);
    assert_string_equal(m->json, "{\"path\":\"/ws\"}");
    script_answer_free(a);
    script_answer_free(m);
}

static void what_it_returns_is_the_user(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:connect(function(ctx, request)\n"
                           "  return { id = 9007199254740993, name = request.token, tags = {},\n"
                           "           expires_at = 1700000000.7 } end)\n"
                           "app:method('who', function(ctx) return ctx.user end)");
    leat_http_header headers[] = {header("authorization", "bearer s3cret")};
    leat_http_request request = request_of(headers, 1, NULL);

    script_answer *a = script_fixture_connect(f, &request);
    script_answer *m = script_fixture_method(f, a->session, "who", NULL);

    assert_int_equal(a->code, LEAT_CODE_OK);
    assert_true(leat_slice_is(leat_session_user_id(a->session), "9007199254740993"));
    assert_int_equal(a->session->expires_at, 1700000000);
    assert_string_equal(m->json, "{\"expires_at\":1700000000.7,\"id\":9007199254740993,"
                                 "\"name\":\"s3cret\",\"tags\":{}}");
    script_answer_free(a);
    script_answer_free(m);
}

static void expect_refused(script_fixture *f, const char *handler, leat_code code,
                           const char *message)
{
    leat_lua *before = f->lua;
    leat_buf body = LEAT_BUF_INIT;
    leat_buf_printf(&body, "app:connect(function(ctx, request) %s end)", handler);
    leat_buf_char(&body, '\0');
    script_fixture_load(f, body.at);
    if (before != NULL)
        leat_lua_retire(before, NULL, NULL);
    script_answer *a = script_fixture_connect(f, NULL);
    assert_string_equal(leat_code_name(a->code), leat_code_name(code));
    assert_string_equal(a->message, message);
    assert_null(a->session);
    leat_buf_close(&body);
    script_answer_free(a);
}

static void whoever_it_does_not_name_is_refused(void **state)
{
    script_fixture *f = *state;

    expect_refused(f, "", LEAT_CODE_UNAUTHENTICATED, "");
    expect_refused(f, "return nil", LEAT_CODE_UNAUTHENTICATED, "");
    expect_refused(f, "return false", LEAT_CODE_UNAUTHENTICATED, "");
    expect_refused(f, "return leat.null", LEAT_CODE_UNAUTHENTICATED, "");
    expect_refused(f, "return leat.deny('forbidden', 'not you')", LEAT_CODE_FORBIDDEN, "not you");
    expect_refused(f, "error(leat.deny('limit'))", LEAT_CODE_LIMIT, "");
    expect_refused(f, "return true", LEAT_CODE_INTERNAL, "");
    expect_refused(f, "return 'bob'", LEAT_CODE_INTERNAL, "");
    expect_refused(f, "return { id = 1, expires_at = '2030' }", LEAT_CODE_INTERNAL, "");
    expect_refused(f, "return { id = 1, fn = print }", LEAT_CODE_INTERNAL, "");
    expect_refused(f, "return leat.deny('nonsense')", LEAT_CODE_INTERNAL, "");
    expect_refused(f, "return leat.deny('forbidden', 'bad \\xff')", LEAT_CODE_INTERNAL, "");
    script_fixture_expect_logged(f, "'nonsense' is no error code");
    script_fixture_expect_logged(f, "connect must return the user, which is a table");
    script_fixture_expect_logged(f, "expires_at must be a number");
}

static void an_expiry_in_the_past_is_not_never(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:connect(function() return { id = 'x', expires_at = 0 } end)");

    script_answer *a = script_fixture_connect(f, NULL);

    assert_int_equal(a->session->expires_at, 1);
    assert_true(leat_slice_is(leat_session_user_id(a->session), "x"));
    script_answer_free(a);
}

static const char show[] =
    "local function sorted(t) local k = {} for n in pairs(t) do k[#k + 1] = n end\n"
    "  table.sort(k) return leat.array(k) end\n"
    "local function show(r) return { token = r.token, query = r.query, headers = "
    "sorted(r.headers),\n"
    "  accept = r.headers.accept, cookies = r.cookies, path = r.path, method = r.method,\n"
    "  remote = r.remote, body = r.body, fields = sorted(r) } end\n"
    "local first\n"
    "app:connect(function(ctx, request) first = show(request)\n"
    "  assert(ctx.request == request) return { id = 1 } end)\n"
    "app:method('first', function() return first end)\n"
    "app:method('later', function(ctx) return show(ctx.request) end)";

static void the_request_is_whole_in_connect_and_remembered_after(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, show);
    leat_http_header headers[] = {
        header("sec-websocket-key", "k"), header("accept", "a"),          header("accept", "b"),
        header("cookie", "x=1; y=2"),     header("upgrade", "websocket"),
    };
    leat_http_request request = request_of(headers, 5, "token=t%20t&a=1&a=2&b");

    script_answer *a = script_fixture_connect(f, &request);
    script_answer *first = script_fixture_method(f, a->session, "first", NULL);
    script_answer *later = script_fixture_method(f, a->session, "later", NULL);

    assert_string_equal(
        first->json,
        "{\"accept\":\"a, b\",\"cookies\":{\"x\":\"1\",\"y\":\"2\"},"
        "\"fields\":[\"cookies\",\"headers\",\"method\",\"path\",\"query\",\"remote\","
        "\"token\"],\"headers\":[\"accept\",\"cookie\",\"sec-websocket-key\",\"upgrade\"],"
        "\"method\":\"GET\",\"path\":\"/ws%20x\",\"query\":{\"a\":\"1\",\"b\":\"\","
        "\"token\":\"t t\"},\"remote\":\"127.0.0.1:4000\",\"token\":\"t t\"}");
    assert_string_equal(
        later->json, "{\"accept\":\"a, b\",\"cookies\":{\"x\":\"1\",\"y\":\"2\"},"
                     "\"fields\":[\"cookies\",\"headers\",\"method\",\"path\",\"query\",\"remote\","
                     "\"token\"],\"headers\":[\"accept\",\"cookie\"],\"method\":\"GET\","
                     "\"path\":\"/ws%20x\",\"query\":{\"a\":\"1\",\"b\":\"\",\"token\":\"t t\"},"
                     "\"remote\":\"127.0.0.1:4000\",\"token\":\"t t\"}");
    script_answer_free(a);
    script_answer_free(first);
    script_answer_free(later);
}

static void renewing_keeps_the_request_but_the_token(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:connect(function(ctx, r)\n"
                           "  return { id = r.token, agent = r.headers['user-agent'] } end)\n"
                           "app:method('who', function(ctx) return ctx.user end)");
    leat_http_header headers[] = {header("authorization", "Bearer one"),
                                  header("user-agent", "me")};
    leat_http_request request = request_of(headers, 2, NULL);
    script_answer *a = script_fixture_connect(f, &request);
    assert_true(leat_slice_is(leat_session_user_id(a->session), "one"));

    script_answer *b = script_answer_new(f);
    script_fixture_ops(f)->connect(script_fixture_script(f), &b->call, NULL, "", a->session,
                                   leat_slice_of("two"), script_fixture_deadline(f));
    script_answer_wait(b);
    script_answer *m = script_fixture_method(f, b->session, "who", NULL);

    assert_string_equal(m->json, "{\"agent\":\"me\",\"id\":\"two\"}");
    script_answer_free(a);
    script_answer_free(b);
    script_answer_free(m);
}

static void a_session_outlives_its_scripts(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:connect(function() return { id = 1, name = 'ann' } end)");
    script_answer *a = script_fixture_connect(f, NULL);
    leat_lua *old = f->lua;

    script_fixture_load(f, "app:method('who', function(ctx) return ctx.user.name end)");
    leat_lua_retire(old, NULL, NULL);
    script_answer *m = script_fixture_method(f, a->session, "who", NULL);

    assert_string_equal(m->json, "\"ann\"");
    script_answer_free(a);
    script_answer_free(m);
}

static void a_user_changed_by_one_handler_is_not_seen_by_another(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:connect(function() return { id = 1 } end)\n"
                           "app:method('grow', function(ctx)\n"
                           "  ctx.user.n = (ctx.user.n or 0) + 1 return ctx.user.n end)");
    script_answer *a = script_fixture_connect(f, NULL);

    for (int i = 0; i < 2; i++) {
        script_answer *m = script_fixture_method(f, a->session, "grow", NULL);
        assert_string_equal(m->json, "1");
        script_answer_free(m);
    }
    script_answer_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, script_fixture_open, script_fixture_close)
        TEST(without_a_handler_everybody_gets_in),
        TEST(what_it_returns_is_the_user),
        TEST(whoever_it_does_not_name_is_refused),
        TEST(an_expiry_in_the_past_is_not_never),
        TEST(the_request_is_whole_in_connect_and_remembered_after),
        TEST(renewing_keeps_the_request_but_the_token),
        TEST(a_session_outlives_its_scripts),
        TEST(a_user_changed_by_one_handler_is_not_seen_by_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
