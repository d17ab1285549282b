#include "engine/check.h"

#include <string.h>

#include <uv.h>

#include "base/log.h"
#include "base/metrics.h"
#include "core/core.h"
#include "engine/certificates.h"
#include "engine/doctor.h"
#include "loop/loop.h"
#include "script/script.h"

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
        .app_source = config->app_source,
        .lua_dir = config->lua_dir,
        .require_folders = config->require_folders,
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

struct report {
    leat_buf *text;
    bool has_error;
};

static void on_fact(void *arg, const char *what, const char *fact)
{
    struct report *r = arg;
    leat_buf_printf(r->text, "%s: ok (%s)\n", what, fact);
}

static void print_finding(leat_buf *out, const leat_finding *f)
{
    leat_buf_text(out, f->problem);
    if (f->remedy[0] != '\0')
        leat_buf_printf(out, ": %s", f->remedy);
}

static void on_finding(void *arg, const leat_finding *f)
{
    struct report *r = arg;
    r->has_error = r->has_error || f->severity >= LEAT_SEVERITY_ERROR;
    leat_buf_printf(r->text, "%s: ", leat_severity_name(f->severity));
    print_finding(r->text, f);
    leat_buf_char(r->text, '\n');
}

int leat_check_run(const leat_config *config, leat_buf *report)
{
    leat_buf text = LEAT_BUF_INIT;
    leat_buf_text(&text,
                  config->file != NULL ? config->file : "no file: defaults and the environment");
    report_line(report, "configuration", 0, &text);
    leat_buf_close(&text);
    struct report r = {.text = report};
    leat_doctor doctor = {on_finding, on_fact, &r};
    int app_err = check_app(config, report);
    int tls_err = leat_certificates_examine(config, &doctor);
    int err = leat_doctor_examine(config, &doctor);
    if (err == 0 && r.has_error)
        err = LEAT_ESCHEMA;
    if (app_err < 0)
        return app_err;
    return tls_err < 0 ? tls_err : err;
}

/* --- before serving --- */

static void on_no_fact(void *arg, const char *what, const char *fact)
{
    (void)arg;
    (void)what;
    (void)fact;
}

struct start {
    leat_buf *error;
    const char *subsystem; /* of the log */
};

/* What keeps a server from serving becomes its last words. Of the rest it warns, and serves. */
static void on_start_finding(void *arg, const leat_finding *f)
{
    const struct start *start = arg;
    leat_buf *error = start->error;
    if (f->severity == LEAT_SEVERITY_FATAL) {
        if (error->len > 0)
            leat_buf_text(error, "\nleat: ");
        print_finding(error, f);
        return;
    }
    char problem[512], remedy[512];
    leat_log_quote(problem, sizeof(problem), f->problem, strlen(f->problem));
    leat_log_quote(remedy, sizeof(remedy), f->remedy, strlen(f->remedy));
    if (f->severity == LEAT_SEVERITY_NOTE)
        LEAT_LOG_INFO(start->subsystem, "note problem=%s remedy=%s", problem, remedy);
    else
        LEAT_LOG_WARN(start->subsystem, "%s problem=%s remedy=%s", leat_severity_name(f->severity),
                      problem, remedy);
}

int leat_check_start(const leat_config *config, leat_buf *error)
{
    struct start start = {error, "tls"};
    leat_doctor doctor = {on_start_finding, on_no_fact, &start};
    int err = leat_certificates_examine(config, &doctor);
    start.subsystem = "database";
    return err < 0 ? err : leat_doctor_examine(config, &doctor);
}
