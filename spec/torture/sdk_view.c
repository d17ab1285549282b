/* sdk_view.c - a line finds its topic's view, as in view.c: ASKED from `subscribing` on, LIVE from
 * `snapshot` or `recovered` on, IDLE after `unsubscribed`.
 */
#include "sdk_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "view_private.h"

enum { RESYNC = 2500, INTERNAL = 100, NOT_FOUND = 102, FORBIDDEN = 103, REVOKED = 2000 };

static int code_of(const message *m)
{
    return m->code.at == NULL ? -1 : atoi(m->code.at);
}

static void take_subscribing(viewer *v, int topic, const message *m)
{
    v->views[topic].state = VIEW_ASKED;
    if (code_of(m) == RESYNC)
        torture_count(v->torture, COUNT_SDK_RESYNCS);
}

/* At a stale snapshot an SDK is told an epoch that is none, at which no recovery begins. */
static void take_snapshot(viewer *v, int topic, const message *m)
{
    view *w = &v->views[topic];
    standing now;
    torture_count(v->torture, COUNT_SDK_SNAPSHOTS);
    if (w->state != VIEW_ASKED)
        view_complain(v, topic, "a snapshot that nobody asked for");
    if (!view_read_snapshot(v, topic, m, &now))
        return;
    w->state = VIEW_LIVE;
    w->stale = leat_slice_is(m->epoch, "stale");
    now.known = !w->stale;
    if (w->stale) {
        torture_count(v->torture, COUNT_SDK_STALE);
        w->now = now;
        return;
    }
    now.at.epoch = ledger_epoch(v->torture->ledger, topic, m->epoch);
    view_stand(w, now);
    view_enter(v, topic, "a snapshot");
}

static void take_recovered(viewer *v, int topic, const message *m)
{
    view *w = &v->views[topic];
    torture_count(v->torture, COUNT_SDK_RECOVERED);
    if (w->state != VIEW_ASKED || !w->now.known)
        view_complain(v, topic, "recovered, and nobody asked for it");
    else if (m->seq != w->now.at.seq ||
             ledger_epoch(v->torture->ledger, topic, m->epoch) != w->now.at.epoch)
        view_complain(v, topic, "recovered from somewhere else");
    w->state = VIEW_LIVE;
}

static void take_event(viewer *v, int topic, const message *m)
{
    view *w = &v->views[topic];
    torture_count(v->torture, COUNT_SDK_EVENTS);
    if (w->state != VIEW_LIVE)
        view_complain(v, topic, "an event without a subscription");
    else if (m->seq <= w->now.at.seq)
        view_complain(v, topic, "an event twice, or out of order");
    else if (w->stale)
        w->now.at.seq = m->seq; /* nobody can say what it is to be compared with */
    else
        view_take_change(v, topic, m);
}

/* By the application itself (0), or by the server. */
static void take_unsubscribed(viewer *v, int topic, const message *m)
{
    int code = code_of(m);
    v->views[topic].state = VIEW_IDLE;
    if (code == 0)
        return;
    torture_count(v->torture, COUNT_SDK_REFUSED);
    if (code != FORBIDDEN && code != NOT_FOUND && code != REVOKED)
        view_complain(v, topic, "unsubscribed for no good reason");
    if (!topic_may_refuse(topic))
        view_complain(v, topic, "refused or revoked, where there are no rights");
}

/* What the SDK tries again. Its own codes are below 100. */
static void take_error(viewer *v, const message *m)
{
    torture_count(v->torture, COUNT_SDK_ERRORS);
    if (code_of(m) > INTERNAL)
        torture_violation(v->torture, "client=%d: an error with code %d", v->number, code_of(m));
}

/* True if the line is about the connection. */
static bool take_connection(viewer *v, const message *m)
{
    if (leat_slice_is(m->op, "connected"))
        torture_count(v->torture, COUNT_SDK_CONNECTS);
    else if (leat_slice_is(m->op, "error"))
        take_error(v, m);
    else if (leat_slice_is(m->op, "disconnected"))
        torture_violation(v->torture, "client=%d: disconnected with code %d", v->number,
                          code_of(m));
    else
        return false;
    return true;
}

void sdk_view_take(viewer *v, const message *m, leat_slice line)
{
    static const struct {
        const char *op;
        void (*take)(viewer *v, int topic, const message *m);
    } ops[] = {
        {"event", take_event},
        {"subscribing", take_subscribing},
        {"snapshot", take_snapshot},
        {"recovered", take_recovered},
        {"unsubscribed", take_unsubscribed},
    };
    view_trail(v, line);
    if (take_connection(v, m))
        return;
    int topic = view_find_topic(m->topic);
    if (topic < 0)
        torture_die("an unknown topic: %.*s", (int)line.len, line.at);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (leat_slice_is(m->op, ops[i].op)) {
            ops[i].take(v, topic, m);
            return;
        }
    }
    torture_count(v->torture, COUNT_SDK_SIGNALS);
}

static const char *unsettled(const viewer *v, int topic)
{
    const ledger *l = v->torture->ledger;
    const view *w = &v->views[topic];
    if (w->state == VIEW_ASKED)
        return "a request that is never answered";
    if (w->state != VIEW_LIVE)
        return NULL;
    if (w->stale)
        return "is stale, and nothing comes";
    if (!ledger_shows_no_more(l, topic, w->now.at))
        return "is behind the topic, and nothing comes";
    if (topic_expires(topic) && !ledger_has_right(l, topic, v->user))
        return "has lost its right, which never expires";
    return NULL;
}

bool sdk_view_settled(viewer *v, bool report)
{
    return view_settled(v, unsettled, report);
}
