/* main.c - the torture test: writers, subscribers, a fault-thrower, a checker.
 *
 *   torture --leat FILE --app FILE --socket-dir DIR --data-dir DIR --standby-socket-dir DIR
 *           --standby-data-dir DIR --proxy-dir DIR --pg-ctl COMMAND --make-standby COMMAND
 *           --restore COMMAND --work DIR --database NAME [--seconds N] [--seed S] [--faults a,b,…]
 * [--clients N]
 *           [--writers N] [--settle N] [--sdk COMMAND] [--sdk-clients N] [--stop-at-first]
 *
 * Everything runs for that many seconds; then the writers stop, what was broken is made whole, and
 * settle waits until every subscription has come to its topic's end. The checker compares, the
 * clients leave, the gauges must come back, and leat must end as asked. 0: no violation; 1: some.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "client.h"
#include "cluster.h"
#include "fault.h"
#include "ledger.h"
#include "proxy.h"
#include "server.h"
#include "torture.h"
#include "writer.h"

enum { MAX_TOLD = 20, STEP_MS = 50, RETURN_MS = 1500 };

static const char *const count_names[COUNT_COUNT] = {
    [COUNT_TRANSACTIONS] = "transactions committed",
    [COUNT_ROLLBACKS] = "transactions rolled back",
    [COUNT_UNKNOWN] = "transactions with an unknown end",
    [COUNT_PUBLISHED] = "events published",
    [COUNT_LARGE] = "large events written",
    [COUNT_REVOKES] = "revocations",
    [COUNT_LAPSES] = "rights left to expire",
    [COUNT_RESETS] = "topics reset",
    [COUNT_TRUNCATES] = "truncations of the watched table",
    [COUNT_EMPTIED] = "states that a truncation emptied before its time",
    [COUNT_ROWS] = "rows of the watched table written",
    [COUNT_LOST] = "events lost with a primary",
    [COUNT_LOST_SHOWN] = "positions shown and lost with a primary",
    [COUNT_CONNECTS] = "connections",
    [COUNT_STREAMS] = "connections to stream routes",
    [COUNT_SSE] = "of them, as Server-Sent Events",
    [COUNT_SESSIONS] = "subscribe requests",
    [COUNT_OUTDATED] = "subscribe requests with a position of an epoch that is over",
    [COUNT_SNAPSHOTS] = "snapshots",
    [COUNT_STALE] = "stale snapshots",
    [COUNT_RESUMED] = "resumed",
    [COUNT_RESYNCS] = "resyncs",
    [COUNT_REFUSED] = "refused",
    [COUNT_FAILED] = "failed for want of Postgres",
    [COUNT_UNSUBSCRIBES] = "unsubscribe requests",
    [COUNT_EVENTS] = "events verified",
    [COUNT_SKIPS] = "skips verified",
    [COUNT_SIGNALS] = "signals",
    [COUNT_CLOSED] = "subscriptions closed by the server",
    [COUNT_RENEWALS] = "authenticate requests",
    [COUNT_RSTS] = "connections cut by RST",
    [COUNT_GOING_AWAY] = "connections closed with 1001",
    [COUNT_TOO_SLOW] = "connections closed with 4008",
    [COUNT_PAUSES] = "clients that did not read for a while",
    [COUNT_DROPPED] = "announcements dropped",
    [COUNT_DOUBLED] = "announcements doubled",
    [COUNT_REORDERED] = "announcements held back",
    [COUNT_SDK_CONNECTS] = "centrifuge-js: connections",
    [COUNT_SDK_SNAPSHOTS] = "centrifuge-js: snapshots",
    [COUNT_SDK_STALE] = "centrifuge-js: stale snapshots",
    [COUNT_SDK_RECOVERED] = "centrifuge-js: recoveries",
    [COUNT_SDK_RESYNCS] = "centrifuge-js: resyncs",
    [COUNT_SDK_EVENTS] = "centrifuge-js: events verified",
    [COUNT_SDK_SIGNALS] = "centrifuge-js: signals",
    [COUNT_SDK_REFUSED] = "centrifuge-js: subscriptions refused or revoked",
    [COUNT_SDK_ERRORS] = "centrifuge-js: errors that passed",
};

static const char *const names[TOPICS] = {
    "plain:1", "plain:2", "plain:3", "plain:4", "plain:5", "plain:6", "share:1",
    "share:2", "share:3", "share:4", "hook:1",  "hook:2",  "lease:1", "lease:2",
    "room:1",  "room:2",  "room:3",  "room:4",  "club:1",  "club:2",  "club:3",
    "club:4",  "watch:1", "watch:2", "watch:3",
};

const char *topic_name(int topic)
{
    return names[topic];
}

double torture_seconds(const torture *t)
{
    return (double)(uv_hrtime() - t->began_ns) / 1e9;
}

void torture_violation(torture *t, const char *format, ...)
{
    va_list args;
    unsigned n = atomic_fetch_add(&t->violations, 1);
    if (n >= MAX_TOLD)
        return;
    uv_mutex_lock(&t->print);
    printf("violation at %.2f s: ", torture_seconds(t));
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    if (n == MAX_TOLD - 1)
        printf("(further violations are only counted)\n");
    fflush(stdout);
    uv_mutex_unlock(&t->print);
}

void torture_die(const char *format, ...)
{
    va_list args;
    fprintf(stderr, "torture: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    exit(2);
}

static void choose_faults(bool *chosen, const char *list)
{
    char text[300];
    snprintf(text, sizeof(text), "%s", list);
    for (int k = 0; k < FAULT_COUNT; k++)
        chosen[k] = strcmp(list, "all") == 0;
    if (strcmp(list, "all") == 0 || strcmp(list, "none") == 0)
        return;
    for (char *name = strtok(text, ","); name != NULL; name = strtok(NULL, ",")) {
        int k = 0;
        while (k < FAULT_COUNT && strcmp(name, fault_names[k]) != 0)
            k++;
        if (k == FAULT_COUNT)
            torture_die("no such fault: %s (this program knows %d, the last is %s)", name,
                        FAULT_COUNT, fault_names[FAULT_COUNT - 1]);
        chosen[k] = true;
    }
}

enum { OPT_FIRST = 256 };
static const struct option long_options[] = {
    {"leat", 1, NULL, OPT_FIRST},
    {"app", 1, NULL, OPT_FIRST + 1},
    {"socket-dir", 1, NULL, OPT_FIRST + 2},
    {"data-dir", 1, NULL, OPT_FIRST + 3},
    {"standby-socket-dir", 1, NULL, OPT_FIRST + 4},
    {"standby-data-dir", 1, NULL, OPT_FIRST + 5},
    {"proxy-dir", 1, NULL, OPT_FIRST + 6},
    {"pg-ctl", 1, NULL, OPT_FIRST + 7},
    {"make-standby", 1, NULL, OPT_FIRST + 8},
    {"work", 1, NULL, OPT_FIRST + 9},
    {"database", 1, NULL, OPT_FIRST + 10},
    {"restore", 1, NULL, OPT_FIRST + 11},
    {"seconds", 1, NULL, 's'},
    {"seed", 1, NULL, 'S'},
    {"faults", 1, NULL, 'f'},
    {"clients", 1, NULL, 'c'},
    {"writers", 1, NULL, 'w'},
    {"settle", 1, NULL, 't'},
    {"sdk", 1, NULL, 'd'},
    {"sdk-clients", 1, NULL, 'n'},
    {"stop-at-first", 0, NULL, '1'},
    {NULL, 0, NULL, 0},
};

static void read_options(torture_options *o, int argc, char **argv)
{
    *o = (torture_options){
        .seconds = 20, .clients = 48, .writers = 6, .settle_seconds = 20, .sdk_clients = 6};
    o->seed = (uint64_t)time(NULL) % 1000000;
    node *nodes = o->nodes;
    const char **paths[] = {&o->leat,
                            &o->app,
                            &nodes[0].socket_dir,
                            &nodes[0].data_dir,
                            &nodes[1].socket_dir,
                            &nodes[1].data_dir,
                            &o->proxy_dir,
                            &o->pg_ctl,
                            &o->make_standby,
                            &o->work,
                            &o->database,
                            &o->restore};
    choose_faults(o->faults, "all");
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        unsigned n = optarg == NULL ? 0 : (unsigned)strtoul(optarg, NULL, 10);
        if (c >= OPT_FIRST)
            *paths[c - OPT_FIRST] = optarg;
        else if (c == 's')
            o->seconds = n;
        else if (c == 'S')
            o->seed = strtoull(optarg, NULL, 10);
        else if (c == 'f')
            choose_faults(o->faults, optarg);
        else if (c == 'c')
            o->clients = n;
        else if (c == 'w' && n > 0 && n < MAX_WRITERS)
            o->writers = n;
        else if (c == 't')
            o->settle_seconds = n;
        else if (c == 'd')
            o->sdk = optarg;
        else if (c == 'n')
            o->sdk_clients = n;
        else if (c == '1')
            o->stop_at_first = true;
        else
            torture_die("wrong usage");
    }
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (*paths[i] == NULL)
            torture_die("--%s is missing", long_options[i].name);
    for (int i = 0; i < NODES; i++)
        snprintf(nodes[i].proxy_dir, sizeof(nodes[i].proxy_dir), "%s/%d", o->proxy_dir, i);
}

static void on_wake(uv_timer_t *timer)
{
    (void)timer; /* it only ends a turn of the loop */
}

