/* share_test.c - one read for all who ask for the same key.
 *
 * The test plays the reads: it notes which grant leads, and answers when it likes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/admission.h"
#include "core/share.h"

enum { N_WAITS = 4, RING_BYTES = 64, TIMEOUT_MS = 1000 };

struct leat_read {
    leat_grant *grant;
    leat_read_cb cb;
    void *arg;
};

static struct {
    leat_read *running;
    size_t n_started;
    size_t n_cancelled;
    leat_read_need need; /* the last one */
} reads;

static leat_map epochs;

leat_read *leat_read_start(const leat_ring *ring, leat_grant *grant, leat_read_need need,
                           uint64_t deadline_ms, leat_read_cb cb, void *arg)
{
    (void)ring, (void)deadline_ms;
    assert_null(reads.running);
    reads.running = leat_calloc(1, sizeof(*reads.running));
    *reads.running = (leat_read){grant, cb, arg};
    reads.need = need;
    reads.n_started++;
    return reads.running;
}

void leat_read_cancel(leat_read *r)
{
    assert_ptr_equal(reads.running, r);
    reads.running = NULL;
    reads.n_cancelled++;
    free(r);
}

uint32_t leat_admission_retry_ms(leat_core *core)
{
    (void)core;
    return 1000;
}

bool leat_pg_pool_healthy(const leat_pg_pool *p)
{
    return p != NULL; /* the world's pool: NULL is one that is down */
}

bool leat_ring_leads_on(const leat_ring *r, int64_t next_seq)
{
    return next_seq <= r->head + 1;
}

static void answer(leat_read_outcome outcome)
{
    leat_read *r = reads.running;
    assert_non_null(r);
    reads.running = NULL;
    outcome.snapshot.position.epoch = leat_epoch_of(&epochs, leat_slice_of("e"));
    r->cb(r, &outcome, r->arg);
    leat_epoch_unref(outcome.snapshot.position.epoch);
    free(r);
}

static const leat_read_outcome good = {.snapshot = {.position.seq = 5, .json = {"{}", 2}}};
static const leat_read_outcome bad = {.failure.code = LEAT_CODE_NOT_FOUND};

typedef struct waiter {
    leat_share_wait wait;
    leat_grant grant;
    char share[8]; /* the grant's key */
    struct world *world;
    size_t n_served;
    leat_read_outcome last;
    bool joins_again;
    leat_read_need need;
} waiter;

typedef struct world {
    uv_loop_t uv;
    leat_loop *loop;
    leat_limits limits;
    leat_core core;
    leat_ring ring;
    leat_shares shares;
    waiter waiters[N_WAITS];
} world;

static void on_shared(leat_share_wait *w, const leat_read_outcome *o);

static void join_for(waiter *me, int64_t least_seq)
{
    leat_share_ask ask = {
        .grant = &me->grant,
        .least_seq = least_seq,
        .need = me->need,
        .deadline_ms = leat_loop_now(me->world->loop) + TIMEOUT_MS,
    };
    if (leat_share_is_for_all(&ask))
        leat_share_join(&me->wait, &me->world->shares, &ask, on_shared);
    else
        leat_share_alone(&me->wait, &me->world->ring, &ask, on_shared);
}

static void on_shared(leat_share_wait *w, const leat_read_outcome *o)
{
    waiter *me = w->data;
    me->n_served++;
    me->last = *o;
    if (!me->joins_again)
        return;
    me->joins_again = false;
    join_for(me, 0);
}

