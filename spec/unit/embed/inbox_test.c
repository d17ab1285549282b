/* inbox: order, the descriptor, and its end. */
#include "embed/inbox.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WRITERS = 4, EACH = 5000 };

typedef struct note {
    inbox_item item;
    struct world *world;
    int writer;
    int number;
} note;

struct world {
    inbox box;
    int ran;
    int dropped;
    int last[WRITERS]; /* number of each writer */
    int again;         /* puts that many more from inside */
    bool shuts;        /* shuts the inbox from inside */
};

static void put(struct world *w, int writer, int number);

static void on_run(inbox_item *item)
{
    note *n = LEAT_CONTAINER_OF(item, note, item);
    struct world *w = n->world;
    assert_int_equal(n->number, w->last[n->writer] + 1);
    w->last[n->writer] = n->number;
    w->ran++;
    if (w->again > 0) {
        w->again--;
        put(w, n->writer, n->number + 1);
    }
    if (w->shuts)
        inbox_shut(&w->box);
    free(n);
}

static void on_drop(inbox_item *item)
{
    note *n = LEAT_CONTAINER_OF(item, note, item);
    n->world->dropped++;
    free(n);
}

static void put(struct world *w, int writer, int number)
{
    note *n = calloc(1, sizeof(*n));
    n->item = (inbox_item){.run = on_run, .drop = on_drop};
    n->world = w;
    n->writer = writer;
    n->number = number;
    inbox_put(&w->box, &n->item);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    *state = w;
    return inbox_open(&w->box);
}

static int tear_down(void **state)
{
    struct world *w = *state;
    inbox_close(&w->box);
    free(w);
    return 0;
}

static bool is_readable(const struct world *w)
{
    struct pollfd p = {.fd = w->box.fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void runs_items_in_order(void **state)
{
    struct world *w = *state;
    for (int i = 1; i <= 3; i++)
        put(w, 0, i);

    assert_int_equal(inbox_run(&w->box, 0), 3);
    assert_int_equal(w->last[0], 3);
}

static void is_readable_while_something_waits(void **state)
{
    struct world *w = *state;
    assert_false(is_readable(w));
    put(w, 0, 1);
    put(w, 0, 2);
    assert_true(is_readable(w));

    inbox_run(&w->box, 0);
    assert_false(is_readable(w));
    put(w, 0, 3);
    assert_true(is_readable(w));
}

static void leaves_what_comes_meanwhile_to_the_next_run(void **state)
{
    struct world *w = *state;
    w->again = 1;
    put(w, 0, 1);

    assert_int_equal(inbox_run(&w->box, 0), 1);
    assert_true(is_readable(w));
    assert_int_equal(inbox_run(&w->box, -1), 1);
    assert_int_equal(inbox_run(&w->box, 1), 0);
}

static void drops_what_is_left_at_the_end(void **state)
{
    struct world *w = *state;
    put(w, 0, 1);
    put(w, 0, 2);

    inbox_close(&w->box);
    assert_int_equal(w->ran, 0);
    assert_int_equal(w->dropped, 2);
}

static void drops_the_rest_of_a_run_once_it_is_shut(void **state)
{
    struct world *w = *state;
    w->shuts = true;
    put(w, 0, 1);
    put(w, 0, 2);

    assert_int_equal(inbox_run(&w->box, 0), 1);
    assert_int_equal(w->dropped, 1);
    put(w, 0, 3);
    assert_int_equal(inbox_run(&w->box, -1), 0);
    assert_int_equal(w->dropped, 2);
}

static void runs_again_once_it_is_reopened(void **state)
{
    struct world *w = *state;
    inbox_shut(&w->box);
    inbox_reopen(&w->box);
    put(w, 0, 1);

    assert_false(inbox_is_shut(&w->box));
    assert_int_equal(inbox_run(&w->box, 0), 1);
}

static void *shut_it(void *arg)
{
    inbox_shut(&((struct world *)arg)->box);
    return NULL;
}

static void a_wait_ends_when_it_is_shut(void **state)
{
    struct world *w = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, shut_it, w), 0);

    assert_int_equal(inbox_run(&w->box, -1), 0);
    pthread_join(thread, NULL);
}

struct writer {
    struct world *world;
    int number;
};

static void *write_many(void *arg)
{
    struct writer *writer = arg;
    for (int i = 1; i <= EACH; i++)
        put(writer->world, writer->number, i);
    return NULL;
}

static void loses_nothing_of_many_writers(void **state)
{
    struct world *w = *state;
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){w, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }

    while (w->ran < WRITERS * EACH)
        inbox_run(&w->box, -1);

    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(w->last[i], EACH);
    }
    assert_false(is_readable(w));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(runs_items_in_order),
        TEST(is_readable_while_something_waits),
        TEST(leaves_what_comes_meanwhile_to_the_next_run),
        TEST(drops_what_is_left_at_the_end),
        TEST(drops_the_rest_of_a_run_once_it_is_shut),
        TEST(runs_again_once_it_is_reopened),
        TEST(a_wait_ends_when_it_is_shut),
        TEST(loses_nothing_of_many_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
