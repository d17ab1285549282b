/* Whose file the operator's socket may replace: that of a server that is gone, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <uv.h>

#include "control/socket.h"

typedef struct place {
    char folder[40];
    char path[60];
} place;

static int make_place(void **state)
{
    place *p = test_calloc(1, sizeof(*p));
    strcpy(p->folder, "/tmp/leat_control_XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->path, sizeof(p->path), "%s/control", p->folder);
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    place *p = *state;
    static const char *const ends[] = {"", ".lock"};
    char name[80];
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", p->path, ends[i]);
        unlink(name);
    }
    int left = rmdir(p->folder);
    test_free(p);
    return left;
}

static int bind_there(const place *p, int type)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    strcpy(addr.sun_path, p->path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_int_equal(0, bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
    if (type != SOCK_DGRAM)
        assert_int_equal(0, listen(fd, 1));
    return fd;
}

/* Returns what opening returned. */
static int open_there(const place *p, const char *expected)
{
    leat_control_socket s;
    leat_buf error = LEAT_BUF_INIT;
    int err = leat_control_socket_open(&s, "control", p->path, &error);
    leat_buf_char(&error, '\0');
    if (expected != NULL)
        assert_non_null(strstr(error.at, expected));
    if (err == 0)
        leat_control_socket_close(&s);
    leat_buf_close(&error);
    return err;
}

static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

static void test_leaves_a_living_socket(void **state)
{
    const place *p = *state;
    for (int i = 0; i < N_TYPES; i++) {
        struct stat before, after;
        int fd = bind_there(p, types[i]);
        lstat(p->path, &before);

        assert_int_equal(UV_EADDRINUSE, open_there(p, "another server has this socket"));

        lstat(p->path, &after);
        assert_true(before.st_ino == after.st_ino);
        close(fd);
        unlink(p->path);
    }
}

static void test_replaces_a_dead_socket(void **state)
{
    const place *p = *state;
    for (int i = 0; i < N_TYPES; i++) {
        close(bind_there(p, types[i]));

        assert_int_equal(0, open_there(p, NULL));
        unlink(p->path);
    }
}

static void test_is_for_user_and_group(void **state)
{
    const place *p = *state;
    struct stat st;
    mode_t before = umask(0);

    assert_int_equal(0, open_there(p, NULL));

    umask(before);
    lstat(p->path, &st);
    assert_int_equal(0660, st.st_mode & 07777);
}

static void test_follows_no_link(void **state)
{
    const place *p = *state;
    char other[80];
    snprintf(other, sizeof(other), "%s/other", p->folder);
    assert_int_equal(0, symlink(other, p->path));

    assert_int_equal(LEAT_ECONFIG, open_there(p, "is no socket"));
    assert_int_equal(-1, access(other, F_OK));
}

static void test_names_the_file_in_its_way(void **state)
{
    const place *p = *state;
    char fresh[80];
    snprintf(fresh, sizeof(fresh), "%s.new", p->path);
    assert_int_equal(0, mkdir(fresh, 0700));

    assert_int_equal(LEAT_ECONFIG, open_there(p, "/control.new: "));
    rmdir(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_leaves_a_living_socket, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_replaces_a_dead_socket, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_is_for_user_and_group, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_follows_no_link, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_names_the_file_in_its_way, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
