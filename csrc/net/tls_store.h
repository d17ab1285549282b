/* tls_store.h - the certificates of a server, which follow their files.
 *
 * Ownership  the server owns the store, which outlives the workers.
 * Threads    _new, _look, _free: one thread, the server's. _take, _tell: any.
 * Units      none.
 * Errors     what cannot be loaded at the start is returned. Later, the certificate in use stays,
 *            the reason is logged once, and every look tries again: who renews a certificate does
 *            not change both files at the same instant.
 */
#ifndef LEAT_NET_TLS_STORE_H
#define LEAT_NET_TLS_STORE_H

#include "base/buf.h"
#include "base/metrics.h"
#include "net/tls_set.h"

typedef struct leat_tls_store leat_tls_store;

/* Texts are borrowed. */
typedef struct leat_tls_files {
    const char *certificates; /* comma-separated, as are the keys */
    const char *keys;
    const char *client_ca; /* "": clients are not asked for a certificate */
    leat_tls_clients clients;
} leat_tls_files;

/* metrics: only the thread of the store writes them. */
LEAT_MUST_CHECK int leat_tls_store_new(leat_tls_store **out, const leat_tls_files *files,
                                       leat_metrics *metrics, leat_buf *error);
void leat_tls_store_free(leat_tls_store *s);

/* Loads what has changed since it was loaded, and logs what expires. Blocks for as long as reading
 * the files takes. */
void leat_tls_store_look(leat_tls_store *s);

/* Appends a line for each certificate whose newer files cannot be used: why; and for each that has
 * expired or does soon. */
void leat_tls_store_tell(leat_tls_store *s, leat_buf *lines);

/* Returns the current set, owned. */
leat_tls_set *leat_tls_store_take(leat_tls_store *s);

#endif
