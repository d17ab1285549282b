/* ledger.c - first sightings, and the truth that ledger_load reads: torture.log by topic and seq,
 * the items, leat.topic.
 *
 * ledger_check asks, in turn: is the log itself whole, in commit order, and what the writers did
 * (check_log, check_deeds)? Is what clients saw what the log says (check_sightings)? Was anyone
 * shown what they had no right to (check_rights)? Do the tables agree (check_tables)?
 */
#include "ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "writer.h"

enum { NOTHING_YET = -1 };

typedef struct sighting {
    int64_t uid; /* NOTHING_YET: not seen; 0: a skip */
    summary state;
    bool has_state;
} sighting;

typedef struct entry { /* of the log */
    int64_t uid;       /* 0: a revocation */
    summary state;     /* after it */
    char tx[24];
} entry;

typedef struct showing {
    uint64_t at_ns; /* 0: never */
    const char *how;
} showing;

typedef struct book {
    sighting *seen; /* by seq */
    int64_t n_seen;
    showing *by[USERS]; /* by seq: when that user was first shown it */
    int64_t n_by[USERS];
    entry *log; /* by seq, from 1 on */
    int64_t head;
} book;

struct ledger {
    torture *torture;
    book books[TOPICS];
};

ledger *ledger_new(torture *t)
{
    ledger *l = calloc(1, sizeof(*l));
    if (l == NULL)
        torture_die("out of memory");
    l->torture = t;
    return l;
}

static void forget_log(book *b)
{
    free(b->log);
    b->log = NULL;
    b->head = 0;
}

void ledger_free(ledger *l)
{
    for (int i = 0; i < TOPICS; i++) {
        book *b = &l->books[i];
        free(b->seen);
        for (int u = 0; u < USERS; u++)
            free(b->by[u]);
        forget_log(b);
    }
    free(l);
}

static void *grown(void *at, int64_t *n, int64_t least, size_t size)
{
    int64_t cap = *n == 0 ? 1024 : *n;
    while (cap <= least)
        cap *= 2;
    if (cap == *n)
        return at;
    at = realloc(at, (size_t)cap * size);
    if (at == NULL)
        torture_die("out of memory");
    memset((char *)at + (size_t)*n * size, 0, (size_t)(cap - *n) * size);
    *n = cap;
    return at;
}

static sighting *sighting_at(ledger *l, int topic, int64_t seq)
{
    book *b = &l->books[topic];
    int64_t had = b->n_seen;
    b->seen = grown(b->seen, &b->n_seen, seq, sizeof(*b->seen));
    for (int64_t i = had; i < b->n_seen; i++)
        b->seen[i].uid = NOTHING_YET;
    return &b->seen[seq];
}

const char *ledger_saw_event(ledger *l, int topic, int64_t seq, int64_t uid)
{
    sighting *s = sighting_at(l, topic, seq);
    if (s->uid == NOTHING_YET)
        s->uid = uid;
    return s->uid == uid ? NULL : "another client was given another event under that seq";
}

const char *ledger_saw_state(ledger *l, int topic, int64_t seq, summary state)
{
    sighting *s = sighting_at(l, topic, seq);
    if (!s->has_state) {
        s->state = state;
        s->has_state = true;
    }
    return s->state.n == state.n && s->state.x == state.x
               ? NULL
               : "another client came to another state at that seq";
}

void ledger_saw_by(ledger *l, int topic, int user, int64_t seq, const char *how)
{
    book *b = &l->books[topic];
    if (!topic_has_members(topic))
        return;
    b->by[user] = grown(b->by[user], &b->n_by[user], seq, sizeof(*b->by[user]));
    if (b->by[user][seq].at_ns == 0)
        b->by[user][seq] = (showing){uv_hrtime(), how};
}

int64_t ledger_head(const ledger *l, int topic)
{
    return l->books[topic].head;
}

