/* scores.h - writes points to Postgres, over a connection of the program's own, without ever waiting
 * for it: the function arena_score of schema.sql changes the table and publishes the event in one
 * transaction. */
#ifndef ARENA_SCORES_H
#define ARENA_SCORES_H

#include <stdbool.h>
#include <stddef.h>

#include <libpq-fe.h>

enum { SCORES_MAX = 64 };

typedef enum scores_state {
    SCORES_CONNECTING,
    SCORES_IDLE,
    SCORES_WRITING, /* the first one of the queue was sent, and is not yet answered */
} scores_state;

typedef struct scores {
    scores_state state;
    PGconn *db;
    const char *room;
    long queue[SCORES_MAX]; /* ids of players, oldest first */
    size_t n;
} scores;

void scores_open(scores *s, const char *database_url, const char *room);
void scores_close(scores *s);

/* True if another point can wait. */
bool scores_have_room(const scores *s);
/* Adds a point of that player. It is written in one of the next turns. */
void scores_add(scores *s, long player);

/* Goes on with the writing. To be called in each tick. */
void scores_turn(scores *s);

#endif
