/* raw.c - on_read -> on_frame -> inbox -> pump -> a task -> on_handled -> pump ...
 *
 * The connection ends in one of four ways: the peer sends a close frame, or breaks the rules
 * (break_off), which is answered in its turn (answer_close), we send ours and await the peer's
 * (leat_raw_close), or the TCP connection breaks (on_conn_closed). Whichever comes first queues
 * the close handler, behind the messages that were there before.
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

enum { CLOSE_ABNORMAL = 1006 }; /* told to handlers, never sent */

static void pump(leat_raw *r);
static void on_timer(leat_deadline *d);

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
}

static void put_close(leat_raw *r, int code, leat_slice reason)
{
    if (r->last_told)
        return;
    r->last_told = true;
    put(r, LEAT_RAW_ITEM_CLOSE, reason, false, code);
}

static const leat_limits *limits(const leat_raw *r)
{
    return r->lua->core->limits;
}

static void arm(leat_raw *r, uint64_t after_ms)
{
    leat_loop *loop = r->lua->core->loop;
    leat_loop_after(loop, &r->timer, after_ms, on_timer);
}

/* --- frames out --- */

static void send_frame(leat_raw *r, leat_frame_op op, leat_slice payload)
{
    leat_buf frame = LEAT_BUF_INIT;
    leat_frame_write(&frame, op, payload);
    leat_conn_send_owned(r->conn, &frame);
}

int leat_raw_send(leat_raw *r, leat_slice data, bool binary)
{
    if (r->state != LEAT_RAW_OPEN || r->conn == NULL)
        return LEAT_ECLOSED;
    size_t max = limits(r)->max_send_buffer_bytes;
    if (data.len > max)
        return LEAT_ETOOLARGE;
    if (!binary && !leat_utf8_valid(data.at, data.len))
        return LEAT_EBADMSG;
    size_t queued = leat_conn_queued(r->conn);
    if (queued > 0 && (queued >= max || data.len > max - queued))
        return LEAT_EBUSY;
    send_frame(r, binary ? LEAT_FRAME_BINARY : LEAT_FRAME_TEXT, data);
    return 0;
}

static void send_close(leat_raw *r, int code, const char *reason)
{
    leat_buf frame = LEAT_BUF_INIT;
    if (code == LEAT_CLOSE_NO_STATUS)
        leat_frame_write(&frame, LEAT_FRAME_CLOSE, (leat_slice){NULL, 0});
    else
        leat_frame_write_close(&frame, code, reason);
    leat_conn_send_owned(r->conn, &frame);
}

void leat_raw_close(leat_raw *r, int code, const char *reason)
{
    if (r->state != LEAT_RAW_OPEN || r->conn == NULL)
        return;
    r->state = LEAT_RAW_CLOSING;
    r->ours = true;
    send_close(r, code, reason);
    leat_conn_read_start(r->conn); /* for the peer's close frame */
    arm(r, limits(r)->close_timeout_ms);
}

/* Both close frames are out, or the peer has broken the rules: nothing more is said. */
static void end_websocket(leat_raw *r)
{
    r->state = LEAT_RAW_CLOSED;
    leat_deadline_cancel(&r->timer);
    uint64_t now_ms = leat_loop_now(r->lua->core->loop);
    leat_conn_finish(r->conn, now_ms + limits(r)->close_timeout_ms);
}

/* --- frames in --- */

static bool on_frame(void *arg, leat_frame_op op, leat_slice payload, int close_code)
{
    leat_raw *r = arg;
    switch (op) {
    case LEAT_FRAME_TEXT:
    case LEAT_FRAME_BINARY:
        if (r->state == LEAT_RAW_OPEN)
            put(r, LEAT_RAW_ITEM_MESSAGE, payload, op == LEAT_FRAME_BINARY, 0);
        break;
    case LEAT_FRAME_PING:
        if (r->state == LEAT_RAW_OPEN &&
            leat_conn_queued(r->conn) < limits(r)->max_send_buffer_bytes)
            send_frame(r, LEAT_FRAME_PONG, payload);
        break;
    case LEAT_FRAME_CLOSE:
        put_close(r, close_code, payload);
        return false;
    case LEAT_FRAME_PONG:
    case LEAT_FRAME_CONTINUATION:
        break;
    }
    return true;
}

static void break_off(leat_raw *r, int code)
{
    leat_metrics_add(r->lua->core->metrics, LEAT_M_PROTOCOL_ERRORS, 1);
    put_close(r, code, (leat_slice){NULL, 0}); /* answered in its turn, like a close frame */
}

static void feed(leat_raw *r, char *bytes, size_t len)
{
    r->heard_ms = leat_loop_now(r->lua->core->loop);
    r->pinged = false;
    if (r->last_told) /* nothing counts after a close frame */
        return;
    int code = leat_frame_feed(&r->decoder, bytes, len, on_frame, r, NULL);
    if (code != 0)
        break_off(r, code);
    if (r->task != NULL && r->state == LEAT_RAW_OPEN)
        leat_conn_read_stop(r->conn);
    pump(r);
}

/* The bytes are the conn's own buffer, and unmasked in place. */
static void on_read(void *owner, const char *bytes, size_t len)
{
    feed(owner, (char *)bytes, len);
}

