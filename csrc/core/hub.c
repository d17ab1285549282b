/* hub.c - the hub's thread: its loop, its broker, its mailbox.
 *
 * leat_hub_start runs run_thread; on_up, on_down and on_announce come from the broker, on_mail from
 * the workers and, for STOP, from the server. stop_parts closes everything in turn; when the last
 * handle is gone the loop ends and leat_hub_stop's join returns.
 */
#include "core/hub.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/broker_postgres.h"
#include "core/hub_private.h"

static void on_up(void *arg, const char *timeline);
static void on_down(void *arg);
static void on_announce(void *arg, const leat_announcement *a);
static void on_mail(void *arg, leat_mail *mail);
static void run_thread(void *arg);

static const leat_broker_handler broker_handler = {on_up, on_down, on_announce};

int leat_hub_new(leat_hub **out, const leat_hub_options *options)
{
    leat_hub *h = leat_calloc(1, sizeof(*h));
    h->options = *options;
    h->metrics = leat_metrics_new(options->metrics);
    leat_map_init(&h->topics);
    leat_list_init(&h->links);
    int err = uv_loop_init(&h->uv);
    if (err < 0)
        goto fail_hub;
    err = leat_loop_new(&h->loop, &h->uv);
    if (err < 0)
        goto fail_uv;
    /* The mailbox exists before the thread, so that workers may post from the first moment. */
    err = leat_mailbox_new(&h->mailbox, &h->uv, on_mail, h);
    if (err < 0)
        goto fail_loop;
    *out = h;
    return 0;

fail_loop:
    leat_loop_close(h->loop, NULL, NULL);
    uv_run(&h->uv, UV_RUN_DEFAULT);
fail_uv:
    uv_loop_close(&h->uv);
fail_hub:
    leat_map_close(&h->topics);
    free(h);
    return err;
}

int leat_hub_start(leat_hub *h)
{
    hub_repair_start(h);
    hub_trim_start(h);
    int err = leat_pg_pool_new(&h->pool, h->loop, h->metrics, &h->options.pool);
    if (err < 0)
        return err;
    err = leat_broker_postgres_new(&h->broker, h->loop, h->metrics, &h->options.listener,
                                   &broker_handler, h);
    if (err < 0)
        return err;
    return uv_thread_create(&h->thread, run_thread, h);
}

static void run_thread(void *arg)
{
    leat_hub *h = arg;
    leat_log_bind(h->options.log);
    uv_run(&h->uv, UV_RUN_DEFAULT);
    leat_log_bind(NULL);
}

void leat_hub_stop(leat_hub *h)
{
    hub_mail *m = hub_mail_new(HUB_MAIL_STOP, NULL, (leat_slice){NULL, 0}, (leat_slice){NULL, 0});
    bool posted = leat_mailbox_post(h->mailbox, &m->mail);
    LEAT_ASSERT(posted);
    uv_thread_join(&h->thread);
}

void leat_hub_free(leat_hub *h)
{
    uv_loop_close(&h->uv);
    leat_mailbox_free(h->mailbox);
    leat_map_close(&h->topics);
    free(h);
}

bool leat_hub_connected(const leat_hub *h)
{
    return atomic_load_explicit(&h->connected, memory_order_relaxed);
}

static void on_up(void *arg, const char *timeline)
{
    leat_hub *h = arg;
    snprintf(h->timeline, sizeof(h->timeline), "%s", timeline);
    h->up = true;
    atomic_store_explicit(&h->connected, true, memory_order_relaxed);
    hub_topic_confirm_all(h);
    hub_repair_compare_all(h); /* whatever was announced meanwhile is lost */
}

static void on_down(void *arg)
{
    leat_hub *h = arg;
    h->up = false;
    atomic_store_explicit(&h->connected, false, memory_order_relaxed);
}

static void on_announce(void *arg, const leat_announcement *a)
{
    if (a->kind == LEAT_ANNOUNCE_HISTORY)
        hub_repair_compare_all(arg);
    else
        hub_topic_announce(arg, a);
}

static void close_link(leat_hub *h, leat_hub_link *l)
{
    (void)h;
    while (!leat_list_empty(&l->interests))
        hub_interest_free(LEAT_LIST_ENTRY(l->interests.next, hub_interest, link_link));
    leat_list_unlink(&l->hub_entry);
    /* The last mail: from here on the link is the worker's alone. */
    hub_link_post(l,
                  hub_mail_new(HUB_MAIL_CLOSED, l, (leat_slice){NULL, 0}, (leat_slice){NULL, 0}));
}

static void on_loop_closed(void *arg)
{
    (void)arg;
}

static void on_mailbox_closed(void *arg)
{
    leat_hub *h = arg;
    leat_loop_close(h->loop, on_loop_closed, h);
}

static void on_pool_closed(void *arg)
{
    leat_hub *h = arg;
    leat_mailbox_close(h->mailbox, on_mailbox_closed, h);
}

static void on_broker_closed(void *arg)
{
    leat_hub *h = arg;
    leat_pg_pool_close(h->pool, on_pool_closed, h);
}

static void stop_parts(leat_hub *h)
{
    LEAT_ASSERT(leat_list_empty(&h->links));
    h->stopping = true;
    hub_repair_stop(h);
    hub_trim_stop(h);
    h->broker->close(h->broker, on_broker_closed, h);
}

static void on_mail(void *arg, leat_mail *mail)
{
    leat_hub *h = arg;
    hub_mail *m = (hub_mail *)mail;
    switch (m->op) {
    case HUB_MAIL_OPEN:
        leat_list_push(&h->links, &m->link->hub_entry);
        break;
    case HUB_MAIL_ARM:
        hub_topic_arm(h, m->link, hub_mail_topic(m), m->generation);
        break;
    case HUB_MAIL_DISARM:
        hub_topic_disarm(h, m->link, hub_mail_topic(m), m->generation);
        break;
    case HUB_MAIL_POSITION:
        hub_topic_position(h, hub_mail_topic(m), hub_mail_epoch(m), m->seq, m->revoked);
        break;
    case HUB_MAIL_ROOM:
        hub_topic_catch_up(m->link);
        break;
    case HUB_MAIL_CLOSE:
        close_link(h, m->link);
        break;
    case HUB_MAIL_STOP:
        stop_parts(h);
        break;
    case HUB_MAIL_ARMED:
    case HUB_MAIL_BEGIN:
    case HUB_MAIL_EVENT:
    case HUB_MAIL_SIGNAL:
    case HUB_MAIL_RESET:
    case HUB_MAIL_CLOSED:
        LEAT_ASSERT(m->op < HUB_MAIL_ARMED); /* a mail for a worker in the hub's box */
    }
    hub_mail_free(m);
}
