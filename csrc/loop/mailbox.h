/* mailbox.h - messages between loops: many senders, one receiving loop.
 *
 * Ownership  a message is embedded in its sender's allocation and belongs to the mailbox from post
 *            until it is handed to the receiver, who then owns it.
 * Threads    post: any thread. Everything else: the receiving loop's thread.
 * Units      messages.
 * Errors     post returns false once the mailbox is closed: the message is still the sender's.
 *
 * Messages of one sender arrive in the order in which they were posted.
 */
#ifndef LEAT_LOOP_MAILBOX_H
#define LEAT_LOOP_MAILBOX_H

#include <stdbool.h>

#include <uv.h>

#include "base/err.h"
#include "base/list.h"

typedef struct leat_mailbox leat_mailbox;

typedef struct leat_mail {
    leat_list link_;
} leat_mail;

/* Called on the receiving loop, once a message, in order. Takes the message. */
typedef void (*leat_mailbox_cb)(void *arg, leat_mail *mail);

LEAT_MUST_CHECK int leat_mailbox_new(leat_mailbox **out, uv_loop_t *uv, leat_mailbox_cb cb,
                                     void *arg);

/* No further delivery of new posts; messages that were posted before are delivered first, from
 * inside this call. done runs once the handle is closed; the mailbox itself stays valid for post
 * (which returns false) until leat_mailbox_free. */
void leat_mailbox_close(leat_mailbox *m, void (*done)(void *arg), void *arg);
void leat_mailbox_free(leat_mailbox *m);

LEAT_MUST_CHECK bool leat_mailbox_post(leat_mailbox *m, leat_mail *mail);

#endif
