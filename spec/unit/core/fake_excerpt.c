/* fake_excerpt.c - one read at a time: it is kept until the test answers it, or it is cancelled. */
#include "fake_excerpt.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

static leat_excerpt *running;

const leat_excerpt *fake_excerpt(void)
{
    return running;
}

leat_excerpt *leat_excerpt_start(leat_pg_pool *pool, const leat_excerpt_ask *ask, leat_pg_bill bill,
                                 uint64_t deadline_ms, leat_excerpt_cb cb, void *arg)
{
    leat_excerpt *e = leat_calloc(1, sizeof(*e));
    (void)pool, (void)bill;
    LEAT_ASSERT(running == NULL && ask->topic.len < sizeof(e->topic));
    memcpy(e->topic, ask->topic.at, ask->topic.len);
    e->ask = *ask;
    e->ask.topic = leat_slice_of(e->topic);
    e->deadline_ms = deadline_ms;
    e->cb = cb;
    e->arg = arg;
    running = e;
    return e;
}

void leat_excerpt_cancel(leat_excerpt *e)
{
    LEAT_ASSERT(e == running);
    running = NULL;
    free(e);
}

static void end(int err, size_t n)
{
    leat_excerpt *e = running;
    LEAT_ASSERT(e != NULL);
    running = NULL;
    e->cb(e, err, n, e->arg);
    free(e);
}

void fake_excerpt_answer(leat_named_position head, bool leads_on, const leat_excerpt_event *events,
                         size_t n)
{
    LEAT_ASSERT(running != NULL);
    running->head = head;
    running->leads_on = leads_on;
    running->events = events;
    end(0, n);
}

void fake_excerpt_fail(int err)
{
    end(err, 0);
}

leat_named_position leat_excerpt_head(const leat_excerpt *e)
{
    return e->head;
}

bool leat_excerpt_leads_on(const leat_excerpt *e)
{
    return e->leads_on;
}

leat_excerpt_event leat_excerpt_event_at(const leat_excerpt *e, size_t i)
{
    return e->events[i];
}

const char *leat_excerpt_reason(const leat_excerpt *e)
{
    (void)e;
    return "the test says so";
}

const char *leat_excerpt_sqlstate(const leat_excerpt *e)
{
    (void)e;
    return "";
}
