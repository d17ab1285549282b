/* session.c - a session and a grant are one block of memory each, with their texts at the end. */
#include "script/task/session.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "base/mem.h"
#include "wire/request_id.h"

struct session {
    leat_session base;
    leat_pool *pool; /* NULL: malloc's */
    uint32_t refs;
    uint32_t user_len; /* UINT32_MAX: no user */
    uint32_t head_len;
    char bytes[]; /* user, head, user id, a zero byte */
};

/* Takes a block from the pool, unless it is too large for one. */
static void *take(leat_pool *pool, size_t size)
{
    return pool != NULL && size <= LEAT_POOL_MAX ? leat_pool_take(pool, size)
                                                 : leat_calloc(1, size);
}

static void give(leat_pool *pool, void *block, size_t size)
{
    if (pool != NULL && size <= LEAT_POOL_MAX)
        leat_pool_give(pool, block);
    else
        free(block);
}

static char *append(char *at, leat_slice s)
{
    if (s.len > 0)
        memcpy(at, s.at, s.len);
    return at + s.len;
}

static size_t session_size(size_t user_len, size_t head_len, size_t user_id_len)
{
    return offsetof(struct session, bytes) + user_len + head_len + user_id_len + 1;
}

leat_session *leat_session_new(leat_loop *loop, uint64_t client, leat_slice user_id,
                               leat_slice user_json, leat_slice head, int64_t expires_at)
{
    leat_pool *pool = loop == NULL ? NULL : leat_loop_pool(loop);
    struct session *s = take(pool, session_size(user_json.len, head.len, user_id.len));
    s->pool = pool;
    s->refs = 1;
    s->user_len = user_json.at == NULL ? UINT32_MAX : (uint32_t)user_json.len;
    s->head_len = (uint32_t)head.len;
    char *id = append(append(s->bytes, user_json), head);
    append(id, user_id);
    if (user_id.at != NULL)
        s->base.user_id_at_ = (uint32_t)(id - (char *)s);
    s->base.user_id_len_ = (uint32_t)user_id.len;
    s->base.client = client;
    leat_head opened = leat_head_read(leat_session_head(&s->base));
    leat_slice request_id = leat_request_id_of_head(&opened);
    if (request_id.at != NULL)
        s->base.request_id_at_ = (uint32_t)(request_id.at - (char *)s);
    s->base.request_id_len_ = (uint8_t)request_id.len;
    s->base.expires_at = expires_at;
    return &s->base;
}

void leat_session_make_operator(leat_session *session)
{
    session->is_operator = true;
}

/* Made if need be. The session owns it, and what it refers to. */
static leat_session_extra *extra_of(leat_session *session)
{
    if (session->extra == NULL)
        session->extra = leat_calloc(1, sizeof(*session->extra));
    return (leat_session_extra *)session->extra;
}

static void free_extra(const leat_session_extra *extra)
{
    if (extra == NULL)
        return;
    free((void *)extra->terms);
    leat_session_plan_free((leat_planned *)extra->plan);
    free((void *)extra);
}

/* The terms are a block of their own, with the tenant's name at its end. */
void leat_session_set_terms(leat_session *session, const leat_terms *terms)
{
    leat_terms *own = leat_calloc(1, sizeof(*own) + terms->tenant.len);
    *own = *terms;
    append((char *)(own + 1), terms->tenant);
    if (terms->tenant.at != NULL)
        own->tenant.at = (char *)(own + 1);
    extra_of(session)->terms = own;
}

leat_planned *leat_session_planned_new(leat_slice topic, leat_slice params)
{
    leat_planned *p = leat_calloc(1, sizeof(*p) + topic.len + params.len);
    char *at = (char *)(p + 1);
    p->topic = (leat_slice){at, topic.len};
    at = append(at, topic);
    p->params = (leat_slice){params.len > 0 ? at : NULL, params.len};
    append(at, params);
    return p;
}

void leat_session_plan_free(leat_planned *plan)
{
    while (plan != NULL) {
        leat_planned *next = plan->next;
        free(plan);
        plan = next;
    }
}

void leat_session_take_plan(leat_session *session, leat_planned *plan)
{
    if (plan != NULL)
        extra_of(session)->plan = plan;
}

leat_session *leat_session_ref(leat_session *session)
{
    LEAT_CONTAINER_OF(session, struct session, base)->refs++;
    return session;
}

void leat_session_unref(leat_session *session)
{
    struct session *s = LEAT_CONTAINER_OF(session, struct session, base);
    if (s == NULL || --s->refs > 0)
        return;
    free_extra(s->base.extra);
    give(s->pool, s,
         session_size(leat_session_user(session).len, s->head_len, s->base.user_id_len_));
}

leat_slice leat_session_user(const leat_session *session)
{
    const struct session *s = LEAT_CONTAINER_OF(session, struct session, base);
    if (s->user_len == UINT32_MAX)
        return (leat_slice){NULL, 0};
    return (leat_slice){s->bytes, s->user_len};
}

leat_slice leat_session_head(const leat_session *session)
{
    const struct session *s = LEAT_CONTAINER_OF(session, struct session, base);
    return (leat_slice){s->bytes + leat_session_user(session).len, s->head_len};
}

/* Returns the bytes of a grant. Its topic ends with a zero byte. */
static size_t grant_size(size_t topic_len, size_t share_len)
{
    return offsetof(leat_session_grant, text) + topic_len + 1 + share_len;
}

leat_session_grant *leat_session_grant_new(leat_lua *lua, leat_session *session, leat_slice topic,
                                           leat_slice share, int64_t expires_at)
{
    size_t size = grant_size(topic.len, share.len);
    leat_session_grant *g = take(leat_loop_pool(lua->core->loop), size);
    g->lua = lua;
    if (session != NULL)
        g->base.session = leat_session_ref(session);
    g->row = g->refresh = g->snapshot = LEAT_KEEP_NOTHING;
    g->topic_len = (uint8_t)topic.len;
    g->pattern = -1;
    char *at = append(g->text, topic) + 1;
    append(at, share);
    if (share.at != NULL)
        g->base.share_at_ = (uint16_t)(at - (char *)g);
    g->base.share_len_ = (uint32_t)share.len;
    g->base.expires_at = expires_at;
    leat_vm_hold(lua);
    return g;
}

void leat_session_grant_free(leat_grant *grant)
{
    leat_session_grant *g = LEAT_CONTAINER_OF(grant, leat_session_grant, base);
    if (g == NULL)
        return;
    leat_lua *lua = g->lua;
    leat_session_unref(g->base.session);
    leat_keep_drop(&lua->keep, lua->L, g->row);
    leat_keep_drop(&lua->keep, lua->L, g->refresh);
    leat_keep_drop(&lua->keep, lua->L, g->snapshot);
    give(leat_loop_pool(lua->core->loop), g, grant_size(g->topic_len, g->base.share_len_));
    leat_vm_drop(lua);
}

leat_slice leat_session_grant_topic(const leat_session_grant *grant)
{
    return (leat_slice){grant->text, grant->topic_len};
}
