/* view.c - a message finds its topic's view, and is held against it: viewer_take -> take_snapshot,
 * take_event and so on. What fits moves the view on and is entered in the ledger, which compares it
 * with what everybody else was told.
 */
#include "view_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "book.h"

static const char *const state_names[] = {"idle", "asked", "live", "leaving"};

void viewer_init(viewer *v, torture *t, int number, int user, dice *d)
{
    v->torture = t;
    v->number = number;
    v->streamed = number % TOPICS;
    v->user = user;
    v->dice = d;
}

void viewer_connected(viewer *v)
{
    v->leaving = false;
}

void viewer_disconnected(viewer *v)
{
    for (int i = 0; i < TOPICS; i++) {
        v->views[i].state = VIEW_IDLE;
        v->views[i].leave_id = 0;
        v->views[i].told = false;
    }
    v->renewal_id = 0;
    snprintf(v->trail[v->n_trail++ % TRAIL], TRAIL_LEN, "(disconnected)");
}

void viewer_leaving(viewer *v)
{
    v->leaving = true;
}

void view_trail(viewer *v, leat_slice text)
{
    snprintf(v->trail[v->n_trail++ % TRAIL], TRAIL_LEN, "%.*s",
             (int)(text.len < TRAIL_LEN - 1 ? text.len : TRAIL_LEN - 1), text.at);
}

void view_complain(viewer *v, int topic, const char *what)
{
    const view *w = &v->views[topic];
    char trail[TRAIL * (TRAIL_LEN + 4)] = "";
    size_t len = 0;
    for (unsigned i = v->n_trail < TRAIL ? 0 : v->n_trail - TRAIL; i < v->n_trail; i++)
        len += (size_t)snprintf(trail + len, sizeof(trail) - len, "\n    %s", v->trail[i % TRAIL]);
    const char *epoch =
        w->now.known ? ledger_epoch_name(v->torture->ledger, topic, w->now.at.epoch) : "-";
    torture_violation(v->torture,
                      "client=%d user=%d topic=%s state=%s epoch=%s seq=%" PRId64
                      ": %s; its last messages:%s",
                      v->number, v->user, topic_name(topic), state_names[w->state], epoch,
                      w->now.known ? w->now.at.seq : -1, what, trail);
}

void view_enter(viewer *v, int topic, const char *how)
{
    const standing *now = &v->views[topic].now;
    const char *wrong = NULL;
    if (now->emptied)
        ledger_saw_emptied(v->torture->ledger, topic, now->at, now->summary);
    else
        wrong = ledger_saw_state(v->torture->ledger, topic, now->at, now->summary);
    if (wrong != NULL)
        view_complain(v, topic, wrong);
    ledger_saw_by(v->torture->ledger, topic, v->user, now->at, how);
}

void view_stand(view *w, standing now)
{
    if (w->now.known && w->now.at.epoch != now.at.epoch)
        w->before = w->now;
    w->now = now;
    w->told = true;
}

static void take_resync(viewer *v, int topic, place to)
{
    const view *w = &v->views[topic];
    torture_count(v->torture, COUNT_RESYNCS);
    if (w->state != VIEW_LIVE && w->state != VIEW_LEAVING)
        view_complain(v, topic, "a snapshot that nobody asked for");
    else if (w->now.at.epoch != to.epoch)
        ledger_saw_move(v->torture->ledger, topic, w->now.at.epoch, to.epoch);
    else if (to.seq < w->now.at.seq)
        view_complain(v, topic, "a resync that goes back");
}

bool view_read_snapshot(viewer *v, int topic, const message *m, standing *now)
{
    *now = (standing){.known = true, .at.seq = m->seq};
    if (!message_read_summary(m->data, &now->summary) || m->seq < 0) {
        view_complain(v, topic, "a snapshot without seq or data");
        return false;
    }
    now->emptied = topic_is_watched(topic) && now->summary.n == 0;
    return true;
}

static void take_snapshot(viewer *v, int topic, const message *m)
{
    view *w = &v->views[topic];
    bool resync = m->id == 0 && !(w->state == VIEW_ASKED && w->id == 0);
    standing now;
    if (!view_read_snapshot(v, topic, m, &now))
        return;
    now.at.epoch = ledger_epoch(v->torture->ledger, topic, m->epoch);
    if (m->stale)
        torture_count(v->torture, COUNT_STALE);
    if (resync) {
        take_resync(v, topic, now.at);
    } else {
        torture_count(v->torture, COUNT_SNAPSHOTS);
        if (w->state != VIEW_ASKED || w->id != m->id)
            view_complain(v, topic, "a snapshot that nobody asked for");
        w->state = VIEW_LIVE;
    }
    view_stand(w, now);
    view_enter(v, topic, m->stale ? "a stale snapshot" : resync ? "a resync" : "a snapshot");
}

