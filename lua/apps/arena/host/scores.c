/* scores.c - see scores.h. A point whose connection breaks is not written a second time: nobody knows
 * whether it was committed. */
#include "scores.h"

#include <stdio.h>
#include <string.h>

void scores_open(scores *s, const char *database_url, const char *room)
{
    *s = (scores){.state = SCORES_CONNECTING, .room = room};
    s->db = PQconnectStart(database_url);
}

void scores_close(scores *s)
{
    PQfinish(s->db);
}

bool scores_have_room(const scores *s)
{
    return s->n < SCORES_MAX;
}

void scores_add(scores *s, long player)
{
    s->queue[s->n++] = player;
}

static void drop_first(scores *s)
{
    memmove(s->queue, s->queue + 1, --s->n * sizeof(s->queue[0]));
}

static void connect_again(scores *s)
{
    fprintf(stderr, "scores: %s", PQerrorMessage(s->db));
    s->state = SCORES_CONNECTING;
    PQresetStart(s->db);
}

static void go_on_connecting(scores *s)
{
    switch (PQstatus(s->db) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PQconnectPoll(s->db)) {
    case PGRES_POLLING_OK:
        PQsetnonblocking(s->db, 1);
        s->state = SCORES_IDLE;
        break;
    case PGRES_POLLING_FAILED:
        PQresetStart(s->db);
        break;
    default:
        break;
    }
}

static void send_first(scores *s)
{
    char player[24];
    snprintf(player, sizeof(player), "%ld", s->queue[0]);
    const char *values[] = {s->room, player};
    if (PQsendQueryParams(s->db, "select arena_score($1::bigint, $2::bigint)", 2, NULL, values,
                          NULL, NULL, 0))
        s->state = SCORES_WRITING;
    else
        connect_again(s);
}

static void take_answer(scores *s)
{
    if (PQflush(s->db) < 0 || !PQconsumeInput(s->db)) {
        drop_first(s);
        connect_again(s);
        return;
    }
    if (PQisBusy(s->db))
        return;
    for (PGresult *r = PQgetResult(s->db); r != NULL; r = PQgetResult(s->db)) {
        if (PQresultStatus(r) != PGRES_TUPLES_OK)
            fprintf(stderr, "scores: %s", PQresultErrorMessage(r));
        PQclear(r);
    }
    drop_first(s);
    s->state = SCORES_IDLE;
}

void scores_turn(scores *s)
{
    switch (s->state) {
    case SCORES_CONNECTING:
        go_on_connecting(s);
        break;
    case SCORES_IDLE:
        if (s->n > 0)
            send_first(s);
        break;
    case SCORES_WRITING:
        take_answer(s);
        break;
    }
}
