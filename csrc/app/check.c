#include "app/check.h"

#include <uv.h>

#include "app/migrate.h"
#include "base/metrics.h"
#include "core/core.h"
#include "loop/loop.h"
#include "pg/pg_sync.h"
#include "script/script.h"

#define APPLICATION_NAME "leat check"

static int report_line(leat_buf *report, const char *what, int err, const leat_buf *text)
{
    leat_buf_printf(report, "%s: %s", what, err == 0 ? "ok" : "failed");
    if (text->len > 0)
        leat_buf_printf(report, err == 0 ? " (%.*s)" : ": %.*s", (int)text->len, text->at);
    leat_buf_char(report, '\n');
    return err;
}

/* --- the app --- */

/* Scripts load against a core that has a loop and nothing behind it: loading may not read. */
static int load(const leat_config *config, leat_loop *loop, leat_metrics *metrics, leat_buf *error)
{
    leat_core core = {.loop = loop, .metrics = metrics, .limits = &config->limits};
    leat_lua_options options = {
        .app_path = config->app,
        .lua_dir = config->lua_dir,
        .budget_ms = config->script_budget_ms,
        .memory_bytes = config->script_memory_bytes,
        .core = &core,
    };
    leat_lua *lua = NULL;
    int err = leat_lua_new(&lua, &options, error);
    if (err == 0) {
        leat_lua_retire(lua, NULL, NULL);
        uv_run(leat_loop_uv(loop), UV_RUN_DEFAULT);
    }
    return err;
}

static int check_app(const leat_config *config, leat_buf *report)
{
    uv_loop_t uv;
    leat_loop *loop = NULL;
    leat_buf text = LEAT_BUF_INIT;
    leat_metrics_registry *registry = leat_metrics_registry_new();
    int err = uv_loop_init(&uv);
    if (err == 0) {
        err = leat_loop_new(&loop, &uv);
        if (err == 0) {
            err = load(config, loop, leat_metrics_new(registry), &text);
            leat_loop_close(loop, NULL, NULL);
        }
        uv_run(&uv, UV_RUN_DEFAULT);
        LEAT_ASSERT(uv_loop_close(&uv) == 0);
    }
    if (err == 0)
        leat_buf_text(&text, config->app);
    report_line(report, "app", err, &text);
    leat_buf_close(&text);
    leat_metrics_registry_free(registry);
    return err;
}

/* --- the database --- */

static int open_database(leat_pg_sync **db, const leat_config *config, leat_buf *error)
{
    return leat_pg_sync_open(db, config->database_url, APPLICATION_NAME,
                             config->database_connect_timeout_ms, error);
}

static int check_schema(leat_pg_sync *db, const leat_config *config, leat_buf *report)
{
    leat_buf text = LEAT_BUF_INIT;
    int version = 0;
    int err = leat_migrate_check(db, config->schema_dir, &version, &text);
    if (err == 0)
        leat_buf_printf(&text, "version %d", version);
    report_line(report, "schema", err, &text);
    leat_buf_close(&text);
    return err;
}

static int check_database(const leat_config *config, leat_buf *report)
{
    leat_buf text = LEAT_BUF_INIT;
    leat_pg_sync *db = NULL;
    bool is_null = false;
    int err = open_database(&db, config, &text);
    if (err == 0)
        err = leat_pg_sync_value(db, "select 'PostgreSQL ' || current_setting('server_version')",
                                 config->limits.control_timeout_ms, &text, &is_null, &text);
    report_line(report, "database", err, &text);
    leat_buf_close(&text);
    if (err == 0)
        err = check_schema(db, config, report);
    leat_pg_sync_close(db);
    return err;
}

int leat_check_run(const leat_config *config, leat_buf *report)
{
    leat_buf text = LEAT_BUF_INIT;
    leat_buf_text(&text,
                  config->file != NULL ? config->file : "no file: defaults and the environment");
    report_line(report, "configuration", 0, &text);
    leat_buf_close(&text);
    int app_err = check_app(config, report);
    int database_err = check_database(config, report);
    return app_err < 0 ? app_err : database_err;
}

int leat_check_schema(const leat_config *config, leat_buf *error)
{
    leat_pg_sync *db = NULL;
    leat_buf why = LEAT_BUF_INIT;
    int version = 0;
    int err = open_database(&db, config, &why);
    if (err < 0)
        leat_buf_printf(error, "cannot connect to the database: %.*s", (int)why.len, why.at);
    else
        err = leat_migrate_check(db, config->schema_dir, &version, error);
    leat_pg_sync_close(db);
    leat_buf_close(&why);
    return err;
}
