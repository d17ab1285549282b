/* hub_link.h - a worker's end of its line to the hub. It knows the hub as a mailbox and nothing
 * else.
 *
 * Ownership  a link belongs to the core of one worker.
 * Threads    the worker's loop thread; the callback runs there too.
 * Units      seq counts from 1.
 * Errors     _open returns negative errors; nothing fails after that.
 */
#ifndef LEAT_MAIL_HUB_LINK_H
#define LEAT_MAIL_HUB_LINK_H

#include "base/err.h"
#include "base/metrics.h"
#include "mail/hub_mail.h"

typedef struct leat_hub_link leat_hub_link;

/* Borrows the news during the call; leat_hub_news_take_event takes an event out of it. CLOSED never
 * comes here: leat_hub_link_close's done says it. */
typedef void (*leat_hub_link_cb)(void *arg, leat_hub_news *news);

/* hub: the hub's mailbox, which outlives the link. max_bytes: of events on their way to the worker
 * (worker_mail_bytes). metrics: the worker's. */
LEAT_MUST_CHECK int leat_hub_link_open(leat_hub_link **out, leat_mailbox *hub, size_t max_bytes,
                                       leat_loop *loop, leat_metrics *metrics, leat_hub_link_cb cb,
                                       void *arg);
/* May be called at any time; cb does not run after it. done runs on the worker's loop once nothing
 * of the link is left. */
void leat_hub_link_close(leat_hub_link *l, void (*done)(void *arg), void *arg);

/* Registers interest in a topic; ARMED follows once the broker listens. What the hub says about the
 * topic afterwards carries the generation, so that news of an earlier life of it can be told apart.
 */
void leat_hub_link_arm(leat_hub_link *l, leat_topic_life topic);
void leat_hub_link_disarm(leat_hub_link *l, leat_topic_life topic);

/* A read has seen the topic at this position. The first one after arming lets the hub begin to
 * deliver. A later one beyond what was delivered tells the hub of events that it may have missed.
 */
void leat_hub_link_position(leat_hub_link *l, leat_topic_life topic, const leat_named_position *at);

/* Bytes of the events that are on their way to the worker. */
size_t leat_hub_link_mail_bytes(const leat_hub_link *l);

/* The server refused to say where a topic stands: the hub finds out whether the outbox can be read.
 */
void leat_hub_link_read_refused(leat_hub_link *l, const char *sqlstate);

#endif
