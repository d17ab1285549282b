/* subscribe handlers, subscribe_authorized, refresh, snapshot, leat.subscribe. */
#include "script_fixture.h"

#include <string.h>

/* Runs a subscribe handler made of that body. */
static script_answer *subscribe(script_fixture *f, const char *body, const char *params)
{
    leat_lua *before = f->lua;
    leat_buf text = LEAT_BUF_INIT;
    leat_buf_printf(&text,
                    "local spec = { snapshot = function(db, row) return row end }\n"
                    "app:topic('t:{id:int}', { subscribe = function(ctx, args) %s end })",
                    body);
    leat_buf_char(&text, '\0');
    script_fixture_load(f, text.at);
    if (before != NULL)
        leat_lua_retire(before, NULL, NULL);
    leat_buf_close(&text);
    return script_fixture_authorize(f, NULL, "t:7", params);
}

static void expect_refused(script_fixture *f, const char *body, leat_code code, const char *logged)
{
    f->lines.len = 0;
    script_answer *a = subscribe(f, body, NULL);
    if (a->code != code)
        fail_msg("%s: %s, not %s\n%.*s", body, leat_code_name(a->code), leat_code_name(code),
                 (int)f->lines.len, f->lines.at);
    assert_null(a->grant);
    if (logged != NULL)
        script_fixture_expect_logged(f, logged);
    script_answer_free(a);
}

static void who_is_authorised_gets_a_grant(void **state)
{
    script_fixture *f = *state;

    script_answer *a =
        subscribe(f,
                  "return leat.subscribe_authorized(ctx, { id = args.id, p = ctx.params,\n"
                  "  topic = ctx.topic }, { snapshot = spec.snapshot, share = 'k',\n"
                  "  expires_at = 12.5, refresh = function() end })",
                  "{\"a\":[]}");
    assert_int_equal(a->code, LEAT_CODE_OK);
    assert_true(leat_slice_is(leat_grant_share(a->grant), "k"));
    assert_int_equal(a->grant->expires_at, 12);
    assert_true(a->grant->has_refresh);
    assert_true(script_fixture_ops(f)->grant_current(script_fixture_script(f), a->grant));

    script_answer *s = script_fixture_snapshot(f, a->grant, NULL);
    assert_string_equal(s->json, "{\"id\":7,\"p\":{\"a\":[]},\"topic\":\"t:7\"}");
    script_answer_free(a);
    script_answer_free(s);
}

static void whoever_is_not_gets_nothing(void **state)
{
    script_fixture *f = *state;

    expect_refused(f, "return leat.deny('forbidden')", LEAT_CODE_FORBIDDEN, NULL);
    expect_refused(f, "leat.subscribe_authorized(ctx, {}, spec) return leat.deny('not_found')",
                   LEAT_CODE_NOT_FOUND, NULL);
    expect_refused(f, "leat.subscribe_authorized(ctx, {}, spec) error('late')", LEAT_CODE_INTERNAL,
                   "late");
    expect_refused(f, "", LEAT_CODE_INTERNAL, "did not authorise");
    expect_refused(f, "return true", LEAT_CODE_INTERNAL, "did not authorise");
    expect_refused(f, "return { id = 1 }", LEAT_CODE_INTERNAL, "did not authorise");
    expect_refused(f, "leat.subscribe_authorized(ctx, {}, spec) return false", LEAT_CODE_INTERNAL,
                   "must return what leat.subscribe_authorized returned");
}

static void misuse_is_an_error(void **state)
{
    script_fixture *f = *state;

    expect_refused(f, "return leat.subscribe_authorized(ctx, nil, spec)", LEAT_CODE_INTERNAL,
                   "row must be the authorised row, but it is nil");
    expect_refused(f, "return leat.subscribe_authorized(ctx, false, spec)", LEAT_CODE_INTERNAL,
                   "row must be the authorised row, but it is false");
    expect_refused(f, "return leat.subscribe_authorized(ctx, leat.null, spec)", LEAT_CODE_INTERNAL,
                   "row must be the authorised row");
    expect_refused(f, "return leat.subscribe_authorized(ctx, leat.deny('limit'), spec)",
                   LEAT_CODE_INTERNAL, "row must be the authorised row, but it is limit");
    expect_refused(f, "return leat.subscribe_authorized(ctx, {}, {})", LEAT_CODE_INTERNAL,
                   "snapshot must be a function, not a nil");
    expect_refused(f, "return leat.subscribe_authorized(ctx, {})", LEAT_CODE_INTERNAL,
                   "table expected");
    expect_refused(f, "spec.refresh = 1 return leat.subscribe_authorized(ctx, {}, spec)",
                   LEAT_CODE_INTERNAL, "refresh must be a function");
    expect_refused(f, "spec.expires_at = '9' return leat.subscribe_authorized(ctx, {}, spec)",
                   LEAT_CODE_INTERNAL, "expires_at must be a number");
    expect_refused(f, "spec.share = 9 return leat.subscribe_authorized(ctx, {}, spec)",
                   LEAT_CODE_INTERNAL, "share must be a string");
    expect_refused(f, "spec.shared = 'x' return leat.subscribe_authorized(ctx, {}, spec)",
                   LEAT_CODE_INTERNAL, "unknown key 'shared'");
    expect_refused(f,
                   "leat.subscribe_authorized(ctx, {}, spec)\n"
                   "return leat.subscribe_authorized(ctx, {}, spec)",
                   LEAT_CODE_INTERNAL, "was called twice");
    expect_refused(f, "return leat.subscribe_authorized({}, {}, spec)", LEAT_CODE_INTERNAL,
                   "leat.ctx expected, got table");
}