/* Runs the loop while more says so, for ms at most; whether it still says so. */
static bool run_while(torture *t, bool (*more)(torture *t), unsigned ms)
{
    uint64_t until = uv_hrtime() + ms * UINT64_C(1000000);
    uv_timer_t wake;
    uv_timer_init(&t->loop, &wake);
    uv_timer_start(&wake, on_wake, STEP_MS, STEP_MS);
    bool again = more(t);
    while (again && uv_hrtime() < until) {
        uv_run(&t->loop, UV_RUN_ONCE);
        again = more(t);
    }
    uv_close((uv_handle_t *)&wake, NULL);
    uv_run(&t->loop, UV_RUN_NOWAIT);
    return again;
}

static bool is_sound(torture *t)
{
    return !t->options.stop_at_first || atomic_load(&t->violations) == 0;
}

static bool is_unsettled(torture *t)
{
    return is_sound(t) && !clients_settled(t->clients, false);
}

static bool has_clients(torture *t)
{
    return !clients_gone(t->clients);
}

typedef struct chore {
    torture *torture;
    void (*work)(torture *t);
    atomic_bool done;
} chore;

static void do_chore(void *arg)
{
    chore *c = arg;
    c->work(c->torture);
    atomic_store(&c->done, true);
}

/* Work that waits for leat, while the loop goes on: leat may wait for what the proxy passes on. */
static void run_beside(torture *t, void (*work)(torture *t))
{
    chore c = {.torture = t, .work = work};
    uv_thread_t thread;
    uv_timer_t wake;
    uv_timer_init(&t->loop, &wake);
    uv_timer_start(&wake, on_wake, STEP_MS, STEP_MS);
    uv_thread_create(&thread, do_chore, &c);
    while (!atomic_load(&c.done))
        uv_run(&t->loop, UV_RUN_ONCE);
    uv_thread_join(&thread);
    uv_close((uv_handle_t *)&wake, NULL);
    uv_run(&t->loop, UV_RUN_NOWAIT);
}

