/* centrifuge_command.c - centrifuge_message turns a command into what the core knows; the rest are
 * tables of numbers. */
#include "wire/centrifuge_command.h"

#include <stdio.h>
#include <string.h>

#include "wire/close_code.h"
#include "wire/json.h"
#include "wire/leat_v1.h"

const char *const centrifuge_method_names[CENTRIFUGE_METHODS] = {
    "ping",           "connect", "subscribe", "unsubscribe", "publish",     "presence",
    "presence_stats", "history", "rpc",       "refresh",     "sub_refresh", "send",
};

/* What a subscribe's flags say (bits). */
enum { FLAG_REJECTS = 2 };

/* --- ids --- */

/* What the second letter of an id says: a digit more than the first one for each of these. */
enum { MARK = '0', MARK_TOKEN = 1, MARK_RECOVERS = 2, MARK_REJECTS = 4 };

static char mark_of(const centrifuge_command *c)
{
    bool subscribes = c->method == CENTRIFUGE_SUBSCRIBE;
    int mark = MARK;
    if (c->token.len > 0 && (subscribes || c->method == CENTRIFUGE_CONNECT))
        mark += MARK_TOKEN;
    if (subscribes && c->recovers)
        mark += MARK_RECOVERS;
    if (subscribes && c->recovers && (c->flags & FLAG_REJECTS) != 0)
        mark += MARK_REJECTS;
    return (char)mark;
}

leat_slice centrifuge_write_id(const centrifuge_command *c, leat_buf *scratch)
{
    size_t at = scratch->len;
    if (c->id == 0)
        return (leat_slice){NULL, 0};
    leat_buf_char(scratch, (char)('a' + (int)c->method));
    leat_buf_char(scratch, mark_of(c));
    leat_buf_int(scratch, c->id);
    return (leat_slice){scratch->at + at, scratch->len - at};
}

centrifuge_id centrifuge_read_id(leat_slice id)
{
    if (id.len < 3)
        return (centrifuge_id){.number = leat_slice_of("0")};
    int mark = id.at[1] - MARK;
    return (centrifuge_id){
        .method = (centrifuge_method)(id.at[0] - 'a'),
        .has_token = (mark & MARK_TOKEN) != 0,
        .recovers = (mark & MARK_RECOVERS) != 0,
        .rejects = (mark & MARK_REJECTS) != 0,
        .number = {id.at + 2, id.len - 2},
    };
}

/* --- messages --- */

static int fail(char *reason, size_t size, const char *sentence)
{
    snprintf(reason, size, "%s", sentence);
    return LEAT_EBADMSG;
}

static leat_op op_of(centrifuge_method method)
{
    static const leat_op ops[CENTRIFUGE_METHODS] = {
        [CENTRIFUGE_PING] = LEAT_OP_NOTHING,
        [CENTRIFUGE_CONNECT] = LEAT_OP_AUTHENTICATE,
        [CENTRIFUGE_SUBSCRIBE] = LEAT_OP_SUBSCRIBE,
        [CENTRIFUGE_UNSUBSCRIBE] = LEAT_OP_UNSUBSCRIBE,
        [CENTRIFUGE_PUBLISH] = LEAT_OP_PUBLISH,
        [CENTRIFUGE_PRESENCE] = LEAT_OP_ABSENT,
        [CENTRIFUGE_PRESENCE_STATS] = LEAT_OP_ABSENT,
        [CENTRIFUGE_HISTORY] = LEAT_OP_HISTORY,
        [CENTRIFUGE_RPC] = LEAT_OP_CALL,
        [CENTRIFUGE_REFRESH] = LEAT_OP_AUTHENTICATE,
        [CENTRIFUGE_SUB_REFRESH] = LEAT_OP_RENEW,
        [CENTRIFUGE_SEND] = LEAT_OP_NOTHING,
    };
    return ops[method];
}

static bool names_topic(leat_op op)
{
    return op == LEAT_OP_SUBSCRIBE || op == LEAT_OP_UNSUBSCRIBE || op == LEAT_OP_PUBLISH ||
           op == LEAT_OP_HISTORY || op == LEAT_OP_RENEW;
}

