/* script.h - what the core asks of the scripts, and what they answer.
 *
 * Ownership  a leat_call is embedded in its owner and stays valid until its callback or _cancel.
 *            Grants and sessions are the asker's once a verdict handed them over; they are given
 *            back through the ops.
 * Threads    loop thread of the worker whose scripts they are.
 * Units      absolute milliseconds on the loop clock; expires_at in seconds since 1970 (0: never).
 * Errors     an answer is a verdict with a code; nothing here fails otherwise.
 *
 * The core knows no Lua: the script layer fills in the table of functions. Each request is answered
 * exactly once, by call->cb, never from inside the request, and by deadline_ms at the latest (a
 * script that waits longer is stopped, its reads cancelled, its connection given back). After
 * _cancel there is no answer. */
#ifndef LEAT_CORE_SCRIPT_H
#define LEAT_CORE_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "base/labelled.h"
#include "base/limits.h"
#include "base/slice.h"
#include "core/route.h"
#include "pg/pg_conn.h"
#include "pg/pg_shares.h"
#include "wire/http.h"

typedef struct leat_subscriber leat_subscriber;

/* An authorised row together with who it was authorised for, and the functions that read. The
 * script layer embeds it in a struct of its own. */
typedef struct leat_grant {
    struct leat_session *session; /* held: who it was made for, and on whose account it reads */
    int64_t expires_at;
    uint32_t share_len_;
    uint16_t share_at_; /* see leat_grant_share */
    bool has_refresh;
} leat_grant;

/* The key of the reads that it shares; at == NULL: the snapshot is this viewer's own. It lies in
 * the grant's own block, share_at_ bytes from its beginning (0: there is none). */
static inline leat_slice leat_grant_share(const leat_grant *g)
{
    const char *share = g->share_at_ == 0 ? NULL : (const char *)g + g->share_at_;
    return (leat_slice){share, g->share_len_};
}

/* A topic that the connect handler subscribes its client to, once the client is let in. */
typedef struct leat_planned {
    struct leat_planned *next;
    leat_slice topic;
    leat_slice params; /* raw JSON; at == NULL: none */
} leat_planned;

/* What few sessions have. */
typedef struct leat_session_extra {
    const leat_terms *terms; /* see leat_session_terms */
    const leat_planned *plan;
} leat_session_extra;

/* Who a connection is: ctx.user and ctx.request. The script layer embeds it, too. */
struct leat_session {
    uint64_t client; /* its number in this worker; an identity that is renewed keeps it */
    int64_t expires_at;
    const leat_session_extra *extra; /* NULL: it has neither terms nor a plan */
    /* Texts of the session's own block, in bytes from its beginning; 0: there is none. */
    uint32_t user_id_at_;
    uint32_t request_id_at_;
    uint32_t user_id_len_;
    uint8_t request_id_len_;
    bool is_operator; /* may follow every topic: no handler decides, and snapshots are null */
    bool in_crowd;    /* its address was a crowd at its last subscribe */
};

/* ctx.user.id as text; at == NULL if there is none. */
static inline leat_slice leat_session_user_id(const leat_session *session)
{
    uint32_t at = session->user_id_at_;
    return (leat_slice){at == 0 ? NULL : (const char *)session + at, session->user_id_len_};
}

/* The id of the request that opened the session (wire/request_id.h); at == NULL if it has none. */
static inline leat_slice leat_session_request_id(const leat_session *session)
{
    uint32_t at = session->request_id_at_;
    return (leat_slice){at == 0 ? NULL : (const char *)session + at, session->request_id_len_};
}

/* NULL: the configuration's limits hold. */
static inline const leat_terms *leat_session_terms(const leat_session *session)
{
    return session->extra == NULL ? NULL : session->extra->terms;
}

/* The first of its planned topics; NULL: none. */
static inline const leat_planned *leat_session_plan(const leat_session *session)
{
    return session->extra == NULL ? NULL : session->extra->plan;
}

/* Returns what the session's clients may have; `otherwise` is the configuration's. session may be
 * NULL. */
static inline const leat_allowance *leat_session_allowance(const leat_session *session,
                                                           const leat_allowance *otherwise)
{
    const leat_terms *terms = session == NULL ? NULL : leat_session_terms(session);
    return terms != NULL ? &terms->allowance : otherwise;
}

