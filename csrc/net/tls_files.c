#include "net/tls_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem.h"
#include "wire/http.h"

static size_t count(const char *list)
{
    size_t n = 0;
    leat_slice item;
    for (leat_slice rest = leat_slice_of(list); leat_http_list_next(&rest, &item);)
        n++;
    return n;
}

int leat_tls_pairs_parse(leat_tls_pairs *out, const char *certificates, const char *keys,
                         leat_buf *error)
{
    size_t n = count(certificates), n_keys = count(keys);
    if (n == 0) {
        leat_buf_text(error, "tls_certificate is empty: tls_listen needs a certificate");
        return LEAT_ECONFIG;
    }
    if (n_keys != 0 && n_keys != n) {
        leat_buf_printf(error,
                        "tls_key has %zu files and tls_certificate has %zu: expected a key "
                        "for each certificate, in the same order",
                        n_keys, n);
        return LEAT_ECONFIG;
    }
    leat_slice certificate, key, rest = leat_slice_of(certificates),
                                 rest_keys = leat_slice_of(keys);
    *out = (leat_tls_pairs){leat_calloc(n, sizeof(*out->at)), n};
    for (size_t i = 0; leat_http_list_next(&rest, &certificate); i++) {
        if (!leat_http_list_next(&rest_keys, &key))
            key = certificate;
        out->at[i] = (leat_tls_pair){leat_memdup(certificate.at, certificate.len),
                                     leat_memdup(key.at, key.len)};
    }
    return 0;
}

void leat_tls_pairs_free(leat_tls_pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++) {
        free(pairs->at[i].certificate);
        free(pairs->at[i].key);
    }
    free(pairs->at);
    *pairs = (leat_tls_pairs){NULL, 0};
}

leat_tls_stamp leat_tls_stamp_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return (leat_tls_stamp){0};
    return (leat_tls_stamp){
        .device = (uint64_t)st.st_dev,
        .inode = (uint64_t)st.st_ino,
        .bytes = (uint64_t)st.st_size,
        .changed_ns = (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec,
    };
}

bool leat_tls_stamp_equal(const leat_tls_stamp *a, const leat_tls_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->changed_ns == b->changed_ns;
}

int64_t leat_tls_days_left(int64_t not_after_s, int64_t now_s)
{
    int64_t left_s = not_after_s - now_s;
    return left_s >= 0 ? left_s / 86400 : (left_s + 1) / 86400 - 1;
}

void leat_tls_expiry_tell(leat_buf *out, const char *file, int64_t not_after_s, int64_t now_s)
{
    int64_t days = leat_tls_days_left(not_after_s, now_s);
    time_t expiry = (time_t)not_after_s;
    struct tm when;
    char date[32];
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", gmtime_r(&expiry, &when));
    if (days < 0)
        leat_buf_printf(out, "the certificate in %s has expired on %s", file, date);
    else if (days < LEAT_TLS_SOON_DAYS)
        leat_buf_printf(out, "the certificate in %s expires on %s, in %" PRId64 " days", file, date,
                        days);
}

bool leat_tls_is_exposed(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)) != 0;
}
