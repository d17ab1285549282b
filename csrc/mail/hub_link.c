/* hub_link.c - posts what the worker says, and hands out what the hub says.
 *
 * The first mail to the hub is OPEN, the last one is CLOSE. The hub answers with mails of news. The
 * last news is CLOSED: the hub no longer uses the line then. What arrives between
 * leat_hub_link_close and CLOSED is dropped.
 *
 * The events on their way to a worker are bounded (line.h). The hub leaves out what does not fit.
 * When no more than half of the bound is still on its way, the worker says ROOM, and the hub says
 * where it goes on (BEGIN). The outbox has what was left out.
 */
#include "mail/hub_link.h"

#include <stdlib.h>

#include "base/mem.h"
#include "mail/worker_mail.h"

struct leat_hub_link {
    leat_line line;
    leat_metrics *metrics;
    leat_hub_link_cb cb;
    void *arg;
    bool closing; /* leat_hub_link_close was called: news are dropped */
    void (*on_closed)(void *arg);
    void *on_closed_arg;
};

static void on_mail(void *arg, leat_mail *mail);

size_t leat_hub_link_mail_bytes(const leat_hub_link *l)
{
    return leat_line_bytes(&l->line);
}

int leat_hub_link_open(leat_hub_link **out, leat_mailbox *hub, size_t max_bytes, leat_loop *loop,
                       leat_metrics *metrics, leat_hub_link_cb cb, void *arg)
{
    leat_hub_link *l = leat_calloc(1, sizeof(*l));
    leat_line_init(&l->line, hub, leat_mailbox_is_on(hub, leat_loop_uv(loop)) ? loop : NULL,
                   max_bytes);
    l->metrics = metrics;
    l->cb = cb;
    l->arg = arg;
    int err = leat_mailbox_new(&l->line.worker, leat_loop_uv(loop), on_mail, l);
    if (err < 0) {
        free(l);
        return err;
    }
    leat_worker_mail_post(leat_worker_mail_new(LEAT_WORKER_OPEN, &l->line));
    *out = l;
    return 0;
}

void leat_hub_link_close(leat_hub_link *l, void (*done)(void *arg), void *arg)
{
    l->closing = true;
    l->on_closed = done;
    l->on_closed_arg = arg;
    leat_worker_mail_post(leat_worker_mail_new(LEAT_WORKER_CLOSE, &l->line));
}

void leat_hub_link_arm(leat_hub_link *l, leat_topic_life topic)
{
    leat_worker_mail_post(leat_worker_mail_topic(LEAT_WORKER_ARM, &l->line, topic));
}

void leat_hub_link_disarm(leat_hub_link *l, leat_topic_life topic)
{
    leat_worker_mail_post(leat_worker_mail_topic(LEAT_WORKER_DISARM, &l->line, topic));
}

void leat_hub_link_position(leat_hub_link *l, leat_topic_life topic, const leat_named_position *at)
{
    leat_worker_mail_post(leat_worker_mail_position(&l->line, topic, at));
}

void leat_hub_link_read_refused(leat_hub_link *l, const char *sqlstate)
{
    leat_worker_mail_post(leat_worker_mail_read_refused(&l->line, sqlstate));
}

static void on_mailbox_closed(void *arg)
{
    leat_hub_link *l = arg;
    void (*done)(void *arg) = l->on_closed;
    void *done_arg = l->on_closed_arg;
    leat_mailbox_free(l->line.worker);
    free(l);
    done(done_arg);
}

static void on_mail(void *arg, leat_mail *mail)
{
    leat_hub_link *l = arg;
    leat_hub_mail *m = LEAT_CONTAINER_OF(mail, leat_hub_mail, mail);
    bool closed = m->n > 0 && m->news[m->n - 1].kind == LEAT_HUB_CLOSED;
    bool has_room = leat_line_release(&l->line, m->bytes);
    leat_metrics_add(l->metrics, LEAT_M_MAIL_BYTES, -(int64_t)m->bytes);
    if (has_room && !l->closing) /* CLOSE is the last mail: the hub may use the line no more */
        leat_worker_mail_post(leat_worker_mail_new(LEAT_WORKER_ROOM, &l->line));
    for (size_t i = 0; i < m->n && !l->closing; i++)
        l->cb(l->arg, &m->news[i]);
    leat_hub_mail_free(m);
    if (closed)
        leat_mailbox_close(l->line.worker, on_mailbox_closed, l);
}
