/* publisher.c - one batch after the other; each event's data has its number and the time at which
 * its batch was handed to the driver. */
#include "load/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/tool.h"

static const uint64_t NS = 1000000000;
static const uint64_t WINDOW_SLEEP_NS = 20000;

static message *make_batch(const plan *p)
{
    message *batch = tool_calloc((size_t)p->per_commit, sizeof(*batch));
    for (int i = 0; i < p->per_commit; i++)
        batch[i].data = tool_calloc(MESSAGE_DATA_BYTES, 1);
    return batch;
}

static void free_batch(const plan *p, message *batch)
{
    for (int i = 0; i < p->per_commit; i++)
        free(batch[i].data);
    free(batch);
}

static void fill(const plan *p, message *m, int event, uint64_t now_ns)
{
    plan_topic(p, plan_topic_of_event(p, event), m->topic);
    int n = snprintf(m->data, MESSAGE_DATA_BYTES, "{\"n\":%d,\"t\":%lu,\"body\":\"", event,
                     (unsigned long)now_ns);
    size_t body = (size_t)p->body_bytes, room = MESSAGE_DATA_BYTES - (size_t)n - 3;
    body = body < room ? body : room;
    memset(m->data + n, 'x', body);
    memcpy(m->data + n + body, "\"}", 3);
    m->length = (size_t)n + body + 2;
}

static void await_window(const publisher *p, int sent, int n)
{
    while (p->plan->window > 0 &&
           sent + n - (int)atomic_load(&p->meter->completed) > p->plan->window)
        tool_sleep_until(tool_now_ns() + WINDOW_SLEEP_NS);
}

static void await_time(publisher *p, uint64_t began_ns, int sent)
{
    if (p->plan->rate <= 0)
        return;
    uint64_t due = began_ns + (uint64_t)((double)sent / p->plan->rate * (double)NS);
    uint64_t now = tool_now_ns();
    if (now < due)
        tool_sleep_until(due);
    else if (now - due > p->late_ns)
        p->late_ns = now - due;
}

static void publish_all(publisher *p, const driver *d, void *session)
{
    message *batch = make_batch(p->plan);
    uint64_t began = tool_now_ns();
    for (int sent = 0; sent < p->events;) {
        int left = p->events - sent;
        int n = left < p->plan->per_commit ? left : p->plan->per_commit;
        await_time(p, began, sent);
        await_window(p, sent, n);
        uint64_t now = tool_now_ns();
        for (int i = 0; i < n; i++)
            fill(p->plan, &batch[i], sent + i, now);
        d->send(session, batch, n);
        sent += n;
        atomic_store(&p->sent, sent);
    }
    p->took_ns = tool_now_ns() - began;
    free_batch(p->plan, batch);
}

static void *run(void *arg)
{
    publisher *p = arg;
    const driver *d = driver_find(p->plan->driver);
    if (d == NULL)
        tool_fail("driver=%s is not known", p->plan->driver);
    void *session = d->open(p->plan);
    publish_all(p, d, session);
    d->close(session);
    return NULL;
}

void publisher_start(publisher *p)
{
    if (pthread_create(&p->thread, NULL, run, p) != 0)
        tool_fail("cannot start a thread");
}

void publisher_join(publisher *p)
{
    pthread_join(p->thread, NULL);
}