/* Accounts, topics, and who is a member where. */
static void populate(torture *t)
{
    PGconn *conn = cluster_connect_or_die(t);
    leat_buf sql = LEAT_BUF_INIT;
    for (int u = 0; u < USERS; u++)
        leat_buf_printf(&sql, "insert into torture.account values (%d, 'token-%d');", u, u);
    for (int i = 0; i < TOPICS; i++) {
        leat_buf_printf(&sql, "insert into torture.topic values ('%s');", names[i]);
        if (topic_has_members(i))
            leat_buf_printf(&sql,
                            "insert into torture.member select '%s', id from torture.account"
                            " where id <> %d;",
                            names[i], OUTSIDER);
    }
    leat_buf_char(&sql, '\0');
    PGresult *r = PQexec(conn, sql.at);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        torture_die("cannot fill the tables: %s", PQerrorMessage(conn));
    PQclear(r);
    PQfinish(conn);
    leat_buf_close(&sql);
}

static void start_server(torture *t)
{
    t->server = server_new(t);
}

static void stop_server(torture *t)
{
    server_stop(t->server);
}

static void join_threads(torture *t)
{
    faults_join(t->faults);
    writers_join(t->writers);
}

static void await_ready(torture *t)
{
    server_await_ready(t->server, t->options.settle_seconds * 1000);
}

