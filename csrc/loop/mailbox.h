/* mailbox.h - messages between loops: many senders, one receiving loop.
 *
 * Ownership  a message is embedded in an allocation of its sender. It belongs to the mailbox from
 *            leat_mailbox_post on, and to the receiver from its callback on.
 * Threads    _post: any thread. Everything else: the receiving loop's thread.
 * Units      messages.
 * Errors     both ways of posting return false once the mailbox is closed: the message stays the
 *            sender's.
 *
 * Messages of one sender arrive in the order in which they were posted, if it always uses the same
 * way of posting.
 */
#ifndef LEAT_LOOP_MAILBOX_H
#define LEAT_LOOP_MAILBOX_H

#include <stdbool.h>

#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "loop/loop.h"

typedef struct leat_mailbox leat_mailbox;

typedef struct leat_mail {
    leat_list link_;
} leat_mail;

/* Runs on the receiving loop, once for each message, in order. Takes the message over. */
typedef void (*leat_mailbox_cb)(void *arg, leat_mail *mail);

LEAT_MUST_CHECK int leat_mailbox_new(leat_mailbox **out, uv_loop_t *uv, leat_mailbox_cb cb,
                                     void *arg);

/* Delivers the messages that are posted already, from inside this call, and accepts no new ones.
 * done runs once the handle is closed. leat_mailbox_post may be called until leat_mailbox_free; it
 * returns false. */
void leat_mailbox_close(leat_mailbox *m, void (*done)(void *arg), void *arg);
void leat_mailbox_free(leat_mailbox *m);

LEAT_MUST_CHECK bool leat_mailbox_post(leat_mailbox *m, leat_mail *mail);

/* True if uv is the receiving loop. */
bool leat_mailbox_is_on(const leat_mailbox *m, const uv_loop_t *uv);
/* For a sender on the receiving loop: the message is delivered by a sweep of this turn, so that the
 * loop need not be woken. */
LEAT_MUST_CHECK bool leat_mailbox_post_here(leat_mailbox *m, leat_loop *loop, leat_mail *mail);

#endif
