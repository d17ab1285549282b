/* check_app.c - the app is loaded with nothing behind it; then its files are read as text
 * (script/sql_scan): that of the app, and those that it requires from its own folder. */
#include "engine/check_app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "core/core.h"
#include "loop/loop.h"
#include "pg/pg_sync.h"
#include "script/script.h"
#include "script/sql_scan.h"

enum { MAX_FILES = 1000, MAX_FILE_BYTES = 4 << 20 };

typedef struct examination {
    const leat_config *config;
    const leat_doctor *doctor;
    leat_app_statements *statements;
    char *files[MAX_FILES]; /* to be read; the first is the app's */
    size_t n_files;
    const char *file;  /* the one that is being read */
    bool takes_roles;  /* a statement may set the role that others run as */
    size_t n_reported; /* statements with a problem */
} examination;

static void find(const examination *x, leat_severity severity, leat_buf *problem,
                 const char *remedy)
{
    leat_buf_char(problem, '\0');
    x->doctor->on_finding(x->doctor->arg, &(leat_finding){severity, problem->at, remedy});
    leat_buf_close(problem);
}

/* --- loading --- */

static void on_overlap(void *arg, const char *first, const char *second, const char *name)
{
    leat_buf problem = LEAT_BUF_INIT;
    leat_buf_printf(&problem, "\"%s\" and \"%s\" have names in common", first, second);
    leat_buf remedy = LEAT_BUF_INIT;
    leat_buf_printf(&remedy, "this may be meant; \"%s\" belongs to \"%s\"", name, first);
    leat_buf_char(&remedy, '\0');
    find(arg, LEAT_SEVERITY_NOTE, &problem, remedy.at);
    leat_buf_close(&remedy);
}

/* Scripts load against a core that has a loop and nothing behind it: loading may not read. */
static int load(examination *x, leat_loop *loop, leat_metrics *metrics)
{
    const leat_config *config = x->config;
    leat_core core = {.loop = loop, .metrics = metrics, .limits = &config->limits};
    leat_lua_options options = {
        .app_path = config->app,
        .app_source = config->app_source,
        .lua_dir = config->lua_dir,
        .require_folders = config->require_folders,
        .budget_ms = config->script_budget_ms,
        .memory_bytes = config->script_memory_bytes,
        .core = &core,
    };
    leat_lua *lua = NULL;
    leat_buf problem = LEAT_BUF_INIT;
    int err = leat_lua_new(&lua, &options, &problem);
    if (err < 0) {
        find(x, LEAT_SEVERITY_FATAL, &problem, "mend the application: it does not load");
        return err;
    }
    leat_lua_overlaps(lua, on_overlap, x);
    leat_lua_retire(lua, NULL, NULL);
    uv_run(leat_loop_uv(loop), UV_RUN_DEFAULT);
    return 0;
}

static int load_alone(examination *x)
{
    uv_loop_t uv;
    leat_loop *loop = NULL;
    leat_metrics_registry *registry = leat_metrics_registry_new();
    int err = uv_loop_init(&uv);
    if (err == 0) {
        err = leat_loop_new(&loop, &uv);
        if (err == 0) {
            err = load(x, loop, leat_metrics_new(registry));
            leat_loop_close(loop, NULL, NULL);
        }
        uv_run(&uv, UV_RUN_DEFAULT);
        LEAT_ASSERT(uv_loop_close(&uv) == 0);
    }
    leat_metrics_registry_free(registry);
    return err;
}

/* --- reading --- */

static char *place_of(const examination *x, int line)
{
    leat_buf place = LEAT_BUF_INIT;
    leat_buf_printf(&place, "%s:%d", x->file, line);
    return leat_buf_detach(&place, NULL);
}

static void on_statement(void *arg, int line, leat_slice sql)
{
    examination *x = arg;
    leat_app_statements *s = x->statements;
    s->at = leat_realloc(s->at, (s->n + 1) * sizeof(*s->at));
    s->at[s->n++] = (leat_app_statement){place_of(x, line), leat_memdup(sql.at, sql.len)};
}

