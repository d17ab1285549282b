#include "loop/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

enum { SENDERS = 4, LETTERS = 5000 };

struct letter {
    leat_mail mail;
    int sender;
    int number;
};

struct receiver {
    uv_loop_t uv;
    leat_mailbox *box;
    int expected[SENDERS]; /* the next number of each sender */
    int total;
    int close_at; /* close the mailbox when that many have come; 0: not */
    int closed;
};

static void on_closed(void *arg)
{
    ((struct receiver *)arg)->closed++;
}

static void on_mail(void *arg, leat_mail *mail)
{
    struct receiver *r = arg;
    struct letter *l = LEAT_CONTAINER_OF(mail, struct letter, mail);
    assert_int_equal(l->number, r->expected[l->sender]);
    r->expected[l->sender]++;
    r->total++;
    free(l);
    if (r->total == r->close_at)
        leat_mailbox_close(r->box, on_closed, r);
}

static void open_box(struct receiver *r)
{
    *r = (struct receiver){0};
    assert_int_equal(uv_loop_init(&r->uv), 0);
    assert_int_equal(leat_mailbox_new(&r->box, &r->uv, on_mail, r), 0);
}

static void free_box(struct receiver *r)
{
    assert_int_equal(r->closed, 1);
    leat_mailbox_free(r->box);
    assert_int_equal(uv_loop_close(&r->uv), 0);
}

static struct letter *write_letter(int sender, int number)
{
    struct letter *l = leat_calloc(1, sizeof(*l));
    l->sender = sender;
    l->number = number;
    return l;
}

static bool post(leat_mailbox *box, int sender, int number)
{
    struct letter *l = write_letter(sender, number);
    bool taken = leat_mailbox_post(box, &l->mail);
    if (!taken)
        free(l);
    return taken;
}

static void delivers_on_the_loop_in_order(void **state)
{
    (void)state;
    struct receiver r;
    open_box(&r);
    for (int i = 0; i < 10; i++)
        assert_true(post(r.box, 0, i));
    assert_int_equal(r.total, 0);

    uv_run(&r.uv, UV_RUN_ONCE);

    assert_int_equal(r.total, 10);
    leat_mailbox_close(r.box, on_closed, &r);
    uv_run(&r.uv, UV_RUN_DEFAULT);
    free_box(&r);
}

static void closing_delivers_what_was_posted_and_refuses_the_rest(void **state)
{
    (void)state;
    struct receiver r;
    open_box(&r);
    for (int i = 0; i < 10; i++)
        assert_true(post(r.box, 0, i));

    leat_mailbox_close(r.box, on_closed, &r);
    assert_int_equal(r.total, 10);
    assert_false(post(r.box, 0, 10));
    uv_run(&r.uv, UV_RUN_DEFAULT);
    assert_false(post(r.box, 0, 10));

    assert_int_equal(r.total, 10);
    free_box(&r);
}

static void the_receiver_may_close_it_half_way(void **state)
{
    (void)state;
    struct receiver r;
    open_box(&r);
    r.close_at = 4;
    for (int i = 0; i < 10; i++)
        assert_true(post(r.box, 0, i));

    uv_run(&r.uv, UV_RUN_DEFAULT);

    assert_int_equal(r.total, 10);
    free_box(&r);
}

/* The loop need not be woken, so it would not sleep in between. */
static void delivers_in_the_turn_in_which_the_loop_itself_posts(void **state)
{
    (void)state;
    struct receiver r;
    open_box(&r);
    leat_loop *loop;
    assert_int_equal(leat_loop_new(&loop, &r.uv), 0);
    for (int i = 0; i < 10; i++)
        assert_true(leat_mailbox_post_here(r.box, loop, &write_letter(0, i)->mail));
    assert_int_equal(r.total, 0);

    uv_run(&r.uv, UV_RUN_NOWAIT);

    assert_int_equal(r.total, 10);
    assert_true(leat_mailbox_post_here(r.box, loop, &write_letter(0, 10)->mail));
    leat_mailbox_close(r.box, on_closed, &r);
    assert_int_equal(r.total, 11);
    struct letter refused;
    assert_false(leat_mailbox_post_here(r.box, loop, &refused.mail));
    leat_loop_close(loop, NULL, NULL);
    uv_run(&r.uv, UV_RUN_DEFAULT);
    free_box(&r);
}

struct sender {
    uv_thread_t thread;
    leat_mailbox *box;
    int number;
    int sent;
};

static void send_all(void *arg)
{
    struct sender *s = arg;
    while (s->sent < LETTERS && post(s->box, s->number, s->sent))
        s->sent++;
}

static int run_senders(struct receiver *r)
{
    struct sender senders[SENDERS] = {{0}};
    for (int i = 0; i < SENDERS; i++) {
        senders[i].box = r->box;
        senders[i].number = i;
        assert_int_equal(uv_thread_create(&senders[i].thread, send_all, &senders[i]), 0);
    }
    while (r->total < r->close_at)
        uv_run(&r->uv, UV_RUN_ONCE);
    int sent = 0;
    for (int i = 0; i < SENDERS; i++) {
        uv_thread_join(&senders[i].thread);
        sent += senders[i].sent;
    }
    uv_run(&r->uv, UV_RUN_DEFAULT);
    return sent;
}

static void many_threads_may_post(void **state)
{
    (void)state;
    struct receiver r;
    open_box(&r);
    r.close_at = SENDERS * LETTERS;

    int sent = run_senders(&r);

    assert_int_equal(sent, SENDERS * LETTERS);
    assert_int_equal(r.total, sent);
    free_box(&r);
}

static void what_post_accepted_is_delivered_though_it_closes_meanwhile(void **state)
{
    (void)state;
    struct receiver r;
    open_box(&r);
    r.close_at = LETTERS;

    int sent = run_senders(&r);

    assert_int_equal(r.total, sent);
    free_box(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivers_in_the_turn_in_which_the_loop_itself_posts),
        cmocka_unit_test(delivers_on_the_loop_in_order),
        cmocka_unit_test(closing_delivers_what_was_posted_and_refuses_the_rest),
        cmocka_unit_test(the_receiver_may_close_it_half_way),
        cmocka_unit_test(many_threads_may_post),
        cmocka_unit_test(what_post_accepted_is_delivered_though_it_closes_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
