/* script.c - the life of a leat_lua: made, loaded, retired, freed.
 *
 * leat_lua_new makes a sandbox, puts the module `leat` into it, and runs the file of the app as a
 * coroutine, within the budget, like any handler. The file registers what it serves (api_app.c) and
 * returns the app. vm.h says who holds a leat_lua, and what a reload does.
 */
#include "script/script.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "base/mem.h"
#include "script/api/api_app.h"
#include "script/api/api_ctx.h"
#include "script/api/api_db.h"
#include "script/api/api_leat.h"
#include "script/api/api_request.h"
#include "script/route/api_conn.h"
#include "script/route/ops.h"
#include "script/route/raw.h"
#include "script/route/route.h"
#include "script/sandbox/sandbox_lib.h"
#include "script/sandbox/sandbox_lock.h"
#include "script/task/task.h"
#include "script/task/vm.h"
#include "script/value/lua_json.h"
#include "script/value/refusal.h"

static const leat_route_ops routes = {
    .match = leat_route_find,
    .run = leat_route_run,
    .open_socket = leat_lua_raw_open,
    .guest = leat_route_guest,
    .can_run = leat_vm_can_run,
};

struct loading {
    leat_lua *lua;
    const leat_lua_options *options;
    const char *templates; /* where require looks */
    lua_State *co;
    leat_buf *error;
    bool failed;
};

static void add_folder(leat_buf *templates, const char *folder, size_t len)
{
    int n = (int)len;
    leat_buf_printf(templates, "%s%.*s/?.lua;%.*s/?/init.lua", templates->len > 0 ? ";" : "", n,
                    folder, n, folder);
}

/* Lua cuts the list of templates apart at one character, and puts the name in place of another: a
 * folder with one of them would lead elsewhere. */
static bool names_fit(const leat_lua_options *o)
{
    const char *slash = strrchr(o->app_path, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - o->app_path);
    const char *others = o->require_folders != NULL ? o->require_folders : "";
    return strcspn(o->app_path, LUA_PATH_SEP LUA_PATH_MARK) >= folder &&
           strpbrk(o->lua_dir, LUA_PATH_SEP LUA_PATH_MARK) == NULL &&
           strpbrk(others, LUA_PATH_SEP LUA_PATH_MARK) == NULL;
}

/* Modules are looked for in the folder of the app, then in that of the framework, then in those
 * that the operator names, separated by commas. */
static void write_templates(leat_buf *templates, const leat_lua_options *o)
{
    const char *slash = strrchr(o->app_path, '/');
    if (slash == NULL)
        add_folder(templates, ".", 1);
    else
        add_folder(templates, o->app_path, (size_t)(slash - o->app_path));
    add_folder(templates, o->lua_dir, strlen(o->lua_dir));
    const char *at = o->require_folders != NULL ? o->require_folders : "";
    while (*at != '\0') {
        at += strspn(at, " ");
        size_t len = strcspn(at, ",");
        if (len > 0)
            add_folder(templates, at, len);
        at += len + (at[len] == ',' ? 1 : 0);
    }
    leat_buf_char(templates, '\0');
}

/* [-0, +0, m] */
static int open_modules(lua_State *L)
{
    struct loading *l = lua_touserdata(L, 1);
    leat_lua_json_open(L);
    leat_refusal_open(L);
    leat_api_request_open(L);
    leat_api_db_open(L);
    leat_api_ctx_open(L, l->lua);
    leat_api_conn_open(L);
    leat_api_app_open(L, l->lua);
    leat_api_leat_open(L, l->lua);
    leat_sandbox_lib_require_from(L, l->templates);
    return 0;
}

/* [-0, +1, m] */
static int load_text(lua_State *L, const leat_lua_options *o)
{
    if (o->app_source == NULL)
        return luaL_loadfilex(L, o->app_path, "t");
    return luaL_loadbufferx(L, o->app_source, strlen(o->app_source), "=app_source", "t");
}

/* Compiles the app onto the coroutine. [-0, +0, m] */
static int load_chunk(lua_State *L)
{
    struct loading *l = lua_touserdata(L, 1);
    if (load_text(L, l->options) != LUA_OK) {
        leat_buf_text(l->error, lua_tostring(L, -1));
        l->failed = true;
        return 0;
    }
    leat_sandbox_lib_note_code(L);
    lua_xmove(L, l->co, 1);
    return 0;
}

/* [-0, +0, m] */
static int check_result(lua_State *L)
{
    struct loading *l = lua_touserdata(L, 1);
    if (lua_gettop(l->co) > 0 && leat_api_app_is(l->co, 1)) {
        leat_api_app_complete(L, l->lua);
        return 0;
    }
    leat_buf_printf(l->error,
                    "%s: must end with 'return app', where app is the value of leat.app()",
                    l->options->app_path);
    l->failed = true;
    return 0;
}

static void report_failure(struct loading *l, leat_vm_outcome outcome)
{
    leat_vm_failure f = {.code = LEAT_CODE_INTERNAL};
    leat_vm_examine(l->lua, l->co, outcome, &f);
    if (f.trace.len > 0)
        leat_buf_slice(l->error, leat_buf_view(&f.trace));
    else
        leat_buf_printf(l->error, "%s: refused to load: %s: %.*s", l->options->app_path,
                        leat_code_name(f.code), (int)f.message.len,
                        f.message.len > 0 ? f.message.at : "");
    leat_buf_close(&f.trace);
    leat_buf_close(&f.message);
    l->failed = true;
}

