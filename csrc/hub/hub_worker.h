/* hub_worker.h - the hub's end of the line to one worker: collects what the hub says to the worker
 * in a turn of the loop, and posts it at the turn's end in one mail.
 *
 * Ownership  the hub owns its workers. The line belongs to the worker's thread (mail/line.h).
 * Threads    the hub's loop thread.
 * Units      seq; bytes.
 * Errors     none.
 */
#ifndef LEAT_HUB_HUB_WORKER_H
#define LEAT_HUB_HUB_WORKER_H

#include "base/latest.h"
#include "base/list.h"
#include "loop/loop.h"
#include "mail/hub_mail.h"

typedef struct hub_worker {
    leat_list hub_link; /* in hub->workers */
    leat_list lags;     /* hub_lag: the interests with which it is left behind */
    size_t n_interests;
    leat_loop *loop;
    leat_line *line;
    leat_metrics *metrics;
    leat_latest_store kept; /* what is kept for the worker while it is behind */
    leat_hub_mail *unsent;  /* NULL: nothing was said in this turn */
    leat_sweep send;
} hub_worker;

/* kept_bytes: of conflating signals, while the worker is behind. */
hub_worker *hub_worker_new(leat_loop *loop, leat_line *line, size_t kept_bytes,
                           leat_metrics *metrics);
/* Says CLOSED, posts what is unsent at once, and frees w. The worker has no interests any more. */
void hub_worker_close(hub_worker *w);

void hub_worker_tell_armed(hub_worker *w, leat_topic_life topic);
void hub_worker_tell_begin(hub_worker *w, leat_topic_life topic, const leat_named_position *at);
void hub_worker_tell_reset(hub_worker *w, leat_topic_life topic, int reason);
void hub_worker_tell_confirmed(hub_worker *w, bool confirmed);

/* EVENT or SIGNAL; takes a reference of its own. Returns false, and says nothing, if too many bytes
 * are on their way to the worker. */
LEAT_MUST_CHECK bool hub_worker_give(hub_worker *w, leat_hub_news_kind kind, uint64_t generation,
                                     leat_event *e);

#endif
