/* session.h - a session is the identity of a connection; a grant is the right to one subscription.
 * Both extend the structs of core/script.h.
 *
 * Ownership  a session is counted: _new returns one reference, _ref adds one, _unref drops one. It
 *            belongs to no load of the scripts and outlives reloads. A grant belongs to its task
 *            until the verdict hands it to the core. It holds the leat_lua whose functions and row
 *            it refers to.
 * Threads    loop thread of the worker.
 * Units      expires_at in seconds since 1970, 0: never.
 * Errors     none.
 *
 * There may be a million idle sessions, so each is one small block: ctx.user as JSON, and the
 * packed head of the request. Both become Lua values only when a handler asks for them.
 */
#ifndef LEAT_SCRIPT_TASK_SESSION_H
#define LEAT_SCRIPT_TASK_SESSION_H

#include "core/script.h"
#include "script/task/vm.h"
#include "wire/head.h"

/* The loop outlives the session; NULL: it may end before the session does. user_id.at == NULL:
 * none; user_json.at == NULL: no user. head: packed. All are copied. */
leat_session *leat_session_new(leat_loop *loop, uint64_t client, leat_slice user_id,
                               leat_slice user_json, leat_slice head, int64_t expires_at);
/* For a session that nobody else holds yet. */
void leat_session_make_operator(leat_session *session);
/* Sets the limits of a session that nobody else holds yet; copied. */
void leat_session_set_terms(leat_session *session, const leat_terms *terms);
/* Takes the plan (NULL: none), for a session that nobody else holds yet. */
void leat_session_take_plan(leat_session *session, leat_planned *plan);
/* Returns owned. The texts are copied. */
leat_planned *leat_session_planned_new(leat_slice topic, leat_slice params);
void leat_session_plan_free(leat_planned *plan); /* NULL is allowed */
leat_session *leat_session_ref(leat_session *session);
void leat_session_unref(leat_session *session); /* NULL is allowed */

leat_slice leat_session_user(const leat_session *session); /* JSON; at == NULL: none */
leat_slice leat_session_head(const leat_session *session); /* packed */

typedef struct leat_session_grant {
    leat_grant base; /* first: the core sees only this */
    leat_lua *lua;
    int row; /* kept values of lua (keep.h) */
    int refresh;
    int snapshot;
    int32_t pattern;   /* the number of the topic's entry in the catalog; -1: there is none */
    uint8_t topic_len; /* LEAT_TOPIC_MAX at most */
    char text[];       /* the topic, for log lines; the share */
} leat_session_grant;

/* Returns owned: a grant whose values are all LEAT_KEEP_NOTHING. It holds the session, which may be
 * NULL. share.at == NULL: the snapshot is not shared. */
leat_session_grant *leat_session_grant_new(leat_lua *lua, leat_session *session, leat_slice topic,
                                           leat_slice share, int64_t expires_at);
void leat_session_grant_free(leat_grant *grant); /* NULL is allowed */
leat_slice leat_session_grant_topic(const leat_session_grant *grant);

#endif
