/* tls_tickets.h - the keys that encrypt session tickets. With a ticket a client resumes its session
 * without a full handshake, at any worker.
 *
 * Ownership  the tickets outlive every connection that uses them. Freeing wipes the keys.
 * Threads    any: the workers of a process share one, under a lock.
 * Units      seconds of a monotonic clock.
 * Errors     making a key fails only if the system has no randomness, which aborts.
 *
 * A key is made when the first ticket is asked for, and replaced LEAT_TLS_KEY_S later. Replaced
 * keys are still known for as long again, so a ticket lives for one to two of these times. Keys are
 * never written anywhere: after a restart every client makes a full handshake.
 */
#ifndef LEAT_NET_TLS_TICKETS_H
#define LEAT_NET_TLS_TICKETS_H

#include <stdint.h>

#include <openssl/ssl.h>

enum { LEAT_TLS_KEY_S = 3600 };

typedef struct leat_tls_tickets leat_tls_tickets;

typedef struct leat_tls_ticket_key {
    unsigned char name[16];
    unsigned char cipher[32];
    unsigned char mac[32];
    uint64_t made_s;
} leat_tls_ticket_key;

leat_tls_tickets *leat_tls_tickets_new(void);
void leat_tls_tickets_free(leat_tls_tickets *t);

/* Writes the key for a new ticket. The caller wipes the copy. */
void leat_tls_tickets_current(leat_tls_tickets *t, uint64_t now_s, leat_tls_ticket_key *out);

/* Writes the key of that name. Returns 0: it is not known any more; 1: it is the current one; 2: it
 * has been replaced, and the client should get another ticket. */
int leat_tls_tickets_find(leat_tls_tickets *t, uint64_t now_s, const unsigned char *name,
                          leat_tls_ticket_key *out);

/* Makes a context use the keys. */
void leat_tls_tickets_serve(leat_tls_tickets *t, SSL_CTX *ctx);

#endif
