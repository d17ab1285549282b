/* fault.c - make_plan deals the chosen faults like cards, deck after deck, so that each comes up
 * soon; throw_all waits for each one's time. One at a time, but for mistreated announcements, which
 * go on while others are thrown.
 */
#include "fault.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "cluster.h"
#include "proxy.h"
#include "server.h"

enum { MAX_FAULTS = 4000, MAX_PROCESSES = 256, FIRST_MS = 700, WATCH_MS = 50 };

const char *const fault_names[FAULT_COUNT] = {
    "listener", "pool",  "fast", "immediate", "stall",   "cut",   "slow",     "reload",
    "drain",    "crash", "drop", "double",    "reorder", "reset", "failover", "restore",
};

typedef struct fault {
    unsigned at_ms;
    fault_kind kind;
    unsigned size;   /* percent, or how many, or which topic */
    unsigned for_ms; /* how long */
} fault;

struct faults {
    torture *torture;
    uv_thread_t thread;
    fault plan[MAX_FAULTS];
    int n;
    int thrown[FAULT_COUNT];
    uint64_t heal_ns[FAULT_COUNT]; /* when announcements are treated well again */
    unsigned percent[FAULT_COUNT];
};

static fault make_fault(dice *d, fault_kind kind, unsigned at_ms)
{
    fault f = {.at_ms = at_ms, .kind = kind};
    switch (kind) {
    case FAULT_POOL:
        f.size = roll_between(d, 1, 8);
        break;
    case FAULT_STALL:
        f.for_ms = roll_between(d, 200, 2000);
        break;
    case FAULT_CUT:
        f.size = roll_between(d, 20, 100);
        break;
    case FAULT_SLOW:
        f.size = roll_between(d, 10, 60);
        f.for_ms = roll_between(d, 500, 8000);
        break;
    case FAULT_DROP:
        f.size = chance(d, 25) ? 100 : roll_between(d, 2, 40);
        f.for_ms = roll_between(d, 300, 4000);
        break;
    case FAULT_DOUBLE:
    case FAULT_REORDER:
        f.size = roll_between(d, 5, 50);
        f.for_ms = roll_between(d, 500, 4000);
        break;
    case FAULT_RESET:
        f.size = roll(d, TOPICS);
        break;
    case FAULT_FAILOVER:
        f.for_ms = chance(d, 35) ? 0 : roll_between(d, 50, 1000);
        break;
    case FAULT_RESTORE:
        f.size = chance(d, 35) ? 1 : 0; /* leat is restarted in between */
        f.for_ms = roll_between(d, 100, 1500);
        break;
    case FAULT_LISTENER:
    case FAULT_FAST:
    case FAULT_IMMEDIATE:
    case FAULT_RELOAD:
    case FAULT_DRAIN:
    case FAULT_CRASH:
    case FAULT_COUNT:
        break;
    }
    return f;
}

static int deal(dice *d, const bool *chosen, fault_kind *deck)
{
    int n = 0;
    for (fault_kind k = 0; k < FAULT_COUNT; k++)
        if (chosen[k])
            deck[n++] = k;
    for (int i = n - 1; i > 0; i--) {
        int j = (int)roll(d, (unsigned)i + 1);
        fault_kind swap = deck[i];
        deck[i] = deck[j];
        deck[j] = swap;
    }
    /* A restore takes seconds, in which nothing else is thrown: it comes last (deck[0]), so that a
     * short run has all the others. */
    for (int i = 1; i < n; i++) {
        if (deck[i] == FAULT_RESTORE) {
            deck[i] = deck[0];
            deck[0] = FAULT_RESTORE;
        }
    }
    return n;
}

static void make_plan(faults *f)
{
    const torture_options *o = &f->torture->options;
    dice d = dice_of(o->seed, 1);
    fault_kind deck[FAULT_COUNT];
    unsigned at_ms = FIRST_MS;
    int left = 0;
    while (at_ms < o->seconds * 1000 && f->n < MAX_FAULTS) {
        if (left == 0)
            left = deal(&d, o->faults, deck);
        if (left == 0)
            return;
        fault *next = &f->plan[f->n++];
        *next = make_fault(&d, deck[--left], at_ms);
        at_ms += roll_between(&d, 200, 1500);
    }
}

static void print_plan(const faults *f)
{
    for (int i = 0; i < f->n; i++) {
        const fault *p = &f->plan[i];
        printf("plan %6.2f s %s", p->at_ms / 1000.0, fault_names[p->kind]);
        if (p->kind == FAULT_RESET)
            printf(" %s", topic_name((int)p->size));
        else if (p->kind == FAULT_RESTORE)
            printf(" that loses %u ms%s", p->for_ms, p->size > 0 ? ", leat restarted" : "");
        else if (p->size > 0)
            printf(p->kind == FAULT_POOL ? " %u" : " %u%%", p->size);
        if (p->kind == FAULT_FAILOVER && p->for_ms == 0)
            printf(" clean");
        else if (p->kind == FAULT_FAILOVER)
            printf(" that loses %u ms", p->for_ms);
        else if (p->for_ms > 0 && p->kind != FAULT_RESTORE)
            printf(" for %u ms", p->for_ms);
        printf("\n");
    }
    fflush(stdout);
}

