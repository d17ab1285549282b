#include "app/http_health.h"

#define TEXT "text/plain; charset=utf-8"
#define NO_STORE "Cache-Control: no-store\r\n"

static bool refuse_other_methods(leat_http_conn *c)
{
    leat_slice method = leat_http_conn_request(c)->method;
    if (leat_slice_is(method, "GET") || leat_slice_is(method, "HEAD"))
        return false;
    leat_http_conn_refuse(c, 405, "bad_request", leat_slice_of("this path answers GET and HEAD"), 0,
                          "Allow: GET, HEAD\r\n");
    return true;
}

void leat_http_health_alive(leat_http_conn *c)
{
    if (!refuse_other_methods(c))
        leat_http_conn_respond(c, 200, TEXT, NO_STORE, leat_slice_of("ok\n"));
}

void leat_http_health_ready(leat_http_conn *c)
{
    if (refuse_other_methods(c))
        return;
    const leat_http_side *side = leat_http_conn_side(c);
    leat_buf body = LEAT_BUF_INIT;
    if (!leat_pg_pool_healthy(side->pool))
        leat_buf_text(&body, "database: down\n");
    if (!leat_hub_connected(side->hub))
        leat_buf_text(&body, "listener: down\n");
    if (side->draining)
        leat_buf_text(&body, "server: draining\n");
    bool ready = body.len == 0;
    if (ready)
        leat_buf_text(&body, "ok\n");
    leat_http_conn_respond(c, ready ? 200 : 503, TEXT,
                           ready ? NO_STORE : NO_STORE "Retry-After: 1\r\n", leat_buf_view(&body));
    leat_buf_close(&body);
}

void leat_http_health_metrics(leat_http_conn *c)
{
    if (refuse_other_methods(c))
        return;
    leat_buf body = LEAT_BUF_INIT;
    leat_metrics_render(leat_http_conn_side(c)->registry, &body);
    leat_http_conn_respond(c, 200, "text/plain; version=0.0.4; charset=utf-8", NO_STORE,
                           leat_buf_view(&body));
    leat_buf_close(&body);
}