static void it_belongs_into_its_own_handler(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(
        f, "local kept, spec = nil, { snapshot = function() return leat.subscribe_authorized(\n"
           "  kept, {}, { snapshot = print }) end }\n"
           "app:topic('keep', { subscribe = function(ctx) kept = ctx\n"
           "  return leat.subscribe_authorized(ctx, {}, spec) end })\n"
           "app:topic('steal', { subscribe = function(ctx)\n"
           "  return leat.subscribe_authorized(kept, {}, spec) end })\n"
           "app:method('m', function(ctx) return leat.subscribe_authorized(ctx, {}, spec) end)");
    script_answer *a = script_fixture_authorize(f, NULL, "keep", NULL);
    assert_int_equal(a->code, LEAT_CODE_OK);

    script_answer *steal = script_fixture_authorize(f, NULL, "steal", NULL);
    script_answer *snapshot = script_fixture_snapshot(f, a->grant, NULL);

    assert_int_equal(steal->code, LEAT_CODE_INTERNAL);
    assert_int_equal(snapshot->code, LEAT_CODE_INTERNAL);
    assert_false(snapshot->read_failed);
    script_fixture_expect_code(f, "m", LEAT_CODE_INTERNAL);
    script_fixture_expect_logged(f, "can be called only in a subscribe handler");
    script_answer_free(a);
    script_answer_free(steal);
    script_answer_free(snapshot);
}

static void unknown_topics_are_not_found(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:topic('write', { publish = function() end })");

    script_answer *a = script_fixture_authorize(f, NULL, "nope", NULL);
    script_answer *b = script_fixture_authorize(f, NULL, "write", NULL);

    assert_int_equal(a->code, LEAT_CODE_NOT_FOUND);
    assert_int_equal(b->code, LEAT_CODE_NOT_FOUND);
    script_answer_free(a);
    script_answer_free(b);
}

static void the_most_literal_pattern_decides(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "local function row(n) return function(ctx, args)\n"
                           "  return leat.subscribe_authorized(ctx, { n, args },\n"
                           "    { snapshot = function(_, r) return r end }) end end\n"
                           "app:topic('{any}', { subscribe = row(1) })\n"
                           "app:topic('chat:{id}', { subscribe = row(2) })\n"
                           "app:topic('chat:lobby', { subscribe = row(3) })");

    const char *topics[] = {"x", "chat:1", "chat:lobby"};
    const char *rows[] = {"[1,{\"any\":\"x\"}]", "[2,{\"id\":\"1\"}]", "[3,{}]"};
    for (int i = 0; i < 3; i++) {
        script_answer *a = script_fixture_authorize(f, NULL, topics[i], NULL);
        script_answer *s = script_fixture_snapshot(f, a->grant, NULL);
        assert_string_equal(s->json, rows[i]);
        script_answer_free(a);
        script_answer_free(s);
    }
}

static void refresh_replaces_the_row_or_ends_it(void **state)
{
    script_fixture *f = *state;
    script_answer *a =
        subscribe(f,
                  "local n = 0 return leat.subscribe_authorized(ctx, { n = 0 }, {\n"
                  "  snapshot = spec.snapshot, refresh = function(db, row) n = n + 1\n"
                  "  if n == 1 then return { n = row.n + 1 } end\n"
                  "  if n == 2 then return nil end\n"
                  "  if n == 3 then return leat.deny('forbidden', 'gone') end\n"
                  "  if n == 4 then return leat.null end\n"
                  "  error('bug') end })",
                  NULL);

    const leat_code codes[] = {LEAT_CODE_OK, LEAT_CODE_NOT_FOUND, LEAT_CODE_FORBIDDEN,
                               LEAT_CODE_NOT_FOUND, LEAT_CODE_INTERNAL};
    for (int i = 0; i < 5; i++) {
        script_answer *r = script_fixture_refresh(f, a->grant, NULL);
        assert_int_equal(r->code, codes[i]);
        assert_false(r->read_failed);
        script_answer_free(r);
    }

    script_answer *s = script_fixture_snapshot(f, a->grant, NULL);
    assert_string_equal(s->json, "{\"n\":1}");
    script_answer_free(a);
    script_answer_free(s);
}