static void on_spliced(void *arg, int line)
{
    examination *x = arg;
    leat_buf problem = LEAT_BUF_INIT;
    leat_buf_printf(&problem, "%s:%d: SQL is put together from variables", x->file, line);
    find(x, LEAT_SEVERITY_WARNING, &problem,
         "pass values as $1, $2; a user who can choose a part of the text can run any statement");
}

/* Takes the path. */
static void add_file(examination *x, char *path)
{
    bool is_known = x->n_files == MAX_FILES;
    for (size_t i = 0; i < x->n_files && !is_known; i++)
        is_known = strcmp(x->files[i], path) == 0;
    if (is_known)
        free(path);
    else
        x->files[x->n_files++] = path;
}

/* A module of the app's own folder: "lib.rooms" is lib/rooms.lua. */
static void on_require(void *arg, leat_slice module)
{
    examination *x = arg;
    const char *slash = strrchr(x->config->app, '/');
    leat_buf path = LEAT_BUF_INIT;
    if (slash != NULL)
        leat_buf_append(&path, x->config->app, (size_t)(slash + 1 - x->config->app));
    for (size_t i = 0; i < module.len; i++)
        leat_buf_char(&path, module.at[i] == '.' ? '/' : module.at[i]);
    leat_buf_text(&path, ".lua");
    add_file(x, leat_buf_detach(&path, NULL));
}

/* A file that cannot be read has no statements: whether the app loads without it was found out. */
static void read_file(examination *x, const char *path)
{
    const leat_sql_scan scan = {on_statement, on_spliced, on_require, x};
    leat_buf text = LEAT_BUF_INIT;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return;
    size_t n = 0;
    do {
        n = fread(leat_buf_reserve(&text, 65536), 1, 65536, f);
        text.len += n;
    } while (n > 0 && text.len < MAX_FILE_BYTES);
    fclose(f);
    x->file = path;
    leat_sql_scan_text(leat_buf_view(&text), &scan);
    leat_buf_close(&text);
}

static void read_files(examination *x)
{
    const leat_sql_scan scan = {on_statement, on_spliced, on_require, x};
    if (x->config->app_source != NULL) {
        x->file = "app_source";
        leat_sql_scan_text(leat_slice_of(x->config->app_source), &scan);
    } else {
        add_file(x, leat_strdup(x->config->app));
    }
    for (size_t i = 0; i < x->n_files; i++)
        read_file(x, x->files[i]);
    for (size_t i = 0; i < x->n_files; i++)
        free(x->files[i]);
}

int leat_check_app(const leat_config *config, const leat_doctor *doctor, leat_app_statements *out)
{
    examination x = {.config = config, .doctor = doctor, .statements = out};
    *out = (leat_app_statements){NULL, 0};
    int err = load_alone(&x);
    if (err == 0)
        doctor->on_fact(doctor->arg, "app", config->app);
    read_files(&x);
    return err;
}

/* --- preparing --- */

#define NAME "leat_check"

/* Postgres looks at rights when a statement starts, not when it is prepared. EXPLAIN starts it, and
 * does not run it. The plan is the generic one, so NULL stands for every parameter. */
static const char begin_sql[] = "begin; set local plan_cache_mode = force_generic_plan";
static const char explain_sql[] =
    "do $$ begin execute (select 'explain execute " NAME "'"
    "   || coalesce(' (' || pg_catalog.repeat('null, ', n - 1) || 'null)', '')"
    "   from (select nullif(pg_catalog.cardinality(parameter_types), 0) as n"
    "     from pg_catalog.pg_prepared_statements where name = '" NAME "') p); end $$";
static const char end_sql[] = "rollback; deallocate " NAME;

static bool may_take_roles(const leat_app_statements *statements)
{
    for (size_t i = 0; i < statements->n; i++)
        if (strcasestr(statements->at[i].sql, "set ") != NULL ||
            strcasestr(statements->at[i].sql, "set_config") != NULL)
            if (strcasestr(statements->at[i].sql, "role") != NULL)
                return true;
    return false;
}