/* A subscribe's params are its data. If it has a token, they are {"token":…,"data":…}. */
#define PARAMS "{\"token\":"
#define PARAMS_DATA ",\"data\":"

static leat_slice params_of(const centrifuge_command *c, leat_buf *scratch)
{
    if (c->token.len == 0)
        return c->data;
    size_t at = scratch->len;
    leat_buf_text(scratch, PARAMS);
    leat_json_write_text(scratch, c->token);
    if (c->data.at != NULL) {
        leat_buf_text(scratch, PARAMS_DATA);
        leat_buf_slice(scratch, c->data);
    }
    leat_buf_char(scratch, '}');
    return (leat_slice){scratch->at + at, scratch->len - at};
}

/* What follows the token, in params as params_of has written them; absent if they are others. */
static leat_slice rest_of(leat_slice params)
{
    enum { BEGIN = sizeof(PARAMS) - 1 };
    if (params.len <= BEGIN + 1 || memcmp(params.at, PARAMS "\"", BEGIN + 1) != 0)
        return (leat_slice){NULL, 0};
    size_t n = BEGIN + 1;
    while (n < params.len && params.at[n] != '"')
        n += params.at[n] == '\\' ? 2 : 1;
    LEAT_ASSERT(n < params.len); /* they are valid JSON */
    return (leat_slice){params.at + n + 1, params.len - n - 1};
}

leat_slice centrifuge_with_token(leat_slice params, leat_slice token, leat_buf *scratch)
{
    leat_slice rest = rest_of(params);
    if (rest.at == NULL)
        return rest;
    leat_buf_text(scratch, PARAMS);
    leat_json_write_text(scratch, token);
    leat_buf_slice(scratch, rest);
    return leat_buf_view(scratch);
}

static int check(const centrifuge_command *c, leat_op op, char *reason, size_t size)
{
    if (c->id == 0 && c->method != CENTRIFUGE_PING && c->method != CENTRIFUGE_SEND)
        return fail(reason, size, "a command needs an id");
    if (names_topic(op) && !leat_v1_topic_ok(c->channel))
        return fail(reason, size, "the channel is empty, too long, or has control characters");
    if (c->method == CENTRIFUGE_RPC && c->name.len == 0)
        return fail(reason, size, "the method is empty");
    if (c->method == CENTRIFUGE_PUBLISH && c->data.at == NULL)
        return fail(reason, size, "publish needs \"data\"");
    if (c->method == CENTRIFUGE_SUB_REFRESH && c->token.len == 0)
        return fail(reason, size, "sub_refresh needs a token");
    return 0;
}

static const leat_slice no_slice = {NULL, 0};

/* Maps, polls and the like are not here. */
static bool is_stream(const centrifuge_command *c)
{
    return c->method != CENTRIFUGE_SUBSCRIBE || c->type == 0;
}

int centrifuge_message(const centrifuge_command *c, leat_message *out, leat_buf *scratch,
                       char *reason, size_t reason_size)
{
    leat_op op = is_stream(c) ? op_of(c->method) : LEAT_OP_ABSENT;
    leat_slice id = centrifuge_write_id(c, scratch);
    int err = check(c, op, reason, reason_size);
    *out = (leat_message){.id = id};
    if (err < 0)
        return err;
    out->op = op;
    out->topic = c->channel;
    out->method = c->name;
    out->token = c->token.len > 0 ? c->token : no_slice;
    out->data = c->data;
    out->params = op == LEAT_OP_SUBSCRIBE ? params_of(c, scratch) : c->data;
    /* A position beyond all that there can be is no position at which a subscribe could begin, and
     * none that a history could find. */
    bool possible = c->offset <= (uint64_t)LEAT_SEQ_MAX;
    out->has_since = c->recovers && (possible || op == LEAT_OP_HISTORY);
    out->since_epoch = c->epoch.at == NULL ? leat_slice_of("") : c->epoch;
    out->since_seq = possible ? (int64_t)c->offset : LEAT_SEQ_MAX;
    out->limit = c->limit;
    out->reverse = c->reverse;
    out->known = c->subs;
    return 0;
}

