/* tls_files.h - the files of certificates: their names, and whether they have changed.
 *
 * Ownership  a list owns its names.
 * Threads    any.
 * Units      seconds since 1970.
 * Errors     a list that makes no sense is LEAT_ECONFIG, with a message.
 */
#ifndef LEAT_NET_TLS_FILES_H
#define LEAT_NET_TLS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/tls_set.h"

typedef struct leat_tls_pairs {
    leat_tls_pair *at;
    size_t n;
} leat_tls_pairs;

/* Reads comma-separated paths: certificates and their keys in the same order. No keys at all: they
 * lie in the files of the certificates. */
LEAT_MUST_CHECK int leat_tls_pairs_parse(leat_tls_pairs *out, const char *certificates,
                                         const char *keys, leat_buf *error);
void leat_tls_pairs_free(leat_tls_pairs *pairs);

/* What tells one state of a file from another, whoever wrote or renamed it. */
typedef struct leat_tls_stamp {
    uint64_t device, inode, bytes, changed_ns;
} leat_tls_stamp;

/* All zero if there is no such file. */
leat_tls_stamp leat_tls_stamp_of(const char *path);
bool leat_tls_stamp_equal(const leat_tls_stamp *a, const leat_tls_stamp *b);

enum { LEAT_TLS_SOON_DAYS = 14 }; /* a certificate that expires within them is told of */

/* Returns the whole days until a certificate expires: 0 on the last day, below 0 once it has
 * expired. */
int64_t leat_tls_days_left(int64_t not_after_s, int64_t now_s);

/* Appends "the certificate in FILE expires on DATE, in N days" if that is within
 * LEAT_TLS_SOON_DAYS; "... has expired on DATE" if it has expired; otherwise nothing. */
void leat_tls_expiry_tell(leat_buf *out, const char *file, int64_t not_after_s, int64_t now_s);

/* True if the file can be read or changed by users who are neither its owner nor of its group. */
bool leat_tls_is_exposed(const char *path);

#endif