static PGresult *ask(PGconn *conn, const char *sql)
{
    PGresult *r = PQexec(conn, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        torture_die("the checker cannot read: %s", PQerrorMessage(conn));
    return r;
}

static PGconn *open_conn(ledger *l)
{
    char info[600];
    snprintf(info, sizeof(info), "host='%s' user=postgres dbname=%s",
             l->torture->options.socket_dir, l->torture->options.database);
    PGconn *conn = PQconnectdb(info);
    if (PQstatus(conn) != CONNECTION_OK)
        torture_die("the checker cannot connect: %s", PQerrorMessage(conn));
    return conn;
}

static int64_t int_at(const PGresult *r, int row, int column)
{
    return strtoll(PQgetvalue(r, row, column), NULL, 10);
}

static void load_topic(ledger *l, PGconn *conn, int topic)
{
    torture *t = l->torture;
    book *b = &l->books[topic];
    char sql[200];
    snprintf(sql, sizeof(sql),
             "select seq, coalesce(uid, 0), coalesce(h, 0), tx from torture.log"
             " where topic = '%s' order by seq",
             topic_name(topic));
    PGresult *r = ask(conn, sql);
    forget_log(b);
    int n = PQntuples(r);
    b->log = calloc((size_t)n + 1, sizeof(*b->log));
    if (b->log == NULL)
        torture_die("out of memory");
    for (int i = 0; i < n; i++) {
        entry *e = &b->log[i + 1];
        int64_t h = int_at(r, i, 2);
        if (int_at(r, i, 0) != i + 1) {
            torture_violation(t, "log topic=%s: seq %s where %d was to come", topic_name(topic),
                              PQgetvalue(r, i, 0), i + 1);
            break;
        }
        e->uid = int_at(r, i, 1);
        e->state.n = e[-1].state.n + (e->uid != 0);
        e->state.x = e[-1].state.x ^ h;
        snprintf(e->tx, sizeof(e->tx), "%s", PQgetvalue(r, i, 3));
        b->head = i + 1;
    }
    PQclear(r);
}

void ledger_load(ledger *l)
{
    PGconn *conn = open_conn(l);
    for (int i = 0; i < TOPICS; i++)
        load_topic(l, conn, i);
    PQfinish(conn);
}

/* Commit order: an event whose commit was confirmed before another one's transaction began stands
 * before it; and what one writer did stands in the order in which he did it. */
static void check_log(ledger *l, int topic)
{
    torture *t = l->torture;
    book *b = &l->books[topic];
    int64_t last_of[MAX_WRITERS + 1] = {0};
    for (int64_t s = 1; s <= b->head; s++) {
        int64_t uid = b->log[s].uid;
        if (uid == 0)
            continue;
        int whose = writers_of(uid);
        if (uid <= last_of[whose])
            torture_violation(t, "log topic=%s seq=%" PRId64 ": out of its writer's order",
                              topic_name(topic), s);
        last_of[whose] = uid;
    }
    uint64_t confirmed = UINT64_MAX;
    for (int64_t s = b->head; s >= 1; s--) {
        const deed *d = b->log[s].uid == 0 ? NULL : writers_deed(t->writers, b->log[s].uid);
        if (d == NULL)
            continue;
        if (confirmed < d->began_ns)
            torture_violation(
                t, "log topic=%s seq=%" PRId64 ": began when a later one was confirmed already",
                topic_name(topic), s);
        confirmed = d->acked_ns < confirmed ? d->acked_ns : confirmed;
    }
}

/* What was confirmed is in the log, what was rolled back is not. */
static void check_deeds(ledger *l)
{
    torture *t = l->torture;
    size_t n[MAX_WRITERS + 1] = {0};
    bool *logged[MAX_WRITERS + 1] = {NULL};
    for (int64_t uid = writers_next(t->writers, 0); uid != 0; uid = writers_next(t->writers, uid))
        n[writers_of(uid)]++;
    for (int i = 0; i <= MAX_WRITERS; i++)
        logged[i] = calloc(n[i] + 1, sizeof(bool));
    for (int topic = 0; topic < TOPICS; topic++) {
        for (int64_t s = 1; s <= l->books[topic].head; s++) {
            int64_t uid = l->books[topic].log[s].uid;
            const deed *d = uid == 0 ? NULL : writers_deed(t->writers, uid);
            if (uid != 0 && (d == NULL || d->topic != topic))
                torture_violation(t, "log topic=%s seq=%" PRId64 ": nobody wrote uid=%" PRId64,
                                  topic_name(topic), s, uid);
            if (d != NULL)
                logged[writers_of(uid)][uid & 0xffffffff] = true;
        }
    }
    for (int64_t uid = writers_next(t->writers, 0); uid != 0; uid = writers_next(t->writers, uid)) {
        const deed *d = writers_deed(t->writers, uid);
        bool there = logged[writers_of(uid)][uid & 0xffffffff];
        if (d->outcome == OUTCOME_COMMITTED && !there)
            torture_violation(t, "topic=%s uid=%" PRId64 ": committed, and not in the log",
                              topic_name(d->topic), uid);
        if (d->outcome == OUTCOME_ROLLED_BACK && there)
            torture_violation(t, "topic=%s uid=%" PRId64 ": rolled back, and in the log",
                              topic_name(d->topic), uid);
    }
    for (int i = 0; i <= MAX_WRITERS; i++)
        free(logged[i]);
}

static void check_sightings(ledger *l, int topic)
{
    torture *t = l->torture;
    book *b = &l->books[topic];
    for (int64_t s = 0; s < b->n_seen; s++) {
        const sighting *seen = &b->seen[s];
        if (seen->uid == NOTHING_YET && !seen->has_state)
            continue;
        if (s > b->head) {
            torture_violation(t, "topic=%s seq=%" PRId64 ": shown to clients and never committed",
                              topic_name(topic), s);
            continue;
        }
        const entry *e = &b->log[s];
        if (seen->uid != NOTHING_YET && seen->uid != e->uid)
            torture_violation(t,
                              "topic=%s seq=%" PRId64 ": clients were given uid=%" PRId64
                              ", committed was uid=%" PRId64,
                              topic_name(topic), s, seen->uid, e->uid);
        if (seen->has_state && (seen->state.n != e->state.n || seen->state.x != e->state.x))
            torture_violation(t,
                              "topic=%s seq=%" PRId64 ": clients came to n=%" PRId64 " x=%" PRId64
                              ", committed was n=%" PRId64 " x=%" PRId64,
                              topic_name(topic), s, seen->state.n, seen->state.x, e->state.n,
                              e->state.x);
    }
}

static int64_t seq_of_revocation(const book *b, const char *tx)
{
    for (int64_t s = 1; s <= b->head; s++)
        if (b->log[s].uid == 0 && strcmp(b->log[s].tx, tx) == 0)
            return s;
    return 0; /* it was rolled back */
}

static void check_right(ledger *l, int topic, int user, int64_t from, uint64_t restored_ns)
{
    torture *t = l->torture;
    const book *b = &l->books[topic];
    for (int64_t s = from; s < b->n_by[user]; s++) {
        uint64_t at = b->by[user][s].at_ns;
        if (at == 0 || at >= restored_ns)
            continue;
        double early = restored_ns == UINT64_MAX ? -1 : (double)(restored_ns - at) / 1e9;
        torture_violation(t,
                          "topic=%s user=%d: revoked at seq=%" PRId64 ", and was shown seq=%" PRId64
                          " by %s at %.3f s, %.3f s before the right was restored (-1: never)",
                          topic_name(topic), user, from, s, b->by[user][s].how,
                          (double)(at - t->began_ns) / 1e9, early);
        return;
    }
}

static void check_rights(ledger *l)
{
    size_t n;
    const revocation *r = writers_revocations(l->torture->writers, &n);
    for (size_t i = 0; i < n; i++) {
        int64_t seq = seq_of_revocation(&l->books[r[i].topic], r[i].tx);
        if (seq > 0)
            check_right(l, r[i].topic, r[i].user, seq, r[i].restored_ns);
    }
    for (int topic = FIRST_MEMBERS; topic < TOPICS; topic++)
        check_right(l, topic, OUTSIDER, 0, UINT64_MAX);
}

static void check_tables(ledger *l)
{
    torture *t = l->torture;
    PGconn *conn = open_conn(l);
    PGresult *r = ask(conn, "select e.topic, e.seq from leat.event e"
                            " left join torture.log g using (topic, seq)"
                            " where g.kind is distinct from e.kind"
                            " or g.uid is distinct from (e.data->>'uid')::bigint"
                            " and e.kind = 'event'");
    for (int i = 0; i < PQntuples(r); i++)
        torture_violation(t, "leat.event topic=%s seq=%s: not what was logged", PQgetvalue(r, i, 0),
                          PQgetvalue(r, i, 1));
    PQclear(r);
    for (int topic = 0; topic < TOPICS; topic++) {
        const book *b = &l->books[topic];
        const entry *last = &b->log[b->head];
        char sql[400];
        snprintf(sql, sizeof(sql),
                 "select count(*), coalesce(bit_xor(h), 0), (select coalesce(max(seq), 0) from "
                 "leat.topic where name = '%s') from torture.item where topic = '%s'",
                 topic_name(topic), topic_name(topic));
        r = ask(conn, sql);
        if (int_at(r, 0, 0) != last->state.n || int_at(r, 0, 1) != last->state.x ||
            int_at(r, 0, 2) != b->head)
            torture_violation(t,
                              "topic=%s: the tables have n=%s x=%s seq=%s, the log n=%" PRId64
                              " x=%" PRId64 " seq=%" PRId64,
                              topic_name(topic), PQgetvalue(r, 0, 0), PQgetvalue(r, 0, 1),
                              PQgetvalue(r, 0, 2), last->state.n, last->state.x, b->head);
        PQclear(r);
    }
    PQfinish(conn);
}

void ledger_check(ledger *l)
{
    check_deeds(l);
    for (int topic = 0; topic < TOPICS; topic++) {
        check_log(l, topic);
        check_sightings(l, topic);
    }
    check_rights(l);
    check_tables(l);
}
