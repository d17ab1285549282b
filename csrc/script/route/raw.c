/* raw.c - the peer's on_message -> the inbox -> run_next -> a task -> answer_raw -> run_next ...
 *
 * The inbox ends with the close handler, behind the messages that were there before. It is queued
 * by whichever comes first: the peer's close frame or its breach of the protocol (on_close), which
 * is answered when the messages before it have been handled, or the end of the connection
 * (on_gone).
 */
#include "script/route/raw.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "script/route/api_conn.h"
#include "script/route/raw_conn.h"
#include "script/route/result.h"
#include "wire/close_code.h"

static void run_next(leat_raw *r);

/* --- the inbox --- */

static void put(leat_raw *r, int kind, leat_slice data, bool binary, int code)
{
    leat_raw_item *item = leat_calloc(1, sizeof(*item) + data.len + 1);
    item->kind = kind;
    item->binary = binary;
    item->code = code;
    item->len = data.len;
    if (data.len > 0)
        memcpy(item->data, data.at, data.len);
    leat_list_push(&r->inbox, &item->link);
    r->inbox_bytes += item->len;
}

static void put_close(leat_raw *r, int code, leat_slice reason)
{
    if (r->close_told)
        return;
    r->close_told = true;
    put(r, LEAT_RAW_ITEM_CLOSE, reason, false, code);
}

/* --- out --- */

int leat_raw_send(leat_raw *r, leat_slice data, bool binary)
{
    if (r->peer == NULL || !leat_ws_peer_is_open(r->peer))
        return LEAT_ECLOSED;
    size_t max = r->lua->core->limits->max_send_buffer_bytes;
    if (data.len > max)
        return LEAT_ETOOLARGE;
    if (!binary && !leat_utf8_valid(data.at, data.len))
        return LEAT_EBADMSG;
    size_t queued = leat_peer_queued(r->peer);
    if (queued > 0 && (queued >= max || data.len > max - queued))
        return LEAT_EBUSY;
    leat_ws_peer_send(r->peer, binary, data);
    return 0;
}

void leat_raw_close(leat_raw *r, int code, const char *reason)
{
    if (r->peer == NULL || !leat_ws_peer_is_open(r->peer))
        return;
    r->ended_by_us = true;
    leat_peer_close(r->peer, code, reason);
}

/* --- in --- */

/* While a handler runs, nothing more is read. What was read is delivered, so that a ping or a close
 * frame among it is seen, unless much waits already: inflated messages may be far longer than what
 * was read. */
static void hold_back(leat_raw *r)
{
    if (r->inbox_bytes > r->lua->core->limits->max_message_bytes)
        leat_peer_hold(r->peer);
    else
        leat_ws_peer_pause(r->peer);
}

static void on_message(void *owner, bool binary, leat_slice payload)
{
    leat_raw *r = owner;
    put(r, LEAT_RAW_ITEM_MESSAGE, payload, binary, 0);
    if (r->task != NULL)
        hold_back(r);
    else
        run_next(r);
}

static void on_close(void *owner, int code, leat_slice reason)
{
    leat_raw *r = owner;
    put_close(r, code, reason);
    run_next(r);
}

static void on_gone(void *owner, int err)
{
    (void)err;
    leat_raw *r = owner;
    client_round_leave(&r->holder);
    leat_peer_free(r->peer);
    r->peer = NULL;
    leat_metrics_add(r->lua->core->metrics, LEAT_M_CONNECTIONS, -1);
    put_close(r, LEAT_CLOSE_ABNORMAL, (leat_slice){NULL, 0});
    run_next(r);
}

/* --- handlers --- */

static leat_raw_item *first(const leat_raw *r)
{
    return LEAT_CONTAINER_OF(r->inbox.next, leat_raw_item, link);
}

static int handler_of(const leat_raw *r, const leat_raw_item *item)
{
    switch (item->kind) {
    case LEAT_RAW_ITEM_OPEN:
        return r->route->fn;
    case LEAT_RAW_ITEM_MESSAGE:
        return r->ended_by_us ? LUA_NOREF : r->route->message;
    case LEAT_RAW_ITEM_CLOSE:
        return r->route->close;
    }
    return LUA_NOREF;
}

static int push_raw(lua_State *L, leat_task *t)
{
    leat_raw *r = t->work.raw.raw;
    const leat_raw_item *item = first(r);
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->work.raw.fn);
    leat_api_conn_push(L, r);
    switch (item->kind) {
    case LEAT_RAW_ITEM_OPEN:
        return 1;
    case LEAT_RAW_ITEM_MESSAGE:
        lua_pushlstring(L, item->data, item->len);
        lua_pushstring(L, item->binary ? "binary" : "text");
        return 3;
    case LEAT_RAW_ITEM_CLOSE:
        lua_pushinteger(L, item->code);
        lua_pushlstring(L, item->data, item->len);
        return 3;
    }
    return 1;
}

/* open may refuse; of the other handlers nothing is expected. */
static void finish_raw(lua_State *L, leat_task *t)
{
    leat_raw *r = t->work.raw.raw;
    if (first(r)->kind == LEAT_RAW_ITEM_OPEN)
        leat_result_take_refusal(L, t, -1);
}

