/* embed_sub.c - the program subscribes: leat_subscribe -> begin, on a worker -> the subscription's
 * own course (core/sub.c), which calls the ops below -> items of the inbox -> the program.
 *
 * A leat_subscription is on its worker until it ends there: then `closed` is put into the inbox,
 * the last of its items. When the program has been told, the memory goes back to the worker to be
 * freed (release), behind all jobs that name it.
 *
 * What waits for the program is counted in bytes. At window_bytes the cursor stops; when the
 * program has taken half of it, the worker is told, and the cursor moves on. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "core/subscribe.h"
#include "embed/embed.h"
#include "script/task/session.h"
#include "wire/json.h"
#include "wire/leat_v1.h"

enum {
    USUAL_WINDOW = 262144,
    ITEM_BYTES = 128,     /* what an item costs besides its text */
    LOOK_AGAIN_MS = 60000 /* at expiries: the wall clock may be set meanwhile */
};

struct ending;

struct leat_subscription {
    leat_subscriber base; /* first: subscriptions of the core see only this. The worker's */
    leat_list link;       /* in worker->subs; the worker's */
    leat_deadline expiry; /* of the grant; the worker's */
    bool ended;           /* `closed` was put; the worker's */

    leat_server *server;
    size_t worker;
    size_t window;
    atomic_size_t waiting;    /* bytes in the inbox, and held */
    atomic_bool awaits;       /* a conflating signal waits until nothing does */
    atomic_bool unsubscribed; /* the program wants nothing but `closed` */

    leat_subscriber_callbacks callbacks; /* those of the program, from here on */
    void *arg;
    bool paused;
    leat_list held;         /* items that came while paused */
    inbox_item resume;      /* in the inbox while `resuming` */
    bool resuming;          /* no item overtakes what is held */
    struct ending *delayed; /* its end came while `resuming` */
};

/* What is told of a subscription. */
struct told {
    inbox_item item;
    leat_subscription *sub;
    enum { SNAPSHOT, RESUMED, EVENT, SKIP, SIGNAL } what;
    int64_t seq;
    bool stale;
    leat_event *event; /* counted; NULL: the data follows the epoch */
    size_t data_len;
    char text[]; /* epoch, data, zero-terminated each */
};

struct ending {
    inbox_item item;
    leat_subscription *sub;
    leat_error why;
};

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

/* RELEASE, UNSUBSCRIBE, ROOM: a job that has nothing but its subscription. */
struct nudge {
    leat_worker_job job;
    leat_subscription *sub;
};

/* --- on the program's side: what is told --- */

static void free_told(struct told *t)
{
    if (t->event != NULL)
        leat_event_unref(t->event);
    free(t);
}

static void drop_told(inbox_item *item)
{
    free_told(LEAT_CONTAINER_OF(item, struct told, item));
}

static size_t cost_of(const struct told *t)
{
    return ITEM_BYTES + t->data_len;
}

static void nudge(leat_subscription *sub, void (*run)(leat_worker_job *job, leat_worker *w))
{
    struct nudge *n = leat_calloc(1, sizeof(*n));
    n->job.run = run;
    n->sub = sub;
    if (!embed_give_back(sub->server, sub->worker, &n->job))
        free(n);
}

static void on_room(leat_worker_job *job, leat_worker *w)
{
    struct nudge *n = LEAT_CONTAINER_OF(job, struct nudge, job);
    (void)w;
    if (!n->sub->ended)
        leat_sub_move_all(&n->sub->base);
    free(n);
}

/* The program has taken it. */
static void count_taken(leat_subscription *sub, size_t bytes)
{
    size_t before = atomic_fetch_sub(&sub->waiting, bytes);
    bool has_room = before >= sub->window / 2 && before - bytes < sub->window / 2;
    bool is_empty = before == bytes && atomic_exchange(&sub->awaits, false);
    if (has_room || is_empty)
        nudge(sub, on_room);
}

/* Zero-terminated in the server's scratch. */
static const char *data_of(struct told *t)
{
    leat_buf *scratch = &t->sub->server->scratch;
    if (t->event == NULL)
        return t->text + strlen(t->text) + 1;
    scratch->len = 0;
    leat_buf_slice(scratch, leat_event_data(t->event));
    leat_buf_char(scratch, '\0');
    return scratch->at;
}

