/* jwt_claims.c - one walk over the members of the payload: what they say is noted, then judged. A
 * claim of a wrong type makes the token malformed, whether it is asked for or not. */
#include "wire/jwt_claims.h"

#include "wire/json.h"
#include "wire/jwt_json.h"

enum { MAX_DEPTH = 32 };

#define LAST_SECOND INT64_C(253402300799) /* of the year 9999 */

enum claim { EXP, NBF, IAT, ISS, SUB, AUD, CLAIMS };

static const char *const names[CLAIMS] = {
    [EXP] = "exp", [NBF] = "nbf", [IAT] = "iat", [ISS] = "iss", [SUB] = "sub", [AUD] = "aud",
};

struct claims {
    const leat_jwt_claims_rules *rules;
    leat_json_reader reader;
    int64_t times[IAT + 1];
    bool has[CLAIMS];
    bool fits[CLAIMS]; /* ISS, SUB, AUD: is one of those asked for */
    unsigned required; /* bits of the required names that were found */
};

static bool is_among(leat_slice text, const leat_jwt_claims_names *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (leat_slice_equal(text, list->names[i]))
            return true;
    return false;
}

static void note_required(struct claims *c, leat_slice name)
{
    const leat_jwt_claims_names *list = &c->rules->required;
    for (size_t i = 0; i < list->n; i++)
        if (leat_slice_equal(name, list->names[i]))
            c->required |= 1u << i;
}

/* A number without an exponent, from 0 to the year 9999. */
static int take_time(struct claims *c, enum claim claim)
{
    leat_json_token token = LEAT_JSON_NULL;
    int err = leat_json_next(&c->reader, &token);
    if (err < 0 || token != LEAT_JSON_NUMBER)
        return LEAT_EBADMSG;
    leat_slice text = c->reader.text;
    const char *point = memchr(text.at, '.', text.len);
    bool exponent =
        memchr(text.at, 'e', text.len) != NULL || memchr(text.at, 'E', text.len) != NULL;
    if (point != NULL)
        text.len = (size_t)(point - text.at);
    int64_t n = 0;
    if (exponent || !leat_json_int(text, &n) || n < 0 || n > LAST_SECOND || text.at[0] == '-')
        return LEAT_EBADMSG;
    c->times[claim] = n;
    return 0;
}

static int take_text(struct claims *c, enum claim claim, const leat_jwt_claims_names *wanted)
{
    leat_json_token token = LEAT_JSON_NULL;
    int err = leat_json_next(&c->reader, &token);
    if (err < 0 || token != LEAT_JSON_STRING)
        return LEAT_EBADMSG;
    c->fits[claim] = is_among(c->reader.text, wanted);
    return 0;
}

/* A string, or a list of strings. */
static int take_audience(struct claims *c)
{
    const leat_jwt_claims_names *wanted = &c->rules->audiences;
    leat_json_token token = LEAT_JSON_NULL;
    int err = leat_json_next(&c->reader, &token);
    if (err == 0 && token == LEAT_JSON_STRING) {
        c->fits[AUD] = is_among(c->reader.text, wanted);
        return 0;
    }
    if (err < 0 || token != LEAT_JSON_ARRAY_BEGIN)
        return LEAT_EBADMSG;
    for (;;) {
        err = leat_json_next(&c->reader, &token);
        if (err == 0 && token == LEAT_JSON_ARRAY_END)
            return 0;
        if (err < 0 || token != LEAT_JSON_STRING)
            return LEAT_EBADMSG;
        c->fits[AUD] = c->fits[AUD] || is_among(c->reader.text, wanted);
    }
}

static int take(struct claims *c)
{
    leat_slice raw;
    size_t claim = 0;
    note_required(c, c->reader.text);
    while (claim < CLAIMS && !leat_slice_is(c->reader.text, names[claim]))
        claim++;
    if (claim == CLAIMS)
        return leat_json_skip(&c->reader, &raw);
    c->has[claim] = true;
    switch ((enum claim)claim) {
    case EXP:
    case NBF:
    case IAT:
        return take_time(c, (enum claim)claim);
    case ISS:
        return take_text(c, ISS, &c->rules->issuers);
    case SUB:
        return take_text(c, SUB, &c->rules->subjects);
    case AUD:
        return take_audience(c);
    case CLAIMS:
        break;
    }
    return LEAT_EBADMSG;
}

static int read_all(struct claims *c)
{
    leat_json_token token = LEAT_JSON_NULL;
    int err = leat_json_next(&c->reader, &token); /* { */
    while (err == 0) {
        err = leat_json_next(&c->reader, &token);
        if (err < 0 || token != LEAT_JSON_KEY)
            return err;
        err = take(c);
    }
    return err;
}

static leat_jwt_result judge_times(const struct claims *c)
{
    const leat_jwt_claims_rules *rules = c->rules;
    if (c->has[EXP] && rules->now >= c->times[EXP] + rules->leeway_s)
        return LEAT_JWT_EXPIRED;
    if (rules->max_age_s > 0 && !c->has[IAT])
        return LEAT_JWT_CLAIM;
    if (rules->max_age_s > 0 && rules->now >= c->times[IAT] + rules->max_age_s + rules->leeway_s)
        return LEAT_JWT_EXPIRED;
    if (c->has[NBF] && rules->now < c->times[NBF] - rules->leeway_s)
        return LEAT_JWT_NOT_YET_VALID;
    if (c->has[IAT] && rules->now < c->times[IAT] - rules->leeway_s)
        return LEAT_JWT_NOT_YET_VALID;
    return LEAT_JWT_OK;
}

static leat_jwt_result judge(const struct claims *c)
{
    const leat_jwt_claims_rules *rules = c->rules;
    leat_jwt_result result = judge_times(c);
    if (result != LEAT_JWT_OK)
        return result;
    if (rules->issuers.n > 0 && !c->fits[ISS])
        return LEAT_JWT_ISSUER;
    /* RFC 7519 §4.1.3: whoever is not named must refuse a token that names an audience. */
    if (!rules->any_audience && (rules->audiences.n > 0 || c->has[AUD]) && !c->fits[AUD])
        return LEAT_JWT_AUDIENCE;
    if (rules->subjects.n > 0 && !c->fits[SUB])
        return LEAT_JWT_SUBJECT;
    return c->required == (1u << rules->required.n) - 1 ? LEAT_JWT_OK : LEAT_JWT_CLAIM;
}

leat_jwt_result leat_jwt_claims_check(leat_slice json, const leat_jwt_claims_rules *rules)
{
    struct claims c = {.rules = rules};
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader_init(&c.reader, json, &scratch, MAX_DEPTH);
    int err = leat_jwt_json_check(json, MAX_DEPTH);
    if (err == 0)
        err = read_all(&c);
    leat_buf_close(&scratch);
    return err < 0 ? LEAT_JWT_MALFORMED : judge(&c);
}
