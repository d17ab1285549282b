/* route.h - the app's routes: which one serves a path, and app:route's handlers.
 *
 * Ownership  leat_route_guest returns owned; what a callback is given is borrowed.
 * Threads    loop thread of the worker.
 * Units      absolute milliseconds on the loop clock.
 * Errors     a handler that fails is an answer, too: its status says so.
 *
 * ops.c puts these functions into the table of core/route.h, which says what they do.
 */
#ifndef LEAT_SCRIPT_ROUTE_ROUTE_H
#define LEAT_SCRIPT_ROUTE_ROUTE_H

#include "core/route.h"

void leat_route_find(leat_script *s, leat_slice method, leat_slice path, leat_route_match *out);
void leat_route_run(leat_script *s, leat_call *call, int route, leat_session *session,
                    const leat_http_request *request, const char *remote, uint64_t deadline_ms,
                    leat_route_cb cb);
leat_session *leat_route_guest(leat_script *s, const leat_http_request *request,
                               const char *remote);

#endif
