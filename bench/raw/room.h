/* room.h - topics by name, and the connections that have subscribed to each.
 *
 * Ownership  rooms own the topics; a topic borrows its connections.
 * Threads    one.
 * Units      bytes.
 * Errors     out of memory ends the program.
 */
#ifndef BENCH_ROOM_H
#define BENCH_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer;

typedef struct buffer {
    char *bytes;
    size_t length;
    size_t size;
} buffer;

void buffer_add(buffer *b, const void *bytes, size_t n);

typedef struct room {
    char *name;
    uint64_t seq;
    struct peer **peers;
    int n_peers;
    int peers_size;
    buffer turn; /* rawbatch: the frames of this turn of the loop */
    buffer past; /* the frames of the latest events, for peers that resume */
    bool is_touched;
} room;

typedef struct rooms {
    room **slots; /* open addressing; the size is a power of two */
    size_t n_slots;
    size_t n;
} rooms;

/* Returns the topic of that name, and makes it if there is none. */
room *rooms_get(rooms *all, const char *name, size_t length);

void room_join(room *r, struct peer *p);
void room_leave(room *r, const struct peer *p);

#endif
