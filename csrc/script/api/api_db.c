/* api_db.c - db:one, db:rows, db:exec, db:batch, db:transaction.
 *
 * A transaction belongs to the task: while it is open, every db handle of the task works in it. So
 * no statement runs outside of it by mistake, and a task never waits for a second connection while
 * it holds one. refresh and snapshot begin inside a transaction. db:transaction makes a savepoint
 * there, and also inside another db:transaction.
 */
#include "script/api/api_db.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "script/sandbox/sandbox_run.h"
#include "script/task/db_error.h"
#include "script/task/db_wait.h"
#include "script/task/origin.h"
#include "script/value/lua_json.h"
#include "script/value/refusal.h"

#define TYPE "leat.db"

enum {
    MAX_PARAMS = 65535,      /* the limit of Postgres' protocol */
    MAX_BATCH = 100,         /* statements; each result is a value on Lua's stack */
    MAX_BATCH_SQL = 1 << 20, /* bytes of their texts, of which the same one may be many */
};

struct handle {
    leat_lua *lua;
    uint64_t task_id;
    uint64_t deadline_ms;
    /* Of a transaction. */
    bool closed; /* it has ended */
    int depth;   /* 0: this is no transaction's */
    uint64_t transaction;
};

void leat_api_db_push(lua_State *L, leat_task *t, uint64_t deadline_ms)
{
    struct handle *h = lua_newuserdatauv(L, sizeof(*h), 0);
    *h = (struct handle){.lua = t->lua, .task_id = t->id, .deadline_ms = deadline_ms};
    if (t->deadline_ms < deadline_ms)
        h->deadline_ms = t->deadline_ms;
    luaL_setmetatable(L, TYPE);
}

/* False if what the transaction was a part of has ended before it. */
static bool is_open(const struct handle *h, const leat_db *db)
{
    return h->depth == 0 || (h->transaction == db->transaction && h->depth <= db->depth);
}

/* Returns the task of the handle at index 1, which must be the running one. [-0, +0, arg] */
static leat_task *check(lua_State *L, struct handle **out)
{
    struct handle *h = luaL_checkudata(L, 1, TYPE);
    leat_task *t = h->lua->running;
    if (h->closed)
        luaL_error(
            L,
            "this db has ended with its transaction; use ctx.db, or the argument of an open one");
    if (t == NULL || t->id != h->task_id)
        luaL_error(L,
                   "this db has ended with its handler; in refresh and snapshot, use their first "
                   "argument, db");
    if (!is_open(h, &t->db))
        luaL_error(L,
                   "this db has ended with the transaction around its own, in another coroutine");
    *out = h;
    return t;
}

/* True if the client sent the value that cannot be a parameter: a text with a zero byte, or text in
 * a table that is no UTF-8. */
static bool is_clients(const leat_task *t, lua_State *L, int index)
{
    leat_slice value = leat_slice_of("\xff");
    if (lua_type(L, index) == LUA_TSTRING)
        value.at = lua_tolstring(L, index, &value.len);
    return leat_origin_is_client(t, value);
}

/* Makes the value at index the parameter $number of the last statement. where: what an error begins
 * with. [-0, +0, e] */
static void bind_param(lua_State *L, leat_task *t, int index, int number, const char *where)
{
    char reason[200];
    bool is_null = false;
    leat_buf *texts = leat_db_param_begin(&t->db);
    size_t began_at = texts->len;
    int err = leat_lua_param(L, index, texts, &is_null, reason, sizeof(reason));
    if (err < 0) {
        leat_sandbox_run_check(L);
        if (is_clients(t, L, index))
            leat_db_error_raise_parameter(L, leat_slice_of(reason));
        luaL_error(L, "%sbad query parameter $%d: %s", where, number, reason);
    }
    leat_db_param_end(&t->db, began_at, is_null);
}

