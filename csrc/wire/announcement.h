/* announcement.h - what a NOTIFY on Leat's channel says, and the proof that our own SQL functions
 * wrote it.
 *
 * Ownership  a parsed announcement borrows from the payload. A seal is owned by whoever made it.
 * Threads    any, while nobody changes the seal's key.
 * Units      seq counts from 1; at: microseconds since 1970.
 * Errors     parsing returns LEAT_EBADMSG for what is not of the form.
 *
 * Every role may NOTIFY on every channel. A payload is therefore believed only if its MAC is right:
 * the key is known to the functions of schema leat and to the servers. The MAC covers the number of
 * the process that sent it, which Postgres itself tells the receiver, so that a session cannot
 * repeat what it heard from another one.
 */
#ifndef LEAT_WIRE_ANNOUNCEMENT_H
#define LEAT_WIRE_ANNOUNCEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/* The channel to which the functions of schema leat send their notifications. */
#define LEAT_ANNOUNCEMENT_CHANNEL "leat"

enum { LEAT_ANNOUNCEMENT_KEY_LEN = 32, LEAT_ANNOUNCEMENT_MAC_LEN = 32 };

typedef enum leat_announcement_kind {
    LEAT_ANNOUNCE_EVENT,
    LEAT_ANNOUNCE_REVOKE,
    LEAT_ANNOUNCE_RESYNC, /* a fresh snapshot was asked for */
    LEAT_ANNOUNCE_SIGNAL,
    LEAT_ANNOUNCE_CONFLATING, /* a signal that replaces the last one with its key */
    LEAT_ANNOUNCE_HISTORY,    /* the history has changed: every position is to be checked */
} leat_announcement_kind;

typedef struct leat_announcement {
    leat_announcement_kind kind;
    leat_slice mac;   /* 32 hexadecimal digits */
    leat_slice epoch; /* of the topic, without the timeline; empty for a signal */
    leat_slice key;   /* of a conflating signal; at == NULL for all else */
    int64_t seq;      /* 0: not stored */
    int64_t at;       /* when the entry was made; 0: not stored */
    leat_slice topic; /* empty for LEAT_ANNOUNCE_HISTORY alone */
    leat_slice data;  /* JSON; at == NULL: there is none here */
} leat_announcement;

/* Reads mac, kind, epoch, seq, at, topic and data, with a newline between them. A conflating signal
 * has its key in place of the epoch. Says nothing about the MAC. */
LEAT_MUST_CHECK int leat_announcement_parse(leat_announcement *out, leat_slice payload);

typedef struct leat_announcement_seal leat_announcement_seal;

leat_announcement_seal *leat_announcement_seal_new(void);
void leat_announcement_seal_free(leat_announcement_seal *s); /* NULL is allowed */

/* From now on that key counts. Returns 1 if it is another one than before, else 0; LEAT_EBADMSG
 * unless it has LEAT_ANNOUNCEMENT_KEY_LEN bytes. */
LEAT_MUST_CHECK int leat_announcement_seal_key(leat_announcement_seal *s, leat_slice key);

/* Whether a payload that was parsed carries the MAC of that sender. False while no key is known.
 * Allocates nothing. */
bool leat_announcement_is_sealed(const leat_announcement_seal *s, leat_slice payload,
                                 int sender_pid);

#endif