static void take_resumed(viewer *v, int topic, const message *m)
{
    view *w = &v->views[topic];
    torture_count(v->torture, COUNT_RESUMED);
    if (w->state != VIEW_ASKED || w->id != m->id || !w->since) {
        view_complain(v, topic, "resumed, and nobody asked for it");
        return;
    }
    int epoch = ledger_epoch(v->torture->ledger, topic, m->epoch);
    if (m->seq != w->asked.at.seq || epoch != w->asked.at.epoch)
        view_complain(v, topic, "resumed from somewhere else");
    if (w->told && epoch != w->now.at.epoch)
        view_complain(v, topic, "resumed in an epoch that is over");
    w->state = VIEW_LIVE;
    view_stand(w, w->asked);
}

static bool read_change(leat_slice data, int topic, change *c)
{
    return topic_is_watched(topic) ? message_read_row(data, topic - FIRST_WATCH + 1, c)
                                   : message_read_item(data, topic_has_hook(topic), c);
}

void view_take_change(viewer *v, int topic, const message *m)
{
    standing *now = &v->views[topic].now;
    change c = {.uid = 0};
    if (!read_change(m->data, topic, &c)) {
        char what[300];
        snprintf(what, sizeof(what), "an event whose data is not what was written: %.*s",
                 m->data.len < 200 ? (int)m->data.len : 200, m->data.at);
        view_complain(v, topic, what);
        return;
    }
    now->at.seq = m->seq;
    const char *wrong = ledger_saw_event(v->torture->ledger, topic, now->at, c.uid);
    if (wrong != NULL)
        view_complain(v, topic, wrong);
    if (c.bereft)
        ledger_saw_bereft(v->torture->ledger, topic, now->at);
    now->summary.n += c.delta.n;
    now->summary.x ^= c.delta.x;
    view_enter(v, topic, "an event");
}

static void take_skip(viewer *v, int topic, const message *m)
{
    place *at = &v->views[topic].now.at;
    at->seq = m->seq;
    const char *wrong = ledger_saw_event(v->torture->ledger, topic, *at, 0);
    if (wrong != NULL)
        view_complain(v, topic, wrong);
    view_enter(v, topic, "a skip");
}

static void take_event(viewer *v, int topic, const message *m, bool skip)
{
    view *w = &v->views[topic];
    place *at = &w->now.at;
    torture_count(v->torture, skip ? COUNT_SKIPS : COUNT_EVENTS);
    if (w->state != VIEW_LIVE && w->state != VIEW_LEAVING) {
        view_complain(v, topic, "an event without a subscription");
    } else if (m->seq != at->seq + 1) {
        view_complain(v, topic,
                      m->seq > at->seq + 1 ? "a hole in seq" : "an event twice, or out of order");
        at->seq = m->seq; /* tell of it once */
    } else if (skip) {
        take_skip(v, topic, m);
    } else {
        view_take_change(v, topic, m);
    }
}

static bool says(leat_slice code, const char *const *list)
{
    for (; *list != NULL; list++)
        if (leat_slice_is(code, *list))
            return true;
    return false;
}

static void take_closed(viewer *v, int topic, const message *m)
{
    static const char *const may_be[] = {"revoked", "not_found", "unavailable", "deadline_exceeded",
                                         NULL};
    view *w = &v->views[topic];
    torture_count(v->torture, COUNT_CLOSED);
    if (w->state != VIEW_LIVE && w->state != VIEW_LEAVING)
        view_complain(v, topic, "closed, and was not open");
    if (!says(m->code, may_be))
        view_complain(v, topic, "closed for no good reason");
    if (leat_slice_is(m->code, "revoked") && !topic_may_refuse(topic))
        view_complain(v, topic, "revoked, where there are no rights");
    w->state = VIEW_IDLE;
}

