/* hub_worker.c - mail_of -> send_unsent, at the end of the turn or when the worker closes. */
#include "hub/hub_worker.h"

#include <stdlib.h>

#include "base/mem.h"

static void on_turn_end(leat_sweep *s);

hub_worker *hub_worker_new(leat_loop *loop, leat_line *line, size_t kept_bytes,
                           leat_metrics *metrics)
{
    hub_worker *w = leat_calloc(1, sizeof(*w));
    w->loop = loop;
    w->line = line;
    w->metrics = metrics;
    line->hub_end = w;
    leat_latest_store_init(&w->kept, kept_bytes, metrics);
    leat_list_init(&w->hub_link);
    leat_list_init(&w->lags);
    leat_sweep_init(&w->send, on_turn_end);
    return w;
}

/* The mail of this turn. */
static leat_hub_mail *mail_of(hub_worker *w)
{
    if (w->unsent == NULL) {
        w->unsent = leat_hub_mail_new();
        leat_sweep_schedule(w->loop, &w->send);
    }
    return w->unsent;
}

static void send_unsent(hub_worker *w)
{
    leat_hub_mail *m = w->unsent;
    w->unsent = NULL;
    /* The worker takes them off: the sum over all threads is what is on its way. */
    leat_metrics_add(w->metrics, LEAT_M_MAIL_BYTES, (int64_t)m->bytes);
    leat_hub_mail_post(w->line, m);
}

static void on_turn_end(leat_sweep *s)
{
    send_unsent(LEAT_CONTAINER_OF(s, hub_worker, send));
}

void hub_worker_close(hub_worker *w)
{
    LEAT_ASSERT(w->n_interests == 0);
    leat_hub_mail_add(mail_of(w), LEAT_HUB_CLOSED);
    leat_sweep_cancel(&w->send);
    w->line->hub_end = NULL;
    send_unsent(w); /* from here on the line is the worker's alone */
    leat_list_unlink(&w->hub_link);
    free(w);
}

void hub_worker_tell_armed(hub_worker *w, leat_topic_life topic)
{
    leat_hub_mail_armed(mail_of(w), topic);
}

void hub_worker_tell_begin(hub_worker *w, leat_topic_life topic, const leat_named_position *at)
{
    leat_hub_mail_begin(mail_of(w), topic, at);
}

void hub_worker_tell_reset(hub_worker *w, leat_topic_life topic, int reason)
{
    leat_hub_mail_reset(mail_of(w), topic, reason);
}

void hub_worker_tell_confirmed(hub_worker *w, bool confirmed)
{
    leat_hub_mail_add(mail_of(w), confirmed ? LEAT_HUB_CONFIRMED : LEAT_HUB_UNCONFIRMED);
}

bool hub_worker_give(hub_worker *w, leat_hub_news_kind kind, uint64_t generation, leat_event *e)
{
    if (!leat_line_reserve(w->line, leat_event_bytes(e)))
        return false;
    leat_hub_mail_event(mail_of(w), kind, generation, e);
    return true;
}
