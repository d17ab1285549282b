/* mailbox.c - leat_mailbox_post appends to `posted` under the lock and wakes the loop. on_async
 * moves all messages at once to `taken`, which only the receiving thread uses, and delivers them
 * from there. leat_mailbox_post_here appends to `taken` itself. leat_mailbox_close delivers from
 * the same list, even if a receiver calls it in the middle of a delivery; this keeps the order.
 */
#include "loop/mailbox.h"

#include <stdlib.h>

#include "base/mem.h"

struct leat_mailbox {
    uv_async_t async;
    leat_mailbox_cb cb;
    void *arg;
    leat_list taken;
    leat_sweep here; /* delivers what was posted on the receiving loop */
    void (*done)(void *arg);
    void *done_arg;
    bool closed; /* the handle is gone */

    uv_mutex_t lock;
    leat_list posted; /* under lock */
    bool open;        /* under lock */
};

/* Appends the posted messages to those that are not delivered yet. */
static void take_posted(leat_mailbox *m)
{
    leat_list posted;
    uv_mutex_lock(&m->lock);
    leat_list_move(&posted, &m->posted);
    uv_mutex_unlock(&m->lock);
    if (leat_list_empty(&posted))
        return;
    posted.next->prev = m->taken.prev;
    m->taken.prev->next = posted.next;
    posted.prev->next = &m->taken;
    m->taken.prev = posted.prev;
}

static void deliver(leat_mailbox *m)
{
    for (leat_list *link; (link = leat_list_shift(&m->taken)) != NULL;)
        m->cb(m->arg, LEAT_CONTAINER_OF(link, leat_mail, link_));
}

static void on_async(uv_async_t *async)
{
    leat_mailbox *m = async->data;
    take_posted(m);
    deliver(m);
}

static void on_turn_end(leat_sweep *s)
{
    deliver(LEAT_CONTAINER_OF(s, leat_mailbox, here));
}

int leat_mailbox_new(leat_mailbox **out, uv_loop_t *uv, leat_mailbox_cb cb, void *arg)
{
    leat_mailbox *m = leat_calloc(1, sizeof(*m));
    int err = uv_mutex_init(&m->lock);
    if (err < 0)
        goto no_lock;
    err = uv_async_init(uv, &m->async, on_async);
    if (err < 0)
        goto no_async;
    m->async.data = m;
    m->cb = cb;
    m->arg = arg;
    leat_list_init(&m->taken);
    leat_list_init(&m->posted);
    leat_sweep_init(&m->here, on_turn_end);
    m->open = true;
    *out = m;
    return 0;

no_async:
    uv_mutex_destroy(&m->lock);
no_lock:
    free(m);
    return err;
}

static void on_closed(uv_handle_t *handle)
{
    leat_mailbox *m = handle->data;
    m->closed = true;
    if (m->done != NULL)
        m->done(m->done_arg);
}

void leat_mailbox_close(leat_mailbox *m, void (*done)(void *arg), void *arg)
{
    uv_mutex_lock(&m->lock);
    LEAT_ASSERT(m->open);
    m->open = false;
    uv_mutex_unlock(&m->lock);

    m->done = done;
    m->done_arg = arg;
    leat_sweep_cancel(&m->here);
    take_posted(m);
    deliver(m);
    uv_close((uv_handle_t *)&m->async, on_closed);
}

void leat_mailbox_free(leat_mailbox *m)
{
    if (m == NULL)
        return;
    LEAT_ASSERT(m->closed);
    uv_mutex_destroy(&m->lock);
    free(m);
}

bool leat_mailbox_post(leat_mailbox *m, leat_mail *mail)
{
    uv_mutex_lock(&m->lock);
    bool open = m->open;
    if (open) {
        bool first = leat_list_empty(&m->posted);
        leat_list_push(&m->posted, &mail->link_);
        /* Under the lock, because the handle may not be used once it is closed. */
        if (first)
            uv_async_send(&m->async);
    }
    uv_mutex_unlock(&m->lock);
    return open;
}

bool leat_mailbox_is_on(const leat_mailbox *m, const uv_loop_t *uv)
{
    return m->async.loop == uv;
}

/* `open` is written on this thread alone, so it may be read without the lock. */
bool leat_mailbox_post_here(leat_mailbox *m, leat_loop *loop, leat_mail *mail)
{
    LEAT_ASSERT(leat_mailbox_is_on(m, leat_loop_uv(loop)));
    if (!m->open)
        return false;
    leat_list_push(&m->taken, &mail->link_);
    leat_sweep_schedule(loop, &m->here);
    return true;
}