/* An answer to a request: subscribe's error, or unsubscribe's ok or error. */
static void take_answer(viewer *v, const message *m, bool ok)
{
    static const char *const refusals[] = {"forbidden", "not_found", NULL};
    static const char *const failures[] = {"unavailable", "deadline_exceeded", NULL};
    torture *t = v->torture;
    if (m->id == v->renewal_id && m->id != 0) {
        v->renewal_id = 0;
        if (!ok && !says(m->code, failures))
            torture_violation(t, "client=%d: authenticate answered %.*s", v->number,
                              (int)m->code.len, m->code.at);
        return;
    }
    for (int i = 0; i < TOPICS; i++) {
        view *w = &v->views[i];
        if (w->state == VIEW_ASKED && w->id == m->id) {
            bool gave_up = w->leave_id != 0 && leat_slice_is(m->code, "bad_request");
            if (ok || (!gave_up && !says(m->code, refusals) && !says(m->code, failures)))
                view_complain(v, i, "a subscribe answered in no way that fits");
            if (says(m->code, refusals) && !topic_may_refuse(i))
                view_complain(v, i, "refused, where there are no rights");
            torture_count(t, says(m->code, failures) ? COUNT_FAILED : COUNT_REFUSED);
            w->state = VIEW_IDLE;
            return;
        }
        if (w->leave_id != 0 && w->leave_id == m->id) {
            if (ok ? w->state == VIEW_ASKED : !leat_slice_is(m->code, "not_found"))
                view_complain(v, i, "an unsubscribe answered in no way that fits");
            if (!ok && w->state == VIEW_LEAVING)
                view_complain(v, i, "was subscribed, and the server says it was not");
            w->leave_id = 0;
            w->state = VIEW_IDLE;
            return;
        }
    }
    torture_violation(t, "client=%d: an answer to nothing, id=%" PRId64 " code=%.*s", v->number,
                      m->id, (int)m->code.len, m->code.at == NULL ? "" : m->code.at);
}

int view_find_topic(leat_slice name)
{
    for (int i = 0; i < TOPICS; i++)
        if (leat_slice_is(name, topic_name(i)))
            return i;
    return -1;
}

void viewer_take(viewer *v, leat_slice text)
{
    message m;
    view_trail(v, text);
    if (!message_parse(&m, text)) {
        torture_violation(v->torture, "client=%d: not a message: %.*s", v->number,
                          text.len < 200 ? (int)text.len : 200, text.at);
        return;
    }
    if (leat_slice_is(m.op, "ok") || leat_slice_is(m.op, "error")) {
        take_answer(v, &m, leat_slice_is(m.op, "ok"));
        return;
    }
    int topic = view_find_topic(m.topic);
    if (topic < 0)
        torture_violation(v->torture, "client=%d: an unknown topic: %.*s", v->number,
                          (int)m.topic.len, m.topic.at == NULL ? "" : m.topic.at);
    else if (leat_slice_is(m.op, "event"))
        take_event(v, topic, &m, false);
    else if (leat_slice_is(m.op, "skip"))
        take_event(v, topic, &m, true);
    else if (leat_slice_is(m.op, "snapshot"))
        take_snapshot(v, topic, &m);
    else if (leat_slice_is(m.op, "resumed"))
        take_resumed(v, topic, &m);
    else if (leat_slice_is(m.op, "closed"))
        take_closed(v, topic, &m);
    else if (leat_slice_is(m.op, "signal"))
        torture_count(v->torture, COUNT_SIGNALS);
    else
        view_complain(v, topic, "an unknown op");
}

void viewer_take_sse(viewer *v, const sse_event *e)
{
    message m;
    viewer_take(v, e->data);
    if (!message_parse(&m, e->data))
        return;
    const place *at = &v->views[v->streamed].now.at;
    char id[EPOCH_SIZE + 24] = "";
    if (m.seq >= 0)
        snprintf(id, sizeof(id), "%s:%" PRId64,
                 ledger_epoch_name(v->torture->ledger, v->streamed, at->epoch), at->seq);
    if (!leat_slice_equal(e->event, m.op))
        view_complain(v, v->streamed, "an event whose name is not its op");
    if (!leat_slice_is(e->id, id))
        view_complain(v, v->streamed, "an event whose id is not its position");
}

/* One of the topics in that state, by chance; -1 if there is none. */
static int pick(viewer *v, view_state state)
{
    int start = (int)roll(v->dice, TOPICS);
    for (int i = 0; i < TOPICS; i++) {
        int topic = (start + i) % TOPICS;
        if (v->views[topic].state == state && v->views[topic].leave_id == 0)
            return topic;
    }
    return -1;
}

