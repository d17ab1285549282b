/* pg_shares.c - leat_pg_shares_wait -> (READY) -> leat_pg_shares_next -> leat_pg_shares_return.
 *
 * A line that is next but may not have a connection leaves the ring. It is ASIDE_CLIENT until its
 * client gives a connection back, or ASIDE_USER until its user does. Thus the search for the next
 * line does not pass the lines of a user who has thousands of them. For each connection that a user
 * gives back, the user's first line returns to the ring. If that line cannot use the connection
 * (its client holds its share, or it left), the user's next line returns in its place.
 */
#include "pg/pg_shares.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

enum {
    UNDIVIDED = 16,       /* if fewer may wait, no part of the queue is kept for anybody */
    STARTED_IN_A_ROW = 3, /* so many that have started go before one that has not */
};

enum line_state { EMPTY, READY, ASIDE_CLIENT, ASIDE_USER };

/* The number of connections that a client or user holds. */
typedef struct holding {
    size_t all;
    size_t calls; /* how many of them are held for calls */
} holding;

typedef struct user {
    leat_map_entry entry;
    size_t n_accounts;
    size_t n_waiting;
    holding leased;
    leat_list aside[LEAT_PG_KINDS]; /* of line */
    char name[];
} user;

typedef struct leat_pg_line {
    leat_list link; /* in a ring, or in the user's aside */
    leat_list places;
    struct account *account;
    leat_pg_kind kind;
    enum line_state state;
} line;

/* A client that waits for a connection or holds one. */
typedef struct account {
    leat_map_entry entry; /* by client and user's name */
    user *user;           /* or NULL */
    bool shares;          /* false: no client's account; no share applies */
    holding leased;
    line lines[LEAT_PG_KINDS];
    char key[];
} account;

struct leat_pg_shares {
    leat_pg_shares_limits limits;
    leat_metrics *metrics;
    leat_map accounts;
    leat_map users;
    leat_list ring[LEAT_PG_KINDS]; /* of line, READY */
    bool was_call;                 /* the one that was served last */
    bool was_crowd;                /* the last one that was no call */
    unsigned n_started_in_row;     /* of control, since one that had not started */
    unsigned n_crowd_started_in_row;
    size_t n_ready[LEAT_PG_KINDS]; /* lines in the ring */
    size_t n_waiting[LEAT_PG_KINDS];
    size_t n_calls; /* leased */
    size_t n_crowd; /* leased */
};

static bool is_crowd(leat_pg_kind kind)
{
    return kind == LEAT_PG_CROWD || kind == LEAT_PG_CROWD_STARTED;
}

static leat_pg_kind kind_of(const leat_pg_shares *s, const leat_pg_bill *bill)
{
    static const leat_pg_kind of_crowd[LEAT_PG_KINDS] = {
        [LEAT_PG_CONTROL] = LEAT_PG_CROWD,
        [LEAT_PG_CALL] = LEAT_PG_CALL,
        [LEAT_PG_STARTED] = LEAT_PG_CROWD_STARTED,
        [LEAT_PG_CROWD] = LEAT_PG_CROWD,
        [LEAT_PG_CROWD_STARTED] = LEAT_PG_CROWD_STARTED,
    };
    return bill->of_crowd && s->limits.crowd < s->limits.size ? of_crowd[bill->kind] : bill->kind;
}

leat_pg_shares *leat_pg_shares_new(const leat_pg_shares_limits *limits, leat_metrics *metrics)
{
    leat_pg_shares *s = leat_calloc(1, sizeof(*s));
    s->limits = *limits;
    if (s->limits.per_client == 0)
        s->limits.per_client = limits->size;
    if (s->limits.per_user == 0)
        s->limits.per_user = limits->size;
    if (s->limits.crowd == 0)
        s->limits.crowd = limits->size;
    s->metrics = metrics;
    s->was_call = s->was_crowd = true;
    leat_map_init(&s->accounts);
    leat_map_init(&s->users);
    for (int k = 0; k < LEAT_PG_KINDS; k++)
        leat_list_init(&s->ring[k]);
    return s;
}

void leat_pg_shares_free(leat_pg_shares *s)
{
    LEAT_ASSERT(s->accounts.count == 0 && s->users.count == 0);
    leat_map_close(&s->accounts);
    leat_map_close(&s->users);
    free(s);
}

/* --- accounts --- */

