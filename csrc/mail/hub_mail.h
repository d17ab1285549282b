/* hub_mail.h - the messages between the hub and the workers, and the link that both ends share.
 *
 * Ownership  mails belong to the mailbox they were posted to, then to the receiver.
 * Threads    as the link's fields say.
 * Units      seq; bytes.
 * Errors     none.
 */
#ifndef LEAT_MAIL_HUB_MAIL_H
#define LEAT_MAIL_HUB_MAIL_H

#include <stdatomic.h>

#include "base/event.h"
#include "base/limits.h"
#include "base/list.h"
#include "loop/mailbox.h"

typedef struct leat_hub_link leat_hub_link;
typedef struct leat_hub_handler leat_hub_handler;

typedef enum hub_mail_op {
    /* to the hub */
    HUB_MAIL_OPEN,
    HUB_MAIL_ARM,
    HUB_MAIL_DISARM,
    HUB_MAIL_POSITION,
    HUB_MAIL_UNREAD, /* a worker's read of a position was refused by the server; topic: its SQLSTATE
                      */
    HUB_MAIL_ROOM,   /* the worker has caught up with its mail */
    HUB_MAIL_CLOSE,
    HUB_MAIL_STOP,
    /* to a worker */
    HUB_MAIL_ARMED,
    HUB_MAIL_BEGIN,
    HUB_MAIL_EVENT,
    HUB_MAIL_SIGNAL,
    HUB_MAIL_RESET,
    HUB_MAIL_CONFIRMED,
    HUB_MAIL_UNCONFIRMED,
    HUB_MAIL_CLOSED,
} hub_mail_op;

typedef struct hub_mail {
    leat_mail mail; /* first: a leat_mail is one of these */
    hub_mail_op op;
    leat_hub_link *link;
    uint64_t generation;
    int64_t seq;
    int64_t revoked;
    int reason;
    leat_event *event; /* EVENT, SIGNAL: one reference */
    size_t topic_len;
    size_t epoch_len;
    char text[]; /* the topic, then the epoch */
} hub_mail;

struct leat_hub_link {
    /* hub's side */
    leat_list hub_entry;
    leat_list interests; /* hub_interest by link_link */
    /* both sides' */
    atomic_size_t mail_bytes; /* events that wait for the worker */
    atomic_bool full;         /* some interest is behind: the hub is to be told of room */
    const leat_limits *limits;
    /* worker's side */
    leat_mailbox *hub;
    leat_mailbox *mailbox;
    const leat_hub_handler *handler;
    void *arg;
    bool closing;
    void (*on_closed)(void *arg);
    void *on_closed_arg;
};

static inline leat_slice hub_mail_topic(const hub_mail *m)
{
    return (leat_slice){m->text, m->topic_len};
}

static inline leat_slice hub_mail_epoch(const hub_mail *m)
{
    return (leat_slice){m->text + m->topic_len, m->epoch_len};
}

hub_mail *hub_mail_new(hub_mail_op op, leat_hub_link *link, leat_slice topic, leat_slice epoch);
void hub_mail_free(hub_mail *m);
void hub_link_post(leat_hub_link *l, hub_mail *m); /* to the worker; takes m */
/* Likewise, with an event of which it takes a reference. False if too much waits there already. */
bool hub_link_post_event(leat_hub_link *l, hub_mail_op op, leat_event *e);

#endif
