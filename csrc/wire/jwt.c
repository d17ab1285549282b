/* jwt.c - a token is cut at its two dots; its header is decoded, checked and read. */
#include "wire/jwt.h"

#include <strings.h>

#include "wire/crypto.h"
#include "wire/json.h"
#include "wire/jwt_json.h"

enum {
    MAX_HEADER_BYTES = 8192, /* encoded; x5c makes some long */
    MAX_DEPTH = 16,
    MAX_KID_BYTES = 1024,
};

const char *leat_jwt_result_name(leat_jwt_result result)
{
    static const char *const names[LEAT_JWT_RESULTS] = {
        [LEAT_JWT_OK] = "ok",
        [LEAT_JWT_MALFORMED] = "malformed",
        [LEAT_JWT_TOO_LARGE] = "too_large",
        [LEAT_JWT_ALGORITHM] = "algorithm",
        [LEAT_JWT_CRITICAL] = "critical",
        [LEAT_JWT_TYPE] = "type",
        [LEAT_JWT_KEY] = "key",
        [LEAT_JWT_SIGNATURE] = "signature",
        [LEAT_JWT_EXPIRED] = "expired",
        [LEAT_JWT_NOT_YET_VALID] = "not_yet_valid",
        [LEAT_JWT_ISSUER] = "issuer",
        [LEAT_JWT_AUDIENCE] = "audience",
        [LEAT_JWT_SUBJECT] = "subject",
        [LEAT_JWT_CLAIM] = "claim",
    };
    return names[result];
}

/* What is read of a header. */
struct header {
    leat_buf alg;
    leat_buf kid;
    leat_buf typ;
    bool has_alg;
    bool has_kid;
    bool has_typ;
};

static int take_text(leat_json_reader *r, leat_buf *out, bool *has)
{
    leat_json_token token = LEAT_JSON_NULL;
    int err = leat_json_next(r, &token);
    if (err < 0 || token != LEAT_JSON_STRING)
        return LEAT_EBADMSG;
    leat_buf_slice(out, r->text);
    *has = true;
    return 0;
}

static leat_jwt_result read_members(struct header *h, leat_json_reader *r)
{
    leat_json_token token = LEAT_JSON_NULL;
    leat_slice raw;
    leat_jwt_result result = LEAT_JWT_OK;
    int err = leat_json_next(r, &token); /* { */
    while (err == 0 && leat_json_next(r, &token) == 0 && token == LEAT_JSON_KEY) {
        if (leat_slice_is(r->text, "alg")) {
            err = take_text(r, &h->alg, &h->has_alg);
        } else if (leat_slice_is(r->text, "kid")) {
            err = take_text(r, &h->kid, &h->has_kid);
        } else if (leat_slice_is(r->text, "typ")) {
            err = take_text(r, &h->typ, &h->has_typ);
        } else {
            if (leat_slice_is(r->text, "crit"))
                result = LEAT_JWT_CRITICAL;
            err = leat_json_skip(r, &raw);
        }
    }
    if (err < 0 || !h->has_alg || h->kid.len > MAX_KID_BYTES)
        return LEAT_JWT_MALFORMED;
    return result;
}

static void take_header(leat_jwt *out, const struct header *h, leat_buf *scratch)
{
    scratch->len = 0;
    leat_buf_reserve(scratch, h->kid.len + h->typ.len + 1);
    leat_buf_slice(scratch, leat_buf_view(&h->kid));
    leat_buf_slice(scratch, leat_buf_view(&h->typ));
    out->kid = (leat_slice){h->has_kid ? scratch->at : NULL, h->kid.len};
    out->typ = (leat_slice){h->has_typ ? scratch->at + h->kid.len : NULL, h->typ.len};
}

static leat_jwt_result parse_header(leat_jwt *out, leat_slice json, unsigned algs,
                                    leat_buf *scratch)
{
    if (leat_jwt_json_check(json, MAX_DEPTH) < 0)
        return LEAT_JWT_MALFORMED;
    struct header h = {.alg = LEAT_BUF_INIT};
    leat_buf strings = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_reader_init(&r, json, &strings, MAX_DEPTH);
    leat_jwt_result result = read_members(&h, &r);
    if (result != LEAT_JWT_MALFORMED && (!leat_jwt_alg_of(leat_buf_view(&h.alg), &out->alg) ||
                                         (algs & LEAT_JWT_BIT(out->alg)) == 0))
        result = LEAT_JWT_ALGORITHM;
    if (result == LEAT_JWT_OK)
        take_header(out, &h, scratch);
    leat_buf_close(&h.alg);
    leat_buf_close(&h.kid);
    leat_buf_close(&h.typ);
    leat_buf_close(&strings);
    return result;
}

static leat_jwt_result read_header(leat_jwt *out, leat_slice encoded, unsigned algs,
                                   leat_buf *scratch)
{
    leat_buf json = LEAT_BUF_INIT;
    leat_jwt_result result = LEAT_JWT_MALFORMED;
    if (leat_base64_read(&json, LEAT_BASE64_URL, encoded) == 0)
        result = parse_header(out, leat_buf_view(&json), algs, scratch);
    leat_buf_close(&json);
    return result;
}

/* Cuts the token at its dots. Returns false unless it has exactly two of them. */
static bool cut(leat_jwt *out, leat_slice token, leat_slice *header)
{
    const char *end = token.at + token.len;
    const char *first = token.len == 0 ? NULL : memchr(token.at, '.', token.len);
    const char *second = first == NULL ? NULL : memchr(first + 1, '.', (size_t)(end - first - 1));
    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL)
        return false;
    *header = (leat_slice){token.at, (size_t)(first - token.at)};
    out->payload = (leat_slice){first + 1, (size_t)(second - first - 1)};
    out->signature = (leat_slice){second + 1, (size_t)(end - second - 1)};
    out->signed_text = (leat_slice){token.at, (size_t)(second - token.at)};
    return header->len > 0;
}

leat_jwt_result leat_jwt_read(leat_jwt *out, leat_slice token, size_t max_bytes, unsigned algs,
                              leat_buf *scratch)
{
    leat_slice header;
    scratch->len = 0;
    if (token.len > max_bytes)
        return LEAT_JWT_TOO_LARGE;
    if (!cut(out, token, &header))
        return LEAT_JWT_MALFORMED;
    if (header.len > MAX_HEADER_BYTES)
        return LEAT_JWT_TOO_LARGE;
    return read_header(out, header, algs, scratch);
}

bool leat_jwt_is_type(const leat_jwt *jwt, leat_slice type)
{
    static const char prefix[] = "application/";
    const size_t prefix_len = sizeof(prefix) - 1;
    leat_slice typ = jwt->typ;
    if (typ.at == NULL)
        return false;
    if (typ.len > prefix_len && strncasecmp(typ.at, prefix, prefix_len) == 0)
        typ = (leat_slice){typ.at + prefix_len, typ.len - prefix_len};
    return typ.len == type.len && (typ.len == 0 || strncasecmp(typ.at, type.at, typ.len) == 0);
}

leat_jwt_result leat_jwt_payload(const leat_jwt *jwt, leat_buf *out)
{
    out->len = 0;
    int err = leat_base64_read(out, LEAT_BASE64_URL, jwt->payload);
    return err < 0 ? LEAT_JWT_MALFORMED : LEAT_JWT_OK;
}
