/* hub_mail.h - what the hub says to a worker: one mail for all the news of a turn of the hub's
 * loop.
 *
 * Ownership  leat_hub_mail_new returns owned; leat_hub_mail_post takes the mail, and its receiver
 *            frees it. A mail owns its texts and one reference to each of its events.
 * Threads    any: a mail belongs to one thread at a time.
 * Units      seq counts from 1; bytes of events.
 * Errors     none. A mail that is posted to a closed mailbox is dropped.
 */
#ifndef LEAT_MAIL_HUB_MAIL_H
#define LEAT_MAIL_HUB_MAIL_H

#include "base/epoch.h"
#include "base/event.h"
#include "mail/line.h"

typedef enum leat_hub_news_kind {
    LEAT_HUB_ARMED,       /* the hub has noted the worker's interest, and the broker listens */
    LEAT_HUB_BEGIN,       /* the next event is the one after `at`; nothing up to it will come */
    LEAT_HUB_EVENT,       /* the event after the last one, or after the position of BEGIN */
    LEAT_HUB_SIGNAL,      /* a signal */
    LEAT_HUB_RESET,       /* the events cannot be continued: the topic's position is unknown */
    LEAT_HUB_CONFIRMED,   /* the database has the history that the hub knows */
    LEAT_HUB_UNCONFIRMED, /* it may have another one: no position counts before it was asked */
    LEAT_HUB_CLOSED,      /* the last news of a line: the hub no longer uses it */
} leat_hub_news_kind;

/* Why subscriptions resync. The hub says only the first two. The others: a worker's event hook
 * failed, the application asked for it, an event is larger than max_event_bytes. */
enum {
    LEAT_RESET_HISTORY,
    LEAT_RESET_EPOCH,
    LEAT_RESET_HOOK,
    LEAT_RESET_REQUESTED,
    LEAT_RESET_TOO_LARGE,
};

typedef struct leat_hub_news {
    leat_hub_news_kind kind;
    union {
        leat_topic_life armed;
        struct {
            leat_topic_life topic;
            leat_named_position at;
        } begin;
        struct {
            leat_topic_life topic;
            int reason; /* LEAT_RESET_HISTORY or LEAT_RESET_EPOCH */
        } reset;
        struct {
            leat_event *event;
            uint64_t generation; /* of the topic's life that the event is for */
        } event;                 /* EVENT, SIGNAL */
    };
    char *text_; /* what the slices point at, or NULL */
} leat_hub_news;

typedef struct leat_hub_mail {
    leat_mail mail;
    leat_hub_news *news;
    size_t n;
    size_t bytes; /* of the events in it */
    size_t capacity_;
} leat_hub_mail;

leat_hub_mail *leat_hub_mail_new(void);

/* Each adds a piece of news behind those that are there. Texts are copied. */
void leat_hub_mail_armed(leat_hub_mail *m, leat_topic_life topic);
void leat_hub_mail_begin(leat_hub_mail *m, leat_topic_life topic, const leat_named_position *at);
void leat_hub_mail_reset(leat_hub_mail *m, leat_topic_life topic, int reason);
/* EVENT or SIGNAL. Takes a reference of its own. */
void leat_hub_mail_event(leat_hub_mail *m, leat_hub_news_kind kind, uint64_t generation,
                         leat_event *e);
/* CONFIRMED, UNCONFIRMED or CLOSED. */
void leat_hub_mail_add(leat_hub_mail *m, leat_hub_news_kind kind);

/* The event of news of kind EVENT or SIGNAL: its reference is the caller's from now on. */
leat_event *leat_hub_news_take_event(leat_hub_news *news);

void leat_hub_mail_post(const leat_line *l, leat_hub_mail *m);
void leat_hub_mail_free(leat_hub_mail *m);

#endif
