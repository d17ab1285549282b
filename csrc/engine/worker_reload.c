/* worker_reload.c - leat_worker_reload -> on_reload, on the worker: other limits, other scripts.
 * The old scripts go on until nothing uses them any more (worker_on_retired). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/worker_inside.h"
#include "wire/json.h"

/* What /readyz?verbose tells of the last reload. Takes why; an empty one: it went well. */
static void note_reload(leat_worker *w, leat_buf *why)
{
    bool failed = why->len > 0;
    size_t line = 0;
    while (line < why->len && why->at[line] != '\n')
        line++;
    why->len = line;
    leat_buf_close(&w->http.reload_failure);
    w->http.reload_failure = *why;
    w->refused_at = failed ? time(NULL) : 0;
    leat_metrics_set(w->metrics, LEAT_M_RELOAD_FAILED, failed);
    leat_metrics_add(w->metrics, failed ? LEAT_M_RELOADS_FAILED : LEAT_M_RELOADS_OK, 1);
}

static void reload(leat_worker *w)
{
    struct worker_load *old = LEAT_CONTAINER_OF(w->scripts.prev, struct worker_load, link);
    leat_buf error = LEAT_BUF_INIT;
    if (worker_load_scripts(w, &error) < 0) {
        char quoted[2048];
        LEAT_LOG_ERROR("worker", "scripts not loaded, the old ones stay err=%s",
                       leat_log_quote(quoted, sizeof(quoted), error.at, error.len));
        note_reload(w, &error);
        return;
    }
    note_reload(w, &error);
    leat_core_set_script(&w->core, leat_lua_script(w->lua));
    LEAT_LOG_INFO("worker", "scripts reloaded version=%016" PRIx64, w->code);
    leat_lua_retire(old->lua, worker_on_retired, old);
}

void leat_worker_describe_scripts(const leat_worker *w, leat_buf *json)
{
    size_t old = 0;
    for (const leat_list *l = w->scripts.next; l != &w->scripts; l = l->next)
        old++;
    leat_buf_printf(json,
                    "\"loaded_at\":%lld,\"loads\":%zu,\"version\":\"%016" PRIx64
                    "\",\"old_versions\":%zu,\"memory_bytes\":%lld"
                    ",\"errors\":%lld,\"budget_exceeded\":%lld",
                    (long long)w->loaded_at, w->n_loads, w->code, old > 0 ? old - 1 : 0,
                    (long long)leat_metrics_get(w->metrics, LEAT_M_SCRIPT_MEMORY),
                    (long long)leat_metrics_get(w->metrics, LEAT_M_SCRIPT_ERRORS),
                    (long long)leat_metrics_get(w->metrics, LEAT_M_SCRIPT_BUDGET));
    leat_buf_text(json, ",\"last_errors\":");
    leat_last_errors_write(&w->core.last_errors, json);
    if (w->http.reload_failure.len == 0)
        return;
    leat_buf_printf(json, ",\"refused_at\":%lld,\"refused\":", (long long)w->refused_at);
    leat_json_write_text(json, leat_buf_view(&w->http.reload_failure));
}

struct reload {
    leat_worker_job job;
    leat_limits limits;
    leat_buf refused; /* empty: the configuration was read */
};

static void on_reload(leat_worker_job *job, leat_worker *w)
{
    struct reload *r = LEAT_CONTAINER_OF(job, struct reload, job);
    leat_buf refused = r->refused;
    leat_limits limits = r->limits;
    free(r);
    if (w->state != WORKER_SERVING) {
        leat_buf_close(&refused);
    } else if (refused.len > 0) {
        note_reload(w, &refused);
    } else {
        w->limits = limits;
        reload(w);
    }
}

void leat_worker_reload(leat_worker *w, const leat_limits *limits, const char *refused)
{
    struct reload *r = leat_calloc(1, sizeof(*r));
    r->job.run = on_reload;
    r->limits = *limits;
    if (refused != NULL)
        leat_buf_text(&r->refused, refused);
    if (!leat_worker_do(w, &r->job)) {
        leat_buf_close(&r->refused);
        free(r);
    }
}
