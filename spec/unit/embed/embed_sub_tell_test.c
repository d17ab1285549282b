/* embed_sub_tell: what a program is told of its subscription, and when; single steps, and many of
 * them at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "embed/embed_sub.h"

enum { WINDOW = 1000, ITEM = 128 + 7 }; /* an event's data is {"n":0} */

/* --- the rest of the layer --- */

struct world {
    leat_server server;
    leat_subscription *sub; /* NULL: it was given back */
    int rooms;              /* embed_sub_give_room */
    int released;

    int sent; /* events */
    bool ended;
    int told; /* events */
    int closed;
    void (*in_event)(struct world *w); /* what the callback does */
    void (*in_closed)(struct world *w);
    unsigned random;
};

static struct world *world;

void embed_sub_give_room(leat_subscription *sub)
{
    assert_ptr_equal(sub, world->sub);
    world->rooms++;
}

void embed_sub_release(leat_subscription *sub)
{
    assert_ptr_equal(sub, world->sub);
    assert_true(leat_list_empty(&sub->held));
    world->released++;
    world->sub = NULL;
    free(sub);
}

void embed_check(bool kept, const char *function, const char *rule)
{
    (void)function;
    (void)rule;
    assert_true(kept);
}

bool embed_on_callback_thread(const leat_server *s)
{
    return s == &world->server;
}

void embed_tell(leat_error *error, const leat_failure *failure)
{
    memset(error, 0, sizeof(*error));
    snprintf(error->code, sizeof(error->code), "%s", leat_code_name(failure->code));
}

/* --- the program --- */

static void on_event(void *arg, leat_subscription *sub, leat_at at, const char *data, size_t len)
{
    struct world *w = arg;
    assert_ptr_equal(sub, w->sub);
    assert_int_equal(w->closed, 0);
    assert_int_not_equal(sub->phase, EMBED_SUB_PAUSED);
    assert_int_equal(at.seq, w->told + 1);
    assert_string_equal(data, "{\"n\":0}");
    assert_int_equal(len, 7);
    w->told++;
    if (w->in_event != NULL)
        w->in_event(w);
}

static void on_closed(void *arg, leat_subscription *sub, const leat_error *why)
{
    struct world *w = arg;
    assert_ptr_equal(sub, w->sub);
    assert_string_equal(why->code, "revoked");
    w->closed++;
    if (w->in_closed != NULL)
        w->in_closed(w);
}

static struct world *begin(void)
{
    struct world *w = calloc(1, sizeof(*w));
    world = w;
    assert_int_equal(inbox_open(&w->server.inbox), 0);
    leat_subscription *sub = calloc(1, sizeof(*sub));
    leat_list_init(&sub->held);
    sub->server = &w->server;
    sub->window = WINDOW;
    sub->callbacks = (leat_subscriber_callbacks){.event = on_event, .closed = on_closed};
    sub->arg = w;
    w->sub = sub;
    return w;
}

static void end_server(struct world *w)
{
    inbox_close(&w->server.inbox);
    assert_null(w->sub);
    assert_int_equal(w->released, 1);
    leat_buf_close(&w->server.scratch);
    free(w);
}

/* --- the worker --- */

static void send_event(struct world *w)
{
    leat_event *e = leat_event_new(LEAT_EVENT_DATA, leat_slice_of("t"), ++w->sent, 7, 0, 0, 7);
    memcpy(leat_event_frame_room(e), "{\"n\":0}", 7);
    embed_sub_tell_event(w->sub, e, NULL);
    leat_event_unref(e);
}

static void send_events(struct world *w, int n)
{
    for (int i = 0; i < n; i++)
        send_event(w);
}

static void send_end(struct world *w)
{
    w->ended = true;
    embed_sub_tell_end(w->sub, &(leat_failure){.code = LEAT_CODE_REVOKED});
}

static int dispatch(struct world *w)
{
    return inbox_run(&w->server.inbox, 0);
}

static void pause_it(struct world *w)
{
    leat_pause(w->sub);
}

static void resume_it(struct world *w)
{
    leat_resume(w->sub);
}

/* --- one thing after the other --- */

static void tells_events_then_the_end(void **state)
{
    (void)state;
    struct world *w = begin();
    send_events(w, 3);
    send_end(w);

    dispatch(w);

    assert_int_equal(w->told, 3);
    assert_int_equal(w->closed, 1);
    end_server(w);
}

static void counts_what_waits(void **state)
{
    (void)state;
    struct world *w = begin();
    send_events(w, 4);
    assert_int_equal(w->sub->waiting, 4 * ITEM);

    dispatch(w);

    assert_int_equal(w->sub->waiting, 0);
    assert_int_equal(w->rooms, 1); /* when it fell below the half of the window */
    send_end(w);
    end_server(w);
}

static void tells_of_room_in_the_smallest_window(void **state)
{
    (void)state;
    struct world *w = begin();
    w->sub->window = 1;
    send_event(w);

    dispatch(w);

    assert_int_equal(w->rooms, 1);
    send_end(w);
    end_server(w);
}

static void holds_while_paused(void **state)
{
    (void)state;
    struct world *w = begin();
    leat_pause(w->sub);
    send_events(w, 2);
    dispatch(w);
    assert_int_equal(w->told, 0);
    assert_int_equal(w->sub->waiting, 2 * ITEM);

    leat_resume(w->sub);
    send_event(w);
    assert_int_equal(w->told, 0); /* callbacks run in a dispatch only */
    dispatch(w);

    assert_int_equal(w->told, 3);
    send_end(w);
    end_server(w);
}