static void terminate(faults *f, bool listener, unsigned n)
{
    int pids[MAX_PROCESSES],
        got = proxy_pids(f->torture->proxy, cluster_primary(f->torture->cluster), listener, pids,
                         MAX_PROCESSES);
    PGconn *conn = cluster_connect(f->torture);
    char sql[80];
    for (int i = 0; i < got && i < (int)n && conn != NULL; i++) {
        snprintf(sql, sizeof(sql), "select pg_terminate_backend(%d)", pids[i]);
        PQclear(PQexec(conn, sql));
    }
    PQfinish(conn);
}

static void treat_announcements(faults *f)
{
    unsigned percent[FAULT_COUNT] = {0};
    uint64_t now = uv_hrtime();
    for (int k = FAULT_DROP; k <= FAULT_REORDER; k++)
        percent[k] = f->heal_ns[k] > now ? f->percent[k] : 0;
    proxy_mistreat(f->torture->proxy, percent[FAULT_DROP], percent[FAULT_DOUBLE],
                   percent[FAULT_REORDER]);
}

static void put_back(torture *t)
{
    cluster_put_back(t->cluster);
}

/* The backup is made; what is committed from then on is lost. */
static bool restore(torture *t, const fault *p)
{
    if (!cluster_back_up(t->cluster))
        return false;
    usleep(p->for_ms * 1000);
    if (p->size > 0)
        server_crash_around(t->server, put_back);
    else
        put_back(t);
    return true;
}

static void throw(faults * f, const fault *p)
{
    torture *t = f->torture;
    f->thrown[p->kind]++;
    switch (p->kind) {
    case FAULT_LISTENER:
        terminate(f, true, 1);
        break;
    case FAULT_POOL:
        terminate(f, false, p->size);
        break;
    case FAULT_FAST:
        cluster_restart(t->cluster, "fast");
        break;
    case FAULT_IMMEDIATE:
        cluster_restart(t->cluster, "immediate");
        break;
    case FAULT_STALL:
        cluster_stall(t->cluster, p->for_ms);
        break;
    case FAULT_CUT:
        clients_cut(t->clients, p->size);
        break;
    case FAULT_SLOW:
        clients_pause(t->clients, p->size, p->for_ms);
        atomic_store(&t->flood, true);
        break;
    case FAULT_RELOAD:
        server_reload(t->server);
        break;
    case FAULT_DRAIN:
        server_replace(t->server, false);
        break;
    case FAULT_CRASH:
        server_replace(t->server, true);
        break;
    case FAULT_DROP:
    case FAULT_DOUBLE:
    case FAULT_REORDER:
        f->heal_ns[p->kind] = uv_hrtime() + p->for_ms * UINT64_C(1000000);
        f->percent[p->kind] = p->size;
        break;
    case FAULT_RESET:
        atomic_store(&t->reset, (int)p->size);
        break;
    case FAULT_FAILOVER:
        if (!cluster_fail_over(t->cluster, p->for_ms))
            f->thrown[p->kind]--;
        break;
    case FAULT_RESTORE:
        if (!restore(t, p))
            f->thrown[p->kind]--;
        break;
    case FAULT_COUNT:
        break;
    }
    treat_announcements(f);
}

static void throw_all(void *arg)
{
    faults *f = arg;
    torture *t = f->torture;
    for (int next = 0; !atomic_load(&t->stopping);) {
        server_watch(t->server);
        treat_announcements(f);
        if (next < f->n && torture_seconds(t) * 1000 >= f->plan[next].at_ms)
            throw(f, &f->plan[next++]);
        else
            usleep(WATCH_MS * 1000);
    }
    proxy_mistreat(t->proxy, 0, 0, 0);
}

faults *faults_new(torture *t)
{
    faults *f = calloc(1, sizeof(*f));
    if (f == NULL)
        torture_die("out of memory");
    f->torture = t;
    make_plan(f);
    print_plan(f);
    uv_thread_create(&f->thread, throw_all, f);
    return f;
}

void faults_join(faults *f)
{
    uv_thread_join(&f->thread);
}

void faults_report(const faults *f)
{
    printf("faults thrown:");
    for (int k = 0; k < FAULT_COUNT; k++)
        if (f->thrown[k] > 0)
            printf(" %s=%d", fault_names[k], f->thrown[k]);
    printf("\n");
}

void faults_free(faults *f)
{
    free(f);
}
