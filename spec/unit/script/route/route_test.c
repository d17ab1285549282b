/* app:route, app:stream, app:websocket: which one a path finds, and what a route's table becomes.
 */
#include "script_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static leat_route_match match(script_fixture *f, const char *method, const char *path)
{
    leat_route_match m;
    leat_route_find(leat_lua_script(f->lua), leat_slice_of(method), leat_slice_of(path), &m);
    return m;
}

static void paths_find_their_route(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:route('GET /a/{x}', print) app:route('POST /a/{x}', print)\n"
                           "app:route('GET /a/b', print, { public = true })\n"
                           "app:stream('/chats/{id:int}/stream', 'chat:{id}')\n"
                           "app:stream('/any/{name}', '{name}')\n"
                           "app:websocket('/raw', { public = true })");

    assert_int_equal(match(f, "GET", "/a/c").kind, LEAT_ROUTE_HTTP);
    assert_false(match(f, "GET", "/a/c").is_public);
    assert_true(match(f, "GET", "/a/b").is_public);
    assert_int_equal(match(f, "POST", "/a/b").kind, LEAT_ROUTE_HTTP);
    assert_int_equal(match(f, "PUT", "/a/b").kind, LEAT_ROUTE_NONE);
    assert_true(match(f, "PUT", "/a/b").path_known);
    assert_false(match(f, "GET", "/nope").path_known);
    leat_route_match stream = match(f, "GET", "/chats/42/stream");
    assert_int_equal(stream.kind, LEAT_ROUTE_STREAM);
    assert_string_equal(stream.topic, "chat:42");
    assert_int_equal(match(f, "GET", "/chats/x/stream").kind, LEAT_ROUTE_NONE);
    assert_string_equal(match(f, "GET", "/any/a%20b").topic, "a b");
    assert_int_equal(match(f, "GET", "/any/%01").kind, LEAT_ROUTE_NONE);
    assert_int_equal(match(f, "GET", "/raw").kind, LEAT_ROUTE_WEBSOCKET);
    assert_true(match(f, "GET", "/raw").is_public);

    char path[400] = "/any/";
    memset(path + 5, 'x', 300);
    assert_int_equal(match(f, "GET", path).kind, LEAT_ROUTE_NONE);
}

struct answer {
    leat_call call;
    int times;
    int status;
    char *type;
    char *headers;
    char *body;
    size_t body_len;
};

static char *take(leat_slice s)
{
    return leat_memdup(s.at == NULL ? "" : s.at, s.len);
}

static void on_answer(leat_call *call, const leat_route_answer *a)
{
    struct answer *out = call->data;
    assert_null(call->task_);
    out->times++;
    out->status = a->status;
    out->type = take(a->content_type);
    out->headers = take(a->headers);
    out->body = take(a->body);
    out->body_len = a->body.len;
}

static void drop(struct answer *a)
{
    free(a->type);
    free(a->headers);
    free(a->body);
}

static struct answer ask(script_fixture *f, const char *method, const char *path,
                         leat_session *session)
{
    struct answer a = {.call = {.data = &a}};
    leat_http_request request = {.method = leat_slice_of(method),
                                 .path = leat_slice_of(path),
                                 .query = leat_slice_of("q=1"),
                                 .body = leat_slice_of("body")};
    leat_route_match m = match(f, method, path);
    assert_int_equal(m.kind, LEAT_ROUTE_HTTP);
    leat_route_run(leat_lua_script(f->lua), &a.call, m.route, session, &request, "127.0.0.1:1",
                   script_fixture_deadline(f), on_answer);
    assert_int_equal(a.times, 0);
    SCRIPT_UNTIL(f, a.times > 0);
    assert_int_equal(a.times, 1);
    return a;
}

/* Serves one request by a handler with that body. */
static struct answer serve(script_fixture *f, const char *handler)
{
    leat_lua *before = f->lua;
    leat_buf body = LEAT_BUF_INIT;
    leat_buf_printf(&body, "app:route('GET /x', function(ctx, request) %s end)", handler);
    leat_buf_char(&body, '\0');
    script_fixture_load(f, body.at);
    if (before != NULL)
        leat_lua_retire(before, NULL, NULL);
    leat_buf_close(&body);
    f->lines.len = 0;
    return ask(f, "GET", "/x", NULL);
}

static void expect(script_fixture *f, const char *handler, int status, const char *type,
                   const char *headers, const char *body)
{
    struct answer a = serve(f, handler);
    assert_int_equal(a.status, status);
    assert_string_equal(a.type, type);
    assert_string_equal(a.headers, headers);
    assert_string_equal(a.body, body);
    drop(&a);
}

static void a_table_becomes_a_response(void **state)
{
    script_fixture *f = *state;
    const char *text = "text/plain; charset=utf-8";
    const char *json = "application/json";

    expect(f, "return { status = 200, body = 'hi' }", 200, text, "", "hi");
    expect(f, "return { body = 'hi', content_type = 'text/html' }", 200, "text/html", "", "hi");
    expect(f, "return { status = 201, body = { a = leat.array() } }", 201, json, "", "{\"a\":[]}");
    expect(f, "return { body = { 1 }, headers = { ['Content-type'] = 'a/b' } }", 200, "a/b", "",
           "[1]");
    expect(f, "return { status = 204 }", 204, "", "", "");
    expect(f, "return {}", 200, "", "", "");
    expect(f, "return { status = 302, headers = { Location = '/y' } }", 302, "", "Location: /y\r\n",
           "");
    expect(f, "return { headers = { ['Set-Cookie'] = { 'a=1', 'b=2' }, } }", 200, "",
           "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n", "");
    expect(f, "return { headers = { ['X-N'] = 5 } }", 200, "", "X-N: 5\r\n", "");
}