static void set_share(waiter *me, const char *key)
{
    leat_slice text = leat_slice_of(key);
    memcpy(me->share, text.len > 0 ? text.at : "", text.len);
    me->grant.share_at_ =
        key == NULL ? 0 : (uint16_t)(offsetof(waiter, share) - offsetof(waiter, grant));
    me->grant.share_len_ = (uint32_t)text.len;
}

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    memset(&reads, 0, sizeof(reads));
    assert_int_equal(0, uv_loop_init(&w->uv));
    assert_int_equal(0, leat_loop_new(&w->loop, &w->uv));
    w->limits.ring_bytes = RING_BYTES;
    w->core.loop = w->loop;
    w->core.limits = &w->limits;
    w->core.confirmed = true;
    w->ring.core = &w->core;
    leat_map_init(&epochs);
    w->ring.epoch = leat_epoch_of(&epochs, leat_slice_of("e"));
    w->ring.head = 9;
    leat_shares_init(&w->shares, &w->ring);
    for (int i = 0; i < N_WAITS; i++) {
        leat_share_wait_init(&w->waiters[i].wait);
        w->waiters[i].world = w;
        w->waiters[i].wait.data = &w->waiters[i];
        set_share(&w->waiters[i], "key");
    }
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    for (int i = 0; i < N_WAITS; i++)
        leat_share_leave(&w->waiters[i].wait);
    assert_null(reads.running);
    leat_shares_close(&w->shares);
    leat_epoch_unref(w->ring.epoch);
    assert_int_equal(0, epochs.count);
    leat_map_close(&epochs);
    leat_loop_close(w->loop, NULL, NULL);
    uv_run(&w->uv, UV_RUN_DEFAULT);
    assert_int_equal(0, uv_loop_close(&w->uv));
    free(w);
    return 0;
}

static void join(world *w, int i)
{
    join_for(&w->waiters[i], -1);
}

static void turn(world *w)
{
    uv_run(&w->uv, UV_RUN_NOWAIT);
}

static void one_read_serves_all(void **state)
{
    world *w = *state;
    for (int i = 0; i < N_WAITS; i++)
        join(w, i);

    answer(good);

    assert_int_equal(1, reads.n_started);
    for (int i = 0; i < N_WAITS; i++) {
        assert_int_equal(1, w->waiters[i].n_served);
        assert_int_equal(5, w->waiters[i].last.snapshot.position.seq);
    }
}

static void a_newcomer_is_served_from_what_is_at_hand(void **state)
{
    world *w = *state;
    join(w, 0);
    answer(good);

    join(w, 1);
    assert_int_equal(0, w->waiters[1].n_served); /* never from inside */
    turn(w);

    assert_int_equal(1, w->waiters[1].n_served);
    assert_int_equal(1, reads.n_started);
}

static void what_the_ring_does_not_continue_is_read_anew(void **state)
{
    world *w = *state;
    join(w, 0);
    answer(good);

    w->ring.head = 4;
    join(w, 1);

    assert_int_equal(2, reads.n_started);
}

static void a_read_ends_when_all_are_served_without_it(void **state)
{
    world *w = *state;
    join(w, 0);
    w->ring.head = 4;
    answer(good); /* ahead of the ring: not at hand */
    join(w, 1);   /* leads another read */
    assert_int_equal(2, reads.n_started);

    w->ring.head = 5; /* the ring catches up */
    join(w, 2);
    turn(w);

    assert_int_equal(1, w->waiters[1].n_served);
    assert_int_equal(1, w->waiters[2].n_served);
    assert_null(reads.running); /* its grant may go at any moment */
    assert_int_equal(1, reads.n_cancelled);
}

static void a_stale_snapshot_is_not_kept(void **state)
{
    world *w = *state;
    leat_read_outcome stale = good;
    stale.snapshot.stale = true;
    join(w, 0);
    answer(stale);
    assert_true(w->waiters[0].last.snapshot.stale);

    join(w, 1);

    assert_int_equal(2, reads.n_started);
}

static void the_next_one_leads_when_the_leader_leaves(void **state)
{
    world *w = *state;
    join(w, 0);
    join(w, 1);

    leat_share_leave(&w->waiters[0].wait);

    assert_int_equal(1, reads.n_cancelled);
    assert_ptr_equal(&w->waiters[1].grant, reads.running->grant);
}

static void one_who_only_waits_leaves_without_a_trace(void **state)
{
    world *w = *state;
    join(w, 0);
    join(w, 1);

    leat_share_leave(&w->waiters[1].wait);
    answer(good);

    assert_int_equal(0, reads.n_cancelled);
    assert_int_equal(1, w->waiters[0].n_served);
    assert_int_equal(0, w->waiters[1].n_served);
}

