/* embed_sub_tell.c - what the program is told: on the worker an item is made (embed_sub_tell_*) ->
 * inbox -> on the program's side `tell`, or `tell_ending` -> a callback of the program.
 *
 * A paused subscription holds its items. leat_resume puts `resume` into the inbox, because
 * callbacks run only there. Nothing overtakes what is held. `closed` waits for nothing: what is
 * held then is told first, if the program has resumed, and else dropped. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/embed_sub.h"

enum { ITEM_BYTES = 128 }; /* what an item costs besides its text */

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

/* --- on the program's side --- */

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

/* The program has taken it. A cursor stops at `window`: so it is told again below the half. */
static void count_taken(leat_subscription *sub, size_t bytes)
{
    size_t half = (sub->window + 1) / 2;
    size_t before = atomic_fetch_sub(&sub->waiting, bytes);
    bool has_room = before >= half && before - bytes < half;
    bool is_empty = before == bytes && atomic_exchange(&sub->awaits, false);
    if (has_room || is_empty)
        embed_sub_give_room(sub);
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

static void take(struct told *t)
{
    leat_subscription *sub = t->sub;
    if (!atomic_load(&sub->unsubscribed))
        call(t);
    count_taken(sub, cost_of(t));
    free_told(t);
}

static void tell(inbox_item *item)
{
    struct told *t = LEAT_CONTAINER_OF(item, struct told, item);
    leat_subscription *sub = t->sub;
    if (sub->phase == EMBED_SUB_PAUSED || !leat_list_empty(&sub->held))
        leat_list_push(&sub->held, &item->link_);
    else
        take(t);
}

/* A callback may pause the subscription again. */
static void tell_held(leat_subscription *sub)
{
    while (sub->phase == EMBED_SUB_TELLS && !leat_list_empty(&sub->held)) {
        inbox_item *item = LEAT_CONTAINER_OF(leat_list_take(&sub->held), inbox_item, link_);
        take(LEAT_CONTAINER_OF(item, struct told, item));
    }
}

static void drop_held(leat_subscription *sub)
{
    for (leat_list *l = leat_list_shift(&sub->held); l != NULL; l = leat_list_shift(&sub->held))
        drop_told(LEAT_CONTAINER_OF(l, inbox_item, link_));
}

static void release_if_done(leat_subscription *sub)
{
    if (sub->phase == EMBED_SUB_OVER && !sub->resuming)
        embed_sub_release(sub);
}

static void free_ending(struct ending *e)
{
    leat_subscription *sub = e->sub;
    sub->phase = EMBED_SUB_OVER;
    drop_held(sub);
    free(e);
    release_if_done(sub);
}

static void drop_ending(inbox_item *item)
{
    free_ending(LEAT_CONTAINER_OF(item, struct ending, item));
}

static void tell_ending(inbox_item *item)
{
    struct ending *e = LEAT_CONTAINER_OF(item, struct ending, item);
    leat_subscription *sub = e->sub;
    tell_held(sub);
    sub->callbacks.closed(sub->arg, sub, &e->why);
    free_ending(e);
}

static void run_resume(inbox_item *item)
{
    leat_subscription *sub = LEAT_CONTAINER_OF(item, leat_subscription, resume);
    sub->resuming = false;
    tell_held(sub);
    release_if_done(sub);
}

static void drop_resume(inbox_item *item)
{
    leat_subscription *sub = LEAT_CONTAINER_OF(item, leat_subscription, resume);
    sub->resuming = false;
    release_if_done(sub);
}

static void check_thread(const leat_subscription *sub, const char *function)
{
    embed_check(embed_on_callback_thread(sub->server), function,
                "only on the thread of the callbacks");
}

void leat_pause(leat_subscription *sub)
{
    check_thread(sub, "leat_pause");
    if (sub->phase != EMBED_SUB_OVER)
        sub->phase = EMBED_SUB_PAUSED;
}

void leat_resume(leat_subscription *sub)
{
    check_thread(sub, "leat_resume");
    if (sub->phase == EMBED_SUB_OVER)
        return;
    sub->phase = EMBED_SUB_TELLS;
    if (sub->resuming || leat_list_empty(&sub->held))
        return;
    sub->resuming = true;
    sub->resume = (inbox_item){.run = run_resume, .drop = drop_resume};
    inbox_put(&sub->server->inbox, &sub->resume);
}

/* --- on the worker --- */

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

void embed_sub_tell_snapshot(leat_subscription *sub, const leat_snapshot *snapshot)
{
    const leat_position *at = &snapshot->position;
    struct told *t = new_told(leat_epoch_text(at->epoch), at->seq, snapshot->json);
    t->what = SNAPSHOT;
    t->stale = snapshot->stale;
    put(sub, t);
}

void embed_sub_tell_resumed(leat_subscription *sub, const leat_position *at)
{
    struct told *t = new_told(leat_epoch_text(at->epoch), at->seq, (leat_slice){NULL, 0});
    t->what = RESUMED;
    put(sub, t);
}

void embed_sub_tell_event(leat_subscription *sub, leat_event *e, const leat_epoch *epoch)
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
    put(sub, t);
}

void embed_sub_tell_end(leat_subscription *sub, const leat_failure *why)
{
    struct ending *e = leat_calloc(1, sizeof(*e));
    e->item = (inbox_item){.run = tell_ending, .drop = drop_ending};
    e->sub = sub;
    embed_tell(&e->why, why);
    inbox_put(&sub->server->inbox, &e->item);
}
