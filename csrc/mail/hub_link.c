/* hub_link.c - the boundary between the hub's thread and a worker's: nothing but messages.
 *
 * Worker to hub: OPEN, then ARM, DISARM, POSITION, UNREAD and ROOM, at last CLOSE. Hub to worker:
 * ARMED, BEGIN, EVENT, SIGNAL, RESET, CONFIRMED and UNCONFIRMED, at last CLOSED, after which the
 * hub knows nothing of the link. leat_hub_link_close may be called at any time; what arrives after
 * it is dropped.
 *
 * Events that wait for a worker are bounded (worker_mail_bytes). What does not fit is left out;
 * when half of it has been taken the worker says ROOM, and the hub where it goes on (BEGIN): what
 * was left out is in the outbox.
 */
#include "mail/hub_link.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/hub_mail.h"

static void on_mail(void *arg, leat_mail *mail);

hub_mail *hub_mail_new(hub_mail_op op, leat_hub_link *link, leat_slice topic, leat_slice epoch)
{
    hub_mail *m = leat_calloc(1, sizeof(*m) + topic.len + epoch.len);
    m->op = op;
    m->link = link;
    m->topic_len = topic.len;
    m->epoch_len = epoch.len;
    if (topic.len > 0)
        memcpy(m->text, topic.at, topic.len);
    if (epoch.len > 0)
        memcpy(m->text + topic.len, epoch.at, epoch.len);
    return m;
}

void hub_mail_free(hub_mail *m)
{
    if (m->event != NULL)
        leat_event_unref(m->event);
    free(m);
}

void hub_link_post(leat_hub_link *l, hub_mail *m)
{
    if (!leat_mailbox_post(l->mailbox, &m->mail))
        hub_mail_free(m);
}

bool hub_link_post_event(leat_hub_link *l, hub_mail_op op, leat_event *e)
{
    size_t bytes = leat_event_bytes(e);
    size_t waiting = atomic_load_explicit(&l->mail_bytes, memory_order_relaxed);
    if (waiting > 0 && waiting + bytes > l->limits->worker_mail_bytes)
        return false;
    atomic_fetch_add_explicit(&l->mail_bytes, bytes, memory_order_relaxed);
    hub_mail *m = hub_mail_new(op, l, (leat_slice){NULL, 0}, (leat_slice){NULL, 0});
    m->event = leat_event_ref(e);
    hub_link_post(l, m);
    return true;
}

static void post_to_hub(leat_mailbox *hub, hub_mail *m)
{
    if (!leat_mailbox_post(hub, &m->mail))
        hub_mail_free(m);
}

int leat_hub_link_open(leat_hub_link **out, leat_mailbox *hub, const leat_limits *limits,
                       uv_loop_t *uv, const leat_hub_handler *handler, void *arg)
{
    leat_hub_link *l = leat_calloc(1, sizeof(*l));
    leat_list_init(&l->hub_entry);
    leat_list_init(&l->interests);
    l->hub = hub;
    l->limits = limits;
    l->handler = handler;
    l->arg = arg;
    int err = leat_mailbox_new(&l->mailbox, uv, on_mail, l);
    if (err < 0) {
        free(l);
        return err;
    }
    post_to_hub(hub, hub_mail_new(HUB_MAIL_OPEN, l, (leat_slice){NULL, 0}, (leat_slice){NULL, 0}));
    *out = l;
    return 0;
}

void leat_hub_link_close(leat_hub_link *l, void (*done)(void *arg), void *arg)
{
    l->closing = true;
    l->on_closed = done;
    l->on_closed_arg = arg;
    post_to_hub(l->hub,
                hub_mail_new(HUB_MAIL_CLOSE, l, (leat_slice){NULL, 0}, (leat_slice){NULL, 0}));
}

void leat_hub_link_arm(leat_hub_link *l, leat_slice topic, uint64_t generation)
{
    hub_mail *m = hub_mail_new(HUB_MAIL_ARM, l, topic, (leat_slice){NULL, 0});
    m->generation = generation;
    post_to_hub(l->hub, m);
}

void leat_hub_link_disarm(leat_hub_link *l, leat_slice topic, uint64_t generation)
{
    hub_mail *m = hub_mail_new(HUB_MAIL_DISARM, l, topic, (leat_slice){NULL, 0});
    m->generation = generation;
    post_to_hub(l->hub, m);
}

void leat_hub_link_position(leat_hub_link *l, leat_slice topic, leat_slice epoch, int64_t seq,
                            int64_t revoked)
{
    hub_mail *m = hub_mail_new(HUB_MAIL_POSITION, l, topic, epoch);
    m->seq = seq;
    m->revoked = revoked;
    post_to_hub(l->hub, m);
}

void leat_hub_link_unread(leat_hub_link *l, const char *sqlstate)
{
    post_to_hub(l->hub,
                hub_mail_new(HUB_MAIL_UNREAD, l, leat_slice_of(sqlstate), (leat_slice){NULL, 0}));
}

static void on_mailbox_closed(void *arg)
{
    leat_hub_link *l = arg;
    void (*done)(void *arg) = l->on_closed;
    void *done_arg = l->on_closed_arg;
    leat_mailbox_free(l->mailbox);
    free(l);
    done(done_arg);
}

/* mail_bytes is lowered before `full` is looked at, and the hub sets that before it looks at
 * mail_bytes once more: one of the two sees the other. */
static leat_event *take_event(leat_hub_link *l, hub_mail *m)
{
    leat_event *e = m->event;
    size_t bytes = leat_event_bytes(e);
    m->event = NULL;
    size_t left = atomic_fetch_sub(&l->mail_bytes, bytes) - bytes;
    if (left <= l->limits->worker_mail_bytes / 2 && atomic_exchange(&l->full, false))
        post_to_hub(l->hub,
                    hub_mail_new(HUB_MAIL_ROOM, l, (leat_slice){NULL, 0}, (leat_slice){NULL, 0}));
    return e;
}

/* The worker's end. */
static void on_mail(void *arg, leat_mail *mail)
{
    leat_hub_link *l = arg;
    hub_mail *m = (hub_mail *)mail;
    if (m->op == HUB_MAIL_CLOSED)
        leat_mailbox_close(l->mailbox, on_mailbox_closed, l);
    else if (l->closing)
        ; /* the core is gone */
    else if (m->op == HUB_MAIL_ARMED)
        l->handler->on_armed(l->arg, hub_mail_topic(m), m->generation);
    else if (m->op == HUB_MAIL_BEGIN)
        l->handler->on_begin(l->arg, hub_mail_topic(m), m->generation, hub_mail_epoch(m), m->seq,
                             m->revoked);
    else if (m->op == HUB_MAIL_EVENT)
        l->handler->on_event(l->arg, take_event(l, m));
    else if (m->op == HUB_MAIL_SIGNAL)
        l->handler->on_signal(l->arg, take_event(l, m));
    else if (m->op == HUB_MAIL_CONFIRMED || m->op == HUB_MAIL_UNCONFIRMED)
        l->handler->on_confirmed(l->arg, m->op == HUB_MAIL_CONFIRMED);
    else
        l->handler->on_reset(l->arg, hub_mail_topic(m), m->generation, m->reason);
    hub_mail_free(m);
}
