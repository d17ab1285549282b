/* embed_sub_worker.c - a program's subscription on its worker: begin -> the subscription's own
 * course (core/sub.c), which calls the ops below -> embed_sub_tell.c. The end comes from the core,
 * from leat_unsubscribe, or when the worker drains. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "core/subscribe.h"
#include "embed/embed_sub.h"
#include "script/task/session.h"

enum { LOOK_AGAIN_MS = 60000 }; /* at expiries: the wall clock may be set meanwhile */

struct beginning {
    leat_worker_job job;
    leat_subscription *sub;
    leat_named_position since;
    leat_slice topic;
    leat_slice user; /* at == NULL: nobody */
    leat_slice user_id;
    leat_slice params; /* at == NULL: none */
    uint64_t timeout_ms;
    char text[];
};

/* A job that has nothing but its subscription. */
struct nudge {
    leat_worker_job job;
    leat_subscription *sub;
};

/* --- messages to the worker --- */

/* Returns false if no worker runs. */
static bool nudge(leat_subscription *sub, void (*run)(leat_worker_job *job, leat_worker *w))
{
    struct nudge *n = leat_calloc(1, sizeof(*n));
    n->job.run = run;
    n->sub = sub;
    bool runs = embed_give_back(sub->server, sub->worker, &n->job);
    if (!runs)
        free(n);
    return runs;
}

static void on_room(leat_worker_job *job, leat_worker *w)
{
    struct nudge *n = LEAT_CONTAINER_OF(job, struct nudge, job);
    (void)w;
    if (!n->sub->ended)
        leat_sub_move_all(&n->sub->base);
    free(n);
}

void embed_sub_give_room(leat_subscription *sub)
{
    nudge(sub, on_room);
}

/* The worker uses it no more. */
void embed_sub_free(leat_subscription *sub)
{
    leat_map_close(&sub->base.subs);
    leat_session_unref(sub->base.session);
    free(sub);
}

static void on_release(leat_worker_job *job, leat_worker *w)
{
    struct nudge *n = LEAT_CONTAINER_OF(job, struct nudge, job);
    (void)w;
    embed_sub_free(n->sub);
    free(n);
}

void embed_sub_release(leat_subscription *sub)
{
    if (!nudge(sub, on_release))
        embed_sub_free(sub); /* no worker runs */
}

/* --- as the core sees it --- */

static leat_subscription *sub_of(leat_subscriber *s)
{
    return (leat_subscription *)s;
}

static bool on_snapshot(leat_subscriber *to, leat_slice id, leat_slice topic,
                        const leat_snapshot *snapshot)
{
    (void)id;
    (void)topic;
    embed_sub_tell_snapshot(sub_of(to), snapshot);
    return true;
}

static void on_resumed(leat_subscriber *to, leat_slice id, leat_slice topic,
                       const leat_position *at)
{
    (void)id;
    (void)topic;
    embed_sub_tell_resumed(sub_of(to), at);
}

static void on_event(leat_subscriber *to, leat_event *e, const leat_epoch *epoch)
{
    embed_sub_tell_event(sub_of(to), e, epoch);
}

/* Puts `closed`, the last item. */
static void end(leat_subscription *sub, const leat_failure *why)
{
    LEAT_ASSERT(!sub->ended);
    sub->ended = true;
    leat_list_unlink(&sub->link);
    leat_deadline_cancel(&sub->expiry);
    embed_sub_tell_end(sub, why);
}

static void on_refused(leat_subscriber *to, leat_slice id, leat_slice topic,
                       const leat_failure *failure)
{
    (void)id;
    (void)topic;
    end(sub_of(to), failure);
}

static void on_closed(leat_subscriber *to, leat_slice topic, const leat_failure *failure)
{
    (void)topic;
    end(sub_of(to), failure);
}

static bool takes_more(const leat_subscriber *to)
{
    const leat_subscription *sub = LEAT_CONTAINER_OF(to, const leat_subscription, base);
    return atomic_load(&sub->waiting) < sub->window;
}

/* The program gets the newest: so an older one must not wait for it. */
static bool takes_signal(const leat_subscriber *to)
{
    const leat_subscription *sub = LEAT_CONTAINER_OF(to, const leat_subscription, base);
    return atomic_load(&sub->waiting) == 0;
}

/* The program may have taken all in this moment. */
static void awaits_signal(leat_subscriber *to)
{
    leat_subscription *sub = sub_of(to);
    atomic_store(&sub->awaits, true);
    if (takes_signal(to) && atomic_exchange(&sub->awaits, false))
        embed_sub_give_room(sub);
}

/* One snapshot may be larger than the window. */
static bool takes_snapshot(const leat_subscriber *to, size_t bytes)
{
    (void)bytes;
    return takes_more(to);
}

static void on_answered(leat_subscriber *to)
{
    (void)to;
}

static void on_expiry(leat_deadline *d)
{
    leat_subscription *sub = LEAT_CONTAINER_OF(d, leat_subscription, expiry);
    int64_t now_s = (int64_t)time(NULL);
    leat_sub_reauthorize_expired(&sub->base, now_s);
    int64_t next_s = sub->ended ? 0 : leat_sub_next_expiry(&sub->base);
    if (next_s > 0)
        sub->base.ops->grant_expires(&sub->base, next_s);
}

