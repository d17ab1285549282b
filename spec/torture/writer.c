/* writer.c - write_on: a transaction after the other, each of a kind that the dice choose;
 * revoke_on: takes rights away and gives them back.
 *
 * A uid is made for each event that is about to be written, whatever becomes of it: writer number
 * and running number. Its deed says what became of it.
 */
#include "writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cluster.h"

enum {
    FLOOD = 150,
    FLOOD_REPEATS = 5000,
    FLOOD_PAUSE_MS = 8,
    REVOKE_PAUSE_MS = 40,
    AWAY_MIN_MS = 150,
    AWAY_MAX_MS = 1500,
    LAPSE_MAX_MS = 10000,
    OWN_ROWS = 24
};

typedef struct writer {
    torture *torture;
    int number;
    uv_thread_t thread;
    dice dice;
    PGconn *conn;
    deed *deeds; /* by running number */
    size_t n_deeds;
    size_t cap_deeds;
    size_t first; /* of the transaction that runs */
    uint64_t began_ns;
    int flood; /* so many transactions more, each of one very large event on flood_topic */
    int flood_topic;
} writer;

struct writers {
    torture *torture;
    writer all[MAX_WRITERS + 1]; /* the last one revokes */
    int n;
    revocation *revocations; /* the revoker's */
    size_t n_revocations;
    size_t cap_revocations;
};