static void drop_first(leat_raw *r)
{
    leat_raw_item *item = LEAT_CONTAINER_OF(leat_list_take(&r->inbox), leat_raw_item, link);
    r->inbox_bytes -= item->len;
    free(item);
}

/* A connection that could not be opened has no state to go on with; any other error ends its own
 * handler only. */
static void close_unopened(leat_raw *r, const leat_verdict *v)
{
    switch (v->failure.code) {
    case LEAT_CODE_OK:
        return;
    case LEAT_CODE_UNAUTHENTICATED:
        leat_raw_close(r, LEAT_CLOSE_IDENTITY, leat_code_name(v->failure.code));
        return;
    case LEAT_CODE_UNAVAILABLE:
    case LEAT_CODE_DEADLINE_EXCEEDED:
        leat_raw_close(r, LEAT_CLOSE_TRY_LATER, leat_code_name(v->failure.code));
        return;
    case LEAT_CODE_INTERNAL:
        leat_raw_close(r, LEAT_CLOSE_INTERNAL, leat_code_name(v->failure.code));
        return;
    default:
        leat_raw_close(r, LEAT_CLOSE_POLICY, leat_code_name(v->failure.code));
        return;
    }
}

static void answer_raw(leat_task *t)
{
    leat_raw *r = t->work.raw.raw;
    bool opened = first(r)->kind != LEAT_RAW_ITEM_OPEN;
    r->task = NULL;
    drop_first(r);
    if (!opened)
        close_unopened(r, &t->verdict);
    run_next(r);
}

static const leat_task_kind raw_kind = {
    .name = "websocket",
    .label = "path",
    .bill = LEAT_PG_CALL,
    .push = push_raw,
    .finish = finish_raw,
    .answer = answer_raw,
};

static void start_handler(leat_raw *r, int fn)
{
    leat_core *core = r->lua->core;
    uint64_t deadline_ms = leat_control_deadline(LEAT_DEADLINE_NEVER, leat_loop_now(core->loop),
                                                 core->limits->control_timeout_ms);
    leat_task *t = leat_task_new(r->lua, &raw_kind, NULL, r->session, deadline_ms);
    t->work.raw = (leat_work_raw){r, fn};
    t->times = r->route->times;
    leat_task_give(t, LEAT_TASK_NAME, leat_slice_of(r->route->path));
    r->task = t;
    if (r->peer != NULL)
        hold_back(r);
    leat_task_start(t);
}

static void free_raw(leat_raw *r)
{
    leat_lua *lua = r->lua;
    leat_list_unlink(&r->link);
    lua->n_raws--;
    if (r->box != NULL)
        *r->box = NULL;
    leat_vm_unref(lua, &r->ref);
    leat_session_unref(r->session);
    leat_buf_close(&r->head);
    free(r);
    leat_vm_drop(lua);
}

/* Starts the next handler; has reading go on when there is none left; frees r when nothing can
 * follow. The peer's close frame is answered once the messages before it have been handled, so that
 * these can still be answered, too. */
static void run_next(leat_raw *r)
{
    if (r->task != NULL)
        return;
    while (!leat_list_empty(&r->inbox)) {
        if (first(r)->kind == LEAT_RAW_ITEM_CLOSE && r->peer != NULL)
            leat_ws_peer_answer(r->peer, "");
        int fn = handler_of(r, first(r));
        if (fn != LUA_NOREF) {
            start_handler(r, fn);
            return;
        }
        drop_first(r);
    }
    if (r->peer == NULL)
        free_raw(r);
    else
        leat_peer_release(r->peer);
}

/* --- opening and draining --- */

static const leat_allowance *allowance(void *owner)
{
    const leat_raw *r = owner;
    return leat_session_allowance(r->session, &r->lua->core->limits->allowance);
}

void leat_lua_raw_open(leat_script *s, int route, leat_session *session, leat_opening *opening,
                       const leat_http_request *request)
{
    static const leat_peer_handler handler = {
        .on_message = on_message, .on_close = on_close, .on_gone = on_gone, .allowance = allowance};
    leat_lua *lua = LEAT_CONTAINER_OF(s, leat_lua, script);
    leat_core *core = lua->core;
    leat_raw *r = leat_calloc(1, sizeof(*r));
    r->lua = lua;
    r->route = &lua->catalog.routes[route];
    r->session = session;
    r->ref = LUA_NOREF;
    leat_head_pack(&r->head, request, leat_conn_remote(opening->conn), (leat_slice){NULL, 0});
    leat_list_init(&r->inbox);
    leat_list_push(&lua->raws, &r->link);
    lua->n_raws++;
    leat_vm_hold(lua);
    leat_metrics_add(core->metrics, LEAT_M_CONNECTIONS, 1);
    r->peer = leat_ws_peer_new(opening, &core->net, &handler, r);
    client_round_join(core, &r->holder, r->peer);
    put(r, LEAT_RAW_ITEM_OPEN, (leat_slice){NULL, 0}, false, 0);
    run_next(r);
}

size_t leat_lua_raw_count(const leat_lua *lua)
{
    return lua->n_raws;
}

void leat_lua_raw_close_all(leat_lua *lua, int code, const char *reason)
{
    for (leat_list *link = lua->raws.next; link != &lua->raws; link = link->next)
        leat_raw_close(LEAT_CONTAINER_OF(link, leat_raw, link), code, reason);
}
