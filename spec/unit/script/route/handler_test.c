/* publish, methods, event hooks; errors, budgets and the log; what an ended task leaves. */
#include "script_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void publish_gets_the_data_and_returns_the_ack(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:topic('t:{id:int}', { publish = function(ctx, args, data)\n"
                           "  if data == leat.null or data == nil then return end\n"
                           "  return { args.id, ctx.topic, data.x } end })");

    script_answer *a = script_fixture_publish(f, NULL, "t:4", "{\"x\":9007199254740993}");
    script_answer *none = script_fixture_publish(f, NULL, "t:4", "null");
    script_answer *missing = script_fixture_publish(f, NULL, "u:4", "1");

    assert_string_equal(a->json, "[4,\"t:4\",9007199254740993]");
    assert_int_equal(none->code, LEAT_CODE_OK);
    assert_false(none->has_json);
    assert_int_equal(missing->code, LEAT_CODE_NOT_FOUND);
    script_answer_free(a);
    script_answer_free(none);
    script_answer_free(missing);
}

static void a_topic_without_publish_takes_none(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:topic('{any}', { publish = function() return 1 end })\n"
                           "app:topic('t', { subscribe = print })");

    script_answer *a = script_fixture_publish(f, NULL, "t", "1");

    assert_int_equal(a->code, LEAT_CODE_NOT_FOUND);
    script_answer_free(a);
}

static void methods_get_params_and_refuse(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(
        f, "app:method('m', function(ctx, params)\n"
           "  return { params == nil, params, ctx.params, ctx.user == nil,\n"
           "    ctx.topic == nil, math.type(ctx.deadline) } end)\n"
           "app:method('no', function() return leat.deny('rate_limited', 'slow\xc3\xa9',\n"
           "  { retry_after_ms = 0.25 * 1000 }) end)");

    script_answer *a = script_fixture_method(f, NULL, "m", "[1]");
    script_answer *no = script_fixture_method(f, NULL, "no", NULL);
    assert_string_equal(a->json, "[false,[1],[1],true,true,\"integer\"]");
    assert_int_equal(no->code, LEAT_CODE_RATE_LIMITED);
    assert_string_equal(no->message, "slow\xc3\xa9");
    assert_int_equal(no->retry_after_ms, 250);
    script_fixture_expect_code(f, "missing", LEAT_CODE_NOT_FOUND);
    script_answer_free(a);
    script_answer_free(no);
}

static void params_that_cannot_be_read_are_the_callers_fault(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:method('m', function() return 1 end)");

    script_answer *a = script_fixture_method(f, NULL, "m", "{");

    assert_int_not_equal(a->code, LEAT_CODE_OK);
    script_answer_free(a);
}

static void event_hooks_change_or_hide_what_is_sent(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f,
                        "app:topic('t:{id}', { subscribe = print, event = function(ctx, e, args)\n"
                        "  if e.data == 1 then return nil end\n"
                        "  if e.data == 2 then return leat.deny('forbidden') end\n"
                        "  return { e.seq, e.topic, e.data, args.id, ctx.user == nil } end })\n"
                        "app:topic('u', { subscribe = print })");

    script_answer *shown = script_fixture_event(f, "t:9", 17, "\"x\"");
    script_answer *hidden = script_fixture_event(f, "t:9", 18, "1");
    script_answer *failed = script_fixture_event(f, "t:9", 19, "2");

    assert_string_equal(shown->json, "[17,\"t:9\",\"x\",\"9\",true]");
    assert_int_equal(hidden->code, LEAT_CODE_OK);
    assert_false(hidden->has_json);
    assert_int_equal(failed->code, LEAT_CODE_FORBIDDEN);
    assert_true(
        script_fixture_ops(f)->has_event_hook(script_fixture_script(f), leat_slice_of("t:9")));
    assert_false(
        script_fixture_ops(f)->has_event_hook(script_fixture_script(f), leat_slice_of("u")));
    script_answer_free(shown);
    script_answer_free(hidden);
    script_answer_free(failed);
}