static user *open_user(leat_pg_shares *s, leat_slice name)
{
    leat_map_entry *e = leat_map_get(&s->users, name);
    if (e != NULL)
        return LEAT_CONTAINER_OF(e, user, entry);
    user *u = leat_calloc(1, sizeof(*u) + name.len + 1);
    if (name.len > 0)
        memcpy(u->name, name.at, name.len);
    for (int k = 0; k < LEAT_PG_KINDS; k++)
        leat_list_init(&u->aside[k]);
    leat_map_add(&s->users, &u->entry, (leat_slice){u->name, name.len});
    return u;
}

static account *open_account(leat_pg_shares *s, const leat_pg_bill *bill, leat_slice key)
{
    leat_map_entry *e = leat_map_get(&s->accounts, key);
    if (e != NULL)
        return LEAT_CONTAINER_OF(e, account, entry);
    account *a = leat_calloc(1, sizeof(*a) + key.len);
    memcpy(a->key, key.at, key.len);
    a->shares = bill->client != 0;
    for (int k = 0; k < LEAT_PG_KINDS; k++) {
        line *l = &a->lines[k];
        l->account = a;
        l->kind = (leat_pg_kind)k;
        leat_list_init(&l->link);
        leat_list_init(&l->places);
    }
    leat_map_add(&s->accounts, &a->entry, (leat_slice){a->key, key.len});
    if (a->shares && bill->user.at != NULL) {
        a->user = open_user(s, bill->user);
        a->user->n_accounts++;
    }
    return a;
}

static account *account_of(leat_pg_shares *s, const leat_pg_bill *bill)
{
    char small[64];
    bool named = bill->client != 0 && bill->user.at != NULL;
    size_t len = sizeof(bill->client) + (named ? bill->user.len : 0);
    char *key = len <= sizeof(small) ? small : leat_calloc(1, len);
    memcpy(key, &bill->client, sizeof(bill->client));
    if (named)
        memcpy(key + sizeof(bill->client), bill->user.at, bill->user.len);
    account *a = open_account(s, bill, (leat_slice){key, len});
    if (key != small)
        free(key);
    return a;
}

static void close_if_unused(leat_pg_shares *s, account *a)
{
    bool is_used = a->leased.all > 0;
    for (int k = 0; k < LEAT_PG_KINDS; k++)
        is_used = is_used || a->lines[k].state != EMPTY;
    if (is_used)
        return;
    user *u = a->user;
    leat_map_remove(&s->accounts, &a->entry);
    free(a);
    if (u == NULL || --u->n_accounts > 0)
        return;
    leat_map_remove(&s->users, &u->entry);
    free(u);
}

/* --- lines --- */

static void set_state(leat_pg_shares *s, line *l, enum line_state next)
{
    static const leat_metric held_back[] = {
        [ASIDE_CLIENT] = LEAT_M_POOL_HELD_CLIENT, [ASIDE_USER] = LEAT_M_POOL_HELD_USER};
    leat_list_unlink(&l->link);
    s->n_ready[l->kind] -= l->state == READY;
    l->state = next;
    s->n_ready[l->kind] += next == READY;
    if (next == READY)
        leat_list_push(&s->ring[l->kind], &l->link);
    if (next == ASIDE_USER)
        leat_list_push(&l->account->user->aside[l->kind], &l->link);
    if (next == ASIDE_CLIENT || next == ASIDE_USER)
        leat_metrics_add(s->metrics, held_back[next], 1);
}

/* Calls leave one connection of a share to control, so that a user's calls do not keep the user
 * from subscribing. */
static bool has_room(const holding *h, size_t share, leat_pg_kind kind)
{
    size_t calls = share > 1 ? share - 1 : 1;
    return h->all < share && (kind != LEAT_PG_CALL || h->calls < calls);
}

static bool user_has_room(const leat_pg_shares *s, const user *u, leat_pg_kind kind)
{
    return u == NULL || has_room(&u->leased, s->limits.per_user, kind);
}

/* The user may hold another connection: the user's next line returns to the ring. */
static void return_next_line(leat_pg_shares *s, user *u)
{
    for (int k = 0; k < LEAT_PG_KINDS && u != NULL; k++)
        if (user_has_room(s, u, (leat_pg_kind)k) && !leat_list_empty(&u->aside[k]))
            set_state(s, LEAT_CONTAINER_OF(u->aside[k].next, line, link), READY);
}