/* Takes the statement and its parameters from the stack, which is db, sql, ... [-0, +0, e] */
static leat_task *check_statement(lua_State *L)
{
    struct handle *h = NULL;
    leat_task *t = check(L, &h);
    leat_slice sql;
    sql.at = luaL_checklstring(L, 2, &sql.len);
    luaL_argcheck(L, memchr(sql.at, '\0', sql.len) == NULL, 2,
                  "the statement contains a zero byte");
    int top = lua_gettop(L);
    luaL_argcheck(L, top - 2 <= MAX_PARAMS, 2, "a statement can have at most 65535 parameters");
    leat_db_set_statement(&t->db, sql, h->deadline_ms);
    for (int i = 3; i <= top; i++)
        bind_param(L, t, i, i - 2, "");
    return t;
}

/* Returns the task after its statement. Raises if the statement failed. [-0, +0, e] */
static leat_task *finish_statement(lua_State *L, lua_KContext ticket)
{
    struct handle *h = lua_touserdata(L, 1);
    leat_task *t = leat_task_waited(L, h->lua, ticket);
    if (t->wait.err < 0)
        leat_db_error_raise(L, t);
    return t;
}

static int on_one(lua_State *L, int status, lua_KContext ticket)
{
    (void)status;
    leat_task *t = finish_statement(L, ticket);
    const leat_db_statement *s = &t->db.statements[0];
    if (leat_pg_result_rows(s->result) > 0)
        leat_lua_row_push(L, s->result, 0, &s->ask.answers);
    else
        lua_pushnil(L);
    leat_db_drop_results(&t->db);
    return 1;
}

/* db:one(sql, ...) -> row | nil                                     [-0, +1, e] yields
 * The first row, or nil if there is none. */
static int db_one(lua_State *L)
{
    leat_task *t = check_statement(L);
    leat_db_want_rows(&t->db, 1);
    return leat_db_wait_statement(L, t, on_one);
}

static int on_rows(lua_State *L, int status, lua_KContext ticket)
{
    (void)status;
    leat_task *t = finish_statement(L, ticket);
    leat_lua_rows_push(L, t->db.statements[0].result, &t->db.statements[0].ask.answers);
    leat_db_drop_results(&t->db);
    return 1;
}

/* db:rows(sql, ...) -> list                                         [-0, +1, e] yields */
static int db_rows(lua_State *L)
{
    leat_task *t = check_statement(L);
    leat_db_want_rows(&t->db, INT_MAX);
    return leat_db_wait_statement(L, t, on_rows);
}

static int on_exec(lua_State *L, int status, lua_KContext ticket)
{
    (void)status;
    leat_task *t = finish_statement(L, ticket);
    lua_pushinteger(L, leat_pg_result_affected(t->db.statements[0].result));
    leat_db_drop_results(&t->db);
    return 1;
}

/* db:exec(sql, ...) -> number of rows affected                      [-0, +1, e] yields */
static int db_exec(lua_State *L)
{
    return leat_db_wait_statement(L, check_statement(L), on_exec);
}

/* --- batches --- */