static void an_error_is_logged_and_never_told(void **state)
{
    script_fixture *f = *state;
    f->budget_ms = 500;
    script_fixture_load(
        f, "app:method('text', function() error('secret\\nline') end)\n"
           "app:method('table', function() error({ 'x' }) end)\n"
           "app:method('object', function() error(setmetatable({},\n"
           "  { __tostring = function() return 'object text' end })) end)\n"
           "app:method('evil', function() error(setmetatable({},\n"
           "  { __tostring = function() while true do end end })) end)\n"
           "app:method('nothing', function() error() end)\n"
           "app:method('deep', function() local function f() return 1 + f() end\n"
           "  return f() end)\n"
           "app:method('close', function()\n"
           "  local _ <close> = setmetatable({}, { __close = error }) error('x') end)\n"
           "app:method('fine', function() return 1 end)");

    const char *methods[] = {"text", "table", "object", "evil", "nothing", "deep", "close"};
    for (size_t i = 0; i < 7; i++) {
        script_answer *a = script_fixture_method(f, NULL, methods[i], NULL);
        assert_int_equal(a->code, LEAT_CODE_INTERNAL);
        assert_string_equal(a->message, "");
        assert_false(a->read_failed);
        script_answer_free(a);
    }

    script_fixture_expect_logged(f, "method=text err=\"");
    script_fixture_expect_logged(f, "secret\\nline\\nstack traceback:\\n");
    script_fixture_expect_logged(f, "object text");
    script_fixture_expect_logged(f, "method=deep err=");
    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_SCRIPT_ERRORS), 7);
    script_fixture_expect(f, "fine", "1");
}

static void a_script_that_computes_too_long_is_stopped(void **state)
{
    script_fixture *f = *state;
    f->budget_ms = 30;
    script_fixture_load(
        f,
        "app:method('loop', function() while true do pcall(function() while true do end end)\n"
        "  end end)\n"
        "app:method('inner', function() coroutine.wrap(function() while true do end end)() end)\n"
        "app:method('sort', function() local t = {} for i = 1, 1e5 do t[i] = i end\n"
        "  table.sort(t, function() while true do end end) end)\n"
        "app:method('last', function() local _ <close> = setmetatable({}, { __close = function()\n"
        "  while true do end end }) error('x') end)\n"
        "app:method('fine', function() return 1 end)");

    const char *methods[] = {"loop", "inner", "sort", "last"};
    for (int i = 0; i < 4; i++)
        script_fixture_expect_code(f, methods[i], LEAT_CODE_INTERNAL);

    script_fixture_expect_logged(f, "app.lua:1: computed for longer than script_budget_ms");
    assert_in_range(leat_metrics_get(f->metrics, LEAT_M_SCRIPT_BUDGET), 3, 4);
    script_fixture_expect(f, "fine", "1");
}

static void memory_has_a_cap(void **state)
{
    script_fixture *f = *state;
    f->budget_ms = 10000; /* a busy machine must not be the reason */
    script_fixture_load(f, "app:method('grow', function() local t = {}\n"
                           "  for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end end)\n"
                           "app:method('fine', function() return 1 end)");

    script_fixture_expect_code(f, "grow", LEAT_CODE_INTERNAL);

    script_fixture_expect_logged(f, "not enough memory");
    script_fixture_expect(f, "fine", "1");
}

static void the_log_is_quoted_and_sorted(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f,
                        "app:method('m', function(ctx)\n"
                        "  ctx.log:info('hello there', { b = 2, a = 'x\\ny', ['k y'] = true })\n"
                        "  ctx.log:debug('plain') ctx.log:warn('w', {}) ctx.log:error('e', nil)\n"
                        "  return 1 end)");

    script_fixture_expect(f, "m", "1");

    script_fixture_expect_logged(f, "INFO app \"hello there\" a=\"x\\ny\" b=2 k_y=true\n");
    script_fixture_expect_logged(f, "DEBUG app plain\n");
    script_fixture_expect_logged(f, "WARN app w\n");
    script_fixture_expect_logged(f, "ERROR app e\n");
}

static void many_calls_at_once_are_each_answered_once(void **state)
{
    script_fixture *f = *state;
    enum { N = 200 };
    script_fixture_load(f, "app:method('m', function(ctx, n) return n end)");
    script_answer *a[N];
    for (int i = 0; i < N; i++) {
        char params[16];
        snprintf(params, sizeof(params), "%d", i);
        a[i] = script_answer_new(f);
        script_fixture_ops(f)->method(script_fixture_script(f), &a[i]->call, NULL,
                                      leat_slice_of("m"), leat_slice_of(params),
                                      script_fixture_deadline(f));
    }
    script_fixture_ops(f)->cancel(&a[7]->call);

    script_answer_wait(a[N - 1]);

    for (int i = 0; i < N; i++) {
        assert_int_equal(a[i]->times, i == 7 ? 0 : 1);
        if (i != 7)
            assert_int_equal(strtol(a[i]->json, NULL, 10), i);
        script_answer_free(a[i]);
    }
}

