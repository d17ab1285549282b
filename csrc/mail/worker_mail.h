/* worker_mail.h - what a worker says to the hub.
 *
 * Ownership  _new returns owned. leat_worker_mail_post takes the mail, and its receiver frees it.
 *            The slices in a mail point into its own allocation.
 * Threads    any: a mail belongs to one thread at a time.
 * Units      seq counts from 1.
 * Errors     none. A mail that is posted to a closed mailbox is dropped.
 */
#ifndef LEAT_MAIL_WORKER_MAIL_H
#define LEAT_MAIL_WORKER_MAIL_H

#include "base/epoch.h"
#include "mail/line.h"

typedef enum leat_worker_mail_kind {
    LEAT_WORKER_OPEN,         /* the first mail of a line */
    LEAT_WORKER_ARM,          /* the worker is interested in a topic */
    LEAT_WORKER_DISARM,       /* it no longer is */
    LEAT_WORKER_POSITION,     /* a read has seen where a topic stands */
    LEAT_WORKER_READ_REFUSED, /* the server refused to say where a topic stands */
    LEAT_WORKER_ROOM,         /* there is room for events again (line.h) */
    LEAT_WORKER_CLOSE,        /* the last mail of a line */
    LEAT_WORKER_STOP,         /* from the server, without a line: the hub is to close */
} leat_worker_mail_kind;

typedef struct leat_worker_mail {
    leat_mail mail;
    leat_worker_mail_kind kind;
    leat_line *line;
    union {
        leat_topic_life topic; /* ARM, DISARM */
        struct {
            leat_topic_life topic;
            leat_named_position at;
        } position;
        char sqlstate[6]; /* LEAT_WORKER_READ_REFUSED; "" if it is not known */
    };
    char text_[];
} leat_worker_mail;

/* OPEN, ROOM, CLOSE or STOP, which carry nothing. STOP is posted to the hub's mailbox. */
leat_worker_mail *leat_worker_mail_new(leat_worker_mail_kind kind, leat_line *line);
/* ARM or DISARM. */
leat_worker_mail *leat_worker_mail_topic(leat_worker_mail_kind kind, leat_line *line,
                                         leat_topic_life topic);
leat_worker_mail *leat_worker_mail_position(leat_line *line, leat_topic_life topic,
                                            const leat_named_position *at);
leat_worker_mail *leat_worker_mail_read_refused(leat_line *line, const char *sqlstate);

void leat_worker_mail_post(leat_worker_mail *m); /* by its line */
void leat_worker_mail_free(leat_worker_mail *m);

#endif
