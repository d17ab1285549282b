/* room.h - the game: players run about in a field, after a gem. It knows nothing of Leat. */
#ifndef ARENA_ROOM_H
#define ARENA_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROOM_TICKS_PER_S = 60, ROOM_MAX_PLAYERS = 64, ROOM_MAX_TEXT = 64 * 64 };

typedef struct room_player {
    long id;
    int keys; /* the keys that are down: 1 left, 2 right, 4 up, 8 down */
    double x, y;
    uint64_t heard_tick; /* when the player last said something */
} room_player;

typedef struct room {
    uint64_t tick;
    room_player players[ROOM_MAX_PLAYERS];
    size_t n_players;
    double gem_x, gem_y;
} room;

void room_open(room *r);

/* That player has those keys down. The player comes in, if that is news. Returns false if the room
 * is full. */
bool room_input(room *r, long player, int keys);

/* Moves everything on by one tick. Returns the id of the player who has reached the gem, or 0. The
 * gem lies somewhere else then. */
long room_step(room *r);

/* Writes where everything is as JSON, zero-terminated. text has room for ROOM_MAX_TEXT bytes. */
void room_write(const room *r, char *text);

#endif