static void a_grant_without_refresh_refreshes_to_itself(void **state)
{
    script_fixture *f = *state;
    script_answer *a = subscribe(f, "return leat.subscribe_authorized(ctx, 5, spec)", NULL);
    assert_false(a->grant->has_refresh);

    script_answer *r = script_fixture_refresh(f, a->grant, NULL);
    script_answer *s = script_fixture_snapshot(f, a->grant, NULL);

    assert_int_equal(r->code, LEAT_CODE_OK);
    assert_string_equal(s->json, "5");
    script_answer_free(a);
    script_answer_free(r);
    script_answer_free(s);
}

static void expect_snapshot(script_fixture *f, const char *body, leat_code code, const char *json)
{
    leat_buf text = LEAT_BUF_INIT;
    leat_buf_printf(&text,
                    "return leat.subscribe_authorized(ctx, { id = 1 }, {\n"
                    "  snapshot = function(db, row) %s end })",
                    body);
    leat_buf_char(&text, '\0');
    script_answer *a = subscribe(f, text.at, NULL);
    script_answer *s = script_fixture_snapshot(f, a->grant, NULL);
    assert_string_equal(leat_code_name(s->code), leat_code_name(code));
    if (json != NULL)
        assert_string_equal(s->json, json);
    else
        assert_false(s->has_json);
    script_fixture_ops(f)->grant_free(a->grant);
    f->n_grants--;
    script_answer_free(a);
    script_answer_free(s);
    leat_buf_close(&text);
}

static void snapshots_are_encoded_within_their_limit(void **state)
{
    script_fixture *f = *state;

    expect_snapshot(f, "return nil", LEAT_CODE_OK, "null");
    expect_snapshot(f, "return leat.array()", LEAT_CODE_OK, "[]");
    expect_snapshot(f, "return leat.json('{\"raw\": 1}')", LEAT_CODE_OK, "{\"raw\": 1}");
    expect_snapshot(f, "return leat.deny('forbidden')", LEAT_CODE_FORBIDDEN, NULL);
    expect_snapshot(f, "return ('x'):rep(70000)", LEAT_CODE_TOO_LARGE, NULL);
    expect_snapshot(f, "return { a = { print } }", LEAT_CODE_INTERNAL, NULL);
    script_fixture_expect_logged(f, "the result of snapshot cannot be written as JSON: a[1]");
}

static void what_the_ctx_says_outlives_its_handler_but_not_its_db(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(
        f, "app:connect(function() return { id = 'ann' } end)\n"
           "app:topic('t', { subscribe = function(ctx) local db = ctx.db\n"
           "  return leat.subscribe_authorized(ctx, {}, { snapshot = function()\n"
           "    local ok, err = pcall(function() return ctx.db end)\n"
           "    local ok2, err2 = pcall(db.one, db, 'select 1')\n"
           "    return { ctx.user.id, ctx.topic, ctx.request.path, ok, err, ok2, err2 } end })\n"
           "  end })");
    script_answer *c = script_fixture_connect(f, NULL);
    script_answer *a = script_fixture_authorize(f, c->session, "t", NULL);

    script_answer *s = script_fixture_snapshot(f, a->grant, NULL);

    assert_true(s->has_json);
    assert_non_null(strstr(s->json, "[\"ann\",\"t\",\"/ws\",false,"));
    assert_non_null(strstr(s->json, "ctx.db has ended with its handler"));
    assert_non_null(strstr(s->json, "false,\"this db has ended with its handler"));
    script_answer_free(c);
    script_answer_free(a);
    script_answer_free(s);
}

static void subscribing_within_a_subscribe_handler_delegates(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(
        f,
        "app:topic('chat:{id:int}', { subscribe = function(ctx, args)\n"
        "  if args.id == 0 then return leat.deny('forbidden') end\n"
        "  return leat.subscribe_authorized(ctx, { args.id, ctx.topic, ctx.params },\n"
        "    { snapshot = function(db, row) return row end }) end })\n"
        "app:topic('my:{id}', { subscribe = function(ctx, args)\n"
        "  return leat.subscribe(ctx, 'chat:' .. args.id, { params = { deep = true } }) end })\n"
        "app:topic('loop', { subscribe = function(ctx) return leat.subscribe(ctx, 'loop') end })");

    script_answer *a = script_fixture_authorize(f, NULL, "my:5", "1");
    script_answer *s = script_fixture_snapshot(f, a->grant, NULL);
    assert_string_equal(s->json, "[5,\"chat:5\",{\"deep\":true}]");

    script_answer *refused = script_fixture_authorize(f, NULL, "my:0", NULL);
    script_answer *missing = script_fixture_authorize(f, NULL, "my:x", NULL);
    script_answer *loop = script_fixture_authorize(f, NULL, "loop", NULL);
    assert_int_equal(refused->code, LEAT_CODE_FORBIDDEN);
    assert_int_equal(missing->code, LEAT_CODE_NOT_FOUND);
    assert_int_equal(loop->code, LEAT_CODE_INTERNAL);
    script_fixture_expect_logged(f, "more than 8 subscribe handlers");
    script_answer_free(a);
    script_answer_free(s);
    script_answer_free(refused);
    script_answer_free(missing);
    script_answer_free(loop);
}

