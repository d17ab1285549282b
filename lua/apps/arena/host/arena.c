/* arena.c - a game at 60 ticks a second, with Leat inside.
 *
 *   cc -o arena arena.c room.c scores.c $(pkg-config --cflags --libs leat libpq) -lm
 *   leat migrate --database URL && psql -f ../schema.sql URL
 *   ./arena URL ../app.lua 127.0.0.1:8000
 *
 * One thread, one loop: poll waits for the next tick, for SIGINT or SIGTERM, and for Leat, which has
 * something to say when leat_fd is readable. Leat does the rest on threads of its own: the page and
 * the WebSockets, who may come in (app.lua), who gets what.
 *
 *   on_input    a player's call of the method "input": which keys are down
 *   on_tick     moves the room on, and signals where everybody is
 *   on_sent     that signal is committed: the next tick may send one
 *
 * The signal is conflating: a client that is slow gets the newest state, not all of them. The host
 * does the same towards the database: while one signal is under way, it sends none.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <leat.h>

#include "room.h"
#include "scores.h"

#define ROOM_ID "1"
#define TOPIC "room:" ROOM_ID

typedef struct arena {
    leat_server *leat;
    room room;
    scores scores;
    bool sending; /* a signal is under way */
    bool over;    /* Leat has stopped, or has not started */
    int status;   /* of the process */
} arena;

static void on_log(void *arg, int level, const char *line, size_t len)
{
    (void)arg, (void)level;
    fprintf(stderr, "%.*s\n", (int)len, line);
}

static void on_ready(void *arg, const char *address, const leat_error *error)
{
    arena *a = arg;
    if (error == NULL) {
        printf("ready http://%s\n", address);
        fflush(stdout);
        return;
    }
    fprintf(stderr, "arena: %s: %s\n", error->code, error->message);
    a->over = true;
    a->status = 1;
}

static void on_stopped(void *arg)
{
    ((arena *)arg)->over = true;
}

static void on_input(void *arg, leat_request *request)
{
    arena *a = arg;
    size_t len;
    const char *player = leat_request_user_id(request);
    const char *keys = leat_request_data(request, &len);
    if (player == NULL || keys == NULL)
        leat_refuse(request, "bad_request", "params is a number: the keys that are down");
    else if (!room_input(&a->room, atol(player), atoi(keys)))
        leat_refuse(request, "limit", "the room is full");
    else
        leat_answer(request, NULL);
}

static void on_sent(void *arg, const leat_error *error)
{
    (void)error; /* the next signal tells it anew */
    ((arena *)arg)->sending = false;
}

static void signal_state(arena *a)
{
    char text[ROOM_MAX_TEXT];
    if (a->sending)
        return;
    room_write(&a->room, text);
    a->sending = leat_signal(a->leat, TOPIC, text, "state", on_sent, a, NULL) == 0;
}

static void on_tick(arena *a)
{
    long winner = scores_have_room(&a->scores) ? room_step(&a->room) : 0;
    if (winner != 0)
        scores_add(&a->scores, winner);
    scores_turn(&a->scores);
    if (a->room.n_players > 0)
        signal_state(a);
}

/* A descriptor that is readable at every tick. */
static int open_ticks(void)
{
    const long tick_ns = 1000000000L / ROOM_TICKS_PER_S;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec every = {.it_interval.tv_nsec = tick_ns, .it_value.tv_nsec = tick_ns};
    timerfd_settime(fd, 0, &every, NULL);
    return fd;
}

/* A descriptor that is readable when the program is told to end. */
static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void run(arena *a)
{
    struct pollfd fds[] = {
        {.fd = leat_fd(a->leat), .events = POLLIN},
        {.fd = open_ticks(), .events = POLLIN},
        {.fd = open_signals(), .events = POLLIN},
    };
    while (!a->over) {
        poll(fds, 3, -1);
        uint64_t ticks = 0;
        struct signalfd_siginfo told;
        if (read(fds[2].fd, &told, sizeof(told)) > 0)
            leat_stop(a->leat, on_stopped, a); /* a second one ends it without a drain */
        if (read(fds[1].fd, &ticks, sizeof(ticks)) > 0)
            on_tick(a); /* one, however many were missed */
        leat_dispatch(a->leat, 0);
    }
    close(fds[1].fd);
    close(fds[2].fd);
}

/* Returns false, and says why, if Leat cannot be started like that. */
static bool start(arena *a, char **argv)
{
    const struct {
        const char *key, *value;
    } options[] = {{"database_url", argv[1]}, {"app", argv[2]}, {"listen", argv[3]}};
    leat_error error;
    leat_on_log(a->leat, on_log, a);
    leat_on_ready(a->leat, on_ready, a);
    bool ok = leat_on_method(a->leat, "input", on_input, a, &error) == 0;
    for (int i = 0; ok && i < 3; i++)
        ok = leat_set(a->leat, options[i].key, options[i].value, &error) == 0;
    ok = ok && leat_start(a->leat, &error) == 0;
    if (!ok)
        fprintf(stderr, "arena: %s: %s\n", error.code, error.message);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: arena DATABASE_URL APP LISTEN\n");
        return 2;
    }
    arena a = {.leat = leat_server_new()};
    room_open(&a.room);
    scores_open(&a.scores, argv[1], ROOM_ID);
    if (start(&a, argv))
        run(&a);
    else
        a.status = 2;
    scores_close(&a.scores);
    leat_server_free(a.leat);
    return a.status;
}
