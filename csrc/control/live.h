/* live.h - streams of samples: each open page gets every new one, as Server-Sent Events.
 *
 * Ownership  a live takes the connections of its streams; samples and net are borrowed.
 * Threads    the loop of the control.
 * Units      seconds since 1970.
 * Errors     a stream too many is answered with 503.
 *
 * A page that takes nothing misses samples, and is closed after slow_client_timeout_ms.
 */
#ifndef LEAT_CONTROL_LIVE_H
#define LEAT_CONTROL_LIVE_H

#include "control/samples.h"
#include "http/http_conn.h"
#include "net/net.h"

typedef struct leat_live leat_live;

enum { LEAT_LIVE_MAX = 32 /* streams */ };

leat_live *leat_live_new(const leat_samples *samples, const leat_net *net);
/* Answers with a stream, which ends at ends_s. 0: never. */
void leat_live_begin(leat_live *l, leat_http_conn *conn, int64_t ends_s);
/* Sends the newest sample to all streams. */
void leat_live_give(leat_live *l);
/* Ends all streams; done runs when the last is gone, unless there is none. */
void leat_live_close(leat_live *l, void (*done)(void *arg), void *arg);
bool leat_live_is_empty(const leat_live *l);
void leat_live_free(leat_live *l); /* empty; NULL is harmless */

#endif
