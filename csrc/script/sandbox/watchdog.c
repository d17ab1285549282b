/* watchdog.c - the owner numbers its runs: the number is odd during a run and even between runs.
 * The thread looks at that number four times in each budget. When it first sees a run it notes the
 * processor time, and it sets the hook when the budget has passed since then. So a run is never
 * stopped early, and at most a quarter of the budget late. After some looks without a run, the
 * thread sleeps until a run wakes it, so that an idle server stays idle. */
#include "script/sandbox/watchdog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/membarrier.h>

#include "base/mem.h"
#include "base/thread.h"

enum {
    IDLE_LOOKS = 8, /* before the thread goes to sleep */
    MAX_LOOK_MS = 250,
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000,
};

struct leat_watchdog {
    /* Written by the owner. */
    _Atomic uint64_t run;
    _Atomic(lua_State *) current; /* the running coroutine; valid within a run */
    _Atomic clockid_t clock;      /* processor time of the owner's thread */
    pthread_t owner;
    bool has_owner;

    /* Written by the thread. */
    _Atomic uint64_t fired; /* the run whose budget is used up; UINT64_MAX: none yet */
    atomic_bool gate;       /* the hook is being set: nothing may be freed */
    atomic_bool asleep;
    uint64_t met; /* the run to which cpu_from belongs */
    uint64_t cpu_from;
    uint64_t budget_ns;
    uint64_t look_ns;
    lua_Hook hook;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop; /* under lock */
    pthread_t thread;
};

static void *watch(void *arg);

static void init_lock(leat_watchdog *w)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&w->lock, NULL);
}

int leat_watchdog_new(leat_watchdog **out, uint64_t budget_ms, lua_Hook hook)
{
    leat_watchdog *w = leat_calloc(1, sizeof(*w));
    uint64_t look_ms = budget_ms / 4;
    if (look_ms < 1)
        look_ms = 1;
    if (look_ms > MAX_LOOK_MS)
        look_ms = MAX_LOOK_MS;
    w->budget_ns = budget_ms * NS_PER_MS;
    w->look_ns = look_ms * NS_PER_MS;
    w->hook = hook;
    w->fired = UINT64_MAX;
    init_lock(w);
    int failed = leat_thread_start(&w->thread, NULL, watch, w);
    if (failed != 0) {
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return -failed;
    }
    *out = w;
    return 0;
}

void leat_watchdog_free(leat_watchdog *w)
{
    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* --- on the thread of the owner --- */

static void learn_owner(leat_watchdog *w)
{
    pthread_t self = pthread_self();
    if (w->has_owner && pthread_equal(self, w->owner))
        return;
    clockid_t clock = CLOCK_MONOTONIC;
    pthread_getcpuclockid(self, &clock);
    atomic_store(&w->clock, clock);
    w->owner = self;
    w->has_owner = true;
}

static void rouse(leat_watchdog *w)
{
    pthread_mutex_lock(&w->lock);
    atomic_store(&w->asleep, false);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void leat_watchdog_begin(leat_watchdog *w, lua_State *co)
{
    uint64_t run = atomic_load_explicit(&w->run, memory_order_relaxed);
    LEAT_ASSERT((run & 1) == 0);
    learn_owner(w);
    if (lua_gethook(co) != NULL)
        lua_sethook(co, NULL, 0, 0); /* the hook of an earlier run that was stopped */
    atomic_store_explicit(&w->current, co, memory_order_relaxed);
    /* Sequentially consistent with the load below: the thread announces its sleep and then looks at
     * the number once more. */
    atomic_store(&w->run, run + 1);
    if (atomic_load(&w->asleep))
        rouse(w);
}

void leat_watchdog_end(leat_watchdog *w)
{
    uint64_t run = atomic_load_explicit(&w->run, memory_order_relaxed);
    LEAT_ASSERT((run & 1) == 1);
    atomic_store_explicit(&w->run, run + 1, memory_order_release);
}

bool leat_watchdog_running(const leat_watchdog *w)
{
    return (atomic_load_explicit(&w->run, memory_order_relaxed) & 1) == 1;
}

bool leat_watchdog_fired(const leat_watchdog *w)
{
    return atomic_load(&w->fired) == atomic_load_explicit(&w->run, memory_order_relaxed);
}

/* Either the thread sees the new coroutine, or this function sees that the thread has fired. */
void leat_watchdog_switch(leat_watchdog *w, lua_State *co)
{
    atomic_store(&w->current, co);
    if (leat_watchdog_fired(w))
        lua_sethook(co, w->hook, LUA_MASKCOUNT, 1);
}

void leat_watchdog_gate(leat_watchdog *w)
{
    if (!atomic_load_explicit(&w->gate, memory_order_relaxed))
        return;
    pthread_mutex_lock(&w->lock); /* the thread holds it while the gate is shut */
    pthread_mutex_unlock(&w->lock);
}

/* --- on the watchdog thread --- */

static uint64_t owner_cpu_ns(leat_watchdog *w)
{
    struct timespec t = {0, 0};
    clock_gettime(atomic_load(&w->clock), &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* When this returns, the owner has finished every free that it began before it saw the shut gate,
 * and its earlier stores are visible here. The kernel runs the barrier on the other processors, so
 * it costs the owner nothing. If the kernel has no such barrier, a millisecond is enough for the
 * store buffers to empty. */
static void shut_gate(leat_watchdog *w)
{
    atomic_store(&w->gate, true);
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
        nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
}

/* Repeated at each look while the run goes on, because a function that is being entered can miss
 * the hook. */
static void fire(leat_watchdog *w, uint64_t run)
{
    shut_gate(w);
    if (atomic_load(&w->run) ==
        run) { /* then it stays valid until the gate opens, because nothing is freed */
        atomic_store(&w->fired, run);
        lua_sethook(atomic_load(&w->current), w->hook, LUA_MASKCOUNT, 1);
    }
    atomic_store(&w->gate, false);
}

static void look(leat_watchdog *w, uint64_t run)
{
    if (run != w->met) {
        w->met = run;
        w->cpu_from = owner_cpu_ns(w);
    } else if (owner_cpu_ns(w) - w->cpu_from >= w->budget_ns) {
        fire(w, run);
    }
}

static void wait_a_look(leat_watchdog *w)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + w->look_ns;
    until.tv_sec += (time_t)(ns / NS_PER_S);
    until.tv_nsec = (long)(ns % NS_PER_S);
    pthread_cond_timedwait(&w->wake, &w->lock, &until);
}

static void sleep_until_roused(leat_watchdog *w, uint64_t run)
{
    atomic_store(&w->asleep, true);
    while (!w->stop && atomic_load(&w->run) == run && atomic_load(&w->asleep))
        pthread_cond_wait(&w->wake, &w->lock);
    atomic_store(&w->asleep, false);
}

static void *watch(void *arg)
{
    leat_watchdog *w = arg;
    leat_thread_name("leat-watchdog");
    uint64_t last = 0;
    int idle = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        uint64_t run = atomic_load(&w->run);
        idle = run == last && (run & 1) == 0 ? idle + 1 : 0;
        last = run;
        if ((run & 1) == 1)
            look(w, run);
        if (idle < IDLE_LOOKS)
            wait_a_look(w);
        else
            sleep_until_roused(w, run);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}
