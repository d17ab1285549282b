/* http_health.h - /healthz, /readyz and /metrics.
 *
 * Ownership  nothing is kept.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     answered on the connection.
 */
#ifndef LEAT_HTTP_HTTP_HEALTH_H
#define LEAT_HTTP_HTTP_HEALTH_H

#include "http/http_conn.h"

/* 200 as long as the process lives. */
void leat_http_health_alive(leat_http_conn *c);
/* 200 if subscriptions can be served, else 503 and, for those who may know, a line for each thing
 * that stands in the way. */
void leat_http_health_ready(leat_http_conn *c);
/* Appends a line for each thing that stands in the way of serving. Returns true if nothing does. */
bool leat_http_health_check(const leat_http_side *side, leat_buf *lines);
/* Appends a line if the last reload has failed, and one for each certificate whose newer files
 * cannot be used. */
void leat_http_health_tell_reload(const leat_http_side *side, leat_buf *lines);
/* For those who may know; 404 for all others. */
void leat_http_health_metrics(leat_http_conn *c);

#endif
