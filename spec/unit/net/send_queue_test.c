#include "net/send_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"

/* All bytes in the queue, as one zero-terminated text. */
static char *text_of(const leat_send_queue *q)
{
    struct iovec iov[256];
    size_t total = 0;
    size_t n = leat_send_queue_gather(q, iov, 256, &total);
    leat_buf out = LEAT_BUF_INIT;
    for (size_t i = 0; i < n; i++)
        leat_buf_append(&out, iov[i].iov_base, iov[i].iov_len);
    assert_int_equal(out.len, total);
    return leat_buf_detach(&out, NULL);
}

static void assert_holds(const leat_send_queue *q, const char *expected)
{
    char *text = text_of(q);
    assert_string_equal(text, expected);
    assert_int_equal(q->bytes, strlen(expected));
    free(text);
}

static size_t pieces(const leat_send_queue *q)
{
    struct iovec iov[256];
    size_t total = 0;
    return leat_send_queue_gather(q, iov, 256, &total);
}

static void take(leat_send_queue *q, char c, size_t len)
{
    leat_buf b = LEAT_BUF_INIT;
    memset(leat_buf_reserve(&b, len), c, len);
    b.len = len;
    leat_send_queue_take(q, &b, 0);
    assert_int_equal(b.len, 0);
    leat_buf_close(&b);
}

static void keeps_the_order_of_all_kinds(void **state)
{
    (void)state;
    leat_send_queue q;
    leat_send_queue_init(&q);
    leat_event *e = fixture_event("<event>");
    leat_buf owned = LEAT_BUF_INIT;
    leat_buf_text(&owned, "owned ");

    leat_send_queue_copy(&q, leat_slice_of("copy "));
    leat_send_queue_take(&q, &owned, 0);
    leat_send_queue_event(&q, e, leat_event_frame(e));
    leat_send_queue_event(&q, e, leat_slice_of(" static"));
    leat_send_queue_copy(&q, leat_slice_of(" end"));

    assert_holds(&q, "copy owned <event> static end");
    leat_event_unref(e);
    assert_holds(&q, "copy owned <event> static end");
    leat_send_queue_close(&q);
    assert_holds(&q, "");
}

static void puts_small_copies_together(void **state)
{
    (void)state;
    leat_send_queue q;
    leat_send_queue_init(&q);

    for (int i = 0; i < 100; i++)
        leat_send_queue_copy(&q, leat_slice_of("0123456789"));
    take(&q, 'x', 3);

    assert_int_equal(pieces(&q), 1);
    take(&q, 'y', 200);
    assert_int_equal(pieces(&q), 2);
    leat_send_queue_close(&q);
}

static void goes_on_in_a_block_that_is_partly_sent(void **state)
{
    (void)state;
    leat_send_queue q;
    leat_send_queue_init(&q);

    leat_send_queue_copy(&q, leat_slice_of("abcdef"));
    leat_send_queue_consume(&q, 4);
    leat_send_queue_copy(&q, leat_slice_of("gh"));

    assert_int_equal(pieces(&q), 1);
    assert_holds(&q, "efgh");
    leat_send_queue_consume(&q, 4);
    leat_send_queue_copy(&q, leat_slice_of("ij"));
    assert_holds(&q, "ij");
    leat_send_queue_close(&q);
}

static void takes_large_buffers_without_copying(void **state)
{
    (void)state;
    leat_send_queue q;
    leat_send_queue_init(&q);
    leat_buf b = LEAT_BUF_INIT;
    memset(leat_buf_reserve(&b, 1000), 'z', 1000);
    b.len = 1000;
    const char *at = b.at;

    leat_send_queue_take(&q, &b, 0);

    struct iovec iov[1];
    size_t total = 0;
    assert_int_equal(leat_send_queue_gather(&q, iov, 1, &total), 1);
    assert_ptr_equal(iov[0].iov_base, at);
    assert_int_equal(total, 1000);
    leat_send_queue_close(&q);
}

static void shares_the_bytes_of_events(void **state)
{
    (void)state;
    leat_send_queue q;
    leat_send_queue_init(&q);
    leat_event *e = fixture_event("shared");

    leat_send_queue_event(&q, e, leat_event_frame(e));

    struct iovec iov[1];
    size_t total = 0;
    leat_send_queue_gather(&q, iov, 1, &total);
    assert_ptr_equal(iov[0].iov_base, leat_event_frame(e).at);
    leat_send_queue_close(&q);
    leat_event_unref(e);
}

static void ignores_what_is_empty(void **state)
{
    (void)state;
    leat_send_queue q;
    leat_send_queue_init(&q);
    leat_event *e = fixture_event("");

    leat_send_queue_copy(&q, leat_slice_of(""));
    take(&q, 'x', 0);
    leat_send_queue_event(&q, e, leat_event_frame(e));

    assert_int_equal(pieces(&q), 0);
    leat_event_unref(e);
    leat_send_queue_close(&q);
}

static void gathers_no_more_than_asked(void **state)
{
    (void)state;
    leat_send_queue q;
    leat_send_queue_init(&q);
    for (int i = 0; i < 9; i++)
        take(&q, (char)('a' + i), 300);

    struct iovec iov[4];
    size_t total = 0;
    size_t n = leat_send_queue_gather(&q, iov, 4, &total);

    assert_int_equal(n, 4);
    assert_int_equal(total, 1200);
    assert_int_equal(q.bytes, 2700);
    leat_send_queue_close(&q);
}

/* Whatever is taken off at a time, the ring turning and growing meanwhile, the bytes stay the same.
 */
static void survives_any_way_of_consuming(void **state)
{
    (void)state;
    for (size_t step = 1; step < 1500; step = step * 3 + 1) {
        leat_send_queue q;
        leat_send_queue_init(&q);
        leat_event *e = fixture_event("EVENT");
        leat_buf sent = LEAT_BUF_INIT;
        leat_buf expected = LEAT_BUF_INIT;

        for (int i = 0; i < 60; i++) {
            leat_send_queue_event(&q, e, leat_event_frame(e));
            leat_send_queue_copy(&q, leat_slice_of("copy"));
            take(&q, 'o', 300);
            leat_buf_text(&expected, "EVENTcopy");
            memset(leat_buf_reserve(&expected, 300), 'o', 300);
            expected.len += 300;

            char *text = text_of(&q);
            size_t n = step < q.bytes ? step : q.bytes;
            leat_buf_append(&sent, text, n);
            free(text);
            leat_send_queue_consume(&q, n);
        }
        char *rest = text_of(&q);
        leat_buf_text(&sent, rest);
        free(rest);
        leat_send_queue_consume(&q, q.bytes);

        assert_true(leat_slice_equal(leat_buf_view(&sent), leat_buf_view(&expected)));
        assert_int_equal(q.cap_, 0);
        leat_event_unref(e);
        leat_buf_close(&sent);
        leat_buf_close(&expected);
        leat_send_queue_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_order_of_all_kinds),
        cmocka_unit_test(puts_small_copies_together),
        cmocka_unit_test(goes_on_in_a_block_that_is_partly_sent),
        cmocka_unit_test(takes_large_buffers_without_copying),
        cmocka_unit_test(shares_the_bytes_of_events),
        cmocka_unit_test(ignores_what_is_empty),
        cmocka_unit_test(gathers_no_more_than_asked),
        cmocka_unit_test(survives_any_way_of_consuming),
    };
    return cmocka_run_group_tests_name("net/send_queue", tests, NULL, NULL);
}
