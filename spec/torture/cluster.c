/* cluster.c - cluster_fail_over waits for a standby that follows, cuts it off (or not), ends the
 * primary, promotes; then rebuild runs on a thread of its own, while other faults are thrown, and
 * begins again if one of them has disturbed it.
 */
#include "cluster.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "proxy.h"

enum { MAX_FAILOVERS = 1000, MAX_PROCESSES = 256, POLL_MS = 20, FOLLOW_MS = 15000, END_MS = 60000 };

struct cluster {
    torture *torture;
    atomic_int primary;
    uv_thread_t rebuilder;
    bool rebuilding;
    failover failovers[MAX_FAILOVERS];
    int n_failovers;
};

static void wait_ms(unsigned ms)
{
    usleep(ms * 1000);
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static PGconn *try_to_connect(const torture_options *o)
{
    char info[800];
    if (o->faults[FAULT_FAILOVER])
        snprintf(info, sizeof(info),
                 "host='%s,%s' user=postgres dbname=%s connect_timeout=10"
                 " target_session_attrs=read-write",
                 o->nodes[0].socket_dir, o->nodes[1].socket_dir, o->database);
    else
        snprintf(info, sizeof(info), "host='%s' user=postgres dbname=%s connect_timeout=10",
                 o->nodes[0].socket_dir, o->database);
    PGconn *conn = PQconnectdb(info);
    PQsetNoticeProcessor(conn, ignore_notice, NULL);
    return conn;
}

PGconn *cluster_connect(torture *t)
{
    while (!atomic_load(&t->stopping)) {
        PGconn *conn = try_to_connect(&t->options);
        if (PQstatus(conn) == CONNECTION_OK)
            return conn;
        PQfinish(conn);
        wait_ms(POLL_MS);
    }
    return NULL;
}

PGconn *cluster_connect_or_die(torture *t)
{
    PGconn *conn = try_to_connect(&t->options);
    if (PQstatus(conn) != CONNECTION_OK)
        torture_die("the checker cannot connect: %s", PQerrorMessage(conn));
    return conn;
}

int cluster_primary(const cluster *c)
{
    return atomic_load(&c->primary);
}

static int pg_ctl(const cluster *c, int which, const char *what)
{
    const torture_options *o = &c->torture->options;
    const node *n = &o->nodes[which];
    char command[2000];
    snprintf(command, sizeof(command), "%s -D '%s' -l '%s/postgres.log' %s >>'%s/pg_ctl.log' 2>&1",
             o->pg_ctl, n->data_dir, n->socket_dir, what, o->work);
    return system(command);
}

void cluster_restart(cluster *c, const char *mode)
{
    char what[40];
    snprintf(what, sizeof(what), "restart -m %s", mode);
    if (pg_ctl(c, cluster_primary(c), what) != 0)
        torture_die("Postgres does not restart");
}

/* 0: it has ended. */
static int postmaster(const cluster *c, int which)
{
    char path[300];
    int pid = 0;
    snprintf(path, sizeof(path), "%s/postmaster.pid", c->torture->options.nodes[which].data_dir);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%d", &pid) != 1)
        pid = 0;
    fclose(file);
    return pid;
}

static int parent_of(int pid)
{
    char path[40], line[300];
    int parent = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof(line), file) != NULL) {
        const char *end = strrchr(line, ')');
        if (end == NULL || sscanf(end + 1, " %*c %d", &parent) != 1)
            parent = 0;
    }
    fclose(file);
    return parent;
}

static int children_of(int parent, int *pids)
{
    int n = 0;
    DIR *dir = opendir("/proc");
    for (struct dirent *e = readdir(dir); e != NULL && n < MAX_PROCESSES; e = readdir(dir)) {
        int pid = atoi(e->d_name);
        if (pid > 0 && parent_of(pid) == parent)
            pids[n++] = pid;
    }
    closedir(dir);
    return n;
}

void cluster_stall(cluster *c, unsigned for_ms)
{
    int master = postmaster(c, cluster_primary(c)), pids[MAX_PROCESSES];
    if (master == 0)
        torture_die("Postgres is not there");
    int n = children_of(master, pids);
    for (int i = 0; i < n; i++)
        kill(pids[i], SIGSTOP);
    wait_ms(for_ms);
    for (int i = 0; i < n; i++)
        kill(pids[i], SIGCONT);
}

static bool make_standby(const cluster *c)
{
    const torture_options *o = &c->torture->options;
    int from = cluster_primary(c);
    char command[2000];
    snprintf(command, sizeof(command), "%s '%s' '%s' '%s' >>'%s/standby.log' 2>&1", o->make_standby,
             o->nodes[from].socket_dir, o->nodes[1 - from].data_dir, o->nodes[1 - from].socket_dir,
             o->work);
    return system(command) == 0;
}

static void rebuild(void *arg)
{
    const cluster *c = arg;
    while (!atomic_load(&c->torture->stopping)) {
        if (make_standby(c)) {
            proxy_show_door(c->torture->proxy, 1 - cluster_primary(c));
            break;
        }
        wait_ms(POLL_MS);
    }
}

static void start_rebuild(cluster *c)
{
    c->rebuilding = true;
    uv_thread_create(&c->rebuilder, rebuild, c);
}

static void join_rebuild(cluster *c)
{
    if (c->rebuilding)
        uv_thread_join(&c->rebuilder);
    c->rebuilding = false;
}

