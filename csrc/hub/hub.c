/* hub.c - the hub's broker, and its mailbox.
 *
 * on_up, on_down, on_trouble, on_announce and on_refused come from the broker, on_mail from the
 * workers and, for STOP, from the server. stop_parts closes one part after the other, the mailbox
 * at last. A hub that was never started, or could not be, closes in the same way.
 */
#include "hub/hub.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "hub/broker_postgres.h"
#include "hub/hub_attend.h"
#include "hub/hub_interest.h"
#include "hub/hub_phase.h"
#include "hub/hub_problems.h"
#include "hub/hub_repair.h"
#include "hub/hub_topic.h"
#include "hub/hub_trim.h"
#include "hub/hub_want.h"
#include "mail/worker_mail.h"

static void on_up(void *arg);
static void on_down(void *arg);
static void on_trouble(void *arg, const char *why);
static void on_announce(void *arg, const leat_announcement *a);
static void on_refused(void *arg);
static void stop_parts(leat_hub *h);
static void on_mail(void *arg, leat_mail *mail);

static const leat_broker_handler broker_handler = {on_up, on_down, on_trouble, on_announce,
                                                   on_refused};

int leat_hub_new(leat_hub **out, const leat_hub_options *options)
{
    leat_hub *h = leat_calloc(1, sizeof(*h));
    h->limits = options->limits;
    h->pool_options = options->pool;
    h->listener_options = options->listener;
    h->schema_version = options->schema_version;
    h->loop = options->loop;
    h->metrics = leat_metrics_new(options->metrics);
    h->memory = leat_loop_pool(h->loop);
    leat_map_init(&h->topics);
    leat_map_init(&h->epochs);
    leat_list_init(&h->workers);
    int err = hub_health_init(&h->health);
    if (err < 0)
        goto fail_hub;
    /* The mailbox is there before the loop runs, so that workers may post from the first moment. */
    err = leat_mailbox_new(&h->mailbox, leat_loop_uv(h->loop), on_mail, h);
    if (err < 0)
        goto fail_health;
    hub_attend_init(h);
    hub_repair_init(h);
    hub_trim_init(h);
    hub_problems_init(h);
    *out = h;
    return 0;

fail_health:
    hub_health_close(&h->health);
fail_hub:
    leat_map_close(&h->topics);
    leat_map_close(&h->epochs);
    free(h);
    return err;
}

int leat_hub_start(leat_hub *h)
{
    int err = leat_pg_pool_new(&h->pool, h->loop, h->metrics, &h->pool_options);
    if (err == 0)
        err = leat_broker_postgres_new(&h->broker, h->loop, h->metrics, &h->listener_options,
                                       &broker_handler, h);
    if (err < 0)
        return err;
    hub_repair_start(h);
    hub_trim_start(h);
    hub_problems_start(h);
    return 0;
}

void leat_hub_stop(leat_hub *h)
{
    leat_worker_mail *m = leat_worker_mail_new(LEAT_WORKER_STOP, NULL);
    LEAT_ASSERT(leat_mailbox_post(h->mailbox, &m->mail)); /* nothing else closes it */
}

void leat_hub_free(leat_hub *h)
{
    leat_mailbox_free(h->mailbox);
    leat_map_close(&h->topics);
    leat_map_close(&h->epochs);
    hub_health_close(&h->health);
    free(h->fingerprint);
    free(h);
}

leat_mailbox *leat_hub_mailbox(leat_hub *h)
{
    return h->mailbox;
}

bool leat_hub_check(leat_hub *h, leat_hub_part part, leat_buf *reason)
{
    return hub_health_check(&h->health, part, reason);
}

static void on_up(void *arg)
{
    leat_hub *h = arg;
    hub_health_set_trouble(&h->health, LEAT_HUB_LISTENER, NULL);
    hub_attend_start(h);
}

static void on_down(void *arg)
{
    leat_hub *h = arg;
    hub_attend_stop(h);
    hub_phase_set(h, HUB_UNCONNECTED);
}