static void call(struct told *t)
{
    leat_subscription *sub = t->sub;
    const leat_subscriber_callbacks *c = &sub->callbacks;
    leat_at at = {t->text, t->seq};
    switch (t->what) {
    case SNAPSHOT:
        if (c->snapshot != NULL)
            c->snapshot(sub->arg, sub, at, data_of(t), t->data_len, t->stale);
        break;
    case RESUMED:
        if (c->resumed != NULL)
            c->resumed(sub->arg, sub, at);
        break;
    case EVENT:
        if (c->event != NULL)
            c->event(sub->arg, sub, at, data_of(t), t->data_len);
        break;
    case SKIP:
        if (c->skip != NULL)
            c->skip(sub->arg, sub, at);
        break;
    case SIGNAL:
        if (c->signal != NULL)
            c->signal(sub->arg, sub, data_of(t), t->data_len);
        break;
    }
}

static void tell(inbox_item *item)
{
    struct told *t = LEAT_CONTAINER_OF(item, struct told, item);
    leat_subscription *sub = t->sub;
    if (sub->paused && !atomic_load(&sub->unsubscribed)) {
        leat_list_push(&sub->held, &item->link_);
        return;
    }
    if (!atomic_load(&sub->unsubscribed))
        call(t);
    count_taken(sub, cost_of(t));
    free_told(t);
}

static void drop_held(leat_subscription *sub)
{
    for (leat_list *l = leat_list_shift(&sub->held); l != NULL; l = leat_list_shift(&sub->held))
        drop_told(LEAT_CONTAINER_OF(l, inbox_item, link_));
}

/* The worker uses it no more. */
static void free_sub(leat_subscription *sub)
{
    leat_map_close(&sub->base.subs);
    leat_session_unref(sub->base.session);
    free(sub);
}

static void release(leat_worker_job *job, leat_worker *w)
{
    struct nudge *n = LEAT_CONTAINER_OF(job, struct nudge, job);
    (void)w;
    free_sub(n->sub);
    free(n);
}

static void give_back(leat_subscription *sub)
{
    struct nudge *n = leat_calloc(1, sizeof(*n));
    n->job.run = release;
    n->sub = sub;
    if (embed_give_back(sub->server, sub->worker, &n->job))
        return;
    free_sub(sub); /* the worker has gone */
    free(n);
}

static void free_ending(struct ending *e)
{
    drop_held(e->sub);
    give_back(e->sub);
    free(e);
}

static void tell_end(struct ending *e)
{
    e->sub->callbacks.closed(e->sub->arg, e->sub, &e->why);
    free_ending(e);
}

/* While `resume` is in the inbox, the subscription must stay. */
static bool is_delayed(struct ending *e)
{
    if (e->sub->resuming)
        e->sub->delayed = e;
    return e->sub->resuming;
}

static void drop_ending(inbox_item *item)
{
    struct ending *e = LEAT_CONTAINER_OF(item, struct ending, item);
    if (!is_delayed(e))
        free_ending(e);
}

static void tell_ending(inbox_item *item)
{
    struct ending *e = LEAT_CONTAINER_OF(item, struct ending, item);
    if (!is_delayed(e))
        tell_end(e);
}

static void run_resume(inbox_item *item)
{
    leat_subscription *sub = LEAT_CONTAINER_OF(item, leat_subscription, resume);
    sub->paused = sub->resuming = false;
    while (!sub->paused && !leat_list_empty(&sub->held))
        tell(LEAT_CONTAINER_OF(leat_list_take(&sub->held), inbox_item, link_));
    if (sub->delayed != NULL && !sub->resuming)
        tell_end(sub->delayed);
}

static void drop_resume(inbox_item *item)
{
    leat_subscription *sub = LEAT_CONTAINER_OF(item, leat_subscription, resume);
    sub->resuming = false;
    if (sub->delayed != NULL)
        free_ending(sub->delayed);
}

/* --- on the worker: as the core sees it --- */

static leat_subscription *sub_of(leat_subscriber *s)
{
    return (leat_subscription *)s;
}

static void put(leat_subscription *sub, struct told *t)
{
    t->item = (inbox_item){.run = tell, .drop = drop_told};
    t->sub = sub;
    atomic_fetch_add(&sub->waiting, cost_of(t));
    inbox_put(&sub->server->inbox, &t->item);
}