static void a_failure_is_the_leaders_alone(void **state)
{
    world *w = *state;
    join(w, 0);
    join(w, 1);

    answer(bad);
    assert_int_equal(LEAT_CODE_NOT_FOUND, w->waiters[0].last.failure.code);
    assert_int_equal(0, w->waiters[1].n_served);
    assert_ptr_equal(&w->waiters[1].grant, reads.running->grant);
    answer(good);

    assert_int_equal(LEAT_CODE_OK, w->waiters[1].last.failure.code);
}

static void who_needs_a_later_one_waits_for_the_next_read(void **state)
{
    world *w = *state;
    leat_read_outcome later = good;
    later.snapshot.position.seq = 6;
    join(w, 0);
    join_for(&w->waiters[1], 6);

    answer(good);
    assert_int_equal(1, w->waiters[0].n_served);
    assert_int_equal(0, w->waiters[1].n_served);
    assert_ptr_equal(&w->waiters[1].grant, reads.running->grant);
    answer(later);

    assert_int_equal(6, w->waiters[1].last.snapshot.position.seq);
    assert_int_equal(2, reads.n_started);
}

/* Newcomers who are served from what is at hand do not take its read away. */
static void who_needs_a_later_one_keeps_its_read(void **state)
{
    world *w = *state;
    leat_read_outcome later = good;
    later.snapshot.position.seq = 6;
    join(w, 0);
    answer(good);

    join_for(&w->waiters[1], 6);
    join(w, 2);
    turn(w);
    assert_int_equal(1, w->waiters[2].n_served);
    assert_int_equal(0, reads.n_cancelled);
    answer(later);

    assert_int_equal(6, w->waiters[1].last.snapshot.position.seq);
    assert_int_equal(2, reads.n_started);
}

/* As when those who wait in line for their turn follow those who had it. */
static void who_joins_while_others_are_served_needs_no_read(void **state)
{
    world *w = *state;
    w->waiters[0].joins_again = true;
    join(w, 0);

    answer(good);
    turn(w);

    assert_int_equal(2, w->waiters[0].n_served);
    assert_int_equal(1, reads.n_started);
}

static void what_is_at_hand_may_be_too_old(void **state)
{
    world *w = *state;
    join(w, 0);
    answer(good);

    join_for(&w->waiters[1], 6);
    turn(w);
    assert_int_equal(0, w->waiters[1].n_served);
    leat_share_leave(&w->waiters[1].wait);
    w->ring.resynced = 6; /* nor would the ring lead on from it without a stop */
    join(w, 2);

    assert_int_equal(3, reads.n_started);
}

static void numbers_of_another_numbering_serve_all(void **state)
{
    world *w = *state;
    join_for(&w->waiters[0], 60);
    leat_epoch_unref(w->ring.epoch);
    w->ring.epoch = leat_epoch_of(&epochs, leat_slice_of("before"));

    answer(good); /* of "e" */

    assert_int_equal(1, w->waiters[0].n_served);
}

static void a_restart_forgets_what_is_at_hand(void **state)
{
    world *w = *state;
    join(w, 0);
    answer(good);

    leat_shares_restart(&w->shares, false);
    join(w, 1);
    turn(w);

    assert_int_equal(0, w->waiters[1].n_served);
    assert_int_equal(2, reads.n_started);
}

/* It may be of the old numbering, and older than what others have seen of it. */
static void another_numbering_begins_the_running_read_anew(void **state)
{
    world *w = *state;
    join(w, 0);
    leat_shares_restart(&w->shares, false);
    assert_int_equal(0, reads.n_cancelled);

    leat_shares_restart(&w->shares, true);
    join(w, 1);
    answer(good);

    assert_int_equal(1, reads.n_cancelled);
    assert_int_equal(2, reads.n_started);
    assert_int_equal(1, w->waiters[0].n_served);
    assert_int_equal(1, w->waiters[1].n_served);
}

static void who_is_served_may_ask_again(void **state)
{
    world *w = *state;
    w->ring.head = 4; /* the snapshot is ahead of the ring: not at hand */
    w->waiters[0].joins_again = true;
    join(w, 0);
    join(w, 1);

    answer(good);
    assert_int_equal(1, w->waiters[0].n_served);
    assert_int_equal(1, w->waiters[1].n_served);
    answer(good);

    assert_int_equal(2, w->waiters[0].n_served);
}

