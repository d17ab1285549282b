#include "loop/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/container_of.h"
#include "base/mem.h"

enum { CROWD = 100 };

typedef struct end {
    leat_watch watch;
    struct fixture *f;
    int ours, far;
    unsigned ready; /* what the last call said */
    int calls;
} end;

struct fixture {
    uv_loop_t uv;
    leat_watches *set;
    int closed;
    end a, b;
};

static void on_ready(leat_watch *w, unsigned ready)
{
    end *e = LEAT_CONTAINER_OF(w, end, watch);
    e->ready = ready;
    e->calls++;
}

static void open_end(struct fixture *f, end *e, unsigned events, leat_watch_cb cb)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    *e = (end){.f = f, .ours = pair[0], .far = pair[1]};
    assert_int_equal(leat_watch_open(f->set, &e->watch, e->ours, events, cb), 0);
}

static void close_end(end *e)
{
    leat_watch_close(e->f->set, &e->watch);
    close(e->ours);
    close(e->far);
}

static int setup(void **state)
{
    struct fixture *f = leat_calloc(1, sizeof(*f));
    assert_int_equal(uv_loop_init(&f->uv), 0);
    assert_int_equal(leat_watches_new(&f->set, &f->uv), 0);
    *state = f;
    return 0;
}

static void on_set_closed(void *arg)
{
    ((struct fixture *)arg)->closed++;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    leat_watches_close(f->set, on_set_closed, f);
    uv_run(&f->uv, UV_RUN_DEFAULT);
    assert_int_equal(f->closed, 1);
    assert_int_equal(uv_loop_close(&f->uv), 0);
    free(f);
    return 0;
}

static void turn(struct fixture *f)
{
    uv_run(&f->uv, UV_RUN_NOWAIT);
}

static void tells_what_is_ready(void **state)
{
    struct fixture *f = *state;
    open_end(f, &f->a, LEAT_WATCH_READABLE, on_ready);

    turn(f);
    assert_int_equal(f->a.calls, 0);
    assert_int_equal(write(f->a.far, "x", 1), 1);
    turn(f);
    assert_int_equal(f->a.ready, LEAT_WATCH_READABLE);
    leat_watch_set(f->set, &f->a.watch, LEAT_WATCH_READABLE | LEAT_WATCH_WRITABLE);
    turn(f);
    assert_int_equal(f->a.ready, LEAT_WATCH_READABLE | LEAT_WATCH_WRITABLE);
    assert_int_equal(f->a.calls, 2);

    close_end(&f->a);
}

static void tells_it_again_while_it_is_so(void **state)
{
    struct fixture *f = *state;
    open_end(f, &f->a, LEAT_WATCH_READABLE, on_ready);
    assert_int_equal(write(f->a.far, "x", 1), 1);

    turn(f);
    turn(f);

    assert_int_equal(f->a.calls, 2);
    close_end(&f->a);
}

static void is_silent_without_events_even_if_the_far_end_is_gone(void **state)
{
    struct fixture *f = *state;
    open_end(f, &f->a, LEAT_WATCH_READABLE, on_ready);

    leat_watch_set(f->set, &f->a.watch, 0);
    shutdown(f->a.far, SHUT_RDWR);
    turn(f);
    turn(f);
    assert_int_equal(f->a.calls, 0);
    leat_watch_set(f->set, &f->a.watch, LEAT_WATCH_READABLE);
    turn(f);

    assert_int_equal(f->a.calls, 1);
    close_end(&f->a);
}

static void tells_an_end_behind_unread_bytes_even_to_one_who_does_not_read(void **state)
{
    struct fixture *f = *state;
    open_end(f, &f->a, LEAT_WATCH_END, on_ready);

    assert_int_equal(write(f->a.far, "x", 1), 1);
    turn(f);
    assert_int_equal(f->a.calls, 0);
    shutdown(f->a.far, SHUT_WR);
    turn(f);
    assert_int_equal(f->a.ready, LEAT_WATCH_END);
    leat_watch_set(f->set, &f->a.watch, 0);
    turn(f);

    assert_int_equal(f->a.calls, 1);
    close_end(&f->a);
}