static void run_chunk(struct loading *l)
{
    leat_vm_outcome outcome = leat_vm_call(l->lua, l->co, 0);
    switch (outcome) {
    case LEAT_VM_DONE:
        if (leat_vm_protect(l->lua, check_result, l) < 0)
            l->failed = true;
        return;
    case LEAT_VM_YIELDED:
        leat_buf_printf(
            l->error,
            "%s: the app called something that waits while it loads; only handlers may wait",
            l->options->app_path);
        l->failed = true;
        return;
    case LEAT_VM_FAILED:
    case LEAT_VM_BUDGET:
        report_failure(l, outcome);
        return;
    }
}

static int load_app(leat_lua *lua, const leat_lua_options *options, leat_buf *error)
{
    leat_buf templates = LEAT_BUF_INIT;
    if (!names_fit(options)) {
        leat_buf_printf(error,
                        "%s: a folder where require looks cannot have ';' or '?' in its name",
                        options->app_path);
        return LEAT_ESCRIPT;
    }
    write_templates(&templates, options);
    struct loading l = {.lua = lua, .options = options, .templates = templates.at, .error = error};
    int ref = LUA_NOREF;
    l.failed = leat_vm_protect(lua, open_modules, &l) < 0;
    leat_buf_close(&templates);
    if (!l.failed)
        l.co = leat_vm_new_coroutine(lua, &ref);
    if (l.co == NULL || leat_vm_protect(lua, load_chunk, &l) < 0)
        l.failed = true;
    if (!l.failed)
        run_chunk(&l);
    if (l.co != NULL)
        leat_vm_reset_coroutine(lua, l.co);
    leat_vm_unref(lua, &ref);
    if (!l.failed)
        return 0;
    if (error->len == 0)
        leat_buf_printf(error, "%s: script_memory_bytes is too small to load it",
                        options->app_path);
    return LEAT_ESCRIPT;
}

static void free_lua(leat_lua *lua)
{
    LEAT_ASSERT(leat_list_empty(&lua->ready));
    leat_sweep_cancel(&lua->sweep);
    leat_vm_close(lua);
    leat_task_free_spare(lua);
    leat_sandbox_free(lua->sandbox);
    leat_metrics_add(lua->core->metrics, LEAT_M_SCRIPT_MEMORY, -(int64_t)lua->gauged_memory);
    leat_catalog_close(&lua->catalog);
    leat_buf_close(&lua->scratch[0]);
    leat_buf_close(&lua->scratch[1]);
    free(lua);
}

int leat_lua_new(leat_lua **out, const leat_lua_options *options, leat_buf *error)
{
    leat_lua *lua = leat_calloc(1, sizeof(*lua));
    int err = leat_sandbox_new(&lua->sandbox, options->memory_bytes, options->budget_ms);
    if (err < 0) {
        free(lua);
        return err;
    }
    lua->script.ops = leat_ops_table();
    lua->script.routes = &routes;
    lua->core = options->core;
    lua->app_path = options->app_path;
    lua->L = leat_sandbox_state(lua->sandbox);
    leat_catalog_init(&lua->catalog);
    leat_list_init(&lua->raws);
    leat_task_init_lists(lua);
    leat_vm_init(lua);
    err = load_app(lua, options, error);
    if (err < 0) {
        free_lua(lua);
        return err;
    }
    leat_catalog_complete(&lua->catalog, lua->core->metrics);
    leat_sandbox_lock(lua->sandbox);
    *out = lua;
    return 0;
}

/* Writes a name of the pattern to sample. Returns whether the other pattern matches it, too. */
static bool overlap(const leat_pattern *pattern, const leat_pattern *other, leat_buf *sample)
{
    sample->len = 0;
    leat_pattern_sample(pattern, sample);
    leat_buf_char(sample, '\0');
    return leat_pattern_matches(other, (leat_slice){sample->at, sample->len - 1});
}

/* A catalog keeps its entries in the order in which they are tried. */
void leat_lua_overlaps(const leat_lua *lua, leat_lua_overlap_cb on_overlap, void *arg)
{
    const leat_catalog *c = &lua->catalog;
    leat_buf name = LEAT_BUF_INIT;
    for (size_t i = 0; i < c->n_topics; i++)
        for (size_t j = i + 1; j < c->n_topics; j++)
            if (overlap(c->topics[i].pattern, c->topics[j].pattern, &name))
                on_overlap(arg, c->topics[i].text, c->topics[j].text, name.at);
    for (size_t i = 0; i < c->n_routes; i++)
        for (size_t j = i + 1; j < c->n_routes; j++)
            if (strcmp(c->routes[i].method, c->routes[j].method) == 0 &&
                overlap(c->routes[i].pattern, c->routes[j].pattern, &name))
                on_overlap(arg, c->routes[i].path, c->routes[j].path, name.at);
    leat_buf_close(&name);
}

uint64_t leat_lua_code(const leat_lua *lua)
{
    return leat_sandbox_code(lua->sandbox);
}

leat_script *leat_lua_script(leat_lua *lua)
{
    return &lua->script;
}

/* Nobody holds a retired lua any more. */
static void free_retired(leat_lua *lua)
{
    void (*done)(void *) = lua->retired_cb;
    void *arg = lua->retired_arg;
    free_lua(lua);
    if (done != NULL)
        done(arg);
}

void leat_lua_retire(leat_lua *lua, void (*done)(void *arg), void *arg)
{
    lua->retired_cb = done;
    lua->retired_arg = arg;
    if (lua->holds == 0)
        free_retired(lua);
    else
        leat_vm_retire(lua, free_retired);
}
