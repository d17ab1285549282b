/* worker_mail_test.c - a mail holds all that it says: what it was made from may be gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/event.h"
#include "mail/worker_mail.h"

static leat_line line;

static void copies_a_topic(void **state)
{
    (void)state;
    char name[] = "chat:1";
    leat_worker_mail *m = leat_worker_mail_topic(LEAT_WORKER_DISARM, &line,
                                                 (leat_topic_life){leat_slice_of(name), 7});
    memset(name, 'x', strlen(name));

    assert_int_equal(LEAT_WORKER_DISARM, m->kind);
    assert_ptr_equal(&line, m->line);
    assert_true(leat_slice_is(m->topic.name, "chat:1"));
    assert_int_equal(7, m->topic.generation);
    leat_worker_mail_free(m);
}

static void copies_a_position(void **state)
{
    (void)state;
    char name[] = "t", epoch[] = "00000001-e";
    leat_worker_mail *m = leat_worker_mail_position(
        &line, (leat_topic_life){leat_slice_of(name), 2},
        &(leat_named_position){leat_slice_of(epoch), 9, LEAT_NEVER_REVOKED});
    name[0] = epoch[0] = 'x';

    assert_int_equal(LEAT_WORKER_POSITION, m->kind);
    assert_true(leat_slice_is(m->position.topic.name, "t"));
    assert_int_equal(2, m->position.topic.generation);
    assert_true(leat_slice_is(m->position.at.epoch, "00000001-e"));
    assert_int_equal(9, m->position.at.seq);
    assert_int_equal(LEAT_NEVER_REVOKED, m->position.at.revoked);
    leat_worker_mail_free(m);
}

static void holds_an_sqlstate_or_none(void **state)
{
    (void)state;
    leat_worker_mail *m = leat_worker_mail_read_refused(&line, "57P03");
    assert_string_equal("57P03", m->sqlstate);
    leat_worker_mail_free(m);
    m = leat_worker_mail_read_refused(&line, "");
    assert_string_equal("", m->sqlstate);
    leat_worker_mail_free(m);
}

/* Under the address sanitizer a mail that nobody frees fails the test. */
static void is_dropped_by_a_closed_mailbox(void **state)
{
    (void)state;
    uv_loop_t uv;
    leat_mailbox *box;
    assert_int_equal(0, uv_loop_init(&uv));
    assert_int_equal(0, leat_mailbox_new(&box, &uv, NULL, NULL));
    leat_mailbox_close(box, NULL, NULL);
    uv_run(&uv, UV_RUN_DEFAULT);

    leat_line_init(&line, box, NULL, 0);
    leat_worker_mail_post(leat_worker_mail_new(LEAT_WORKER_ROOM, &line));

    leat_mailbox_free(box);
    assert_int_equal(0, uv_loop_close(&uv));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_a_topic),
        cmocka_unit_test(copies_a_position),
        cmocka_unit_test(holds_an_sqlstate_or_none),
        cmocka_unit_test(is_dropped_by_a_closed_mailbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