static bool is_full(const leat_pg_shares *s, leat_pg_kind kind, const account *a, size_t idle)
{
    size_t most = s->limits.max_waiters + idle;
    size_t quarter = most / 4;
    size_t all = 0;
    for (int k = 0; k < LEAT_PG_KINDS; k++)
        all += s->n_waiting[k];
    if (all >= most)
        return true;
    if (most < UNDIVIDED)
        return false;
    if (kind == LEAT_PG_CALL && s->n_waiting[LEAT_PG_CALL] >= most - quarter)
        return true;
    size_t crowd = s->n_waiting[LEAT_PG_CROWD] + s->n_waiting[LEAT_PG_CROWD_STARTED];
    if (is_crowd(kind) && crowd >= most - quarter)
        return true;
    return a->user != NULL && a->user->n_waiting >= quarter;
}

int leat_pg_shares_wait(leat_pg_shares *s, leat_pg_place *place, const leat_pg_bill *bill,
                        size_t idle)
{
    account *a = account_of(s, bill);
    leat_pg_kind kind = kind_of(s, bill);
    if (is_full(s, kind, a, idle)) {
        leat_metrics_add(s->metrics, LEAT_M_POOL_REFUSED, 1);
        close_if_unused(s, a);
        return LEAT_EBUSY;
    }
    line *l = &a->lines[kind];
    if (l->state == EMPTY)
        set_state(s, l, READY);
    place->line_ = l;
    leat_list_push(&l->places, &place->link_);
    s->n_waiting[l->kind]++;
    if (a->user != NULL)
        a->user->n_waiting++;
    if (l->kind == LEAT_PG_CALL && s->n_calls + s->limits.reserve >= s->limits.size)
        leat_metrics_add(s->metrics, LEAT_M_POOL_HELD_RESERVE, 1);
    if (is_crowd(kind) && s->n_crowd >= s->limits.crowd)
        leat_metrics_add(s->metrics, LEAT_M_POOL_HELD_CROWD, 1);
    return 0;
}

/* Returns how many turns pass until n lines are served that alternate with others. */
static size_t turns_beside(size_t n, size_t others)
{
    return n + (others < n ? others : n);
}

/* Each line of the newcomer's kind has one turn before it. Crowds alternate with other control, and
 * calls with both. */
size_t leat_pg_shares_ahead(const leat_pg_shares *s, bool of_crowd)
{
    size_t control = s->n_ready[LEAT_PG_CONTROL] + s->n_ready[LEAT_PG_STARTED];
    size_t crowd = s->n_ready[LEAT_PG_CROWD] + s->n_ready[LEAT_PG_CROWD_STARTED];
    bool in_crowd = of_crowd && s->limits.crowd < s->limits.size;
    size_t ahead = in_crowd ? turns_beside(crowd, control) : turns_beside(control, crowd);
    return turns_beside(ahead, s->n_ready[LEAT_PG_CALL]);
}

/* Takes a place out of its line. */
static line *take(leat_pg_shares *s, leat_pg_place *place)
{
    line *l = place->line_;
    leat_list_unlink(&place->link_);
    place->line_ = NULL;
    s->n_waiting[l->kind]--;
    if (l->account->user != NULL)
        l->account->user->n_waiting--;
    return l;
}

void leat_pg_shares_leave(leat_pg_shares *s, leat_pg_place *place)
{
    line *l = take(s, place);
    if (!leat_list_empty(&l->places))
        return;
    bool was_ready = l->state == READY;
    set_state(s, l, EMPTY);
    if (was_ready)
        return_next_line(s, l->account->user);
    close_if_unused(s, l->account);
}

/* --- connections --- */

/* The first line of the ring that may have a connection. Lines before it step aside. */
static line *first_free(leat_pg_shares *s, leat_pg_kind kind)
{
    while (!leat_list_empty(&s->ring[kind])) {
        line *l = LEAT_CONTAINER_OF(s->ring[kind].next, line, link);
        account *a = l->account;
        if (!user_has_room(s, a->user, kind)) {
            set_state(s, l, ASIDE_USER);
        } else if (a->shares && !has_room(&a->leased, s->limits.per_client, kind)) {
            set_state(s, l, ASIDE_CLIENT);
            return_next_line(s, a->user);
        } else {
            return l;
        }
    }
    return NULL;
}

static void hold(holding *h, bool is_call)
{
    h->all++;
    h->calls += is_call;
}

static void give_back(holding *h, bool was_call)
{
    h->all--;
    h->calls -= was_call;
}

