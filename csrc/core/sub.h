/* sub.h - the subscriptions of a subscriber: how they begin, and what happens to them from outside.
 *
 * Ownership  a subscription belongs to its subscriber, and frees itself when it ends.
 * Threads    loop thread only.
 * Units      absolute milliseconds; seconds since 1970 where a comment says so.
 * Errors     an end is told to the subscriber (error, closed) or to the script that asked for it.
 *
 * sub_states.h lists the states. The table in sub_table.c decides what leads from one to the next.
 */
#ifndef LEAT_CORE_SUB_H
#define LEAT_CORE_SUB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/subscriber.h"
#include "core/topic.h"

typedef struct leat_sub_request {
    leat_slice topic;
    leat_slice id;             /* raw JSON; at == NULL: none */
    leat_slice params;         /* raw JSON; at == NULL: none */
    leat_named_position since; /* where the client is; epoch.at == NULL: no position */
    uint64_t deadline_ms;
    leat_grant *grant;       /* taken; NULL: the handler is to run */
    leat_topic_mark seen;    /* with a grant: when its handler began */
    leat_subscribed_cb done; /* NULL: a client asked, and is answered on the wire */
    void *done_arg;
} leat_sub_request;

/* Begins a handshake. The request's texts are copied. */
void leat_sub_begin(leat_subscriber *r, const leat_sub_request *request);
/* The caller whose request had this done_arg is gone: its `done` is not called any more. */
void leat_sub_forget(leat_subscriber *r, void *done_arg);

/* The subscription to the topic, or NULL. */
leat_sub *leat_sub_find(const leat_subscriber *r, leat_slice topic);
/* The client ends the subscription. Nothing is sent, unless the subscribe is not yet answered: then
 * it gets an error. Frees the subscription. */
void leat_sub_unsubscribe(leat_sub *s);
/* Ends all of them. Nothing is sent. */
void leat_sub_close_all(leat_subscriber *r);

/* There is room for events: cursors that stopped move on. */
void leat_sub_move_all(leat_subscriber *r);
/* The subscriber has another identity: the handlers run again. */
void leat_sub_reauthorize_all(leat_subscriber *r);
/* The handlers of subscriptions whose grant has expired run again. now_s: seconds since 1970. */
void leat_sub_reauthorize_expired(leat_subscriber *r, int64_t now_s);
/* When the first of its grants expires, in seconds since 1970; 0: never. A grant does not count
 * while its handler is deciding anyway. */
int64_t leat_sub_next_expiry(const leat_subscriber *r);

/* The params with which its handler runs. Borrowed; at == NULL: none. */
leat_slice leat_sub_params(const leat_sub *s);
/* Runs the handler again, with these params, which are copied. Returns false, and changes nothing,
 * if they do not fit the subscriber's limit. */
bool leat_sub_renew(leat_sub *s, leat_slice params);
/* Returns the seconds until the right to its topic ends; 0: never. s may be NULL. */
uint64_t leat_sub_expires_s(const leat_sub *s, int64_t now_s);

/* True if a script asked for the subscription (`done`). s may be NULL. */
bool leat_sub_is_by_server(const leat_sub *s);
/* True until the subscribe is answered, and within the call that answers it. */
bool leat_sub_is_asked(const leat_sub *s);

/* May the subscriber be shown stored events of the topic? s NULL: it is not subscribed. why is
 * written if not. */
bool leat_sub_may_look_back(const leat_sub *s, leat_failure *why);
/* The same, now that the topic's position was read with them: the last of them that may be shown is
 * *end. */
bool leat_sub_history_end(const leat_sub *s, const leat_named_position *head, int64_t *end,
                          leat_failure *why);

/* What subscriptions do when their topic tells them something. */
extern const leat_cursor_handler leat_sub_cursors;

#endif
