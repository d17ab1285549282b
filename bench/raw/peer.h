/* peer.h - one connection of raw and rawbatch.
 *
 * Ownership  peer_accept returns owned; peer_close frees it and takes it out of its topics.
 * Threads    one.
 * Units      bytes.
 * Errors     a request that the bench does not send closes the connection.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <sys/uio.h>

#include "raw/room.h"

typedef struct peer {
    int fd;
    bool is_upgraded;
    bool waits; /* for room in the socket's buffer */
    int n_rooms;
    room **rooms;
    buffer unsent;
    struct iovec *turn; /* rawbatch, of a peer in several topics: what this turn has for it */
    int n_turn;
    int turn_size;
} peer;

/* Takes one connection. Returns NULL if none waits. */
peer *peer_accept(int listener, int epoll);

/* Reads and answers requests. Returns false if the connection is to be closed. */
bool peer_on_readable(peer *p, rooms *all);

/* Sends what is unsent. Returns false if the connection is to be closed. */
bool peer_on_writable(peer *p, int epoll);

/* One send() of n bytes. What the socket does not take is kept until it does. */
void peer_send(peer *p, int epoll, const void *bytes, size_t n);

/* The same of all that has been put into p->turn, which is empty then. */
void peer_send_turn(peer *p, int epoll);
void peer_add_turn(peer *p, const void *bytes, size_t n);

void peer_close(peer *p);

#endif