static struct told *new_told(leat_slice epoch, int64_t seq, leat_slice data)
{
    struct told *t = leat_calloc(1, sizeof(*t) + epoch.len + data.len + 2);
    if (epoch.len > 0)
        memcpy(t->text, epoch.at, epoch.len);
    if (data.len > 0)
        memcpy(t->text + epoch.len + 1, data.at, data.len);
    t->seq = seq;
    t->data_len = data.len;
    return t;
}

static bool on_snapshot(leat_subscriber *to, leat_slice id, leat_slice topic,
                        const leat_snapshot *snapshot)
{
    (void)id;
    (void)topic;
    const leat_position *at = &snapshot->position;
    struct told *t = new_told(leat_epoch_text(at->epoch), at->seq, snapshot->json);
    t->what = SNAPSHOT;
    t->stale = snapshot->stale;
    put(sub_of(to), t);
    return true;
}

static void on_resumed(leat_subscriber *to, leat_slice id, leat_slice topic,
                       const leat_position *at)
{
    (void)id;
    (void)topic;
    struct told *t = new_told(leat_epoch_text(at->epoch), at->seq, (leat_slice){NULL, 0});
    t->what = RESUMED;
    put(sub_of(to), t);
}

static void on_event(leat_subscriber *to, leat_event *e, const leat_epoch *epoch)
{
    leat_slice no_data = {NULL, 0};
    struct told *t =
        new_told(epoch == NULL ? no_data : leat_epoch_text(epoch), leat_event_seq(e), no_data);
    leat_event_kind kind = leat_event_kind_of(e);
    t->what = kind == LEAT_EVENT_DATA ? EVENT : kind == LEAT_EVENT_SIGNAL ? SIGNAL : SKIP;
    if (t->what != SKIP) {
        t->event = leat_event_ref(e);
        t->data_len = leat_event_data(e).len;
    }
    put(sub_of(to), t);
}

