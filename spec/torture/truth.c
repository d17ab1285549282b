/* truth.c - torture.log in the order of its ids, which is commit order: each is taken under a lock
 * that lasts until the commit. take_row turns it into entries and spans.
 *
 * A renewal is an entry, too, the first one of its numbering.
 *
 * A topic without a row in leat.topic is numbered by the epoch that new topics get. So every such
 * epoch ("epoch", of no topic) is one of the topic's, until an entry gives it a row, and from a
 * "reset" on, which takes it away.
 */
#include "truth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    torture *torture;
    history *history;
    int topic;
    bool has_row; /* in leat.topic */
} reader;

static void *resized(void *at, size_t n, size_t size)
{
    at = realloc(at, n * size);
    if (at == NULL)
        torture_die("out of memory");
    return at;
}

static void open_span(history *h, const char *name, uint32_t timeline, int64_t first)
{
    h->spans = resized(h->spans, (size_t)h->n_spans + 1, sizeof(*h->spans));
    span *s = &h->spans[h->n_spans++];
    *s = (span){
        .timeline = timeline, .first = first, .before = h->n, .head = first, .kept = INT64_MAX};
    snprintf(s->name, sizeof(s->name), "%s", name);
}

static int64_t int_at(const PGresult *rows, int i, int column)
{
    return strtoll(PQgetvalue(rows, i, column), NULL, 10);
}

static entry *add_entry(history *h, const PGresult *rows, int i)
{
    entry *e = &h->log[++h->n];
    e->uid = int_at(rows, i, 4);
    e->seq = int_at(rows, i, 3);
    e->timeline = (uint32_t)strtoul(PQgetvalue(rows, i, 1), NULL, 16);
    e->state.n = e[-1].state.n + int_at(rows, i, 5);
    e->state.x = e[-1].state.x ^ int_at(rows, i, 6);
    e->emptied = PQgetvalue(rows, i, 7)[0] == 't';
    if (e->emptied)
        e->state = (summary){0, 0};
    snprintf(e->tx, sizeof(e->tx), "%s", PQgetvalue(rows, i, 8));
    return e;
}

static void take_event(reader *r, const PGresult *rows, int i)
{
    history *h = r->history;
    span *s = &h->spans[h->n_spans - 1];
    const char *name = PQgetvalue(rows, i, 2);
    entry *e = add_entry(h, rows, i);
    if (strcmp(name, s->name) != 0 || e->seq != s->head + 1)
        torture_violation(r->torture, "log topic=%s: %s/%lld where %s/%lld was to come",
                          topic_name(r->topic), name, (long long)e->seq, s->name,
                          (long long)s->head + 1);
    e->seq = ++s->head;
    e->span = h->n_spans - 1;
}

/* A new epoch that goes on from where the topic is. */
static void take_renewal(reader *r, const PGresult *rows, int i)
{
    history *h = r->history;
    entry *e = add_entry(h, rows, i);
    e->span = h->n_spans;
    open_span(h, PQgetvalue(rows, i, 2), e->timeline, e->seq);
}

static void take_row(reader *r, const PGresult *rows, int i)
{
    const char *kind = PQgetvalue(rows, i, 0), *name = PQgetvalue(rows, i, 2);
    uint32_t timeline = (uint32_t)strtoul(PQgetvalue(rows, i, 1), NULL, 16);
    if (strcmp(kind, "restore") == 0) {
        span *s = &r->history->spans[r->history->n_spans - 1];
        s->kept = s->kept == INT64_MAX ? s->head : s->kept;
    } else if (strcmp(kind, "epoch") == 0) {
        if (!r->has_row)
            open_span(r->history, name, timeline, 0);
    } else if (strcmp(kind, "reset") == 0) {
        open_span(r->history, name, timeline, 0);
        r->has_row = false;
    } else if (strcmp(kind, "renewal") == 0) {
        take_renewal(r, rows, i);
        r->has_row = true;
    } else {
        take_event(r, rows, i);
        r->has_row = true;
    }
}

static PGresult *ask(PGconn *conn, const char *sql)
{
    PGresult *r = PQexec(conn, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        torture_die("the log cannot be read: %s", PQerrorMessage(conn));
    return r;
}

static void load_topic(truth *x, torture *t, PGconn *conn, int topic)
{
    reader r = {.torture = t, .history = &x->topics[topic], .topic = topic};
    char sql[400];
    snprintf(sql, sizeof(sql),
             "select kind, timeline, epoch, seq, coalesce(uid, 0), coalesce(n, 0),"
             " coalesce(h, 0), emptied, tx"
             " from torture.log where topic = '%s' or topic is null order by id",
             topic_name(topic));
    PGresult *rows = ask(conn, sql);
    int n = PQntuples(rows);
    r.history->log = calloc((size_t)n + 1, sizeof(entry));
    if (r.history->log == NULL)
        torture_die("out of memory");
    for (int i = 0; i < n; i++)
        take_row(&r, rows, i);
    PQclear(rows);
}

static void load_members(truth *x, PGconn *conn)
{
    PGresult *r = ask(conn, "select topic, account_id from torture.member");
    for (int i = 0; i < PQntuples(r); i++)
        for (int topic = 0; topic < TOPICS; topic++)
            if (strcmp(PQgetvalue(r, i, 0), topic_name(topic)) == 0)
                x->member[topic][atoi(PQgetvalue(r, i, 1))] = true;
    PQclear(r);
}

void truth_load(truth *x, torture *t, PGconn *conn)
{
    truth_close(x);
    PGresult *r = ask(conn, "select leat_internal.timeline()");
    x->timeline = (uint32_t)strtoul(PQgetvalue(r, 0, 0), NULL, 16);
    PQclear(r);
    for (int i = 0; i < TOPICS; i++)
        load_topic(x, t, conn, i);
    load_members(x, conn);
}

void truth_close(truth *x)
{
    for (int i = 0; i < TOPICS; i++) {
        free(x->topics[i].log);
        free(x->topics[i].spans);
    }
    *x = (truth){.timeline = 0};
}

bool truth_split(const char *epoch, uint32_t *timeline, const char **name)
{
    char *end;
    *timeline = (uint32_t)strtoul(epoch, &end, 16);
    *name = end + 1;
    return end == epoch + 8 && *end == '-' && end[1] != '\0';
}

int truth_span(const history *h, const char *name)
{
    int i = h->n_spans - 1;
    while (i >= 0 && strcmp(h->spans[i].name, name) != 0)
        i--;
    return i;
}

const entry *truth_entry(const history *h, int which, int64_t seq)
{
    return &h->log[h->spans[which].before + seq - h->spans[which].first];
}

int64_t truth_head_on(const history *h, int which, uint32_t timeline)
{
    int64_t head = h->spans[which].head;
    while (head > h->spans[which].first && truth_entry(h, which, head)->timeline > timeline)
        head--;
    return head;
}