/* Takes statement i of the batch, which is at the stack's top: { sql, ... }. [-0, +0, e] */
static void check_batched(lua_State *L, leat_task *t, const struct handle *h, int i)
{
    int at = lua_gettop(L);
    char where[48];
    snprintf(where, sizeof(where), "statement %d of the batch: ", i);
    if (!lua_istable(L, at) || lua_rawgeti(L, at, 1) != LUA_TSTRING)
        luaL_error(L, "statement %d of the batch is no { sql, ... }", i);
    leat_slice sql;
    sql.at = lua_tolstring(L, -1, &sql.len);
    if (memchr(sql.at, '\0', sql.len) != NULL)
        luaL_error(L, "statement %d of the batch contains a zero byte", i);
    if (i > 1 && t->db.sql.len + sql.len > MAX_BATCH_SQL)
        luaL_error(L, "the statements of the batch are longer than %d bytes", MAX_BATCH_SQL);
    if (i == 1)
        leat_db_set_statement(&t->db, sql, h->deadline_ms);
    else
        leat_db_add_statement(&t->db, sql);
    leat_db_want_rows(&t->db, INT_MAX);
    lua_Unsigned n = lua_rawlen(L, at) - 1;
    if (n > MAX_PARAMS)
        luaL_error(L, "statement %d of the batch has more than 65535 parameters", i);
    for (int number = 1; number <= (int)n; number++) {
        lua_rawgeti(L, at, number + 1);
        bind_param(L, t, at + 2, number, where);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static int on_batch(lua_State *L, int status, lua_KContext ticket)
{
    (void)status;
    leat_task *t = finish_statement(L, ticket);
    int n = (int)t->db.n_statements;
    luaL_checkstack(L, n, "batch");
    for (int i = 0; i < n; i++) {
        const leat_db_statement *s = &t->db.statements[i];
        if (leat_pg_result_columns(s->result) > 0)
            leat_lua_rows_push(L, s->result, &s->ask.answers);
        else
            lua_pushinteger(L, leat_pg_result_affected(s->result));
    }
    leat_db_drop_results(&t->db);
    return n;
}

/* db:batch({ { sql, ... }, ... }) -> result, ...                    [-0, +n, e] yields
 * Sends all statements in one round trip. Each result is what db:rows gives; of a statement without
 * rows, what db:exec gives. */
static int db_batch(lua_State *L)
{
    struct handle *h = NULL;
    leat_task *t = check(L, &h);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Unsigned n = lua_rawlen(L, 2);
    luaL_argcheck(L, n >= 1 && n <= MAX_BATCH, 2, "a batch has 1 to 100 statements");
    for (int i = 1; i <= (int)n; i++) {
        lua_rawgeti(L, 2, i);
        check_batched(L, t, h, i);
        lua_pop(L, 1);
    }
    return leat_db_wait_statement(L, t, on_batch);
}

/* --- transactions --- */

/* The stack of db_transaction: db, fn, tx, and then the results of fn or the error that it raised.
 * When fn has ended, one of the END_* numbers replaces it. */
enum { DB = 1, FN = 2, TX = 3, RESULTS = 4 };
enum { END_RETURN, END_RAISE, END_ABORTED, END_CROSSED };

#define CROSSED                                                                                    \
    "db:transaction: transactions of several coroutines of a handler must end in the reverse "     \
    "order in which they began; nothing of them is written"

static void savepoint_statement(leat_task *t, const char *verb, int number, uint64_t deadline_ms)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "%s leat_%d", verb, number);
    leat_db_set_statement(&t->db, leat_slice_of(sql), deadline_ms);
}

static int on_ended(lua_State *L, int status, lua_KContext ticket)
{
    (void)status;
    struct handle *h = lua_touserdata(L, DB);
    leat_task *t = leat_task_waited(L, h->lua, ticket);
    if (t->db.depth > 0) /* the end of the outermost has reset it already */
        t->db.depth--;
    switch (lua_tointeger(L, FN)) {
    case END_RAISE:
        lua_settop(L, RESULTS);
        return lua_error(L);
    case END_ABORTED:
        return leat_db_error_raise_aborted(L);
    case END_CROSSED:
        return luaL_error(L, CROSSED);
    default:
        break;
    }
    bool refused = lua_gettop(L) >= RESULTS && leat_refusal_at(L, RESULTS) != NULL;
    if (t->wait.err < 0 && !refused)
        return leat_db_error_raise(L, t);
    return lua_gettop(L) - RESULTS + 1;
}

/* Another coroutine has begun a transaction inside of this one, or the one around it has ended:
 * what would be committed is not what this one has done. So nothing is. The stack is that of
 * on_ended.
 * [-0, +0, e] yields */