/* Puts `closed`, the last item. */
static void end(leat_subscription *sub, const leat_failure *why)
{
    LEAT_ASSERT(!sub->ended);
    sub->ended = true;
    leat_list_unlink(&sub->link);
    leat_deadline_cancel(&sub->expiry);
    struct ending *e = leat_calloc(1, sizeof(*e));
    e->item = (inbox_item){.run = tell_ending, .drop = drop_ending};
    e->sub = sub;
    embed_tell(&e->why, why);
    inbox_put(&sub->server->inbox, &e->item);
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
        nudge(sub, on_room);
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

/* --- on the worker: beginning and end --- */

static leat_session *new_session(leat_core *core, const struct beginning *b)
{
    leat_buf head = LEAT_BUF_INIT;
    leat_head_repack(&head, NULL, (leat_slice){NULL, 0});
    leat_session *session =
        leat_session_new(++core->last_client, b->user_id, b->user, leat_buf_view(&head), 0);
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

void embed_subs_end(embed_worker *w)
{
    static const char reason[] = "the server is stopping";
    for (leat_list *l = w->subs.next, *next = l->next; l != &w->subs; l = next, next = l->next)
        end_at_once(
            LEAT_CONTAINER_OF(l, leat_subscription, link),
            &(leat_failure){.code = LEAT_CODE_UNAVAILABLE, .message = leat_slice_of(reason)});
}

/* --- on the program's side: beginning and end --- */

/* Writes the text of user.id. Returns false if user is no JSON object. */
static bool read_user_id(leat_slice user, leat_buf *id, bool *has_id)
{
    leat_json_reader r;
    leat_json_token token;
    leat_slice raw;
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader_init(&r, user, &scratch, LEAT_JSON_MAX_DEPTH);
    bool good = leat_json_next(&r, &token) == 0 && token == LEAT_JSON_OBJECT_BEGIN;
    while (good && leat_json_next(&r, &token) == 0 && token == LEAT_JSON_KEY) {
        bool is_id = leat_slice_is(r.text, "id");
        if (!is_id) {
            good = leat_json_skip(&r, &raw) == 0;
            continue;
        }
        good = leat_json_next(&r, &token) == 0;
        *has_id = token == LEAT_JSON_STRING || token == LEAT_JSON_NUMBER;
        good = good && *has_id;
        if (good)
            leat_buf_slice(id, r.text);
    }
    leat_buf_close(&scratch);
    return good && leat_json_validate(user, LEAT_JSON_MAX_DEPTH) == 0;
}

static bool is_json(const char *text)
{
    return text == NULL || leat_json_validate(leat_slice_of(text), LEAT_JSON_MAX_DEPTH) == 0;
}

static int check(const leat_subscribe_options *o, const leat_subscriber_callbacks *callbacks,
                 leat_buf *id, bool *has_id, leat_error *error)
{
    if (o->size != sizeof(*o) || callbacks->size != sizeof(*callbacks))
        return embed_fail(error, "usage", "size: expected the sizeof of this leat.h");
    if (callbacks->closed == NULL)
        return embed_fail(error, "usage", "closed: expected a function");
    if (o->topic == NULL || !leat_v1_topic_ok(leat_slice_of(o->topic)))
        return embed_fail(error, "bad_request", "malformed topic");
    if (!is_json(o->params))
        return embed_fail(error, "bad_request", "params is not JSON");
    if (o->user != NULL && !read_user_id(leat_slice_of(o->user), id, has_id))
        return embed_fail(error, "bad_request",
                          "user is not a JSON object whose id is a string or a number");
    return 0;
}

static leat_slice put_text(char **at, leat_slice text)
{
    leat_slice copy = {text.at == NULL ? NULL : *at, text.len};
    if (text.len > 0)
        memcpy(*at, text.at, text.len);
    *at += text.len;
    return copy;
}

static leat_slice optional(const char *text)
{
    return text == NULL ? (leat_slice){NULL, 0} : leat_slice_of(text);
}

static struct beginning *new_beginning(const leat_subscribe_options *o, leat_slice id)
{
    leat_slice topic = leat_slice_of(o->topic);
    leat_slice user = optional(o->user);
    leat_slice params = optional(o->params);
    leat_slice epoch = optional(o->since_epoch);
    struct beginning *b =
        leat_calloc(1, sizeof(*b) + topic.len + user.len + params.len + epoch.len + id.len + 1);
    char *at = b->text;
    b->job.run = begin;
    b->topic = put_text(&at, topic);
    b->user = put_text(&at, user);
    b->user_id = put_text(&at, id);
    b->params = put_text(&at, params);
    b->since = (leat_named_position){.epoch = put_text(&at, epoch), .seq = o->since_seq};
    b->timeout_ms = o->timeout_ms;
    return b;
}

static leat_subscription *new_sub(leat_server *s, const leat_subscribe_options *o,
                                  const leat_subscriber_callbacks *callbacks, void *arg)
{
    leat_subscription *sub = leat_calloc(1, sizeof(*sub));
    sub->base.ops = &ops;
    leat_map_init(&sub->base.subs);
    leat_list_init(&sub->link);
    leat_deadline_init(&sub->expiry);
    leat_list_init(&sub->held);
    sub->server = s;
    sub->worker = embed_next_worker(s);
    sub->window = o->window_bytes == 0 ? USUAL_WINDOW : o->window_bytes;
    sub->callbacks = *callbacks;
    sub->arg = arg;
    return sub;
}

leat_subscription *leat_subscribe(leat_server *s, const leat_subscribe_options *options,
                                  const leat_subscriber_callbacks *callbacks, void *arg,
                                  leat_error *error)
{
    leat_buf id = LEAT_BUF_INIT;
    bool has_id = false;
    if (check(options, callbacks, &id, &has_id, error) < 0) {
        leat_buf_close(&id);
        return NULL;
    }
    leat_subscription *sub = new_sub(s, options, callbacks, arg);
    struct beginning *b =
        new_beginning(options, has_id ? leat_buf_view(&id) : (leat_slice){NULL, 0});
    b->sub = sub;
    leat_buf_close(&id);
    if (embed_post(s, sub->worker, &b->job, error) == 0)
        return sub;
    free(b);
    free_sub(sub);
    return NULL;
}

void leat_unsubscribe(leat_subscription *sub)
{
    if (!atomic_exchange(&sub->unsubscribed, true))
        nudge(sub, unsubscribe);
}

void leat_pause(leat_subscription *sub)
{
    sub->paused = true;
}

void leat_resume(leat_subscription *sub)
{
    if (!sub->paused || sub->resuming)
        return;
    sub->resuming = true;
    sub->resume = (inbox_item){.run = run_resume, .drop = drop_resume};
    inbox_put(&sub->server->inbox, &sub->resume);
}