/* Mostly from where it is; now and then from where it was in an epoch that is over, which is no
 * position. */
static void ask(viewer *v, int topic, int64_t id)
{
    view *w = &v->views[topic];
    bool outdated = w->before.known && chance(v->dice, 15);
    w->state = VIEW_ASKED;
    w->id = id;
    w->asked = outdated ? w->before : w->now;
    w->since = w->asked.known && chance(v->dice, 60);
    torture_count(v->torture, COUNT_SESSIONS);
    if (w->since && outdated)
        torture_count(v->torture, COUNT_OUTDATED);
}

const view *viewer_open_stream(viewer *v)
{
    if (chance(v->dice, 25)) /* mostly the one that it had */
        v->streamed = pick(v, VIEW_IDLE);
    ask(v, v->streamed, 0);
    return &v->views[v->streamed];
}

void viewer_refused_stream(viewer *v, int status)
{
    torture_count(v->torture, status == 403 ? COUNT_REFUSED : COUNT_FAILED);
    if (status != 503 && (status != 403 || !topic_may_refuse(v->streamed)))
        view_complain(v, v->streamed, "a stream answered in no way that fits");
}

void viewer_subscribe(viewer *v, leat_buf *text)
{
    int topic = pick(v, VIEW_IDLE);
    if (v->leaving || topic < 0)
        return;
    const view *w = &v->views[topic];
    ask(v, topic, ++v->last_id);
    leat_buf_printf(text, "{\"op\":\"subscribe\",\"id\":%" PRId64 ",\"topic\":\"%s\"", w->id,
                    topic_name(topic));
    if (w->since)
        leat_buf_printf(text, ",\"since\":{\"epoch\":\"%s\",\"seq\":%" PRId64 "}",
                        ledger_epoch_name(v->torture->ledger, topic, w->asked.at.epoch),
                        w->asked.at.seq);
    if (chance(v->dice, 25))
        leat_buf_printf(text, ",\"timeout_ms\":%u", roll_between(v->dice, 20, 3000));
    leat_buf_char(text, '}');
}

void viewer_unsubscribe(viewer *v, leat_buf *text)
{
    int topic = pick(v, chance(v->dice, 15) ? VIEW_ASKED : VIEW_LIVE);
    if (v->leaving || topic < 0)
        return;
    view *w = &v->views[topic];
    if (w->state == VIEW_LIVE)
        w->state = VIEW_LEAVING;
    w->leave_id = ++v->last_id;
    leat_buf_printf(text, "{\"op\":\"unsubscribe\",\"id\":%" PRId64 ",\"topic\":\"%s\"}",
                    w->leave_id, topic_name(topic));
    torture_count(v->torture, COUNT_UNSUBSCRIBES);
}

void viewer_authenticate(viewer *v, leat_buf *text)
{
    if (v->leaving || v->renewal_id != 0)
        return;
    v->renewal_id = ++v->last_id;
    leat_buf_printf(text, "{\"op\":\"authenticate\",\"id\":%" PRId64 ",\"token\":\"token-%d\"}",
                    v->renewal_id, v->user);
    torture_count(v->torture, COUNT_RENEWALS);
}

/* What there is still to wait for; NULL: nothing. */
static const char *unsettled(const viewer *v, int topic)
{
    const ledger *l = v->torture->ledger;
    const view *w = &v->views[topic];
    if (w->state == VIEW_ASKED || w->leave_id != 0)
        return "a request that is never answered";
    if (w->state == VIEW_LIVE && !ledger_at_end(l, topic, w->now.at))
        return "is behind the topic, and nothing comes";
    if (w->state == VIEW_LIVE && topic_expires(topic) && !ledger_has_right(l, topic, v->user))
        return "has lost its right, which never expires";
    return NULL;
}

bool view_settled(viewer *v, const char *(*look)(const viewer *v, int topic), bool report)
{
    bool settled = true;
    for (int i = 0; i < TOPICS; i++) {
        const char *what = look(v, i);
        settled = settled && what == NULL;
        if (what != NULL && report)
            view_complain(v, i, what);
    }
    return settled;
}

bool viewer_settled(viewer *v, bool report)
{
    return view_settled(v, unsettled, report);
}

unsigned viewer_live(const viewer *v)
{
    unsigned n = 0;
    for (int i = 0; i < TOPICS; i++)
        n += v->views[i].state == VIEW_LIVE;
    return n;
}
