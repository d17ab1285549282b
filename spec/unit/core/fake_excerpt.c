/* fake_excerpt.c - an outbox that answers no client's history. */
#include "outbox/excerpt.h"

#include <stdlib.h>

#include "base/mem.h"

struct leat_excerpt {
    char nothing;
};

leat_excerpt *leat_excerpt_start(leat_pg_pool *pool, const leat_excerpt_ask *ask, leat_pg_bill bill,
                                 uint64_t deadline_ms, leat_excerpt_cb cb, void *arg)
{
    (void)pool, (void)ask, (void)bill, (void)deadline_ms, (void)cb, (void)arg;
    return leat_calloc(1, sizeof(leat_excerpt));
}

void leat_excerpt_cancel(leat_excerpt *e)
{
    free(e);
}

leat_named_position leat_excerpt_head(const leat_excerpt *e)
{
    (void)e;
    return (leat_named_position){.seq = 0};
}

bool leat_excerpt_leads_on(const leat_excerpt *e)
{
    (void)e;
    return false;
}

leat_excerpt_event leat_excerpt_event_at(const leat_excerpt *e, size_t i)
{
    (void)e, (void)i;
    return (leat_excerpt_event){.seq = 0};
}

const char *leat_excerpt_reason(const leat_excerpt *e)
{
    (void)e;
    return "";
}

const char *leat_excerpt_sqlstate(const leat_excerpt *e)
{
    (void)e;
    return "";
}