/* An answer's callback may ask again, with the same call: what the last event hook does. */
/* Each of them computes for longer than a turn has for all of them. */
static void many_that_begin_at_once_leave_turns_for_others(void **state)
{
    enum { CALLS = 5 };
    script_fixture *f = *state;
    script_fixture_load(f, "app:method('slow', function(ctx, n)\n"
                           "  for i = 1, 100000 do local t = {} end\n"
                           "  return n end)");
    script_answer *a[CALLS];
    for (int i = 0; i < CALLS; i++) {
        a[i] = script_answer_new(f);
        script_fixture_ops(f)->method(script_fixture_script(f), &a[i]->call, NULL,
                                      leat_slice_of("slow"), leat_slice_of("1"),
                                      script_fixture_deadline(f));
    }

    for (int turns = 1; turns <= CALLS; turns++) {
        uv_run(&f->uv, UV_RUN_NOWAIT);
        int done = 0;
        for (int i = 0; i < CALLS; i++)
            done += a[i]->done;
        assert_true(done <= turns + 1); /* the first turn of the test has two ends */
    }
    for (int i = 0; i < CALLS; i++) {
        SCRIPT_UNTIL(f, a[i]->done);
        script_answer_free(a[i]);
    }
}

static void ask_again(leat_call *call, const leat_verdict *v)
{
    script_answer *a = call->data;
    a->times++;
    assert_int_equal(v->failure.code, LEAT_CODE_OK);
    a->done = leat_slice_is(v->json, "3");
    if (a->done)
        return;
    script_fixture *f = a->f;
    script_fixture_ops(f)->method(script_fixture_script(f), &a->call, NULL, leat_slice_of("m"),
                                  leat_slice_of(NULL), script_fixture_deadline(f));
}

static void a_call_can_be_used_again_in_its_callback(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "local n = 0 app:method('m', function() n = n + 1 return n end)");
    script_answer *a = script_answer_new(f);
    a->call.cb = ask_again;
    script_fixture_ops(f)->method(script_fixture_script(f), &a->call, NULL, leat_slice_of("m"),
                                  leat_slice_of(NULL), script_fixture_deadline(f));

    SCRIPT_UNTIL(f, a->done);

    assert_int_equal(a->times, 3);
    script_answer_free(a);
}

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

static void retiring_waits_for_the_last_task(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:method('m', function(ctx) return leat.subscribe(ctx, 't') end)");
    script_answer *a = script_answer_new(f);
    script_fixture_ops(f)->method(script_fixture_script(f), &a->call, NULL, leat_slice_of("m"),
                                  leat_slice_of(NULL), script_fixture_deadline(f));
    SCRIPT_UNTIL(f, script_fixture_asked.done != NULL);
    bool retired = false;
    leat_lua_retire(f->lua, set_true, &retired);
    f->lua = NULL;
    assert_false(retired);

    script_fixture_asked.done(script_fixture_asked.arg, &(leat_failure){.code = LEAT_CODE_OK});

    assert_true(a->done);
    SCRIPT_UNTIL(f, retired);
    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_SCRIPT_MEMORY), 0);
    script_answer_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, script_fixture_open, script_fixture_close)
        TEST(publish_gets_the_data_and_returns_the_ack),
        TEST(a_topic_without_publish_takes_none),
        TEST(methods_get_params_and_refuse),
        TEST(params_that_cannot_be_read_are_the_callers_fault),
        TEST(event_hooks_change_or_hide_what_is_sent),
        TEST(an_error_is_logged_and_never_told),
        TEST(a_script_that_computes_too_long_is_stopped),
        TEST(memory_has_a_cap),
        TEST(the_log_is_quoted_and_sorted),
        TEST(many_calls_at_once_are_each_answered_once),
        TEST(many_that_begin_at_once_leave_turns_for_others),
        TEST(a_call_can_be_used_again_in_its_callback),
        TEST(retiring_waits_for_the_last_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
