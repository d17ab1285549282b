/* jwk_set.c - a list of keys. It is short, so finding is a walk. */
#include "wire/jwk_set.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/json.h"
#include "wire/jwt_json.h"

enum { MAX_DEPTH = 16 };

struct leat_jwk_set {
    atomic_size_t refs;
    size_t n;
    leat_jwk *keys[LEAT_JWK_SET_MAX];
};

leat_jwk_set *leat_jwk_set_new(void)
{
    leat_jwk_set *set = leat_calloc(1, sizeof(*set));
    atomic_init(&set->refs, 1);
    return set;
}

leat_jwk_set *leat_jwk_set_ref(leat_jwk_set *set)
{
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void leat_jwk_set_unref(leat_jwk_set *set)
{
    if (set == NULL || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < set->n; i++)
        leat_jwk_free(set->keys[i]);
    free(set);
}

/* --- adding --- */

static int refuse_many(const char **reason)
{
    *reason = "a set may have 100 keys at most";
    return LEAT_EBADMSG;
}

/* Takes the key over. */
static int add(leat_jwk_set *set, leat_jwk *key, const char **reason)
{
    if (set->n == LEAT_JWK_SET_MAX) {
        leat_jwk_free(key);
        return refuse_many(reason);
    }
    set->keys[set->n++] = key;
    return 0;
}

int leat_jwk_set_add_secret(leat_jwk_set *set, leat_slice secret, const char **reason)
{
    leat_jwk *key = NULL;
    int err = leat_jwk_read_secret(&key, secret, reason);
    return err < 0 ? err : add(set, key, reason);
}

int leat_jwk_set_add_pem(leat_jwk_set *set, leat_slice pem, const char **reason)
{
    int err = 0;
    do {
        leat_jwk *key = NULL;
        err = leat_jwk_read_pem(&key, pem, &pem, reason);
        if (err == 0)
            err = add(set, key, reason);
    } while (err == 0 && pem.len > 0 && memmem(pem.at, pem.len, "-----BEGIN ", 11) != NULL);
    return err;
}

static int add_jwk(leat_jwk_set *set, leat_slice json, leat_jwk_set_author author,
                   const char **reason)
{
    leat_jwk *key = NULL;
    int err = leat_jwk_read(&key, json, reason);
    if (author == LEAT_JWK_SET_OPERATOR)
        return err < 0 ? err : add(set, key, reason);
    if (err < 0)
        return 0;
    if (!leat_jwk_is_secret(key))
        return add(set, key, reason);
    leat_jwk_free(key);
    return 0;
}

/* Keys that cannot be used count, too: to find that out of one takes up to 0.1 ms. */
static int add_list(leat_jwk_set *set, leat_json_reader *r, leat_jwk_set_author author,
                    const char **reason)
{
    leat_json_token token = LEAT_JSON_NULL;
    int err = leat_json_next(r, &token);
    if (err < 0 || token != LEAT_JSON_ARRAY_BEGIN)
        return LEAT_EBADMSG;
    leat_slice raw;
    for (size_t n = 0; leat_json_skip(r, &raw) == 0; n++) {
        if (n == LEAT_JWK_SET_MAX)
            return refuse_many(reason);
        err = add_jwk(set, raw, author, reason);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Moves the reader behind the member "keys" of the object. Returns false if there is none. */
static bool find_keys(leat_json_reader *r)
{
    leat_json_token token = LEAT_JSON_NULL;
    leat_slice raw;
    int err = leat_json_next(r, &token);
    while (err == 0 && leat_json_next(r, &token) == 0 && token == LEAT_JSON_KEY) {
        if (leat_slice_is(r->text, "keys"))
            return true;
        err = leat_json_skip(r, &raw);
    }
    return false;
}

int leat_jwk_set_add_json(leat_jwk_set *set, leat_slice json, leat_jwk_set_author author,
                          const char **reason)
{
    *reason = "the JWK set is no JSON object, or has a member twice";
    if (leat_jwt_json_check(json, MAX_DEPTH) < 0)
        return LEAT_EBADMSG;
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    size_t before = set->n;
    leat_json_reader_init(&r, json, &scratch, MAX_DEPTH);
    *reason = "the keys of the JWK set are no list";
    int err =
        find_keys(&r) ? add_list(set, &r, author, reason) : add_jwk(set, json, author, reason);
    leat_buf_close(&scratch);
    if (err == 0 && set->n == before) {
        *reason = "the JWK set has no key that can be used";
        err = LEAT_EBADMSG;
    }
    return err;
}

/* --- finding --- */

bool leat_jwk_set_fits(const leat_jwk_set *set, leat_jwt_alg alg)
{
    for (size_t i = 0; i < set->n; i++)
        if (leat_jwk_fits(set->keys[i], alg))
            return true;
    return false;
}

enum match { ANY_KID, THIS_KID, NO_KID };

static bool matches(const leat_jwk *key, leat_jwt_alg alg, enum match match, leat_slice kid)
{
    leat_slice own = leat_jwk_kid(key);
    if (!leat_jwk_fits(key, alg))
        return false;
    return match == ANY_KID || (match == NO_KID && own.at == NULL) ||
           (match == THIS_KID && own.at != NULL && leat_slice_equal(own, kid));
}

static size_t collect(const leat_jwk_set *set, leat_jwt_alg alg, enum match match, leat_slice kid,
                      const leat_jwk *out[LEAT_JWK_SET_TRIES])
{
    size_t n = 0;
    for (size_t i = 0; i < set->n && n < LEAT_JWK_SET_TRIES; i++)
        if (matches(set->keys[i], alg, match, kid))
            out[n++] = set->keys[i];
    return n;
}

size_t leat_jwk_set_find(const leat_jwk_set *set, leat_jwt_alg alg, leat_slice kid,
                         const leat_jwk *out[LEAT_JWK_SET_TRIES])
{
    if (kid.at == NULL)
        return collect(set, alg, ANY_KID, kid, out);
    size_t n = collect(set, alg, THIS_KID, kid, out);
    return n > 0 ? n : collect(set, alg, NO_KID, kid, out);
}
