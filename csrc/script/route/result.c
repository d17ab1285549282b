/* result.c - a refusal is looked for first: it has no JSON form. */
#include "script/route/result.h"

#include <lauxlib.h>

#include "base/log.h"
#include "script/sandbox/sandbox_run.h"
#include "script/value/lua_json.h"
#include "script/value/refusal.h"

bool leat_result_take_refusal(lua_State *L, leat_task *t, int index)
{
    const leat_refusal *r = leat_refusal_at(L, index);
    if (r == NULL)
        return false;
    leat_task_refusal(t, r->code, (leat_slice){r->message, r->message_len}, r->retry_after_ms);
    t->verdict.failure.read_failed = r->read_failed;
    return true;
}

bool leat_result_take_json(lua_State *L, leat_task *t)
{
    if (leat_result_take_refusal(L, t, -1))
        return false;
    char reason[300];
    size_t max_bytes = t->lua->core->limits->max_snapshot_bytes;
    int err = leat_lua_json_encode(L, -1, &t->out, max_bytes, reason, sizeof(reason));
    if (err == LEAT_ETOOLARGE) {
        char text[300];
        leat_slice name = leat_task_name(t);
        LEAT_LOG_WARN("script", "result too large handler=%s %s=%s limit=%zu", t->kind->name,
                      t->kind->label, leat_log_quote(text, sizeof(text), name.at, name.len),
                      max_bytes);
        leat_task_refusal(t, LEAT_CODE_TOO_LARGE, leat_slice_of("the result is too large"), 0);
        return false;
    }
    if (err < 0) {
        leat_sandbox_run_check(L);
        luaL_error(L, "the result of %s cannot be written as JSON: %s", t->kind->name, reason);
    }
    return true;
}

bool leat_result_is_nothing(lua_State *L, int index)
{
    return !lua_toboolean(L, index) ||
           (lua_islightuserdata(L, index) && lua_touserdata(L, index) == NULL);
}