static void on_ready_closes_both(leat_watch *w, unsigned ready)
{
    struct fixture *f = LEAT_CONTAINER_OF(w, end, watch)->f;
    on_ready(w, ready);
    leat_watch_close(f->set, &f->a.watch);
    leat_watch_close(f->set, &f->b.watch);
}

static void skips_what_was_closed_in_this_turn(void **state)
{
    struct fixture *f = *state;
    open_end(f, &f->a, LEAT_WATCH_WRITABLE, on_ready_closes_both);
    open_end(f, &f->b, LEAT_WATCH_WRITABLE, on_ready_closes_both);

    turn(f);

    assert_int_equal(f->a.calls + f->b.calls, 1);
    close(f->a.ours), close(f->a.far);
    close(f->b.ours), close(f->b.far);
}

static void on_ready_takes_its_time(leat_watch *w, unsigned ready)
{
    on_ready(w, ready);
    for (uint64_t end_ns = uv_hrtime() + 1000000; uv_hrtime() < end_ns;)
        continue;
}

static int calls_of(const end *crowd)
{
    int calls = 0;
    for (int i = 0; i < CROWD; i++)
        calls += crowd[i].calls;
    return calls;
}

/* All are ready all the time, and each takes as long as a turn has for all. */
static void serves_a_crowd_in_turns(void **state)
{
    struct fixture *f = *state;
    end crowd[CROWD];
    for (int i = 0; i < CROWD; i++)
        open_end(f, &crowd[i], LEAT_WATCH_WRITABLE, on_ready_takes_its_time);

    for (int turns = 1; turns <= CROWD; turns++) {
        turn(f);
        assert_int_equal(calls_of(crowd), turns);
    }

    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(crowd[i].calls, 1);
        close_end(&crowd[i]);
    }
}

static void skips_what_was_closed_while_it_waited_for_its_turn(void **state)
{
    struct fixture *f = *state;
    end crowd[CROWD];
    for (int i = 0; i < CROWD; i++)
        open_end(f, &crowd[i], LEAT_WATCH_WRITABLE, on_ready_takes_its_time);

    turn(f);
    for (int i = 0; i < CROWD; i++)
        close_end(&crowd[i]);
    open_end(f, &f->a, LEAT_WATCH_WRITABLE, on_ready);
    turn(f);

    assert_int_equal(calls_of(crowd), 1);
    assert_int_equal(f->a.calls, 1);
    close_end(&f->a);
}

static void serves_each_once_a_turn(void **state)
{
    struct fixture *f = *state;
    end crowd[CROWD];
    for (int i = 0; i < CROWD; i++)
        open_end(f, &crowd[i], LEAT_WATCH_WRITABLE, on_ready);

    for (int turns = 1; turns <= 10; turns++) {
        turn(f);
        for (int i = 0; i < CROWD; i++)
            assert_in_range(crowd[i].calls, 0, turns);
    }

    for (int i = 0; i < CROWD; i++)
        close_end(&crowd[i]);
}

static void keeps_the_loop_alive_while_there_is_a_watch(void **state)
{
    struct fixture *f = *state;
    assert_false(uv_loop_alive(&f->uv));

    open_end(f, &f->a, LEAT_WATCH_READABLE, on_ready);
    assert_true(uv_loop_alive(&f->uv));
    close_end(&f->a);

    assert_false(uv_loop_alive(&f->uv));
}

static void refuses_what_cannot_be_polled(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(leat_watch_open(f->set, &f->a.watch, -1, 0, on_ready), UV_EBADF);
    assert_false(uv_loop_alive(&f->uv));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tells_what_is_ready),
        TEST(tells_it_again_while_it_is_so),
        TEST(is_silent_without_events_even_if_the_far_end_is_gone),
        TEST(tells_an_end_behind_unread_bytes_even_to_one_who_does_not_read),
        TEST(skips_what_was_closed_in_this_turn),
        TEST(serves_a_crowd_in_turns),
        TEST(skips_what_was_closed_while_it_waited_for_its_turn),
        TEST(serves_each_once_a_turn),
        TEST(keeps_the_loop_alive_while_there_is_a_watch),
        TEST(refuses_what_cannot_be_polled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