static bool run(writer *w, const char *sql)
{
    PGresult *r = PQexec(w->conn, sql);
    ExecStatusType status = PQresultStatus(r);
    PQclear(r);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static bool connected(writer *w)
{
    if (w->conn != NULL && PQstatus(w->conn) == CONNECTION_OK)
        return true;
    if (w->conn != NULL)
        PQfinish(w->conn);
    w->conn = cluster_connect(w->torture);
    if (w->conn == NULL)
        return false;
    /* Every third writer would rather not wait for the disk. */
    return run(w, w->number % 3 == 1 ? "set synchronous_commit = off; set lock_timeout = '8s'"
                                     : "set lock_timeout = '8s'");
}

static int64_t make_uid(writer *w, int topic)
{
    if (w->n_deeds == w->cap_deeds) {
        w->cap_deeds = w->cap_deeds == 0 ? 1024 : w->cap_deeds * 2;
        w->deeds = realloc(w->deeds, w->cap_deeds * sizeof(*w->deeds));
        if (w->deeds == NULL)
            torture_die("out of memory");
    }
    w->deeds[w->n_deeds] = (deed){OUTCOME_OPEN, topic, w->began_ns, UINT64_MAX};
    return ((int64_t)(w->number + 1) << 32) | (int64_t)w->n_deeds++;
}

static unsigned any_size(writer *w)
{
    if (w->flood > 0)
        return FLOOD_REPEATS;
    if (!chance(&w->dice, 4))
        return roll(&w->dice, 12);
    torture_count(w->torture, COUNT_LARGE);
    return roll_between(&w->dice, 800, 2500);
}

/* One of the writer's own rows is no more, if it was. */
static bool delete_row(writer *w)
{
    char sql[100];
    snprintf(sql, sizeof(sql), "delete from torture.line where id = %u",
             (unsigned)w->number * OWN_ROWS + roll(&w->dice, OWN_ROWS));
    return run(w, sql);
}

/* In one statement, some of the writer's own rows come to be on that shelf, or on another, or on
 * none, wherever they were before; some of them with a body as it was. */
static bool put_rows(writer *w, int topic)
{
    leat_buf sql = LEAT_BUF_INIT;
    int n = chance(&w->dice, 75) ? 1 : (int)roll_between(&w->dice, 2, 4);
    unsigned first = roll(&w->dice, OWN_ROWS);
    leat_buf_text(&sql, "select torture.put_rows(array[");
    for (int i = 0; i < n; i++) {
        unsigned kind = roll(&w->dice, 100);
        int where = kind < 75   ? topic
                    : kind < 90 ? FIRST_WATCH + (int)roll(&w->dice, WATCH_TOPICS)
                                : NO_TOPIC;
        int64_t uid = make_uid(w, where);
        leat_buf_printf(&sql, "%s(%u, %d, %" PRId64 ", %" PRId64 ", %u)", i == 0 ? "" : ",",
                        (unsigned)w->number * OWN_ROWS + (first + (unsigned)i) % OWN_ROWS,
                        where == NO_TOPIC ? 0 : where - FIRST_WATCH + 1, uid, hash_of(uid),
                        any_size(w));
        torture_count(w->torture, COUNT_ROWS);
    }
    leat_buf_printf(&sql, "]::torture.written[], %s)", chance(&w->dice, 30) ? "true" : "false");
    leat_buf_char(&sql, '\0');
    bool ok = run(w, sql.at);
    leat_buf_close(&sql);
    return ok;
}

static bool post(writer *w, int topic)
{
    if (topic_is_watched(topic) && chance(&w->dice, 15))
        return delete_row(w);
    if (topic_is_watched(topic))
        return put_rows(w, topic);
    int64_t uid = make_uid(w, topic);
    char sql[200];
    snprintf(sql, sizeof(sql), "select torture.post('%s', %" PRId64 ", %" PRId64 ", %u)",
             topic_name(topic), uid, hash_of(uid), any_size(w));
    return run(w, sql);
}

static int any_topic(writer *w)
{
    /* A few topics get most of it. */
    return (int)(chance(&w->dice, 40) ? roll(&w->dice, 4) * 5 : roll(&w->dice, TOPICS));
}

static void conclude(writer *w, size_t first, outcome o, uint64_t acked_ns)
{
    for (size_t i = first; i < w->n_deeds; i++) {
        if (w->deeds[i].outcome != OUTCOME_OPEN)
            continue;
        w->deeds[i].outcome = o;
        w->deeds[i].acked_ns = acked_ns;
        if (o == OUTCOME_COMMITTED)
            torture_count(w->torture, COUNT_PUBLISHED);
    }
}

/* Posts that a savepoint takes back, or keeps. */
static bool post_within_savepoint(writer *w)
{
    size_t first = w->n_deeds;
    bool back = chance(&w->dice, 60);
    bool ok = run(w, "savepoint a") && post(w, any_topic(w)) && post(w, any_topic(w));
    if (!back)
        return ok && run(w, "release savepoint a");
    ok = ok && run(w, "rollback to savepoint a");
    if (ok)
        conclude(w, first, OUTCOME_ROLLED_BACK, UINT64_MAX);
    return ok;
}

/* Several topics, up or down: who publishes to them the other way round must not deadlock. */
static bool post_across(writer *w)
{
    int n = (int)roll_between(&w->dice, 2, 5), start = (int)roll(&w->dice, TOPICS);
    bool down = chance(&w->dice, 50), ok = true;
    for (int i = 0; ok && i < n; i++)
        ok = post(w, (start + (down ? n - i : i)) % TOPICS);
    return ok;
}

static bool post_burst(writer *w)
{
    int topic = any_topic(w), n = (int)roll_between(&w->dice, 20, 150);
    bool ok = true;
    for (int i = 0; ok && i < n; i++)
        ok = post(w, chance(&w->dice, 90) ? topic : any_topic(w));
    return ok;
}

static bool post_slowly(writer *w)
{
    bool ok = true;
    for (int i = 0; ok && i < 4; i++) {
        ok = post(w, any_topic(w));
        usleep(roll(&w->dice, 150) * 1000);
    }
    return ok;
}

static bool write_something(writer *w)
{
    char sql[120];
    unsigned kind = roll(&w->dice, 100);
    if (kind < 55)
        return post(w, any_topic(w));
    if (kind < 75)
        return post_across(w);
    if (kind < 85)
        return post_within_savepoint(w) && post(w, any_topic(w));
    if (kind < 88)
        return post_burst(w);
    if (kind < 94)
        return post_slowly(w);
    if (kind < 98) {
        snprintf(sql, sizeof(sql), "select leat.signal('%s', '{\"n\":1}')",
                 topic_name(any_topic(w)));
        return run(w, sql) && post(w, any_topic(w));
    }
    snprintf(sql, sizeof(sql), "select leat.resync('%s')", topic_name(any_topic(w)));
    return run(w, sql);
}

/* Ends the transaction and the deeds in it; true if it is known to have committed. */
static bool end_transaction(writer *w, bool ok)
{
    torture *t = w->torture;
    if (ok && !chance(&w->dice, 10)) {
        PGresult *r = PQexec(w->conn, "commit");
        bool done = PQresultStatus(r) == PGRES_COMMAND_OK;
        bool committed = done && strcmp(PQcmdStatus(r), "COMMIT") == 0;
        PQclear(r);
        bool lost = PQstatus(w->conn) != CONNECTION_OK;
        outcome o = committed ? OUTCOME_COMMITTED : lost ? OUTCOME_UNKNOWN : OUTCOME_ROLLED_BACK;
        conclude(w, w->first, o, committed ? uv_hrtime() : UINT64_MAX);
        torture_count(t, committed ? COUNT_TRANSACTIONS : lost ? COUNT_UNKNOWN : COUNT_ROLLBACKS);
        return committed;
    }
    run(w, "rollback");
    conclude(w, w->first, OUTCOME_ROLLED_BACK, UINT64_MAX);
    torture_count(t, COUNT_ROLLBACKS);
    return false;
}

/* More, and faster, than the buffers between the server and a client that does not read can take.
 */
static bool write_flood(writer *w)
{
    usleep(FLOOD_PAUSE_MS * 1000);
    bool ok = post(w, w->flood_topic);
    w->flood--;
    return ok;
}

/* Takes back that order, since the transaction has not committed: the next one tries again. */
static void put_back_reset(writer *w, int topic)
{
    int none = NO_TOPIC;
    atomic_compare_exchange_strong(&w->torture->reset, &none, topic);
}

/* All topics go on from where they are in new epochs; or the watched table is emptied, and every
 * subscriber is to read it anew. */
static void renew(writer *w, int topic)
{
    bool empty = topic_is_watched(topic);
    if (!run(w, empty ? "truncate torture.line" : "select leat.renew_epochs()"))
        put_back_reset(w, topic);
    else
        torture_count(w->torture, empty ? COUNT_TRUNCATES : COUNT_RESETS);
}

/* A topic's numbering begins anew: its row is deleted, and often something is said on it, before or
 * after or both. */
static void reset_topic(writer *w, int topic)
{
    char sql[120];
    snprintf(sql, sizeof(sql), "delete from leat.topic where name = '%s'", topic_name(topic));
    w->first = w->n_deeds;
    w->began_ns = uv_hrtime();
    bool ok = run(w, "begin");
    if (ok && chance(&w->dice, 30))
        ok = post(w, topic);
    ok = ok && run(w, sql);
    if (ok && chance(&w->dice, 40))
        ok = post(w, topic) && post(w, any_topic(w));
    if (end_transaction(w, ok))
        torture_count(w->torture, COUNT_RESETS);
    else
        put_back_reset(w, topic);
}

static void write_on(void *arg)
{
    writer *w = arg;
    while (!atomic_load(&w->torture->stopping)) {
        if (!connected(w))
            continue;
        int reset = atomic_exchange(&w->torture->reset, NO_TOPIC);
        if (reset != NO_TOPIC && chance(&w->dice, topic_is_watched(reset) ? 50 : 20))
            renew(w, reset);
        else if (reset != NO_TOPIC)
            reset_topic(w, reset);
        if (atomic_exchange(&w->torture->flood, false)) {
            w->flood = FLOOD;
            w->flood_topic = any_topic(w);
        }
        w->first = w->n_deeds;
        w->began_ns = uv_hrtime();
        bool ok = run(w, chance(&w->dice, 5) ? "begin isolation level repeatable read" : "begin");
        end_transaction(w, ok && (w->flood > 0 ? write_flood(w) : write_something(w)));
        if (w->flood > 0)
            continue;
        usleep(chance(&w->dice, 70) ? roll(&w->dice, 15) * 1000 : roll(&w->dice, 100) * 1000);
    }
    if (w->conn != NULL)
        PQfinish(w->conn);
}

/* The revoker: who is out, and until when. */
typedef struct rights {
    writers *all;
    writer *self;
    uint64_t back_ns[TOPICS][USERS]; /* 0: a member */
} rights;

static void note_revocation(writers *all, const revocation *noted)
{
    if (all->n_revocations == all->cap_revocations) {
        all->cap_revocations = all->cap_revocations == 0 ? 256 : all->cap_revocations * 2;
        all->revocations =
            realloc(all->revocations, all->cap_revocations * sizeof(*all->revocations));
        if (all->revocations == NULL)
            torture_die("out of memory");
    }
    all->revocations[all->n_revocations++] = *noted;
}

static bool read_tx(writer *w, char *tx, size_t size)
{
    PGresult *r = PQexec(w->conn, "select torture.tx()");
    bool ok = PQresultStatus(r) == PGRES_TUPLES_OK;
    if (ok)
        snprintf(tx, size, "%s", PQgetvalue(r, 0, 0));
    PQclear(r);
    return ok;
}

/* One user, or everyone, loses the right and is told so in the same transaction; now and then with
 * something said before, and after. */
static void take(rights *g, int topic, int user)
{
    writer *w = g->self;
    char sql[300];
    bool all = user < 0;
    uint64_t back = uv_hrtime() +
                    (uint64_t)roll_between(&w->dice, AWAY_MIN_MS, AWAY_MAX_MS) * UINT64_C(1000000);
    w->first = w->n_deeds;
    w->began_ns = uv_hrtime();
    revocation r = {.topic = topic, .began_ns = w->began_ns, .restored_ns = UINT64_MAX};
    bool ok = run(w, "begin") && read_tx(w, r.tx, sizeof(r.tx));
    if (ok && chance(&w->dice, 40))
        ok = post(w, topic);
    const char *name = topic_name(topic);
    if (all)
        snprintf(sql, sizeof(sql),
                 "delete from torture.member where topic = '%s'; select leat.revoke('%s')", name,
                 name);
    else
        snprintf(sql, sizeof(sql),
                 "delete from torture.member where topic = '%s' and account_id = %d;"
                 " select leat.revoke('%s', '%d')",
                 name, user, name, user);
    ok = ok && run(w, sql);
    if (ok && chance(&w->dice, 40))
        ok = post(w, topic);
    /* Noted before the commit: whether it came to that, the log will tell. */
    for (int u = 0; u < OUTSIDER; u++) {
        if (!all && u != user)
            continue;
        r.user = u;
        note_revocation(g->all, &r);
        g->back_ns[topic][u] = back;
    }
    end_transaction(w, ok);
    torture_count(w->torture, COUNT_REVOKES);
}

static void give_back(rights *g, int topic, int user)
{
    char sql[200];
    writers *all = g->all;
    uint64_t now = uv_hrtime();
    for (size_t i = all->n_revocations; i-- > 0;) {
        revocation *r = &all->revocations[i];
        if (r->topic == topic && r->user == user && r->restored_ns == UINT64_MAX)
            r->restored_ns = now;
    }
    snprintf(sql, sizeof(sql),
             "insert into torture.member (topic, account_id) values ('%s', %d)"
             " on conflict do nothing",
             topic_name(topic), user);
    if (run(g->self, sql))
        g->back_ns[topic][user] = 0;
}

/* Takes a right without a word: whoever has it keeps it until it expires. */
static void let_lapse(rights *g, int topic, int user)
{
    char sql[200];
    snprintf(sql, sizeof(sql), "delete from torture.member where topic = '%s' and account_id = %d",
             topic_name(topic), user);
    if (run(g->self, sql))
        g->back_ns[topic][user] =
            uv_hrtime() + (uint64_t)roll(&g->self->dice, LAPSE_MAX_MS) * UINT64_C(1000000);
    torture_count(g->self->torture, COUNT_LAPSES);
}

/* Revokes without taking anything: everyone passes again. */
static void frighten(rights *g, int topic)
{
    char sql[100];
    snprintf(sql, sizeof(sql), "select leat.revoke('%s')", topic_name(topic));
    run(g->self, sql);
    torture_count(g->self->torture, COUNT_REVOKES);
}

static void revoke_on(void *arg)
{
    writers *all = arg;
    rights g = {.all = all, .self = &all->all[all->n]};
    writer *w = g.self;
    while (!atomic_load(&w->torture->stopping)) {
        usleep(roll(&w->dice, 2 * REVOKE_PAUSE_MS) * 1000);
        if (!connected(w))
            continue;
        int topic = (int)roll_between(&w->dice, FIRST_MEMBERS, FIRST_WATCH - 1);
        uint64_t now = uv_hrtime();
        for (int u = 0; u < OUTSIDER; u++)
            if (g.back_ns[topic][u] > 0 && g.back_ns[topic][u] <= now)
                give_back(&g, topic, u);
        if (chance(&w->dice, 6))
            take(&g, topic, -1);
        else if (chance(&w->dice, 12))
            frighten(&g, topic);
        else if (topic_expires(topic) && chance(&w->dice, 12))
            let_lapse(&g, topic, (int)roll(&w->dice, OUTSIDER));
        else if (chance(&w->dice, 60))
            take(&g, topic, (int)roll(&w->dice, OUTSIDER));
    }
    /* The last word, for which the checker waits. */
    for (int topic = FIRST_MEMBERS; topic < FIRST_CLUB && w->conn != NULL; topic++)
        let_lapse(&g, topic, (int)roll(&w->dice, OUTSIDER));
    if (w->conn != NULL)
        PQfinish(w->conn);
}

writers *writers_new(torture *t)
{
    writers *all = calloc(1, sizeof(*all));
    if (all == NULL)
        torture_die("out of memory");
    all->torture = t;
    all->n = (int)t->options.writers;
    for (int i = 0; i <= all->n; i++) {
        writer *w = &all->all[i];
        w->torture = t;
        w->number = i;
        w->dice = dice_of(t->options.seed, 1000 + (uint64_t)i);
        bool revoker = i == all->n;
        uv_thread_create(&w->thread, revoker ? revoke_on : write_on, revoker ? (void *)all : w);
    }
    return all;
}

void writers_join(writers *all)
{
    for (int i = 0; i <= all->n; i++)
        uv_thread_join(&all->all[i].thread);
}

void writers_free(writers *all)
{
    for (int i = 0; i <= all->n; i++)
        free(all->all[i].deeds);
    free(all->revocations);
    free(all);
}

int writers_of(int64_t uid)
{
    return (int)(uid >> 32) - 1;
}

const deed *writers_deed(const writers *all, int64_t uid)
{
    int64_t i = uid & 0xffffffff;
    int number = writers_of(uid);
    if (number < 0 || number > all->n || i >= (int64_t)all->all[number].n_deeds)
        return NULL;
    return &all->all[number].deeds[i];
}

int64_t writers_next(const writers *all, int64_t uid)
{
    int64_t next = uid == 0 ? INT64_C(1) << 32 : uid + 1;
    while (writers_deed(all, next) == NULL) {
        int number = writers_of(next) + 1;
        if (number > all->n)
            return 0;
        next = (int64_t)(number + 1) << 32;
    }
    return next;
}

const revocation *writers_revocations(const writers *all, size_t *n)
{
    *n = all->n_revocations;
    return all->revocations;
}