static void on_grant_expires(leat_subscriber *to, int64_t at_s)
{
    leat_subscription *sub = sub_of(to);
    int64_t now_s = (int64_t)time(NULL);
    uint64_t in_ms = at_s <= now_s ? 1 : (uint64_t)(at_s - now_s) * 1000;
    if (at_s > 0 && !sub->ended)
        leat_loop_after(to->core->loop, &sub->expiry, in_ms < LOOK_AGAIN_MS ? in_ms : LOOK_AGAIN_MS,
                        on_expiry);
}

static void on_stream_ended(leat_subscriber *to, leat_code code)
{
    (void)to;
    (void)code; /* it is no stream */
}

static const leat_subscriber_ops ops = {
    .snapshot = on_snapshot,
    .resumed = on_resumed,
    .event = on_event,
    .refused = on_refused,
    .closed = on_closed,
    .takes_more = takes_more,
    .takes_signal = takes_signal,
    .awaits_signal = awaits_signal,
    .takes_snapshot = takes_snapshot,
    .answered = on_answered,
    .grant_expires = on_grant_expires,
    .stream_ended = on_stream_ended,
};

const leat_subscriber_ops *embed_sub_ops(void)
{
    return &ops;
}

/* --- beginning and end --- */

static leat_session *new_session(leat_core *core, const struct beginning *b)
{
    leat_buf head = LEAT_BUF_INIT;
    leat_head_repack(&head, NULL, (leat_slice){NULL, 0});
    /* The program may take what comes of a subscription, and release it, after the worker has
     * ended. */
    leat_session *session =
        leat_session_new(NULL, ++core->last_client, b->user_id, b->user, leat_buf_view(&head), 0);
    leat_buf_close(&head);
    return session;
}

static void subscribe(leat_subscription *sub, leat_core *core, const struct beginning *b)
{
    uint64_t now_ms = leat_loop_now(core->loop);
    uint64_t wanted_ms = b->timeout_ms == 0 ? LEAT_DEADLINE_NEVER : now_ms + b->timeout_ms;
    leat_failure why;
    leat_sub_request request = {
        .topic = b->topic,
        .params = b->params,
        .since = b->since,
        .deadline_ms = leat_control_deadline(wanted_ms, now_ms, core->limits->control_timeout_ms),
    };
    sub->base.core = core;
    sub->base.session = new_session(core, b);
    if (leat_subscribe_begin(&sub->base, &request, &why) != LEAT_CODE_OK)
        end(sub, &why);
}

static void begin(leat_worker_job *job, leat_worker *worker)
{
    struct beginning *b = LEAT_CONTAINER_OF(job, struct beginning, job);
    leat_subscription *sub = b->sub;
    leat_list_push(&embed_worker_on(sub->server, worker)->subs, &sub->link);
    if (leat_worker_serves(worker))
        subscribe(sub, leat_worker_core(worker), b);
    else
        end(sub, &(leat_failure){.code = LEAT_CODE_UNAVAILABLE,
                                 .message = leat_slice_of("the server is stopping")});
    free(b);
}

/* Ends it for a reason that is not the subscription's own. */
static void end_at_once(leat_subscription *sub, const leat_failure *why)
{
    if (sub->ended)
        return;
    end(sub, why); /* first: what the core says of it now is told to nobody */
    if (sub->base.core != NULL)
        leat_sub_close_all(&sub->base);
}

static void unsubscribe(leat_worker_job *job, leat_worker *w)
{
    struct nudge *n = LEAT_CONTAINER_OF(job, struct nudge, job);
    (void)w;
    end_at_once(n->sub,
                &(leat_failure){.code = LEAT_CODE_OK, .message = leat_slice_of("unsubscribed")});
    free(n);
}

void embed_sub_ask_end(leat_subscription *sub)
{
    nudge(sub, unsubscribe);
}

void embed_subs_end(embed_worker *w)
{
    static const char reason[] = "the server is stopping";
    for (leat_list *l = w->subs.next, *next = l->next; l != &w->subs; l = next, next = l->next)
        end_at_once(
            LEAT_CONTAINER_OF(l, leat_subscription, link),
            &(leat_failure){.code = LEAT_CODE_UNAVAILABLE, .message = leat_slice_of(reason)});
}

/* --- the job that begins it --- */

static leat_slice put_text(char **at, leat_slice text)
{
    leat_slice copy = {text.at == NULL ? NULL : *at, text.len};
    if (text.len > 0) {
        LEAT_ASSUME(text.at != NULL);
        memcpy(*at, text.at, text.len);
    }
    *at += text.len;
    return copy;
}

static leat_slice optional(const char *text)
{
    return text == NULL ? (leat_slice){NULL, 0} : leat_slice_of(text);
}

leat_worker_job *embed_sub_new_beginning(leat_subscription *sub, const leat_subscribe_options *o,
                                         leat_slice user_id)
{
    leat_slice topic = leat_slice_of(o->topic);
    leat_slice user = optional(o->user);
    leat_slice params = optional(o->params);
    leat_slice epoch = optional(o->since_epoch);
    struct beginning *b = leat_calloc(1, sizeof(*b) + topic.len + user.len + params.len +
                                             epoch.len + user_id.len + 1);
    char *at = b->text;
    b->job.run = begin;
    b->sub = sub;
    b->topic = put_text(&at, topic);
    b->user = put_text(&at, user);
    b->user_id = put_text(&at, user_id);
    b->params = put_text(&at, params);
    b->since = (leat_named_position){.epoch = put_text(&at, epoch), .seq = o->since_seq};
    b->timeout_ms = o->timeout_ms;
    return &b->job;
}

void embed_sub_free_beginning(leat_worker_job *job)
{
    free(LEAT_CONTAINER_OF(job, struct beginning, job));
}
