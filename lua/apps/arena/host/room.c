/* room.c - see room.h. */
#include "room.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WIDTH = 800,
    HEIGHT = 480,
    RADIUS = 14, /* of a player */
    REACH = 24,  /* so near to the gem, a player has it */
    AWAY_TICKS = 5 * ROOM_TICKS_PER_S,
};

static const double speed = 240.0 / ROOM_TICKS_PER_S;

static double between(double low, double high)
{
    return low + (high - low) * rand() / RAND_MAX;
}

static void put_gem(room *r)
{
    r->gem_x = between(RADIUS, WIDTH - RADIUS);
    r->gem_y = between(RADIUS, HEIGHT - RADIUS);
}

void room_open(room *r)
{
    *r = (room){0};
    put_gem(r);
}

static room_player *find(room *r, long id)
{
    for (size_t i = 0; i < r->n_players; i++)
        if (r->players[i].id == id)
            return &r->players[i];
    return NULL;
}

bool room_input(room *r, long id, int keys)
{
    room_player *p = find(r, id);
    if (p == NULL && r->n_players == ROOM_MAX_PLAYERS)
        return false;
    if (p == NULL) {
        p = &r->players[r->n_players++];
        *p = (room_player){.id = id, .x = between(RADIUS, WIDTH - RADIUS), .y = HEIGHT / 2.0};
    }
    p->keys = keys;
    p->heard_tick = r->tick;
    return true;
}

static double within(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static void move(room_player *p)
{
    int right = (p->keys >> 1 & 1) - (p->keys & 1);
    int down = (p->keys >> 3 & 1) - (p->keys >> 2 & 1);
    double step = right != 0 && down != 0 ? speed / sqrt(2) : speed;
    p->x = within(p->x + right * step, RADIUS, WIDTH - RADIUS);
    p->y = within(p->y + down * step, RADIUS, HEIGHT - RADIUS);
}

static void drop_who_is_away(room *r)
{
    for (size_t i = 0; i < r->n_players;) {
        if (r->tick - r->players[i].heard_tick > AWAY_TICKS)
            r->players[i] = r->players[--r->n_players];
        else
            i++;
    }
}

long room_step(room *r)
{
    r->tick++;
    drop_who_is_away(r);
    long winner = 0;
    for (size_t i = 0; i < r->n_players; i++) {
        room_player *p = &r->players[i];
        move(p);
        if (winner == 0 && hypot(p->x - r->gem_x, p->y - r->gem_y) < REACH)
            winner = p->id;
    }
    if (winner != 0)
        put_gem(r);
    return winner;
}

void room_write(const room *r, char *text)
{
    char *at = text;
    char *end = text + ROOM_MAX_TEXT;
    at += snprintf(at, (size_t)(end - at),
                   "{\"tick\":%llu,\"gem\":{\"x\":%.1f,\"y\":%.1f},\"players\":[",
                   (unsigned long long)r->tick, r->gem_x, r->gem_y);
    for (size_t i = 0; i < r->n_players; i++)
        at += snprintf(at, (size_t)(end - at), "%s{\"id\":%ld,\"x\":%.1f,\"y\":%.1f}",
                       i == 0 ? "" : ",", r->players[i].id, r->players[i].x, r->players[i].y);
    snprintf(at, (size_t)(end - at), "]}");
}