/* Returns on whose account the session's reads are. session NULL: on nobody's. */
static inline leat_pg_bill leat_session_bill(const leat_session *session, leat_pg_kind kind)
{
    if (session == NULL)
        return (leat_pg_bill){.kind = kind};
    return (leat_pg_bill){kind, session->client, leat_session_user_id(session), session->in_crowd};
}

typedef struct leat_verdict {
    leat_failure failure;  /* LEAT_CODE_OK, else why not; its message is borrowed. read_failed: the
                              handler let the failure of a read pass uncaught. */
    leat_session *session; /* connect: owned by the asker from here on */
    leat_grant *grant;     /* authorize: likewise */
    uint64_t queued_ns;    /* how long the handler waited for its turn, and for connections */
    leat_slice written;    /* publish, method: the positions of what was published (wire/written.h).
                              Borrowed. */
    leat_slice json; /* snapshot, publish, method, event: the encoded result; at == NULL: nothing.
                        Borrowed. */
} leat_verdict;

typedef void (*leat_call_cb)(leat_call *call, const leat_verdict *verdict);

struct leat_call {
    void *task_; /* not NULL while an answer is due */
    leat_call_cb cb;
    /* snapshot: the script wants to read, and gets the connection by ops->lend. Never called from
     * inside the request. NULL: it has one already. */
    void (*wants_conn)(leat_call *call);
    void *data;                  /* the asker's */
    leat_subscriber *subscriber; /* whom leat.subscribe subscribes; NULL: nobody */
};

typedef struct leat_script_ops {
    /* The `connect` handler. Without one, everybody gets a session without a user. token.at != NULL
     * replaces the request's (authenticate). request is borrowed only during this call. old: the
     * session to be renewed, or NULL. */
    void (*connect)(leat_script *s, leat_call *call, const leat_http_request *request,
                    const char *remote, const leat_session *old, leat_slice token,
                    uint64_t deadline_ms);
    /* The topic's `subscribe` handler. No pattern: not_found. params: raw JSON or at == NULL. OK
     * carries the grant. */
    void (*authorize)(leat_script *s, leat_call *call, leat_session *session, leat_slice topic,
                      leat_slice params, uint64_t deadline_ms);
    /* refresh(db, row) of the grant, on conn. OK: the grant now holds the fresh row. Finding none:
     * not_found. */
    void (*refresh)(leat_script *s, leat_call *call, leat_grant *grant, leat_pg_conn *conn,
                    uint64_t deadline_ms);
    /* snapshot(db, row) of the grant, on conn, with the row last refreshed. OK carries json. conn
     * NULL: call->wants_conn is called at the first read, if there is one. */
    void (*snapshot)(leat_script *s, leat_call *call, leat_grant *grant, leat_pg_conn *conn,
                     uint64_t deadline_ms);
    /* Answers wants_conn. The call may be answered, too, from inside this one. */
    void (*lend)(leat_call *call, leat_pg_conn *conn);
    void (*publish)(leat_script *s, leat_call *call, leat_session *session, leat_slice topic,
                    leat_slice data, uint64_t deadline_ms);
    void (*method)(leat_script *s, leat_call *call, leat_session *session, leat_slice method,
                   leat_slice params, uint64_t deadline_ms);
    /* True if the topic has an `event` hook. `event` runs it: OK carries json (at == NULL: there is
     * nothing to show). */
    bool (*has_event_hook)(leat_script *s, leat_slice topic);
    void (*event)(leat_script *s, leat_call *call, leat_slice topic, int64_t seq, leat_slice data,
                  uint64_t deadline_ms);

    /* The counters of the topic's pattern (leat_labelled_pattern); NULL: no pattern matches. */
    leat_labelled *(*pattern_counts)(leat_script *s, leat_slice topic);

    void (*cancel)(leat_call *call); /* harmless if nothing is pending */
    /* The scripts stay until drop, even if a reload replaces them. For whoever calls more than one
     * of their handlers. drop may be called from inside a callback. */
    void (*hold)(leat_script *s);
    void (*drop)(leat_script *s);
    leat_session *(*session_ref)(leat_session *session);
    void (*session_unref)(leat_session *session);
    void (*grant_free)(leat_grant *grant);
    /* True if the grant was made by these scripts (not by ones that a reload replaced). */
    bool (*grant_current)(leat_script *s, const leat_grant *grant);
} leat_script_ops;

/* The head of the script layer's own struct. */
struct leat_script {
    const leat_script_ops *ops;
    const leat_route_ops *routes;
};

#endif
