#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "fixture.h"
#include "net/address.h"

typedef struct host {
    fixture *f;
    leat_listener *listener;
    struct sockaddr_storage addr; /* the one really bound */
    int accepted;
    int last; /* the last accepted socket */
    bool close_in_accept;
    bool rest_in_accept;
    bool closed;
} host;

static void on_done(void *arg)
{
    ((host *)arg)->closed = true;
}

static void on_accept(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer)
{
    host *h = arg;
    assert_true(peer->ss_family == AF_INET || peer->ss_family == AF_INET6);
    h->accepted++;
    if (h->last >= 0)
        close(h->last);
    h->last = socket;
    if (h->rest_in_accept)
        leat_listener_rest(h->listener);
    if (h->close_in_accept)
        leat_listener_close(h->listener, on_done, h);
}

static int open_host(host *h, fixture *f, const struct sockaddr_storage *addr, bool reuse_port)
{
    *h = (host){.f = f, .last = -1};
    int err = leat_listener_open(&h->listener, f->loop, addr, reuse_port, on_accept, h);
    if (err < 0)
        return err;
    char text[LEAT_ADDRESS_TEXT];
    leat_listener_address(h->listener, text, sizeof(text));
    return leat_address_parse(&h->addr, text);
}

static void listen_on(host *h, fixture *f, const char *text)
{
    struct sockaddr_storage addr;
    assert_int_equal(leat_listener_parse(&addr, text), 0);
    assert_int_equal(open_host(h, f, &addr, false), 0);
}

static void close_host(host *h)
{
    if (!h->close_in_accept)
        leat_listener_close(h->listener, on_done, h);
    for (int i = 0; i < 3; i++)
        fixture_turn(h->f);
    assert_true(h->closed);
    if (h->last >= 0)
        close(h->last);
}

/* The kernel completes the connection before it is accepted. */
static int dial(const struct sockaddr_storage *addr)
{
    int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)addr, sizeof(*addr)), 0);
    return fd;
}

static void turn_until_accepted(host *h, int n)
{
    uint64_t limit_ns = uv_hrtime() + 5000000000u;
    while (h->accepted < n && uv_hrtime() < limit_ns)
        fixture_turn(h->f);
    assert_int_equal(h->accepted, n);
}

