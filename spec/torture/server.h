/* server.h - the leat processes: the one that serves, and those that make way for it.
 *
 * Ownership  server_new starts the first; server_stop ends the last; server_free forgets them.
 * Threads    server_port: any. Everything else: one thread at a time (main, or the
 *            fault-thrower's).
 * Units      milliseconds.
 * Errors     an exit code other than 0, a death by itself, or a sanitizer's report is a violation.
 */
#ifndef TORTURE_SERVER_H
#define TORTURE_SERVER_H

#include "torture.h"

server *server_new(torture *t);
int server_port(const server *s);
void server_reload(server *s);
/* It is killed, something happens, and a new one starts. */
void server_crash_around(server *s, void (*meanwhile)(torture *t));
/* A new one takes over; the old one drains, or is killed. */
void server_replace(server *s, bool crash);
/* Notices if it has died by itself. */
void server_watch(server *s);

/* Returns when it is ready (it has confirmed the database's history, too), or when ms have passed.
 */
void server_await_ready(server *s, unsigned ms);

/* The gauges that clients and handshakes raise, those that are not 0, as text; empty if all are. */
void server_raised(server *s, char *text, size_t size);
/* Stops the last one; adds up what all counted, for server_report. */
void server_stop(server *s);
void server_report(const server *s);
void server_free(server *s);

#endif