/* --- errors --- */

static const struct {
    uint16_t code;
    bool temporary;
} numbers[LEAT_CODE_COUNT] = {
    [LEAT_CODE_BAD_REQUEST] = {107, false},
    [LEAT_CODE_UNAUTHENTICATED] = {101, false},
    [LEAT_CODE_FORBIDDEN] = {103, false},
    [LEAT_CODE_NOT_FOUND] = {102, false},
    [LEAT_CODE_ALREADY_SUBSCRIBED] = {105, false},
    [LEAT_CODE_LIMIT] = {106, false},
    [LEAT_CODE_RATE_LIMITED] = {111, true},
    [LEAT_CODE_DEADLINE_EXCEEDED] = {100, true},
    [LEAT_CODE_UNAVAILABLE] = {100, true},
    [LEAT_CODE_TOO_LARGE] = {106, false},
    [LEAT_CODE_INTERNAL] = {100, true},
    [LEAT_CODE_REVOKED] = {103, false},
};

/* A client that is told that its token has expired asks for another one, and connects again. After
 * any other refusal it stays away. */
static uint32_t number_of(const centrifuge_id *id, const leat_failure *failure)
{
    leat_code code = failure->code;
    if (id->has_token && leat_failure_is_expiry(failure))
        return 109;
    if (code != LEAT_CODE_NOT_FOUND)
        return numbers[code].code;
    switch (id->method) {
    case CENTRIFUGE_UNSUBSCRIBE: /* it is so already: an error would make clients reconnect */
        return 0;
    case CENTRIFUGE_RPC:
        return 104;
    case CENTRIFUGE_PRESENCE:
    case CENTRIFUGE_PRESENCE_STATS:
    case CENTRIFUGE_HISTORY:
        return 108;
    case CENTRIFUGE_PING:
    case CENTRIFUGE_CONNECT:
    case CENTRIFUGE_SUBSCRIBE:
    case CENTRIFUGE_PUBLISH:
    case CENTRIFUGE_REFRESH:
    case CENTRIFUGE_SUB_REFRESH:
    case CENTRIFUGE_SEND:
    case CENTRIFUGE_METHODS:
        break;
    }
    return 102;
}

centrifuge_error centrifuge_error_of(const centrifuge_id *id, const leat_failure *failure)
{
    return (centrifuge_error){
        .code = number_of(id, failure),
        .message = failure->message,
        .temporary = numbers[failure->code].temporary,
    };
}

/* A client that is told that its right has expired subscribes again. If that is refused as expired,
 * too, it asks for another token (number_of). */
uint32_t centrifuge_end_of(const leat_failure *failure)
{
    enum { ENDED = 2000, EXPIRED = 2501 };
    leat_code code = failure->code;
    if (code == LEAT_CODE_UNAVAILABLE || code == LEAT_CODE_DEADLINE_EXCEEDED)
        return CENTRIFUGE_END_RESYNC;
    return leat_slice_is(failure->message, "expired") ? EXPIRED : ENDED;
}

/* From 3500 to 3999 a client does not come back. Below 3000 nothing of the protocol's own is said.
 */
int centrifuge_close_code(int code)
{
    switch (code) {
    case LEAT_CLOSE_GOING_AWAY:
        return 3001;
    case LEAT_CLOSE_DEADLINE:
        return 3003;
    case LEAT_CLOSE_EXPIRED:
        return 3005;
    case LEAT_CLOSE_TOO_SLOW:
        return 3008;
    case LEAT_CLOSE_IDENTITY:
        return 3500;
    case LEAT_CLOSE_UNSUPPORTED:
        return 3501;
    default:
        return code;
    }
}

uint64_t centrifuge_ttl_s(uint64_t expires_s)
{
    enum { LEAST_S = 1, MOST_S = 15 };
    uint64_t early_s = expires_s / 4;
    if (early_s < LEAST_S)
        early_s = LEAST_S;
    if (early_s > MOST_S)
        early_s = MOST_S;
    return expires_s > early_s ? expires_s - early_s : 1;
}
