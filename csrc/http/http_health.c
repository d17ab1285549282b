/* http_health.c - run_checks goes through a table of checks, each of which asks what the server
 * knows already. So all are answered at once. */
#include "http/http_health.h"

#include "base/metrics_text.h"
#include "base/process_metrics.h"
#include "http/http_answer.h"

#define TEXT "text/plain; charset=utf-8"
#define NO_STORE "Cache-Control: no-store\r\n"

/* What the server is made of, and how it fares, is for those who run it: at metrics_listen, or, if
 * there is none, for peers on this machine. */
static bool sees_details(leat_http_conn *c)
{
    if (leat_http_conn_door(c) == LEAT_HTTP_DOOR_METRICS)
        return true;
    return !leat_http_conn_side(c)->options->has_metrics_door &&
           leat_http_peer_is_local(leat_http_conn_peer(c), leat_http_conn_request(c));
}

static bool refuse_other_methods(leat_http_conn *c)
{
    leat_slice method = leat_http_conn_request(c)->method;
    if (leat_slice_is(method, "GET") || leat_slice_is(method, "HEAD"))
        return false;
    leat_http_answer_refusal(c, 405, "bad_request", leat_slice_of("this path answers GET and HEAD"),
                             0, "Allow: GET, HEAD\r\n");
    return true;
}

void leat_http_health_alive(leat_http_conn *c)
{
    if (!refuse_other_methods(c))
        leat_http_answer(c, 200, TEXT, NO_STORE, leat_slice_of("ok\n"));
}

/* --- readiness --- */

/* One thing that serving needs. ask returns true if it is there; else it appends the reason to
 * *reason, one line without its end. */
struct check {
    const char *name;
    bool (*ask)(const leat_http_side *side, leat_buf *reason);
};

static bool check_database(const leat_http_side *side, leat_buf *reason)
{
    if (leat_pg_pool_healthy(side->pool))
        return true;
    leat_slice why = leat_pg_pool_failure(side->pool);
    leat_buf_text(reason, why.len > 0 ? "down: " : "down");
    leat_buf_slice(reason, why);
    return false;
}

static bool check_listener(const leat_http_side *side, leat_buf *reason)
{
    return leat_hub_check(side->hub, LEAT_HUB_LISTENER, reason);
}

static bool check_history(const leat_http_side *side, leat_buf *reason)
{
    return leat_hub_check(side->hub, LEAT_HUB_HISTORY, reason);
}

static bool check_outbox(const leat_http_side *side, leat_buf *reason)
{
    return leat_hub_check(side->hub, LEAT_HUB_OUTBOX, reason);
}

static bool check_schema(const leat_http_side *side, leat_buf *reason)
{
    return leat_hub_check(side->hub, LEAT_HUB_SCHEMA, reason);
}

static bool check_scripts(const leat_http_side *side, leat_buf *reason)
{
    return side->core->script->routes->can_run(side->core->script, reason);
}

static bool check_server(const leat_http_side *side, leat_buf *reason)
{
    if (!side->draining)
        return true;
    leat_buf_text(reason, "draining");
    return false;
}

static const struct check checks[] = {
    {"database", check_database}, {"listener", check_listener}, {"history", check_history},
    {"outbox", check_outbox},     {"schema", check_schema},     {"scripts", check_scripts},
    {"server", check_server},
};

/* Appends "name: reason" for each check that fails, and "name: ok" for the others if it is verbose.
 * True if none fails. */
static bool run_checks(const leat_http_side *side, bool is_verbose, leat_buf *out)
{
    bool ready = true;
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        leat_buf reason = LEAT_BUF_INIT;
        if (!checks[i].ask(side, &reason)) {
            ready = false;
            leat_buf_printf(out, "%s: ", checks[i].name);
            leat_buf_slice(out, leat_buf_view(&reason));
            leat_buf_char(out, '\n');
        } else if (is_verbose) {
            leat_buf_printf(out, "%s: ok\n", checks[i].name);
        }
        leat_buf_close(&reason);
    }
    return ready;
}

bool leat_http_health_check(const leat_http_side *side, leat_buf *lines)
{
    return run_checks(side, false, lines);
}

/* A reload that failed has changed nothing: the server is as ready as before. */
void leat_http_health_tell_reload(const leat_http_side *side, leat_buf *lines)
{
    leat_slice failure = leat_buf_view(&side->reload_failure);
    if (failure.len > 0) {
        leat_buf_text(lines, "reload: failed, all is as before: ");
        leat_buf_slice(lines, failure);
        leat_buf_char(lines, '\n');
    }
    if (side->tls != NULL)
        leat_tls_side_tell(side->tls, lines);
}

/* GET /readyz?verbose tells more, to whom details are told. */
static bool wants_details(leat_http_conn *c)
{
    return sees_details(c) && leat_slice_is(leat_http_conn_request(c)->query, "verbose");
}

void leat_http_health_ready(leat_http_conn *c)
{
    if (refuse_other_methods(c))
        return;
    leat_buf body = LEAT_BUF_INIT;
    bool is_verbose = wants_details(c);
    bool ready = run_checks(leat_http_conn_side(c), is_verbose, &body);
    size_t len = body.len;
    if (is_verbose)
        leat_http_health_tell_reload(leat_http_conn_side(c), &body);
    if (is_verbose && body.len == len)
        leat_buf_text(&body, "reload: ok\n");
    if (!ready && !sees_details(c)) {
        body.len = 0;
        leat_buf_text(&body, "not ready\n");
    }
    if (ready && !is_verbose)
        leat_buf_text(&body, "ok\n");
    leat_http_answer(c, ready ? 200 : 503, TEXT, ready ? NO_STORE : NO_STORE "Retry-After: 1\r\n",
                     leat_buf_view(&body));
    leat_buf_close(&body);
}

void leat_http_health_metrics(leat_http_conn *c)
{
    if (!sees_details(c)) {
        leat_http_answer_absent(c);
        return;
    }
    if (refuse_other_methods(c))
        return;
    leat_buf body = LEAT_BUF_INIT;
    leat_metrics_render(leat_http_conn_side(c)->registry, &body);
    leat_process_metrics_render(&body);
    leat_http_answer(c, 200, "text/plain; version=0.0.4; charset=utf-8", NO_STORE,
                     leat_buf_view(&body));
    leat_buf_close(&body);
}
