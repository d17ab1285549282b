/* http_host.h - whether this server is the one that a request asks for (allowed_hosts).
 *
 * Ownership  nothing is owned.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     a refusal is answered here: 421.
 */
#ifndef LEAT_HTTP_HTTP_HOST_H
#define LEAT_HTTP_HTTP_HOST_H

#include "http/http_conn.h"

/* Returns false if the request was refused. */
bool leat_http_host_check(leat_http_conn *c);

#endif
