/* ledger.c - records what clients saw. ledger_check.c compares it with the truth.
 */
#include "ledger_private.h"

#include <stdlib.h>
#include <string.h>

#include "cluster.h"

ledger *ledger_new(torture *t)
{
    ledger *l = calloc(1, sizeof(*l));
    if (l == NULL)
        torture_die("out of memory");
    l->torture = t;
    return l;
}

void ledger_free(ledger *l)
{
    for (int i = 0; i < TOPICS; i++) {
        shelf *s = &l->shelves[i];
        for (int e = 0; e < s->n; e++)
            book_close(&s->books[e]);
        free(s->books);
        free(s->moves);
    }
    for (int i = 0; i <= MAX_WRITERS; i++)
        free(l->logged[i]);
    truth_close(&l->truth);
    free(l);
}

static void *one_more(void *at, int n, size_t size)
{
    at = realloc(at, ((size_t)n + 1) * size);
    if (at == NULL)
        torture_die("out of memory");
    return at;
}

int ledger_epoch(ledger *l, int topic, leat_slice epoch)
{
    shelf *s = &l->shelves[topic];
    for (int e = s->n - 1; e >= 0; e--)
        if (leat_slice_is(epoch, s->books[e].epoch))
            return e;
    if (epoch.len == 0 || epoch.len >= EPOCH_SIZE)
        torture_die("no epoch: %.*s", (int)epoch.len, epoch.at == NULL ? "" : epoch.at);
    s->books = one_more(s->books, s->n, sizeof(*s->books));
    book_init(&s->books[s->n], epoch);
    return s->n++;
}

const char *ledger_epoch_name(const ledger *l, int topic, int epoch)
{
    return l->shelves[topic].books[epoch].epoch;
}

const char *ledger_saw_event(ledger *l, int topic, place at, int64_t uid)
{
    return book_saw_event(&l->shelves[topic].books[at.epoch], at.seq, uid);
}

void ledger_saw_bereft(ledger *l, int topic, place at)
{
    l->shelves[topic].books[at.epoch].seen[at.seq].bereft = true;
}

const char *ledger_saw_state(ledger *l, int topic, place at, summary state)
{
    return book_saw_state(&l->shelves[topic].books[at.epoch], at.seq, state);
}

void ledger_saw_emptied(ledger *l, int topic, place at, summary state)
{
    book_saw_emptied(&l->shelves[topic].books[at.epoch], at.seq, state);
}

void ledger_saw_by(ledger *l, int topic, int user, place at, const char *how)
{
    if (topic_has_members(topic))
        book_saw_by(&l->shelves[topic].books[at.epoch], at.seq, user, how);
}

void ledger_saw_move(ledger *l, int topic, int from, int to)
{
    shelf *s = &l->shelves[topic];
    for (int i = 0; i < s->n_moves; i++)
        if (s->moves[i].from == from && s->moves[i].to == to)
            return;
    s->moves = one_more(s->moves, s->n_moves, sizeof(*s->moves));
    s->moves[s->n_moves++] = (move){from, to};
}

/* Whether the place is in the topic's present numbering. */
static bool is_present(const ledger *l, int topic, place at)
{
    const history *h = &l->truth.topics[topic];
    uint32_t timeline;
    const char *name;
    return truth_split(ledger_epoch_name(l, topic, at.epoch), &timeline, &name) &&
           timeline == l->truth.timeline && strcmp(name, h->spans[h->n_spans - 1].name) == 0;
}

bool ledger_at_end(const ledger *l, int topic, place at)
{
    const history *h = &l->truth.topics[topic];
    return is_present(l, topic, at) && at.seq >= h->spans[h->n_spans - 1].head;
}

bool ledger_shows_no_more(const ledger *l, int topic, place at)
{
    const history *h = &l->truth.topics[topic];
    int last = h->n_spans - 1;
    if (!is_present(l, topic, at))
        return false;
    for (int64_t seq = at.seq + 1; seq <= h->spans[last].head; seq++)
        if (truth_entry(h, last, seq)->uid != 0)
            return false;
    return true;
}

bool ledger_has_right(const ledger *l, int topic, int user)
{
    return !topic_has_members(topic) || l->truth.member[topic][user];
}

void ledger_load(ledger *l)
{
    PGconn *conn = cluster_connect_or_die(l->torture);
    truth_load(&l->truth, l->torture, conn);
    PQfinish(conn);
}
