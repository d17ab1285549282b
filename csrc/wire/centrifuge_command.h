/* centrifuge_command.h - what the JSON and the Protobuf form of the protocol share: commands,
 * numbers of errors, codes of ends.
 *
 * Ownership  a command borrows from its frame and from scratch.
 * Threads    any.
 * Units      seconds.
 * Errors     a sentence, and LEAT_EBADMSG.
 */
#ifndef LEAT_WIRE_CENTRIFUGE_COMMAND_H
#define LEAT_WIRE_CENTRIFUGE_COMMAND_H

#include "wire/codec.h"

typedef enum centrifuge_method {
    CENTRIFUGE_PING, /* {}: a sign of life */
    CENTRIFUGE_CONNECT,
    CENTRIFUGE_SUBSCRIBE,
    CENTRIFUGE_UNSUBSCRIBE,
    CENTRIFUGE_PUBLISH,
    CENTRIFUGE_PRESENCE,
    CENTRIFUGE_PRESENCE_STATS,
    CENTRIFUGE_HISTORY,
    CENTRIFUGE_RPC,
    CENTRIFUGE_REFRESH,
    CENTRIFUGE_SUB_REFRESH,
    CENTRIFUGE_SEND,
    CENTRIFUGE_METHODS,
} centrifuge_method;

/* The names of the members of a command and of a reply. */
extern const char *const centrifuge_method_names[CENTRIFUGE_METHODS];

typedef struct centrifuge_command {
    centrifuge_method method;
    uint32_t id; /* 0: none */
    leat_slice channel;
    leat_slice name; /* of an RPC */
    leat_slice token;
    leat_slice data; /* JSON; at == NULL: none */
    leat_slice subs; /* connect: positions by channel, in the protocol's own form */
    bool recovers;   /* subscribe, history: a position is given */
    leat_slice epoch;
    uint64_t offset;
    int64_t flags;
    int64_t limit; /* history: 0 is none, -1 all */
    bool reverse;
    int64_t type; /* subscribe: 0 is a stream of publications */
} centrifuge_command;

/* What the core is asked. id and params may be written to scratch, which has room for
 * CENTRIFUGE_SCRATCH bytes and for what the command holds. On an error reason gets a sentence. */
enum { CENTRIFUGE_SCRATCH = 64 };
LEAT_MUST_CHECK int centrifuge_message(const centrifuge_command *c, leat_message *out,
                                       leat_buf *scratch, char *reason, size_t reason_size);

/* What an answer answers. */
typedef struct centrifuge_id {
    centrifuge_method method;
    bool has_token; /* connect, subscribe */
    bool recovers;  /* subscribe: the client gave a position */
    bool rejects;   /* subscribe: it wants an error if that is gone */
    leat_slice number;
} centrifuge_id;

/* Writes the id to scratch, and reads it again. */
leat_slice centrifuge_write_id(const centrifuge_command *c, leat_buf *scratch);
centrifuge_id centrifuge_read_id(leat_slice id);

/* The protocol's name of a failure. */
typedef struct centrifuge_error {
    uint32_t code; /* 0: the command has succeeded all the same */
    leat_slice message;
    bool temporary;
} centrifuge_error;
centrifuge_error centrifuge_error_of(const centrifuge_id *id, const leat_failure *failure);

#define CENTRIFUGE_LOST "unrecoverable position"
enum {
    CENTRIFUGE_ERROR_LOST = 112,
    CENTRIFUGE_END_RESYNC = 2500, /* the client subscribes again */
};

/* The code of an unsubscribe push: from 2500 on the client subscribes again. */
uint32_t centrifuge_end_of(const leat_failure *failure);

int centrifuge_close_code(int code);

/* A position that no subscribe can begin at, for a snapshot that is stale. */
static inline leat_slice centrifuge_epoch(leat_slice epoch, bool stale)
{
    return stale ? leat_slice_of("stale") : epoch;
}

/* leat_codec.with_token. */
leat_slice centrifuge_with_token(leat_slice params, leat_slice token, leat_buf *scratch);

/* Returns the `ttl` of an identity or a right that ends in expires_s seconds: it is to be renewed a
 * little earlier. */
uint64_t centrifuge_ttl_s(uint64_t expires_s);

/* Returns the seconds until the right to the topic ends, if the client is to renew it; else 0.
 * Without a token it cannot: an SDK that is told so ends the subscription. */
static inline uint64_t centrifuge_expiry(const centrifuge_id *id, const leat_subscribed *sub)
{
    return id->has_token ? sub->expires_s : 0;
}

#endif