static void check_gauges(torture *t)
{
    char raised[1000];
    uint64_t until = uv_hrtime() + t->options.settle_seconds * UINT64_C(1000000000);
    do {
        uv_sleep(300);
        server_raised(t->server, raised, sizeof(raised));
    } while (raised[0] != '\0' && uv_hrtime() < until);
    if (raised[0] != '\0')
        torture_violation(t, "every client has left, and still: %s", raised);
}

static void report(torture *t)
{
    printf("counts, seed %" PRIu64 ", %.1f s:\n", t->options.seed, torture_seconds(t));
    for (int i = 0; i < COUNT_COUNT; i++)
        printf("  %s %" PRIu64 "\n", count_names[i], atomic_load(&t->counts[i]));
    server_report(t->server);
    faults_report(t->faults);
}

/* A broken build is to be found out in that time, the waiting for the end included. */
static unsigned torment_ms(const torture_options *o)
{
    unsigned waits = o->stop_at_first ? 2 * o->settle_seconds : 0;
    return (o->seconds > waits ? o->seconds - waits : 1) * 1000;
}

static void torment(torture *t)
{
    atomic_store(&t->reset, NO_TOPIC);
    t->ledger = ledger_new(t);
    t->proxy = proxy_new(t);
    populate(t);
    t->cluster = cluster_new(t);
    run_beside(t, start_server);
    t->began_ns = uv_hrtime();
    t->clients = clients_new(t);
    t->writers = writers_new(t);
    t->faults = faults_new(t);
    run_while(t, is_sound, torment_ms(&t->options));
    atomic_store(&t->stopping, true);
    run_beside(t, join_threads);
    run_while(t, is_sound, RETURN_MS); /* whom the last fault has cut off comes back */
    run_beside(t, await_ready);        /* after a restore, the server renews all epochs */
    clients_rest(t->clients);
    ledger_load(t->ledger);
    if (run_while(t, is_unsettled, t->options.settle_seconds * 1000) && is_sound(t))
        clients_settled(t->clients, true);
    printf("settled with %u live subscriptions\n", clients_live(t->clients));
    ledger_check(t->ledger);
}

/* It shows a door of the proxy when it is done. */
static void await_rebuild(torture *t)
{
    cluster_rest(t->cluster);
}

static void finish(torture *t)
{
    run_beside(t, await_rebuild);
    clients_close(t->clients);
    run_while(t, has_clients, 5000);
    run_beside(t, check_gauges);
    run_beside(t, stop_server);
    report(t);
    proxy_close(t->proxy);
    clients_free(t->clients);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    uv_loop_close(&t->loop);
    faults_free(t->faults);
    server_free(t->server);
    writers_free(t->writers);
    ledger_free(t->ledger);
    cluster_free(t->cluster);
}

int main(int argc, char **argv)
{
    static torture t;
    signal(SIGPIPE, SIG_IGN);
    read_options(&t.options, argc, argv);
    uv_loop_init(&t.loop);
    uv_mutex_init(&t.print);
    t.began_ns = uv_hrtime();
    printf("seed %" PRIu64 "\n", t.options.seed);
    fflush(stdout);
    torment(&t);
    finish(&t);
    unsigned n = atomic_load(&t.violations);
    printf("%u violations\n", n);
    return n == 0 ? 0 : 1;
}