static void report(examination *x, leat_severity severity, const leat_app_statement *s,
                   const char *what, const leat_buf *why, const char *remedy)
{
    leat_buf problem = LEAT_BUF_INIT;
    leat_buf_printf(&problem, "%s: %s: %.*s", s->place, what, (int)why->len, why->at);
    x->n_reported++;
    find(x, severity, &problem, remedy);
}

/* Another refusal of EXPLAIN is no finding: the statement itself may run all the same. */
static int look_at_rights(examination *x, leat_pg_sync *db, const leat_app_statement *s,
                          leat_buf *why)
{
    int err = leat_pg_sync_exec(db, explain_sql, x->config->limits.control_timeout_ms, why);
    if (err != LEAT_EPG_SERVER)
        return err;
    if (strcmp(leat_pg_sync_sqlstate(db), "42501") == 0)
        report(x, x->takes_roles ? LEAT_SEVERITY_WARNING : LEAT_SEVERITY_ERROR, s,
               "the server's role lacks a right for this statement", why,
               "grant it to the role of database_url; its handler fails");
    why->len = 0;
    return 0;
}

/* Prepares within a transaction, so that a pooler keeps to one session. Fails if the statement
 * could not be examined; why has the reason. */
static int examine_statement(examination *x, leat_pg_sync *db, const leat_app_statement *s,
                             leat_buf *why)
{
    uint64_t timeout_ms = x->config->limits.control_timeout_ms;
    int err = leat_pg_sync_exec(db, begin_sql, timeout_ms, why);
    if (err < 0)
        return err;
    err = leat_pg_sync_prepare(db, NAME, s->sql, timeout_ms, why);
    if (err == LEAT_EPG_SERVER) {
        report(x, LEAT_SEVERITY_ERROR, s, "Postgres refuses this statement", why,
               "mend it, or make in the database what it names; its handler fails");
        why->len = 0;
        return leat_pg_sync_exec(db, "rollback", timeout_ms, why);
    }
    if (err == 0)
        err = look_at_rights(x, db, s, why);
    return err < 0 ? err : leat_pg_sync_exec(db, end_sql, timeout_ms, why);
}

static int examine_statements(examination *x, leat_pg_sync *db,
                              const leat_app_statements *statements, leat_buf *why)
{
    for (size_t i = 0; i < statements->n; i++) {
        int err = examine_statement(x, db, &statements->at[i], why);
        if (err < 0) {
            report(x, LEAT_SEVERITY_ERROR, &statements->at[i],
                   "this statement was not examined, nor any after it", why,
                   "run leat check again when the database answers");
            return err;
        }
    }
    return 0;
}

void leat_check_app_statements(const leat_config *config, const leat_doctor *doctor,
                               const leat_app_statements *statements)
{
    examination x = {.config = config, .doctor = doctor, .takes_roles = may_take_roles(statements)};
    leat_buf why = LEAT_BUF_INIT;
    leat_pg_sync *db = NULL;
    char text[64];
    int err = leat_pg_sync_open(&db, config->database_url, "leat check",
                                config->database_connect_timeout_ms, &why);
    if (err < 0) {
        leat_buf problem = LEAT_BUF_INIT;
        leat_buf_printf(&problem, "the statements were not examined: %.*s", (int)why.len, why.at);
        find(&x, LEAT_SEVERITY_ERROR, &problem, "run leat check again when the database answers");
    } else if (examine_statements(&x, db, statements, &why) == 0 && x.n_reported == 0) {
        snprintf(text, sizeof(text), "%zu prepared", statements->n);
        doctor->on_fact(doctor->arg, "statements", text);
    }
    leat_pg_sync_close(db);
    leat_buf_close(&why);
}

void leat_check_app_free(leat_app_statements *statements)
{
    for (size_t i = 0; i < statements->n; i++) {
        free(statements->at[i].place);
        free(statements->at[i].sql);
    }
    free(statements->at);
}