static void on_trouble(void *arg, const char *why)
{
    leat_hub *h = arg;
    hub_health_set_trouble(&h->health, LEAT_HUB_LISTENER, why);
}

/* True if the announcement is of another history than the hub's. Then the history was renewed and
 * the hub was not told, or a dump was loaded and this server does not know. */
static bool is_of_other_history(const leat_hub *h, const leat_announcement *a)
{
    size_t len = strlen(h->history);
    return a->seq > 0 && (a->epoch.len < len || memcmp(a->epoch.at, h->history, len) != 0);
}

static void on_announce(void *arg, const leat_announcement *a)
{
    leat_hub *h = arg;
    if (h->phase != HUB_READY)
        return; /* the announcement counts as lost */
    if (is_of_other_history(h, a))
        hub_attend_check(h);
    if (a->kind == LEAT_ANNOUNCE_HISTORY)
        hub_attend_check(h);
    else if (hub_topic_announce(h, a))
        hub_anchor_announced(&h->anchors, a);
}

/* The announcement may be forged: nothing in it is believed. Or the key has changed. */
static void on_refused(void *arg)
{
    hub_attend_check(arg);
}

static void close_worker(leat_hub *h, hub_worker *w)
{
    hub_topic_disarm_all(h, w);
    hub_worker_close(w);
}

static void on_pool_closed(void *arg)
{
    leat_hub *h = arg;
    leat_mailbox_close(h->mailbox, NULL, NULL);
}

static void on_broker_closed(void *arg)
{
    leat_hub *h = arg;
    if (h->pool != NULL)
        leat_pg_pool_close(h->pool, on_pool_closed, h);
    else
        on_pool_closed(h);
}

static void stop_parts(leat_hub *h)
{
    LEAT_ASSERT(leat_list_empty(&h->workers));
    hub_attend_stop(h);
    hub_repair_stop(h);
    hub_trim_stop(h);
    hub_problems_stop(h);
    if (h->broker != NULL)
        h->broker->close(h->broker, on_broker_closed, h);
    else
        on_broker_closed(h);
}

static void open_worker(leat_hub *h, leat_line *line)
{
    hub_worker *w = hub_worker_new(h->loop, line, h->limits->kept_signal_bytes, h->metrics);
    leat_list_push(&h->workers, &w->hub_link);
    hub_worker_tell_confirmed(w, h->phase == HUB_READY);
}

static void take_position(leat_hub *h, leat_slice topic, const leat_named_position *at)
{
    hub_anchor_read(&h->anchors, topic, at, 0);
    hub_topic_position(h, topic, at);
}

static void read_refused(leat_hub *h, const char *sqlstate)
{
    if (strcmp(sqlstate, LEAT_UNCONFIRMED) == 0)
        hub_attend_unconfirmed(h);
    else
        hub_want_probe(h);
}

static void on_mail(void *arg, leat_mail *mail)
{
    leat_hub *h = arg;
    leat_worker_mail *m = LEAT_CONTAINER_OF(mail, leat_worker_mail, mail);
    hub_worker *w = m->line == NULL ? NULL : m->line->hub_end;
    switch (m->kind) {
    case LEAT_WORKER_OPEN:
        open_worker(h, m->line);
        break;
    case LEAT_WORKER_ARM:
        hub_topic_arm(h, w, m->topic);
        break;
    case LEAT_WORKER_DISARM:
        hub_topic_disarm(h, w, m->topic);
        break;
    case LEAT_WORKER_POSITION:
        take_position(h, m->position.topic.name, &m->position.at);
        break;
    case LEAT_WORKER_READ_REFUSED:
        read_refused(h, m->sqlstate);
        break;
    case LEAT_WORKER_ROOM:
        hub_interest_catch_up(w);
        break;
    case LEAT_WORKER_CLOSE:
        close_worker(h, w);
        break;
    case LEAT_WORKER_STOP:
        stop_parts(h);
        break;
    }
    leat_worker_mail_free(m);
}