/* Of the process that serves the standby; 0: the standby does not follow. */
static int follower(cluster *c, uint32_t *timeline)
{
    int pid = 0;
    PGconn *conn = cluster_connect(c->torture);
    if (conn == NULL)
        return 0;
    PGresult *r = PQexec(conn, "select pid, leat_internal.timeline() from pg_stat_replication"
                               " where application_name = 'walreceiver' and state = 'streaming'");
    if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1) {
        pid = atoi(PQgetvalue(r, 0, 0));
        *timeline = (uint32_t)strtoul(PQgetvalue(r, 0, 1), NULL, 16);
    }
    PQclear(r);
    PQfinish(conn);
    return pid;
}

/* The same, waiting for it. A standby that does not come to follow (what it needs is gone) is made
 * anew. 0: the test is to end. */
static int await_follower(cluster *c, uint32_t *timeline)
{
    const atomic_bool *stopping = &c->torture->stopping;
    while (!atomic_load(stopping)) {
        join_rebuild(c);
        for (int waited = 0; waited < FOLLOW_MS && !atomic_load(stopping); waited += POLL_MS) {
            int pid = follower(c, timeline);
            if (pid != 0)
                return pid;
            wait_ms(POLL_MS);
        }
        start_rebuild(c);
    }
    return 0;
}

/* What the primary commits from now on stays with it; so does what it confirms, until it ends. */
static void crash(const cluster *c, int which, int follower_pid, unsigned lag_ms)
{
    kill(follower_pid, SIGSTOP);
    wait_ms(lag_ms);
    int master = postmaster(c, which);
    if (master > 0)
        kill(master, SIGQUIT); /* pg_ctl's immediate */
    kill(follower_pid, SIGKILL);
    for (int waited = 0; postmaster(c, which) != 0; waited += POLL_MS) {
        if (waited > END_MS)
            torture_die("Postgres does not end");
        wait_ms(POLL_MS);
    }
}

bool cluster_fail_over(cluster *c, unsigned lag_ms)
{
    int old = cluster_primary(c);
    failover *f = &c->failovers[c->n_failovers];
    int pid = await_follower(c, &f->timeline);
    if (pid == 0 || c->n_failovers == MAX_FAILOVERS - 1)
        return false;
    f->clean = lag_ms == 0;
    if (f->clean && pg_ctl(c, old, "stop -m fast") != 0)
        torture_die("Postgres does not stop");
    if (!f->clean)
        crash(c, old, pid, lag_ms);
    proxy_hide_door(c->torture->proxy, old);
    f->dead_ns = uv_hrtime();
    c->n_failovers++;
    if (pg_ctl(c, 1 - old, "promote") != 0)
        torture_die("the standby is not promoted");
    atomic_store(&c->primary, 1 - old);
    start_rebuild(c);
    return true;
}

static bool run_restore(const cluster *c, const char *what)
{
    const torture_options *o = &c->torture->options;
    const node *n = &o->nodes[cluster_primary(c)];
    char command[3000];
    /* The command says where among its arguments it takes what is to be done. */
    snprintf(command, sizeof(command),
             "LEAT_RESTORE=%s; %s '%s' '%s' '%s/backup' >>'%s/restore.log' 2>&1", what, o->restore,
             n->socket_dir, n->data_dir, o->nodes[0].socket_dir, o->work);
    return system(command) == 0;
}

static uint32_t timeline_of(cluster *c)
{
    uint32_t timeline = 0;
    PGconn *conn = cluster_connect(c->torture);
    if (conn == NULL)
        return 0;
    PGresult *r = PQexec(conn, "select leat_internal.timeline()");
    if (PQresultStatus(r) == PGRES_TUPLES_OK)
        timeline = (uint32_t)strtoul(PQgetvalue(r, 0, 0), NULL, 16);
    PQclear(r);
    PQfinish(conn);
    return timeline;
}

bool cluster_back_up(cluster *c)
{
    join_rebuild(c);
    if (c->n_failovers == MAX_FAILOVERS - 1 || atomic_load(&c->torture->stopping))
        return false;
    c->failovers[c->n_failovers] = (failover){.timeline = timeline_of(c), .restore = true};
    return c->failovers[c->n_failovers].timeline != 0 && run_restore(c, "backup");
}

void cluster_put_back(cluster *c)
{
    bool put = run_restore(c, "put");
    c->failovers[c->n_failovers++].dead_ns = uv_hrtime(); /* before anybody can write again */
    if (!put || !run_restore(c, "start"))
        torture_die("no restore, see %s/restore.log", c->torture->options.work);
    if (c->torture->options.faults[FAULT_FAILOVER])
        start_rebuild(c);
}

const failover *cluster_failovers(const cluster *c, int *n)
{
    *n = c->n_failovers;
    return c->failovers;
}

cluster *cluster_new(torture *t)
{
    cluster *c = calloc(1, sizeof(*c));
    if (c == NULL)
        torture_die("out of memory");
    c->torture = t;
    if (t->options.faults[FAULT_FAILOVER] && !make_standby(c))
        torture_die("no standby, see %s/standby.log", t->options.work);
    return c;
}

void cluster_rest(cluster *c)
{
    join_rebuild(c);
}

void cluster_free(cluster *c)
{
    LEAT_ASSERT(!c->rebuilding); /* it uses the proxy, which may be gone */
    free(c);
}