static void the_last_word_counts(void **state)
{
    (void)state;
    struct world *w = begin();
    leat_pause(w->sub);
    send_event(w);
    dispatch(w);
    leat_resume(w->sub);
    leat_pause(w->sub);

    dispatch(w);

    assert_int_equal(w->told, 0);
    leat_resume(w->sub);
    dispatch(w);
    assert_int_equal(w->told, 1);
    send_end(w);
    end_server(w);
}

static void a_callback_may_pause_and_resume(void **state)
{
    (void)state;
    struct world *w = begin();
    w->in_event = pause_it;
    send_events(w, 3);
    for (int i = 1; i <= 3; i++) {
        dispatch(w);
        assert_int_equal(w->told, i);
        leat_resume(w->sub);
    }
    w->in_event = resume_it;
    send_event(w);
    dispatch(w);
    assert_int_equal(w->told, 4);
    send_end(w);
    end_server(w);
}

static void the_end_comes_while_paused(void **state)
{
    (void)state;
    struct world *w = begin();
    leat_pause(w->sub);
    send_event(w);
    send_end(w);

    dispatch(w);

    assert_int_equal(w->told, 0);
    assert_int_equal(w->closed, 1);
    end_server(w);
}

/* on_stopped is behind the end in the inbox: so the end cannot wait for what is behind it. */
static void the_end_waits_for_nothing_behind_it(void **state)
{
    (void)state;
    struct world *w = begin();
    leat_pause(w->sub);
    send_event(w);
    dispatch(w);
    send_end(w);
    leat_resume(w->sub);

    dispatch(w);

    assert_int_equal(w->told, 1);
    assert_int_equal(w->closed, 1);
    assert_int_equal(w->released, 1);
    end_server(w);
}

static void the_end_in_the_same_dispatch_as_a_pause(void **state)
{
    (void)state;
    struct world *w = begin();
    w->in_event = pause_it;
    leat_pause(w->sub);
    send_events(w, 2);
    dispatch(w);
    leat_resume(w->sub);
    send_end(w);

    dispatch(w);

    assert_int_equal(w->told, 1);
    assert_int_equal(w->closed, 1);
    end_server(w);
}

static void in_closed_everything(struct world *w)
{
    leat_resume(w->sub);
    leat_pause(w->sub);
    leat_resume(w->sub);
}

static void closed_may_pause_and_resume(void **state)
{
    (void)state;
    struct world *w = begin();
    w->in_closed = in_closed_everything;
    leat_pause(w->sub);
    send_event(w);
    send_end(w);

    dispatch(w);
    dispatch(w);

    assert_int_equal(w->closed, 1);
    end_server(w);
}

static void nothing_but_the_end_after_unsubscribing(void **state)
{
    (void)state;
    struct world *w = begin();
    send_event(w);
    w->sub->unsubscribed = true;
    send_end(w);

    dispatch(w);

    assert_int_equal(w->told, 0);
    assert_int_equal(w->closed, 1);
    end_server(w);
}

static void a_server_is_freed_with_all_of_it_waiting(void **state)
{
    (void)state;
    struct world *w = begin();
    leat_pause(w->sub);
    send_events(w, 2);
    dispatch(w);
    leat_resume(w->sub);
    send_event(w);
    send_end(w);

    end_server(w);
}

/* --- at random --- */

static unsigned dice(struct world *w, unsigned n)
{
    w->random = w->random * 1103515245 + 12345;
    return (w->random >> 16) % n;
}

static void pause_or_resume(struct world *w)
{
    if (dice(w, 2) == 0)
        leat_pause(w->sub);
    else
        leat_resume(w->sub);
}

static void maybe_pause_or_resume(struct world *w)
{
    if (dice(w, 3) == 0)
        pause_or_resume(w);
}

static void step(struct world *w)
{
    switch (dice(w, 8)) {
    case 0:
    case 1:
    case 2:
        if (!w->ended)
            send_event(w);
        break;
    case 3:
    case 4:
        pause_or_resume(w);
        break;
    case 5:
        if (!w->ended && dice(w, 8) == 0)
            send_end(w);
        break;
    default:
        dispatch(w);
    }
}

/* Nothing that waits stays for ever: no resume is lost. */
static void finish(struct world *w)
{
    w->in_event = NULL;
    leat_resume(w->sub);
    dispatch(w);
    dispatch(w);
    if (w->sub != NULL)
        assert_int_equal(w->told, w->sent);
    if (!w->ended)
        send_end(w);
}

static void holds_in_any_order(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 3000; seed++) {
        struct world *w = begin();
        w->random = seed;
        w->in_event = maybe_pause_or_resume;
        w->in_closed = pause_or_resume;
        for (int i = 0; i < 40 && w->sub != NULL; i++)
            step(w);
        if (w->sub != NULL && seed % 4 != 0)
            finish(w);
        else if (w->sub != NULL && !w->ended)
            send_end(w);
        end_server(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_events_then_the_end),
        cmocka_unit_test(counts_what_waits),
        cmocka_unit_test(tells_of_room_in_the_smallest_window),
        cmocka_unit_test(holds_while_paused),
        cmocka_unit_test(the_last_word_counts),
        cmocka_unit_test(a_callback_may_pause_and_resume),
        cmocka_unit_test(the_end_comes_while_paused),
        cmocka_unit_test(the_end_waits_for_nothing_behind_it),
        cmocka_unit_test(the_end_in_the_same_dispatch_as_a_pause),
        cmocka_unit_test(closed_may_pause_and_resume),
        cmocka_unit_test(nothing_but_the_end_after_unsubscribing),
        cmocka_unit_test(a_server_is_freed_with_all_of_it_waiting),
        cmocka_unit_test(holds_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
