/* ledger_check.c - compares what clients saw with what Postgres committed.
 *
 * ledger_check runs these, in this order: the log itself is in commit order and has what the
 * writers did (check_deeds, check_log); what clients saw is what the log says (check_book,
 * check_moves); nobody was shown what they had no right to (check_rights); the tables agree with
 * the log (check_tables).
 */
#include "ledger_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "writer.h"

static PGresult *ask(PGconn *conn, const char *sql)
{
    PGresult *r = PQexec(conn, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        torture_die("the checker cannot read: %s", PQerrorMessage(conn));
    return r;
}

static int64_t int_at(const PGresult *r, int row, int column)
{
    return strtoll(PQgetvalue(r, row, column), NULL, 10);
}

/* Commit order: an event whose commit was confirmed before another one's transaction began stands
 * before it; and what one writer did stands in the order in which he did it. */
static void check_log(ledger *l, int topic)
{
    torture *t = l->torture;
    const history *h = &l->truth.topics[topic];
    int64_t last_of[MAX_WRITERS + 1] = {0};
    for (const entry *e = h->log + 1; e <= h->log + h->n; e++) {
        if (e->uid <= 0)
            continue;
        int whose = writers_of(e->uid);
        if (e->uid <= last_of[whose])
            torture_violation(t, "log topic=%s epoch=%s seq=%" PRId64 ": out of its writer's order",
                              topic_name(topic), h->spans[e->span].name, e->seq);
        last_of[whose] = e->uid;
    }
    uint64_t confirmed = UINT64_MAX;
    for (const entry *e = h->log + h->n; e > h->log; e--) {
        const deed *d = e->uid <= 0 ? NULL : writers_deed(t->writers, e->uid);
        if (d == NULL)
            continue;
        if (confirmed < d->began_ns)
            torture_violation(t,
                              "log topic=%s epoch=%s seq=%" PRId64
                              ": began when a later one was confirmed already",
                              topic_name(topic), h->spans[e->span].name, e->seq);
        confirmed = d->acked_ns < confirmed ? d->acked_ns : confirmed;
    }
}

static bool *logged(const ledger *l, int64_t uid)
{
    return &l->logged[writers_of(uid)][uid & 0xffffffff];
}

/* Notes which deeds are in the log. */
static void mark_logged(ledger *l)
{
    torture *t = l->torture;
    size_t n[MAX_WRITERS + 1] = {0};
    for (int64_t uid = writers_next(t->writers, 0); uid != 0; uid = writers_next(t->writers, uid))
        n[writers_of(uid)]++;
    for (int i = 0; i <= MAX_WRITERS; i++)
        l->logged[i] = calloc(n[i] + 1, sizeof(bool));
    for (int topic = 0; topic < TOPICS; topic++) {
        const history *h = &l->truth.topics[topic];
        for (const entry *e = h->log + 1; e <= h->log + h->n; e++) {
            const deed *d = e->uid == 0 ? NULL : writers_deed(t->writers, llabs(e->uid));
            if (e->uid != 0 && (d == NULL || (e->uid > 0 && d->topic != topic)))
                torture_violation(
                    t, "log topic=%s epoch=%s seq=%" PRId64 ": nobody wrote uid=%" PRId64,
                    topic_name(topic), h->spans[e->span].name, e->seq, e->uid);
            if (d != NULL && e->uid > 0)
                *logged(l, e->uid) = true;
        }
    }
}

/* The index of the failover that ended the timeline which that deed was done on; n if it is the
 * present one. A connection that stood before a primary's end led to no later one. */
static int ended_by(const ledger *l, const deed *d)
{
    int n, i = 0;
    const failover *f = cluster_failovers(l->torture->cluster, &n);
    while (i < n && d->began_ns > f[i].dead_ns)
        i++;
    return i;
}

/* What was confirmed is in the log, unless a primary's crash took it; what was rolled back is not.
 * A standby has its primary's log up to some point: nothing survives that began when something
 * lost was confirmed already. */
static void check_deeds(ledger *l)
{
    torture *t = l->torture;
    int n;
    const failover *f = cluster_failovers(t->cluster, &n);
    uint64_t *lost_ns = malloc(((size_t)n + 1) * sizeof(*lost_ns)); /* the first to be lost */
    for (int i = 0; i <= n; i++)
        lost_ns[i] = UINT64_MAX;
    for (int64_t uid = writers_next(t->writers, 0); uid != 0; uid = writers_next(t->writers, uid)) {
        const deed *d = writers_deed(t->writers, uid);
        bool there = *logged(l, uid);
        if (d->outcome == OUTCOME_ROLLED_BACK && there)
            torture_violation(t, "topic=%s uid=%" PRId64 ": rolled back, and in the log",
                              topic_name(d->topic), uid);
        if (d->outcome != OUTCOME_COMMITTED || d->topic == NO_TOPIC || there)
            continue;
        int i = ended_by(l, d);
        if (i == n || f[i].clean)
            torture_violation(t, "topic=%s uid=%" PRId64 ": committed, and not in the log",
                              topic_name(d->topic), uid);
        torture_count(t, COUNT_LOST);
        lost_ns[i] = d->acked_ns < lost_ns[i] ? d->acked_ns : lost_ns[i];
    }
    for (int64_t uid = writers_next(t->writers, 0); uid != 0; uid = writers_next(t->writers, uid)) {
        const deed *d = writers_deed(t->writers, uid);
        if (*logged(l, uid) && d->began_ns > lost_ns[ended_by(l, d)])
            torture_violation(t,
                              "topic=%s uid=%" PRId64
                              ": in the log, and began when one that is not was confirmed already",
                              topic_name(d->topic), uid);
    }
    free(lost_ns);
}

/* A book's numbering, as the truth has it. */
typedef struct numbering {
    uint32_t timeline;
    bool past;     /* a failover has ended the timeline, or a restore has gone back on it */
    bool lossy;    /* and some of what was on it may be lost */
    int span;      /* -1: no such epoch is in the log */
    int64_t first; /* seq with which the epoch came to that timeline */
    int64_t head;  /* and left it */
} numbering;

static numbering identify(const ledger *l, int topic, const book *b)
{
    numbering n = {.span = -1};
    const history *h = &l->truth.topics[topic];
    const char *name;
    int n_failovers;
    const failover *f = cluster_failovers(l->torture->cluster, &n_failovers);
    if (!truth_split(b->epoch, &n.timeline, &name))
        return n;
    for (int i = 0; i < n_failovers; i++) {
        if (f[i].timeline == n.timeline) {
            n.past = true;
            n.lossy =
                n.lossy || !f[i].clean; /* a restore leaves the timeline to what ends it later */
        }
    }
    if (n.past || n.timeline == l->truth.timeline)
        n.span = truth_span(h, name);
    if (n.span >= 0 && h->spans[n.span].timeline > n.timeline)
        n.span = -1;
    if (n.span >= 0) {
        n.first = truth_head_on(h, n.span, n.timeline - 1);
        n.head = truth_head_on(h, n.span, n.timeline);
        /* What came after a restore is of the history that Leat then began, whatever it was logged
         * under: nobody may have been shown it as this epoch's. */
        if (n.head > h->spans[n.span].kept)
            n.head = h->spans[n.span].kept;
    }
    return n;
}

static void check_sighting(ledger *l, int topic, const book *b, int64_t seq, const entry *e)
{
    torture *t = l->torture;
    const sighting *seen = &b->seen[seq];
    if (seen->uid != NOTHING_YET && seen->uid != e->uid)
        torture_violation(t,
                          "topic=%s epoch=%s seq=%" PRId64 ": clients were given uid=%" PRId64
                          ", committed was uid=%" PRId64,
                          topic_name(topic), b->epoch, seq, seen->uid, e->uid);
    if (seen->bereft)
        torture_violation(t, "topic=%s epoch=%s seq=%" PRId64 ": the hook found no row for it",
                          topic_name(topic), b->epoch, seq);
    if (seen->has_state && (seen->state.n != e->state.n || seen->state.x != e->state.x))
        torture_violation(t,
                          "topic=%s epoch=%s seq=%" PRId64 ": clients came to n=%" PRId64
                          " x=%" PRId64 ", committed was n=%" PRId64 " x=%" PRId64,
                          topic_name(topic), b->epoch, seq, seen->state.n, seen->state.x,
                          e->state.n, e->state.x);
}

/* Whether a truncation comes after that seq of a numbering: in it, or as the next one's beginning.
 */
static bool is_emptied_later(const history *h, int which, int64_t seq)
{
    const entry *e = truth_entry(h, which, seq) + 1;
    for (; e <= h->log + h->n && e->span <= which + 1; e++)
        if (e->emptied && (e->span == which || e->seq == h->spans[which + 1].first))
            return true;
    return false;
}

/* What is not the truth is excused only by a truncation that came later. */
static void check_emptied(ledger *l, int topic, const book *b, int64_t seq, numbering n)
{
    torture *t = l->torture;
    const history *h = &l->truth.topics[topic];
    const sighting *seen = &b->seen[seq];
    const summary *was = &truth_entry(h, n.span, seq)->state;
    if (!seen->emptied_differ && seen->emptied.n == was->n && seen->emptied.x == was->x)
        return;
    if (n.lossy || is_emptied_later(h, n.span, seq))
        torture_count(t, COUNT_EMPTIED);
    else
        torture_violation(t,
                          "topic=%s epoch=%s seq=%" PRId64 ": clients came to n=%" PRId64
                          " x=%" PRId64 " from nothing, committed was n=%" PRId64 " x=%" PRId64,
                          topic_name(topic), b->epoch, seq, seen->emptied.n, seen->emptied.x,
                          was->n, was->x);
}

/* The write is in the log. */
static const entry *find_write(const history *h, int64_t uid)
{
    const entry *e = h->log + 1;
    while (e->uid != uid)
        e++;
    return e;
}

/* Beyond what the promoted standby had. Clients were compared with one another as it came; besides,
 * it was truly written, and is not what came in its place. */
static void check_lost(ledger *l, int topic, const book *b, int64_t seq)
{
    torture *t = l->torture;
    int64_t uid = b->seen[seq].uid;
    torture_count(t, COUNT_LOST_SHOWN);
    if (uid <= 0)
        return;
    const deed *d = writers_deed(t->writers, uid);
    if (d == NULL || d->topic != topic || d->outcome == OUTCOME_ROLLED_BACK)
        torture_violation(
            t, "topic=%s epoch=%s seq=%" PRId64 ": clients were given uid=%" PRId64 ", of nobody",
            topic_name(topic), b->epoch, seq, uid);
    else if (*logged(l, uid)) {
        const history *h = &l->truth.topics[topic];
        const entry *e = find_write(h, uid);
        torture_violation(t,
                          "topic=%s epoch=%s seq=%" PRId64 ": clients were given uid=%" PRId64
                          ", which belongs to epoch=%08" PRIX32 "-%s seq=%" PRId64,
                          topic_name(topic), b->epoch, seq, uid, e->timeline,
                          h->spans[e->span].name, e->seq);
    }
}

static void check_book(ledger *l, int topic, const book *b)
{
    torture *t = l->torture;
    const history *h = &l->truth.topics[topic];
    numbering n = identify(l, topic, b);
    if (n.span < 0 && !n.lossy) {
        torture_violation(t, "topic=%s epoch=%s: shown to clients, and never was",
                          topic_name(topic), b->epoch);
        return;
    }
    for (int64_t s = 0; s < b->n_seen; s++) {
        const sighting *seen = &b->seen[s];
        if (seen->uid == NOTHING_YET && !seen->has_state && !seen->has_emptied)
            continue;
        if (n.span >= 0 && s >= n.first && s <= n.head && seen->has_emptied)
            check_emptied(l, topic, b, s, n);
        if (n.span >= 0 && s < n.first)
            torture_violation(t,
                              "topic=%s epoch=%s seq=%" PRId64
                              ": shown under a timeline that began at seq=%" PRId64,
                              topic_name(topic), b->epoch, s, n.first);
        else if (n.span >= 0 && s <= n.head)
            check_sighting(l, topic, b, s, truth_entry(h, n.span, s));
        else if (n.lossy)
            check_lost(l, topic, b, s);
        else
            torture_violation(
                t, "topic=%s epoch=%s seq=%" PRId64 ": shown to clients and never committed",
                topic_name(topic), b->epoch, s);
    }
}

/* A live subscription only ever goes to a later numbering. */
static void check_moves(ledger *l, int topic)
{
    const shelf *s = &l->shelves[topic];
    for (int i = 0; i < s->n_moves; i++) {
        const book *from = &s->books[s->moves[i].from], *to = &s->books[s->moves[i].to];
        numbering a = identify(l, topic, from), b = identify(l, topic, to);
        bool unknown = a.span < 0 || b.span < 0; /* lost: nobody knows where it stood */
        if (b.timeline < a.timeline || (b.timeline == a.timeline && !unknown && b.span <= a.span))
            torture_violation(l->torture, "topic=%s: a resync went from epoch %s back to %s",
                              topic_name(topic), from->epoch, to->epoch);
    }
}

static const entry *find_revocation(const history *h, const char *tx)
{
    for (const entry *e = h->log + 1; e <= h->log + h->n; e++)
        if (e->uid == 0 && strcmp(e->tx, tx) == 0)
            return e;
    return NULL; /* it was rolled back, or lost */
}

/* What Postgres says of a revocation, and when its transaction began (0: it holds from the start).
 */
typedef struct banishment {
    const entry *entry;
    uint64_t began_ns;
    uint64_t restored_ns;
} banishment;

static bool is_after_restore(const ledger *l, uint32_t timeline, uint64_t ns)
{
    int n;
    const failover *f = cluster_failovers(l->torture->cluster, &n);
    for (int i = 0; i < n; i++)
        if (f[i].restore && f[i].timeline == timeline && f[i].dead_ns < ns)
            return true;
    return false;
}

/* From where on a book is closed to who was revoked there. An older timeline, and what a restore
 * has taken away, on which someone slow may still be shown something, know nothing of it. */
static int64_t closed_from(const ledger *l, int topic, const book *b, const banishment *x)
{
    const entry *revoked = x->entry;
    numbering n = identify(l, topic, b);
    if (n.timeline < revoked->timeline || (n.span >= 0 && n.span < revoked->span))
        return INT64_MAX;
    if (n.span < 0 && is_after_restore(l, n.timeline, x->began_ns))
        return INT64_MAX;
    if (n.span != revoked->span)
        return 0;
    bool restored = revoked->seq > l->truth.topics[topic].spans[n.span].kept;
    return restored ? INT64_MAX : revoked->seq;
}

static void check_right(ledger *l, int topic, int user, const banishment *x)
{
    torture *t = l->torture;
    const shelf *all = &l->shelves[topic];
    uint64_t until = x->restored_ns;
    for (const book *b = all->books; b < all->books + all->n; b++) {
        for (int64_t s = closed_from(l, topic, b, x); s < b->n_by[user]; s++) {
            uint64_t at = b->by[user][s].at_ns;
            if (at == 0 || at < x->began_ns || at >= until)
                continue;
            double early = until == UINT64_MAX ? -1 : (double)(until - at) / 1e9;
            torture_violation(t,
                              "topic=%s user=%d: revoked at seq=%" PRId64
                              ", and was shown seq=%" PRId64 " of epoch %s by %s at %.3f s, %.3f s"
                              " before the right was restored (-1: never)",
                              topic_name(topic), user, x->entry->seq, s, b->epoch,
                              b->by[user][s].how, (double)(at - t->began_ns) / 1e9, early);
            return;
        }
    }
}

static void check_rights(ledger *l)
{
    size_t n;
    const revocation *r = writers_revocations(l->torture->writers, &n);
    for (size_t i = 0; i < n; i++) {
        banishment x = {find_revocation(&l->truth.topics[r[i].topic], r[i].tx), r[i].began_ns,
                        r[i].restored_ns};
        if (x.entry != NULL)
            check_right(l, r[i].topic, r[i].user, &x);
    }
    for (int topic = FIRST_MEMBERS; topic < FIRST_WATCH; topic++) {
        banishment x = {&l->truth.topics[topic].log[0], 0, UINT64_MAX};
        check_right(l, topic, OUTSIDER, &x);
    }
}

static void check_tables(ledger *l)
{
    torture *t = l->torture;
    PGconn *conn = cluster_connect_or_die(l->torture);
    PGresult *r = ask(conn, "select e.topic, e.seq from leat.event e"
                            " left join (select distinct on (topic, seq) topic, seq, kind, uid"
                            " from torture.log"
                            " where kind not in ('epoch', 'reset', 'renewal')"
                            " order by topic, seq, id desc) g using (topic, seq)"
                            " where g.kind is distinct from e.kind"
                            " or g.uid is distinct from torture.uid_of(e.data)"
                            " and e.kind = 'event'");
    for (int i = 0; i < PQntuples(r); i++)
        torture_violation(t, "leat.event topic=%s seq=%s: not what was logged", PQgetvalue(r, i, 0),
                          PQgetvalue(r, i, 1));
    PQclear(r);
    for (int topic = 0; topic < TOPICS; topic++) {
        const history *h = &l->truth.topics[topic];
        const summary *last = &h->log[h->n].state;
        int64_t head = h->spans[h->n_spans - 1].head;
        char sql[400];
        snprintf(sql, sizeof(sql),
                 "select count(*), coalesce(bit_xor(h), 0), (select coalesce(max(seq), 0) from "
                 "leat.topic where name = '%s') from torture.thing where topic = '%s'",
                 topic_name(topic), topic_name(topic));
        r = ask(conn, sql);
        if (int_at(r, 0, 0) != last->n || int_at(r, 0, 1) != last->x || int_at(r, 0, 2) != head)
            torture_violation(t,
                              "topic=%s: the tables have n=%s x=%s seq=%s, the log n=%" PRId64
                              " x=%" PRId64 " seq=%" PRId64,
                              topic_name(topic), PQgetvalue(r, 0, 0), PQgetvalue(r, 0, 1),
                              PQgetvalue(r, 0, 2), last->n, last->x, head);
        PQclear(r);
    }
    PQfinish(conn);
}

void ledger_check(ledger *l)
{
    mark_logged(l);
    check_deeds(l);
    for (int topic = 0; topic < TOPICS; topic++) {
        check_log(l, topic);
        for (int e = 0; e < l->shelves[topic].n; e++)
            check_book(l, topic, &l->shelves[topic].books[e]);
        check_moves(l, topic);
    }
    check_rights(l);
    check_tables(l);
}
