/* console.h - what is answered at the console's address: the login, the page, the questions of
 * ask.h as JSON, and a stream of samples.
 *
 * Ownership  inside and net are borrowed.
 * Threads    the loop of the control.
 * Units      none.
 * Errors     answered on the connection.
 *
 *   POST /console/login     a form with `token`; answered with a cookie
 *   POST /console/          likewise
 *   POST /console/logout
 *   GET  /console/          the page and its files (web/console)
 *   *    /console/api/NAME  a question, as on the operator's socket; and tail
 *   GET  /console/api/live  the samples, as Server-Sent Events
 *
 * Whoever is not known (console_login.h) is answered 401 at every path. A request that changes
 * something has to have the header Leat-Console, which a form of another site cannot set, and an
 * Origin of the console's own, or none.
 */
#ifndef LEAT_CONTROL_CONSOLE_H
#define LEAT_CONTROL_CONSOLE_H

#include "control/ask.h"
#include "http/http_conn.h"
#include "net/net.h"

typedef struct leat_console leat_console;

/* Begins to keep the history. */
leat_console *leat_console_new(const leat_inside *inside, const leat_net *net);
/* Sets what the console's connections have otherwise: their headers, names and files. */
void leat_console_set_options(leat_console *k, leat_http_options *options);
/* The counts of clients for whom trusted proxies ask; they belong to the console. */
leat_address_limit *leat_console_addresses(const leat_console *k);
const leat_samples *leat_console_samples(const leat_console *k);

/* Answers a request, now or later. */
void leat_console_request(leat_console *k, leat_http_conn *conn);

/* Ends the streams; done runs when the last is gone, unless there is none. */
void leat_console_close(leat_console *k, void (*done)(void *arg), void *arg);
bool leat_console_is_quiet(const leat_console *k); /* no stream is open */
void leat_console_free(leat_console *k);           /* NULL is harmless */

#endif