static void snapshots_at_hand_are_bounded(void **state)
{
    world *w = *state;
    char json[RING_BYTES / 2 + 1];
    memset(json, '1', sizeof(json));
    leat_read_outcome large = good;
    large.snapshot.json = (leat_slice){json, sizeof(json)};
    set_share(&w->waiters[1], "another");
    join(w, 0);
    answer(large);
    join(w, 1);
    answer(large);

    join(w, 2); /* for the first key, whose snapshot had to go */

    assert_int_equal(3, reads.n_started);
}

static void a_read_without_a_key_is_its_waiters_own(void **state)
{
    world *w = *state;
    set_share(&w->waiters[0], NULL);
    join(w, 0);
    answer(good);
    assert_int_equal(1, w->waiters[0].n_served);

    join(w, 1);

    assert_int_equal(2, reads.n_started);
}

static void a_read_without_fallback_is_its_waiters_own(void **state)
{
    world *w = *state;
    join(w, 0);
    answer(good);
    w->waiters[1].need = LEAT_READ_FRESH;

    join(w, 1);
    assert_int_equal(reads.need, LEAT_READ_FRESH);
    leat_share_leave(&w->waiters[1].wait);

    assert_int_equal(1, reads.n_cancelled);
    assert_int_equal(0, w->waiters[1].n_served);
}

/* The leader may have had more time than the one who joined. */
static void a_wait_ends_at_its_own_deadline(void **state)
{
    world *w = *state;
    leat_deadline_queue *deadlines = leat_loop_deadlines(w->loop);
    uint64_t now = leat_loop_now(w->loop);
    join(w, 0);
    w->core.pool = (leat_pg_pool *)w;
    leat_share_ask ask = {.grant = &w->waiters[1].grant, .deadline_ms = now + TIMEOUT_MS / 2};
    leat_share_join(&w->waiters[1].wait, &w->shares, &ask, on_shared);

    leat_deadline_queue_advance(deadlines, now + TIMEOUT_MS / 2 + 1);

    assert_int_equal(1, w->waiters[1].n_served);
    assert_int_equal(LEAT_CODE_DEADLINE_EXCEEDED, w->waiters[1].last.failure.code);
    assert_true(w->waiters[1].last.failure.read_failed);
    assert_int_equal(0, w->waiters[0].n_served);
}

static void a_wait_says_so_when_the_database_is_down(void **state)
{
    world *w = *state;
    uint64_t now = leat_loop_now(w->loop);
    join(w, 0);

    leat_deadline_queue_advance(leat_loop_deadlines(w->loop), now + TIMEOUT_MS + 1);

    assert_int_equal(LEAT_CODE_UNAVAILABLE, w->waiters[0].last.failure.code);
    assert_true(w->waiters[0].last.failure.retry_after_ms > 0);
    assert_int_equal(1, reads.n_cancelled); /* it led the read */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_read_serves_all),
        TEST(a_newcomer_is_served_from_what_is_at_hand),
        TEST(what_the_ring_does_not_continue_is_read_anew),
        TEST(a_read_ends_when_all_are_served_without_it),
        TEST(a_stale_snapshot_is_not_kept),
        TEST(the_next_one_leads_when_the_leader_leaves),
        TEST(one_who_only_waits_leaves_without_a_trace),
        TEST(a_failure_is_the_leaders_alone),
        TEST(who_needs_a_later_one_waits_for_the_next_read),
        TEST(who_needs_a_later_one_keeps_its_read),
        TEST(who_joins_while_others_are_served_needs_no_read),
        TEST(what_is_at_hand_may_be_too_old),
        TEST(numbers_of_another_numbering_serve_all),
        TEST(a_restart_forgets_what_is_at_hand),
        TEST(another_numbering_begins_the_running_read_anew),
        TEST(who_is_served_may_ask_again),
        TEST(snapshots_at_hand_are_bounded),
        TEST(a_read_without_a_key_is_its_waiters_own),
        TEST(a_read_without_fallback_is_its_waiters_own),
        TEST(a_wait_ends_at_its_own_deadline),
        TEST(a_wait_says_so_when_the_database_is_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
