/* client_foreign.c - on_turn hands over the rest of a frame. What is not looked at then stays in
 * the same buffer: a frame may have many thousands of messages, and must not be copied for each
 * share.
 */
#include "core/client_foreign.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/mem.h"

typedef struct void_topic {
    leat_list link;
    size_t len;
    char name[];
} void_topic;

struct client_foreign {
    leat_core *core;
    bool (*on_rest)(void *owner, leat_slice frame);
    void *owner;
    leat_sweep turn;
    leat_buf rest;
    size_t done;      /* bytes at the front of the rest that were looked at */
    leat_buf *handed; /* within on_rest: what it looks at; else NULL */
    leat_list voids;  /* void_topic; at most max_subscriptions */
    size_t n_voids;
    leat_list histories;
    leat_list renewals;
    client_welcome *welcome;
    uint64_t pinged_ms;
};

static void on_turn(leat_sweep *s);

client_foreign *client_foreign_new(leat_core *core, bool (*on_rest)(void *owner, leat_slice frame),
                                   void *owner)
{
    client_foreign *f = leat_calloc(1, sizeof(*f));
    f->core = core;
    f->on_rest = on_rest;
    f->owner = owner;
    f->pinged_ms = leat_loop_now(core->loop);
    leat_sweep_init(&f->turn, on_turn);
    leat_list_init(&f->voids);
    leat_list_init(&f->histories);
    leat_list_init(&f->renewals);
    return f;
}

static void count(client_foreign *f, int64_t bytes)
{
    leat_metrics_add(f->core->metrics, LEAT_M_RECEIVED_BYTES, bytes);
}

static void free_void(client_foreign *f, void_topic *v)
{
    leat_list_unlink(&v->link);
    f->n_voids--;
    free(v);
}

static void free_oldest_void(client_foreign *f)
{
    free_void(f, LEAT_CONTAINER_OF(leat_list_take(&f->voids), void_topic, link));
}

void client_foreign_free(client_foreign *f)
{
    if (f == NULL)
        return;
    count(f, -(int64_t)client_foreign_waiting(f));
    leat_buf_close(&f->rest);
    leat_sweep_cancel(&f->turn);
    client_welcome_free(f->welcome);
    while (f->n_voids > 0)
        free_oldest_void(f);
    free(f);
}

/* --- the rest of a frame --- */

void client_foreign_keep(client_foreign *f, leat_slice frame)
{
    if (f->handed != NULL) {
        f->rest = *f->handed;
        f->done = f->rest.len - frame.len;
        *f->handed = LEAT_BUF_INIT;
    } else {
        leat_buf_slice(&f->rest, frame);
    }
    count(f, (int64_t)f->rest.cap);
}

size_t client_foreign_waiting(const client_foreign *f)
{
    return f == NULL ? 0 : f->rest.cap;
}

void client_foreign_go_on(client_foreign *f)
{
    leat_sweep_schedule_later(f->core->loop, &f->turn);
}

static void on_turn(leat_sweep *s)
{
    client_foreign *f = LEAT_CONTAINER_OF(s, client_foreign, turn);
    leat_buf frame = f->rest;
    leat_slice left = {frame.at + f->done, frame.len - f->done};
    f->rest = LEAT_BUF_INIT;
    f->done = 0;
    f->handed = &frame;
    count(f, -(int64_t)frame.cap);
    if (f->on_rest(f->owner, left))
        f->handed = NULL;
    leat_buf_close(&frame);
}

/* --- topics to be subscribed anew --- */

static void_topic *find(const client_foreign *f, leat_slice topic)
{
    for (leat_list *l = f->voids.next; l != &f->voids; l = l->next) {
        void_topic *v = LEAT_CONTAINER_OF(l, void_topic, link);
        if (leat_slice_equal((leat_slice){v->name, v->len}, topic))
            return v;
    }
    return NULL;
}

/* The oldest makes room: its client has not come back to it. */
void client_foreign_void(client_foreign *f, leat_slice topic)
{
    if (f == NULL || find(f, topic) != NULL)
        return;
    if (f->n_voids >= f->core->limits->allowance.max_subscriptions)
        free_oldest_void(f);
    void_topic *v = leat_calloc(1, sizeof(*v) + topic.len);
    v->len = topic.len;
    memcpy(v->name, topic.at, topic.len);
    leat_list_push(&f->voids, &v->link);
    f->n_voids++;
}

bool client_foreign_take_void(client_foreign *f, leat_slice topic)
{
    void_topic *v = f == NULL ? NULL : find(f, topic);
    if (v == NULL)
        return false;
    free_void(f, v);
    return true;
}

/* --- requests --- */

leat_list *client_foreign_histories(client_foreign *f)
{
    return &f->histories;
}

leat_list *client_foreign_renewals(client_foreign *f)
{
    return &f->renewals;
}

/* --- the welcome --- */

client_welcome **client_foreign_welcome(client_foreign *f)
{
    return &f->welcome;
}

/* --- pings --- */

bool client_foreign_take_ping(client_foreign *f, uint64_t look_ms)
{
    if (f == NULL || look_ms < f->pinged_ms + f->core->limits->ping_interval_ms)
        return false;
    f->pinged_ms = leat_loop_now(f->core->loop);
    return true;
}
