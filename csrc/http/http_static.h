/* http_static.h - answers with the files of static_dir, and with those of the
 * JavaScript client.
 *
 * Ownership  an answer under way belongs to its connection's task. It outlives that only to let a
 *            read of libuv's thread pool end.
 * Threads    loop thread of the worker; opening and reading happen on libuv's thread pool.
 * Units      bytes.
 * Errors     answered on the connection.
 */
#ifndef LEAT_HTTP_HTTP_STATIC_H
#define LEAT_HTTP_HTTP_STATIC_H

#include "http/http_conn.h"

/* Answers with a file, or with 404: at /leat/ with one of the JavaScript client (client_dir), else
 * with one of static_dir. */
void leat_http_static_answer(leat_http_conn *c);

#endif