static void on_conn_closed(void *owner, int err)
{
    (void)err;
    leat_raw *r = owner;
    r->conn = NULL;
    r->state = LEAT_RAW_CLOSED;
    leat_deadline_cancel(&r->timer);
    leat_metrics_add(r->lua->core->metrics, LEAT_M_CONNECTIONS, -1);
    put_close(r, CLOSE_ABNORMAL, (leat_slice){NULL, 0});
    pump(r);
}

/* --- the dead-peer timeout, and that of the close handshake --- */

static void on_timer(leat_deadline *d)
{
    leat_raw *r = LEAT_CONTAINER_OF(d, leat_raw, timer);
    uint64_t quiet_ms = leat_loop_now(r->lua->core->loop) - r->heard_ms;
    uint64_t interval_ms = limits(r)->ping_interval_ms;
    bool deaf = r->task != NULL; /* and may have stopped reading: the peer may have answered */
    if (r->state == LEAT_RAW_CLOSING || (r->pinged && !deaf)) {
        leat_conn_close(r->conn);
        return;
    }
    if (deaf || quiet_ms < interval_ms) {
        arm(r, deaf ? interval_ms : interval_ms - quiet_ms);
        return;
    }
    r->pinged = true;
    send_frame(r, LEAT_FRAME_PING, (leat_slice){NULL, 0});
    arm(r, limits(r)->pong_timeout_ms);
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
        return r->ours ? LUA_NOREF : r->route->message;
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
    leat_raw_item *item = first(r);
    leat_list_unlink(&item->link);
    free(item);
}

/* A connection that could not be opened has no state to go on with; any other error ends its own
 * handler only. */
static void close_unopened(leat_raw *r, const leat_verdict *v)
{
    switch (v->code) {
    case LEAT_CODE_OK:
        return;
    case LEAT_CODE_UNAUTHENTICATED:
        leat_raw_close(r, LEAT_CLOSE_IDENTITY, leat_code_name(v->code));
        return;
    case LEAT_CODE_UNAVAILABLE:
    case LEAT_CODE_DEADLINE_EXCEEDED:
        leat_raw_close(r, LEAT_CLOSE_TRY_LATER, leat_code_name(v->code));
        return;
    case LEAT_CODE_INTERNAL:
        leat_raw_close(r, LEAT_CLOSE_INTERNAL, leat_code_name(v->code));
        return;
    default:
        leat_raw_close(r, 1008 /* policy violation */, leat_code_name(v->code));
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
    pump(r);
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
    leat_task_give(t, LEAT_TASK_NAME, leat_slice_of(r->route->path));
    r->task = t;
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
    leat_frame_decoder_close(&r->decoder);
    leat_session_unref(r->session);
    leat_buf_close(&r->head);
    free(r);
    leat_vm_drop(lua);
}

/* The peer's close frame, or its breach of the rules, is answered once the messages before it have
 * been handled, so that these can still be answered, too. */
static void answer_close(leat_raw *r, const leat_raw_item *item)
{
    if (item->kind != LEAT_RAW_ITEM_CLOSE || r->state == LEAT_RAW_CLOSED)
        return;
    if (r->state == LEAT_RAW_OPEN)
        send_close(r, item->code, "");
    end_websocket(r);
}

/* Starts the next handler; reads on when there is none left; frees r when nothing can follow. */
static void pump(leat_raw *r)
{
    if (r->task != NULL)
        return;
    while (!leat_list_empty(&r->inbox)) {
        answer_close(r, first(r));
        int fn = handler_of(r, first(r));
        if (fn != LUA_NOREF) {
            start_handler(r, fn);
            return;
        }
        drop_first(r);
    }
    if (r->conn == NULL)
        free_raw(r);
    else if (r->state == LEAT_RAW_OPEN)
        leat_conn_read_start(r->conn);
}

/* --- opening and draining --- */

void leat_lua_raw_open(leat_script *s, int route, leat_session *session, leat_conn *conn,
                       const leat_http_request *request, const char *bytes, size_t len)
{
    static const leat_conn_handler handler = {on_read, NULL, on_conn_closed};
    leat_lua *lua = (leat_lua *)s;
    leat_core *core = lua->core;
    leat_raw *r = leat_calloc(1, sizeof(*r));
    r->lua = lua;
    r->route = &lua->catalog.routes[route];
    r->conn = conn;
    r->session = session;
    r->ref = LUA_NOREF;
    leat_head_pack(&r->head, request, leat_conn_remote(conn), (leat_slice){NULL, 0});
    leat_frame_decoder_init(&r->decoder, core->limits->max_message_bytes);
    leat_list_init(&r->inbox);
    leat_deadline_init(&r->timer);
    leat_list_push(&lua->raws, &r->link);
    lua->n_raws++;
    leat_vm_hold(lua);
    leat_metrics_add(core->metrics, LEAT_M_CONNECTIONS, 1);
    leat_conn_set_handler(conn, &handler, r);
    put(r, LEAT_RAW_ITEM_OPEN, (leat_slice){NULL, 0}, false, 0);
    arm(r, core->limits->ping_interval_ms);
    char *copy = leat_memdup(bytes, len); /* the parser's bytes are not ours to unmask */
    feed(r, copy, len);
    free(copy);
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
