/* tls_set.h - certificates that are served together, and what the handshake needs beside them.
 *
 * Ownership  counted references: the store holds one, and each handshake under way. A connection
 *            that is open needs none.
 * Threads    any; a set does not change.
 * Units      seconds since the epoch.
 * Errors     loading returns LEAT_ECONFIG with a message that names key and file, and no secret.
 */
#ifndef LEAT_NET_TLS_SET_H
#define LEAT_NET_TLS_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/tls_tickets.h"

typedef enum leat_tls_clients {
    LEAT_TLS_CLIENTS_UNASKED,
    LEAT_TLS_CLIENTS_OPTIONAL, /* any certificate is taken; request.tls says if it was verified */
    LEAT_TLS_CLIENTS_REQUIRED,
} leat_tls_clients;

/* One certificate: the files that it comes from. */
typedef struct leat_tls_pair {
    char *certificate;
    char *key; /* the same file, if the key lies in it */
} leat_tls_pair;

/* A certificate in use. */
typedef struct leat_tls_identity {
    SSL_CTX *ctx;
    int64_t not_after_s;
} leat_tls_identity;

typedef struct leat_tls_set leat_tls_set;

/* Loads one certificate. client_ca: a file, if clients is not _UNASKED. */
LEAT_MUST_CHECK int leat_tls_identity_load(leat_tls_identity *out, const leat_tls_pair *pair,
                                           const char *client_ca, leat_tls_clients clients,
                                           leat_tls_tickets *tickets, leat_buf *error);
void leat_tls_identity_free(leat_tls_identity *identity);

/* A handshake of a set begins with leat_tls_set_first, and has the set as the app data of its SSL:
 * that finds the certificate for the name that the client asks for. */

/* Makes a set, with references of its own of the n identities. The first one is for clients that
 * ask for a name that no certificate has. */
leat_tls_set *leat_tls_set_new(const leat_tls_identity *identities, size_t n);
leat_tls_set *leat_tls_set_ref(leat_tls_set *set);
void leat_tls_set_unref(leat_tls_set *set);

/* Returns the context of the first identity, with which every handshake begins. */
SSL_CTX *leat_tls_set_first(const leat_tls_set *set);
/* When the first of the certificates expires. */
int64_t leat_tls_set_not_after_s(const leat_tls_set *set);

#endif