static void hands_on_sockets_that_are_ready_for_use(void **state)
{
    host h;
    listen_on(&h, *state, "127.0.0.1:0");
    int client = dial(&h.addr);

    turn_until_accepted(&h, 1);

    int nodelay = 0;
    socklen_t len = sizeof(nodelay);
    assert_int_equal(getsockopt(h.last, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
    assert_int_not_equal(nodelay, 0);
    assert_int_not_equal(fcntl(h.last, F_GETFL) & O_NONBLOCK, 0);
    assert_int_not_equal(fcntl(h.last, F_GETFD) & FD_CLOEXEC, 0);
    close(client);
    close_host(&h);
}

static void accepts_a_crowd_over_several_turns(void **state)
{
    host h;
    listen_on(&h, *state, "127.0.0.1:0");
    int clients[150];
    for (int i = 0; i < 150; i++)
        clients[i] = dial(&h.addr);

    fixture_turn(h.f);
    assert_int_equal(h.accepted, 64);
    turn_until_accepted(&h, 150);

    for (int i = 0; i < 150; i++)
        close(clients[i]);
    close_host(&h);
}

static void listens_on_all_addresses(void **state)
{
    host h;
    listen_on(&h, *state, ":0");
    uint16_t port = ((struct sockaddr_in *)&h.addr)->sin_port; /* at the same place in IPv6 */
    struct sockaddr_storage addr = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&addr;
    in->sin_family = AF_INET;
    in->sin_port = port;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    int client = dial(&addr);

    turn_until_accepted(&h, 1);
    close(client);
    close_host(&h);
}

/* As a kernel that was started with ipv6.disable=1. Cannot be undone in this process. */
static bool forget_ip6(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(steps) / sizeof(steps[0]), steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void listens_on_all_addresses_of_a_machine_without_ipv6(void **state)
{
    (void)state;
    struct sockaddr_storage any, one;
    int status = 0;
    assert_int_equal(leat_listener_parse(&any, ":0"), 0);
    assert_int_equal(leat_listener_parse(&one, "[::1]:0"), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sockaddr_storage addr = {0};
        bool right = forget_ip6() && leat_listener_socket(&one) == UV_EAFNOSUPPORT &&
                     leat_listener_take_over(leat_listener_socket(&any), &addr) == 0 &&
                     addr.ss_family == AF_INET;
        _exit(right ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void can_be_closed_in_on_accept(void **state)
{
    host h;
    listen_on(&h, *state, "127.0.0.1:0");
    h.close_in_accept = true;
    int first = dial(&h.addr);
    int second = dial(&h.addr);

    turn_until_accepted(&h, 1);
    close_host(&h);

    assert_int_equal(h.accepted, 1);
    close(first);
    close(second);
}

static void frees_the_port_when_it_closes(void **state)
{
    host h, again;
    listen_on(&h, *state, "127.0.0.1:0");
    close_host(&h);

    assert_int_equal(open_host(&again, *state, &h.addr, false), 0);

    close_host(&again);
}

static void fails_on_an_address_of_another_machine(void **state)
{
    struct sockaddr_storage addr;
    host h;
    assert_int_equal(leat_listener_parse(&addr, "192.0.2.1:0"), 0);

    assert_int_equal(open_host(&h, *state, &addr, false), UV_EADDRNOTAVAIL);
}

static void refuses_a_port_that_is_taken(void **state)
{
    host h, second;
    listen_on(&h, *state, "127.0.0.1:0");

    assert_int_equal(open_host(&second, *state, &h.addr, false), UV_EADDRINUSE);

    close_host(&h);
}

/* What another program of the same user does that shares ports generously. */
static int share_port(struct sockaddr_storage *addr)
{
    int one = 1;
    socklen_t len = sizeof(*addr);
    int fd = socket(addr->ss_family, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    assert_int_equal(bind(fd, (struct sockaddr *)addr, sizeof(struct sockaddr_in)), 0);
    assert_int_equal(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)addr, &len);
    return fd;
}

static void refuses_a_port_that_somebody_shares(void **state)
{
    struct sockaddr_storage addr;
    host h;
    assert_int_equal(leat_listener_parse(&addr, "127.0.0.1:0"), 0);
    int other = share_port(&addr);

    assert_int_equal(open_host(&h, *state, &addr, false), UV_EADDRINUSE);

    close(other);
}

static void shares_its_port_with_later_listeners(void **state)
{
    host hosts[3];
    listen_on(&hosts[0], *state, "127.0.0.1:0");
    assert_int_equal(open_host(&hosts[1], *state, &hosts[0].addr, true), 0);
    assert_int_equal(open_host(&hosts[2], *state, &hosts[0].addr, true), 0);
    int clients[150];
    for (int i = 0; i < 150; i++)
        clients[i] = dial(&hosts[0].addr);

    for (int i = 0; i < 10; i++)
        fixture_turn(*state);

    assert_int_equal(hosts[0].accepted + hosts[1].accepted + hosts[2].accepted, 150);
    for (int i = 0; i < 3; i++) {
        assert_true(hosts[i].accepted > 0);
        close_host(&hosts[i]);
    }
    for (int i = 0; i < 150; i++)
        close(clients[i]);
}

/* As a service manager opens it: blocking, and for programs that it starts. */
static int open_elsewhere(int family, int type)
{
    struct sockaddr_storage addr = {.ss_family = (sa_family_t)family};
    socklen_t len = family == AF_UNIX ? sizeof(sa_family_t) : sizeof(struct sockaddr_in);
    int fd = socket(family, type, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    return fd;
}

static void takes_over_a_socket_that_somebody_else_opened(void **state)
{
    host h = {.f = *state, .last = -1};
    int fd = open_elsewhere(AF_INET, SOCK_STREAM);
    assert_int_equal(listen(fd, 16), 0);

    assert_int_equal(leat_listener_take_over(fd, &h.addr), 0);
    assert_int_equal(leat_listener_adopt(&h.listener, h.f->loop, fd, on_accept, &h), 0);
    int first = dial(&h.addr);
    turn_until_accepted(&h, 1);

    int nodelay = 0;
    socklen_t len = sizeof(nodelay);
    assert_int_equal(getsockopt(h.last, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
    assert_int_not_equal(nodelay, 0);
    assert_int_not_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    close_host(&h);
    int second = dial(&h.addr); /* it listens on, for whoever takes it over next */
    close(first);
    close(second);
    close(fd);
}

static void takes_over_nothing_that_is_no_tcp_socket_that_listens(void **state)
{
    struct sockaddr_storage addr;
    (void)state;
    int deaf = open_elsewhere(AF_INET, SOCK_STREAM);
    int udp = open_elsewhere(AF_INET, SOCK_DGRAM);
    int local = open_elsewhere(AF_UNIX, SOCK_STREAM);
    assert_int_equal(listen(local, 16), 0);

    assert_int_equal(leat_listener_take_over(deaf, &addr), UV_EINVAL);
    assert_int_equal(leat_listener_take_over(udp, &addr), UV_EINVAL);
    assert_int_equal(leat_listener_take_over(local, &addr), UV_EAFNOSUPPORT);
    close(deaf);
    close(udp);
    close(local);
    assert_int_equal(leat_listener_take_over(local, &addr), UV_EBADF);
}

static void accepts_nothing_while_it_rests(void **state)
{
    host h;
    listen_on(&h, *state, "127.0.0.1:0");
    h.rest_in_accept = true;
    int first = dial(&h.addr);
    int second = dial(&h.addr);

    turn_until_accepted(&h, 1);
    fixture_turn(h.f);
    assert_int_equal(h.accepted, 1);
    turn_until_accepted(&h, 2);

    close(first);
    close(second);
    close_host(&h);
}

static void on_line(void *arg, leat_log_level level, const char *line, size_t len)
{
    (void)level;
    (void)line;
    (void)len;
    ++*(int *)arg;
}

/* Leaves this process no descriptor to spare. Returns the limit as it was. */
static struct rlimit use_up_descriptors(void)
{
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(0);
    close(next);
    struct rlimit none = before;
    none.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    return before;
}

static void pauses_when_descriptors_are_out(void **state)
{
    host h;
    int lines = 0;
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_WARN, on_line, &lines);
    leat_log_bind(log);
    listen_on(&h, *state, "127.0.0.1:0");
    int client = dial(&h.addr);
    struct rlimit before = use_up_descriptors();

    uint64_t begun_ms = leat_loop_now(h.f->loop);
    while (leat_loop_now(h.f->loop) < begun_ms + 250) /* long enough for a second try */
        uv_run(&h.f->uv, UV_RUN_ONCE);
    assert_int_equal(h.accepted, 0);
    assert_int_equal(lines, 1);
    setrlimit(RLIMIT_NOFILE, &before);
    turn_until_accepted(&h, 1);

    close(client);
    close_host(&h);
    leat_log_bind(NULL);
    leat_log_free(log);
}

static void closes_while_it_pauses(void **state)
{
    host h;
    listen_on(&h, *state, "127.0.0.1:0");
    int client = dial(&h.addr);
    struct rlimit before = use_up_descriptors();
    fixture_turn(h.f);

    close_host(&h);

    setrlimit(RLIMIT_NOFILE, &before);
    close(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hands_on_sockets_that_are_ready_for_use),
        TEST(accepts_a_crowd_over_several_turns),
        TEST(listens_on_all_addresses),
        TEST(listens_on_all_addresses_of_a_machine_without_ipv6),
        TEST(can_be_closed_in_on_accept),
        TEST(frees_the_port_when_it_closes),
        TEST(fails_on_an_address_of_another_machine),
        TEST(refuses_a_port_that_is_taken),
        TEST(refuses_a_port_that_somebody_shares),
        TEST(shares_its_port_with_later_listeners),
        TEST(takes_over_a_socket_that_somebody_else_opened),
        TEST(takes_over_nothing_that_is_no_tcp_socket_that_listens),
        TEST(accepts_nothing_while_it_rests),
        TEST(pauses_when_descriptors_are_out),
        TEST(closes_while_it_pauses),
    };
    return cmocka_run_group_tests_name("net/listener", tests, NULL, NULL);
}
