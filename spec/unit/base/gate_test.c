#include "base/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void tells_where_it_stops_and_takes_one_byte_to_go_on(void **state)
{
    (void)state;
    int ends[2];
    char line[64] = "";
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    leat_gate gate = {.fd = ends[0]};
    assert_int_equal(write(ends[1], "gg", 2), 2);

    leat_gate_stop(&gate, "READING", leat_slice_of("a\nb"), NULL);
    leat_gate_stop(&gate, "subscribe", leat_slice_of("t"), "select 1");

    assert_true(read(ends[1], line, sizeof(line) - 1) > 0);
    assert_string_equal(line, "READING\ta\037b\t\nsubscribe\tt\tselect 1\n");
    assert_int_equal(gate.fd, ends[0]);
    close(ends[0]);
    close(ends[1]);
}

static void is_given_up_when_the_test_is_gone(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    leat_gate gate = {.fd = ends[0]};
    close(ends[1]);

    leat_gate_stop(&gate, "READING", leat_slice_of("t"), NULL);

    assert_int_equal(gate.fd, LEAT_GATE_NONE);
    leat_gate_stop(&gate, "READING", leat_slice_of("t"), NULL); /* returns at once */
    leat_gate_stop(NULL, "READING", leat_slice_of("t"), NULL);
    close(ends[0]);
}

static void knows_a_socket_from_another_descriptor(void **state)
{
    (void)state;
    int ends[2];
    int pipes[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(pipe(pipes), 0);
    assert_true(leat_gate_is_socket(ends[0]));
    assert_false(leat_gate_is_socket(pipes[0]));
    assert_false(leat_gate_is_socket(-1));
    int alone = socket(AF_UNIX, SOCK_STREAM, 0), internet = socket(AF_INET, SOCK_STREAM, 0);
    assert_false(leat_gate_is_socket(alone));
    assert_false(leat_gate_is_socket(internet));
    close(alone);
    close(internet);
    for (int i = 0; i < 2; i++) {
        close(ends[i]);
        close(pipes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_where_it_stops_and_takes_one_byte_to_go_on),
        cmocka_unit_test(is_given_up_when_the_test_is_gone),
        cmocka_unit_test(knows_a_socket_from_another_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