static void refusals_have_the_status_of_their_code(void **state)
{
    script_fixture *f = *state;
    const char *json = "application/json";

    expect(f, "return leat.deny('not_found', 'no \"such\"')", 404, json, "",
           "{\"code\":\"not_found\",\"message\":\"no \\\"such\\\"\"}\n");
    expect(f, "return leat.deny('unauthenticated')", 401, json, "WWW-Authenticate: Bearer\r\n",
           "{\"code\":\"unauthenticated\"}\n");
    expect(f, "return leat.deny('forbidden')", 403, json, "", "{\"code\":\"forbidden\"}\n");
    expect(f, "return leat.deny('unavailable')", 503, json, "Retry-After: 1\r\n",
           "{\"code\":\"unavailable\"}\n");
    expect(f, "return leat.deny('rate_limited', nil, { retry_after_ms = 2500 })", 429, json,
           "Retry-After: 3\r\n", "{\"code\":\"rate_limited\",\"retry_after_ms\":2500}\n");
    expect(f, "return leat.deny('bad_request')", 400, json, "", "{\"code\":\"bad_request\"}\n");
    expect(f, "return { body = { ('x'):rep(70000) } }", 413, json, "",
           "{\"code\":\"too_large\",\"message\":\"the result is too large\"}\n");
}

static void expect_bug(script_fixture *f, const char *handler, const char *logged)
{
    struct answer a = serve(f, handler);
    assert_int_equal(a.status, 500);
    assert_string_equal(a.body, "{\"code\":\"internal\"}\n");
    assert_string_equal(a.headers, "");
    script_fixture_expect_logged(f, logged);
    drop(&a);
}

static void mistakes_are_internal(void **state)
{
    script_fixture *f = *state;

    expect_bug(f, "error('secret')", "secret");
    expect_bug(f, "return nil", "a route must return a table");
    expect_bug(f, "return 'hi'", "a route must return a table");
    expect_bug(f, "return { status = 99 }", "status must be an integer from 200 to 599");
    expect_bug(f, "return { status = '200' }", "status must be an integer");
    expect_bug(f, "return { stats = 200 }", "unknown key 'stats'");
    expect_bug(f, "return { headers = { ['X\\r\\nY'] = 'a' } }", "is no header name");
    expect_bug(f, "return { headers = { X = 'a\\r\\nSet-Cookie: b' } }", "control character");
    expect_bug(f, "return { headers = { X = true } }", "must be a string, not a boolean");
    expect_bug(f, "return { headers = { ['content-Length'] = '5' } }", "is written by the server");
    expect_bug(f, "return { headers = 'X: y' }", "headers must be a table");
    expect_bug(f, "return { content_type = 'a\\nb' }", "content_type must be");
    expect_bug(f, "return { body = print }", "cannot be written as JSON");
}

static void a_body_may_be_any_bytes(void **state)
{
    script_fixture *f = *state;

    struct answer a = serve(f, "return { body = 'a\\0b\\xff' }");

    assert_int_equal(a.body_len, 4);
    assert_memory_equal(a.body, "a\0b\xff", 4);
    drop(&a);
}

static void the_handler_sees_request_and_user(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:connect(function() return { id = 'ann' } end)\n"
                           "app:route('POST /r/{name}/{n:int}', function(ctx, request)\n"
                           "  assert(ctx.request == request)\n"
                           "  return { body = { ctx.user and ctx.user.id or '-', request.params,\n"
                           "    request.body, request.query.q, request.method, request.path,\n"
                           "    request.remote } } end)");
    script_answer *c = script_fixture_connect(f, NULL);

    struct answer a = ask(f, "POST", "/r/a%2Fb/7", c->session);
    struct answer nobody = ask(f, "POST", "/r/x/8", NULL);

    assert_string_equal(a.body, "[\"ann\",{\"n\":7,\"name\":\"a/b\"},\"body\",\"1\",\"POST\","
                                "\"/r/a%2Fb/7\",\"127.0.0.1:1\"]");
    assert_string_equal(nobody.body, "[\"-\",{\"n\":8,\"name\":\"x\"},\"body\",\"1\",\"POST\","
                                     "\"/r/x/8\",\"127.0.0.1:1\"]");
    drop(&a);
    drop(&nobody);
    script_answer_free(c);
}

static void a_cancelled_request_is_not_answered(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:route('GET /x', function() return {} end)");
    struct answer a = {.call = {.data = &a}};
    leat_http_request request = {.method = leat_slice_of("GET"), .path = leat_slice_of("/x")};
    leat_route_run(leat_lua_script(f->lua), &a.call, 0, NULL, &request, "",
                   script_fixture_deadline(f), on_answer);

    script_fixture_ops(f)->cancel(&a.call);
    script_fixture_run_for(f, 10);

    assert_int_equal(a.times, 0);
    assert_null(a.call.task_);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, script_fixture_open, script_fixture_close)
        TEST(paths_find_their_route),
        TEST(a_table_becomes_a_response),
        TEST(refusals_have_the_status_of_their_code),
        TEST(mistakes_are_internal),
        TEST(a_body_may_be_any_bytes),
        TEST(the_handler_sees_request_and_user),
        TEST(a_cancelled_request_is_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