static leat_pg_place *lease_to(leat_pg_shares *s, line *l, leat_pg_lease *lease)
{
    account *a = l->account;
    leat_pg_place *place = LEAT_CONTAINER_OF(l->places.next, leat_pg_place, link_);
    take(s, place);
    bool is_call = l->kind == LEAT_PG_CALL;
    hold(&a->leased, is_call);
    if (a->user != NULL)
        hold(&a->user->leased, is_call);
    s->n_calls += is_call;
    s->n_crowd += is_crowd(l->kind);
    lease->line_ = l;
    set_state(s, l, leat_list_empty(&l->places) ? EMPTY : READY); /* to the ring's end */
    return place;
}

static line *first_call(leat_pg_shares *s)
{
    return s->n_calls + s->limits.reserve < s->limits.size ? first_free(s, LEAT_PG_CALL) : NULL;
}

/* After STARTED_IN_A_ROW that have started, one that has not goes first. Without that, those
 * who read one snapshot after the other would keep all others from beginning. */
static line *first_of(leat_pg_shares *s, leat_pg_kind new, leat_pg_kind started, unsigned in_row)
{
    bool begins = in_row >= STARTED_IN_A_ROW;
    line *l = first_free(s, begins ? new : started);
    return l != NULL ? l : first_free(s, begins ? started : new);
}

static line *first_alone(leat_pg_shares *s)
{
    return first_of(s, LEAT_PG_CONTROL, LEAT_PG_STARTED, s->n_started_in_row);
}

static line *first_of_crowd(leat_pg_shares *s)
{
    if (s->n_crowd >= s->limits.crowd)
        return NULL;
    return first_of(s, LEAT_PG_CROWD, LEAT_PG_CROWD_STARTED, s->n_crowd_started_in_row);
}

static line *first_control(leat_pg_shares *s)
{
    line *l = s->was_crowd ? first_alone(s) : first_of_crowd(s);
    if (l != NULL)
        return l;
    return s->was_crowd ? first_of_crowd(s) : first_alone(s);
}

static void note_turn(leat_pg_shares *s, leat_pg_kind kind)
{
    s->was_call = kind == LEAT_PG_CALL;
    if (s->was_call)
        return;
    s->was_crowd = is_crowd(kind);
    unsigned *in_row = s->was_crowd ? &s->n_crowd_started_in_row : &s->n_started_in_row;
    bool started = kind == LEAT_PG_STARTED || kind == LEAT_PG_CROWD_STARTED;
    *in_row = started ? *in_row + 1 : 0;
}

leat_pg_place *leat_pg_shares_next(leat_pg_shares *s, leat_pg_lease *lease)
{
    line *l = s->was_call ? first_control(s) : first_call(s);
    if (l == NULL)
        l = s->was_call ? first_call(s) : first_control(s);
    if (l == NULL)
        return NULL;
    note_turn(s, l->kind);
    return lease_to(s, l, lease);
}

void leat_pg_shares_return(leat_pg_shares *s, leat_pg_lease *lease)
{
    if (lease->line_ == NULL)
        return;
    account *a = lease->line_->account;
    bool was_call = lease->line_->kind == LEAT_PG_CALL;
    s->n_crowd -= is_crowd(lease->line_->kind);
    lease->line_ = NULL;
    s->n_calls -= was_call;
    give_back(&a->leased, was_call);
    if (a->user != NULL)
        give_back(&a->user->leased, was_call);
    for (int k = 0; k < LEAT_PG_KINDS; k++)
        if (a->lines[k].state == ASIDE_CLIENT)
            set_state(s, &a->lines[k], READY);
    return_next_line(s, a->user);
    close_if_unused(s, a);
}

leat_pg_place *leat_pg_shares_drain(leat_pg_shares *s)
{
    for (leat_map_entry *e = leat_map_next(&s->accounts, NULL); e != NULL;
         e = leat_map_next(&s->accounts, e)) {
        account *a = LEAT_CONTAINER_OF(e, account, entry);
        for (int k = 0; k < LEAT_PG_KINDS; k++) {
            if (leat_list_empty(&a->lines[k].places))
                continue;
            leat_pg_place *place = LEAT_CONTAINER_OF(a->lines[k].places.next, leat_pg_place, link_);
            leat_pg_shares_leave(s, place);
            return place;
        }
    }
    return NULL;
}

const char *leat_pg_shares_holder(const leat_pg_lease *lease, uint64_t *client)
{
    if (lease->line_ == NULL)
        return NULL;
    memcpy(client, lease->line_->account->key, sizeof(*client));
    return lease->line_->kind == LEAT_PG_CALL ? "call" : "control";
}