static int end_crossed(lua_State *L, leat_task *t)
{
    const struct handle *tx = lua_touserdata(L, TX);
    bool raises = lua_tointeger(L, FN) == END_RAISE;
    bool is_there = tx->transaction == t->db.transaction && t->db.state == LEAT_DB_TRANSACTION;
    if (!is_there && !raises)
        return luaL_error(L, CROSSED);
    if (!is_there) {
        lua_settop(L, RESULTS);
        return lua_error(L);
    }
    if (!raises) {
        lua_pushinteger(L, END_CROSSED);
        lua_replace(L, FN);
    }
    leat_db_set_statement(&t->db, leat_slice_of("rollback"), t->deadline_ms);
    return leat_db_wait_end(L, t, on_ended);
}

/* Commits or rolls back. [-0, +0, e] yields */
static int end_transaction(lua_State *L, leat_task *t, bool commits)
{
    if (t->db.state == LEAT_DB_TRANSACTION && t->db.depth == 1) {
        leat_db_set_statement(&t->db, leat_slice_of(commits ? "commit" : "rollback"),
                              t->deadline_ms);
        return leat_db_wait_end(L, t, on_ended);
    }
    savepoint_statement(t, commits ? "release savepoint" : "rollback to savepoint", t->db.depth,
                        t->deadline_ms);
    return leat_db_wait_statement(L, t, on_ended);
}

static int on_ran(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    bool ran = status == LUA_OK || status == LUA_YIELD;
    if (!ran)
        leat_sandbox_run_check(L); /* this must not catch the end of a run */
    struct handle *h = NULL;
    leat_task *t = check(L, &h);
    struct handle *tx = lua_touserdata(L, TX);
    tx->closed = true;
    bool refused = ran && lua_gettop(L) >= RESULTS && leat_refusal_at(L, RESULTS) != NULL;
    bool aborted = ran && !refused && t->db.aborted;
    lua_pushinteger(L, !ran ? END_RAISE : aborted ? END_ABORTED : END_RETURN);
    lua_replace(L, FN);
    if (tx->transaction != t->db.transaction || tx->depth != t->db.depth)
        return end_crossed(L, t);
    return end_transaction(L, t, ran && !refused && !aborted);
}

static int on_begun(lua_State *L, int status, lua_KContext ticket)
{
    (void)status;
    leat_task *t = finish_statement(L, ticket);
    struct handle *tx = lua_touserdata(L, TX);
    tx->depth = ++t->db.depth;
    tx->transaction = t->db.transaction;
    lua_pushvalue(L, FN);
    lua_pushvalue(L, TX);
    return on_ran(L, lua_pcallk(L, 1, LUA_MULTRET, 0, 0, on_ran), 0);
}

/* db:transaction(fn) -> fn's results                                [-0, +n, e] yields
 * Runs fn(tx) in a transaction and commits. If fn raises, the transaction is rolled back and the
 * error is raised again. If fn returns a leat.deny, it is rolled back and the refusal is returned.
 * If a statement fails and fn catches the error, the transaction still fails, except inside a
 * nested db:transaction, which is a savepoint. tx is a db that ends with fn. */
static int db_transaction(lua_State *L)
{
    struct handle *h = NULL;
    leat_task *t = check(L, &h);
    luaL_checktype(L, FN, LUA_TFUNCTION);
    lua_settop(L, FN);
    leat_api_db_push(L, t, h->deadline_ms);
    if (!leat_db_in_transaction(&t->db)) {
        leat_db_set_statement(&t->db, leat_slice_of("begin"), h->deadline_ms);
        return leat_db_wait_begin(L, t, on_begun);
    }
    savepoint_statement(t, "savepoint", t->db.depth + 1, h->deadline_ms);
    return leat_db_wait_statement(L, t, on_begun);
}

static const luaL_Reg methods[] = {
    {"one", db_one},
    {"rows", db_rows},
    {"exec", db_exec},
    {"batch", db_batch},
    {"transaction", db_transaction},
    {NULL, NULL},
};

void leat_api_db_open(lua_State *L)
{
    luaL_newmetatable(L, TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, TYPE);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