static const char subscriber[] = "app:method('join', function(ctx, p)\n"
                                 "  return { leat.subscribe(ctx, p.topic, p.opts) } end)";

static void subscribing_elsewhere_asks_the_core(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, subscriber);
    script_answer *a = script_answer_new(f);
    const char *params = "{\"topic\":\"chat:1\",\"opts\":{\"params\":{\"x\":1},"
                         "\"since\":{\"epoch\":\"e1\",\"seq\":17}}}";
    script_fixture_ops(f)->method(script_fixture_script(f), &a->call, NULL, leat_slice_of("join"),
                                  leat_slice_of(params), script_fixture_deadline(f));

    SCRIPT_UNTIL(f, script_fixture_asked.done != NULL);
    assert_string_equal(script_fixture_asked.topic, "chat:1");
    assert_string_equal(script_fixture_asked.params, "{\"x\":1}");
    assert_string_equal(script_fixture_asked.epoch, "e1");
    assert_int_equal(script_fixture_asked.seq, 17);
    assert_false(a->done);
    script_fixture_asked.done(script_fixture_asked.arg, &(leat_failure){.code = LEAT_CODE_OK});

    assert_true(a->done);
    assert_string_equal(a->json, "[true]");
    script_answer_free(a);
}

static void a_refused_subscription_is_told(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:method('join', function(ctx, p)\n"
                           "  local ok, code, message = leat.subscribe(ctx, p)\n"
                           "  return { ok = ok, code = code, message = message } end)");

    script_answer *taken = script_fixture_method(f, NULL, "join", "\"taken\"");
    assert_string_equal(taken->json,
                        "{\"code\":\"already_subscribed\",\"message\":\"there already\"}");

    script_answer *bad = script_fixture_method(f, NULL, "join", "\"\"");
    assert_int_equal(bad->code, LEAT_CODE_INTERNAL);
    script_fixture_expect_logged(f, "malformed topic");
    script_answer_free(taken);
    script_answer_free(bad);
}

static void a_cancelled_subscriber_is_forgotten(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, subscriber);
    script_answer *a = script_answer_new(f);
    script_fixture_ops(f)->method(script_fixture_script(f), &a->call, NULL, leat_slice_of("join"),
                                  leat_slice_of("{\"topic\":\"t\"}"), script_fixture_deadline(f));
    SCRIPT_UNTIL(f, script_fixture_asked.done != NULL);

    script_fixture_ops(f)->cancel(&a->call);

    assert_true(script_fixture_asked.forgotten);
    assert_null(a->call.task_);
    assert_false(a->done);
    script_answer_free(a);
}

static void without_a_client_there_is_nobody_to_subscribe(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:topic('t', { subscribe = print,\n"
                           "  event = function(ctx) return leat.subscribe(ctx, 'x') end })");
    script_answer *a = script_answer_new(f);
    a->call.subscriber = NULL;
    script_fixture_ops(f)->event(script_fixture_script(f), &a->call, leat_slice_of("t"), 1,
                                 leat_slice_of("1"), script_fixture_deadline(f));

    script_answer_wait(a);

    assert_int_equal(a->code, LEAT_CODE_INTERNAL);
    script_fixture_expect_logged(f, "runs for no client");
    script_answer_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, script_fixture_open, script_fixture_close)
        TEST(who_is_authorised_gets_a_grant),
        TEST(whoever_is_not_gets_nothing),
        TEST(misuse_is_an_error),
        TEST(it_belongs_into_its_own_handler),
        TEST(unknown_topics_are_not_found),
        TEST(the_most_literal_pattern_decides),
        TEST(refresh_replaces_the_row_or_ends_it),
        TEST(a_grant_without_refresh_refreshes_to_itself),
        TEST(snapshots_are_encoded_within_their_limit),
        TEST(what_the_ctx_says_outlives_its_handler_but_not_its_db),
        TEST(subscribing_within_a_subscribe_handler_delegates),
        TEST(subscribing_elsewhere_asks_the_core),
        TEST(a_refused_subscription_is_told),
        TEST(a_cancelled_subscriber_is_forgotten),
        TEST(without_a_client_there_is_nobody_to_subscribe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
