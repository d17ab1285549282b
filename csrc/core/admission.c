/* admission.c - counts what is under way, and refuses what would be too much. */
#include "core/admission.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "core/account.h"

enum {
    USUAL_RETRY_MS = 1000,
    TURNS = 2, /* of a handshake at the pool: the handler's read, and the snapshot's */
};

static const leat_allowance *allowance_of(const leat_subscriber *to)
{
    return leat_session_allowance(to->session, &to->core->limits->allowance);
}

/* --- accounts --- */

/* Whose limits hold for all of a user's clients; NULL: nobody's. An account that is a client's own
 * is for publishing alone. */
static const leat_account *user_of(const leat_subscriber *to)
{
    return leat_session_user_id(to->session).at != NULL ? to->user : NULL;
}

static void add_subscriptions(leat_account *a, int64_t n)
{
    if (a != NULL)
        a->subscriptions = (uint32_t)(a->subscriptions + n);
}

static void add_handshake(leat_account *a, int n)
{
    if (a != NULL)
        a->handshakes = (uint32_t)((int64_t)a->handshakes + n);
}

static leat_account *open_tenant(leat_core *core, const leat_session *session)
{
    const leat_terms *terms = leat_session_terms(session);
    return terms != NULL && terms->tenant.at != NULL
               ? leat_account_open(&core->accounts, LEAT_ACCOUNT_TENANT, terms->tenant)
               : NULL;
}

static leat_account *open_user(leat_core *core, const leat_session *session)
{
    return leat_session_user_id(session).at != NULL
               ? leat_account_open(&core->accounts, LEAT_ACCOUNT_USER,
                                   leat_session_user_id(session))
               : NULL;
}

void leat_admission_join(leat_subscriber *to)
{
    to->user = open_user(to->core, to->session);
    to->tenant = open_tenant(to->core, to->session);
    add_subscriptions(to->user, (int64_t)to->subs.count);
    add_subscriptions(to->tenant, (int64_t)to->subs.count);
    add_handshake(to->user, (int)to->n_handshakes);
    add_handshake(to->tenant, (int)to->n_handshakes);
}

void leat_admission_leave(leat_subscriber *to)
{
    add_subscriptions(to->user, -(int64_t)to->subs.count);
    add_subscriptions(to->tenant, -(int64_t)to->subs.count);
    add_handshake(to->user, -(int)to->n_handshakes);
    add_handshake(to->tenant, -(int)to->n_handshakes);
    uint64_t now_ms = leat_loop_now(to->core->loop);
    leat_account_close(to->user, now_ms);
    leat_account_close(to->tenant, now_ms);
    to->user = to->tenant = NULL;
}

void leat_admission_began(leat_subscriber *to)
{
    add_subscriptions(to->user, 1);
    add_subscriptions(to->tenant, 1);
}

void leat_admission_ended(leat_subscriber *to)
{
    add_subscriptions(to->user, -1);
    add_subscriptions(to->tenant, -1);
}

static void add_under_way(leat_core *core, leat_subscriber *to, int n)
{
    core->n_handshakes += (size_t)(int64_t)n;
    leat_metrics_add(core->metrics, LEAT_M_HANDSHAKES_UNDER_WAY, n);
    if (to == NULL)
        return;
    to->n_handshakes += (uint32_t)n;
    add_handshake(to->user, n);
    add_handshake(to->tenant, n);
}

void leat_admission_under_way(leat_core *core, leat_subscriber *to)
{
    add_under_way(core, to, 1);
}

void leat_admission_over(leat_core *core, leat_subscriber *to)
{
    add_under_way(core, to, -1);
}

/* --- refusals --- */

/* The jitter may double the estimate. So the estimate is bounded by half of retry_after_max_ms.
 * Were the sum bounded instead, all who wait longest would be told the same time. */
static uint32_t retry_after(leat_core *core, uint64_t ms)
{
    const leat_limits *limits = core->limits;
    if (ms == 0)
        ms = USUAL_RETRY_MS;
    if (ms < limits->retry_after_min_ms)
        ms = limits->retry_after_min_ms;
    if (ms > limits->retry_after_max_ms / 2)
        ms = limits->retry_after_max_ms / 2;
    ms += leat_random_below(leat_loop_random(core->loop), ms);
    leat_metrics_observe(core->metrics, LEAT_H_RETRY_AFTER, (double)ms / 1e3);
    return (uint32_t)ms;
}

uint32_t leat_admission_retry_ms(leat_core *core)
{
    return retry_after(core, leat_pg_pool_wait_ms(core->pool, false));
}

/* Names the limit in the log, and who has reached it. */
static bool refuse(leat_core *core, leat_metric counter, const char *limit, leat_slice who,
                   leat_failure *refusal, leat_failure why)
{
    char quoted[160];
    leat_metrics_add(core->metrics, counter, 1);
    LEAT_LOG_INFO("admission", "refused limit=%s who=%s code=%s retry_after_ms=%" PRIu32, limit,
                  leat_log_quote(quoted, sizeof(quoted), who.at, who.len), leat_code_name(why.code),
                  why.retry_after_ms);
    *refusal = why;
    return false;
}

static bool refuse_subscription(leat_core *core, leat_metric counter, const char *limit,
                                leat_slice who, leat_failure *refusal, const char *sentence)
{
    leat_failure why = {.code = LEAT_CODE_LIMIT, .message = leat_slice_of(sentence)};
    return refuse(core, counter, limit, who, refusal, why);
}

static bool refuse_handshake(leat_core *core, leat_metric counter, const char *limit,
                             leat_slice who, bool of_crowd, leat_failure *refusal)
{
    leat_failure why = {
        .code = LEAT_CODE_UNAVAILABLE,
        .message = leat_slice_of("too much is under way; try again later"),
        .retry_after_ms = retry_after(core, leat_pg_pool_wait_ms(core->pool, of_crowd)),
    };
    return refuse(core, counter, limit, who, refusal, why);
}

static bool has_account_room(leat_core *core, const leat_session *session, const leat_account *user,
                             const leat_account *tenant, leat_failure *refusal)
{
    const leat_allowance *allowance = leat_session_allowance(session, &core->limits->allowance);
    if (user != NULL && user->subscriptions >= allowance->max_subscriptions_per_user)
        return refuse_subscription(core, LEAT_M_SUBS_REFUSED_USER, "max_subscriptions_per_user",
                                   leat_session_user_id(session), refusal,
                                   "too many subscriptions of this user");
    const leat_terms *terms = leat_session_terms(session);
    if (tenant != NULL && terms != NULL && tenant->subscriptions >= terms->tenant_max_subscriptions)
        return refuse_subscription(core, LEAT_M_SUBS_REFUSED_TENANT, "tenant.max_subscriptions",
                                   terms->tenant, refusal, "too many subscriptions of this tenant");
    return true;
}

bool leat_admission_stream(leat_core *core, const leat_session *session, leat_failure *refusal)
{
    leat_account *user = open_user(core, session);
    leat_account *tenant = open_tenant(core, session);
    bool has_room = has_account_room(core, session, user, tenant, refusal);
    uint64_t now_ms = leat_loop_now(core->loop);
    leat_account_close(user, now_ms);
    leat_account_close(tenant, now_ms);
    return has_room;
}

static bool has_time(leat_core *core, uint64_t deadline_ms, bool of_crowd, leat_failure *refusal)
{
    static const leat_slice nobody = {"-", 1};
    uint64_t now_ms = leat_loop_now(core->loop);
    uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    if (core->n_handshakes >= core->limits->max_handshakes)
        return refuse_handshake(core, LEAT_M_HANDSHAKES_SHED_ALL, "max_handshakes", nobody,
                                of_crowd, refusal);
    if (TURNS * leat_pg_pool_wait_ms(core->pool, of_crowd) > left_ms)
        return refuse_handshake(core, LEAT_M_HANDSHAKES_SHED_WAIT, "deadline", nobody, of_crowd,
                                refusal);
    return true;
}

bool leat_admission_request(leat_core *core, uint64_t deadline_ms, leat_failure *refusal)
{
    return has_time(core, deadline_ms, false, refusal);
}

static bool has_handshake_room(const leat_subscriber *to, leat_failure *refusal)
{
    const leat_account *user = user_of(to);
    const leat_account *tenant = to->tenant;
    if (user != NULL && user->handshakes >= allowance_of(to)->max_handshakes_per_user)
        return refuse_handshake(to->core, LEAT_M_HANDSHAKES_SHED_USER, "max_handshakes_per_user",
                                leat_session_user_id(to->session), to->session->in_crowd, refusal);
    const leat_terms *terms = leat_session_terms(to->session);
    if (tenant != NULL && terms != NULL && tenant->handshakes >= terms->tenant_max_handshakes)
        return refuse_handshake(to->core, LEAT_M_HANDSHAKES_SHED_TENANT, "tenant.max_handshakes",
                                terms->tenant, to->session->in_crowd, refusal);
    return true;
}

bool leat_admission_subscribe(const leat_subscriber *to, uint64_t deadline_ms,
                              leat_failure *refusal)
{
    if (to->subs.count >= allowance_of(to)->max_subscriptions)
        return refuse_subscription(to->core, LEAT_M_SUBS_REFUSED_CLIENT, "max_subscriptions",
                                   leat_session_user_id(to->session), refusal,
                                   "too many subscriptions on this connection");
    return has_account_room(to->core, to->session, user_of(to), to->tenant, refusal) &&
           has_handshake_room(to, refusal) &&
           has_time(to->core, deadline_ms, to->session->in_crowd, refusal);
}

/* Notes whether the client's address is a crowd, and logs once that the client has joined one. */
static void note_crowd(leat_subscriber *to, const char *address)
{
    char quoted[160];
    if (to->ops->is_in_crowd == NULL)
        return;
    bool in_crowd = to->ops->is_in_crowd(to);
    if (in_crowd && !to->session->in_crowd)
        LEAT_LOG_INFO("admission", "crowd limit=pool_crowd_percent who=%s",
                      leat_log_quote(quoted, sizeof(quoted), address, strlen(address)));
    to->session->in_crowd = in_crowd;
}

/* An address may stand for many clients: with jitter, they do not all come back at once. */
bool leat_admission_charge_subscribe(leat_subscriber *to, leat_failure *refusal)
{
    const char *address = "";
    uint64_t wait_ms =
        to->ops->charge_subscribe == NULL ? 0 : to->ops->charge_subscribe(to, &address);
    if (wait_ms == 0) {
        note_crowd(to, address);
        return true;
    }
    uint32_t retry_ms = leat_admission_retry_ms(to->core);
    leat_failure why = {
        .code = LEAT_CODE_RATE_LIMITED,
        .message = leat_slice_of("too many subscribes from this address"),
        .retry_after_ms = wait_ms > retry_ms ? (uint32_t)wait_ms : retry_ms,
    };
    return refuse(to->core, LEAT_M_LIMITED_SUBSCRIBES, "subscribe_rate_per_address",
                  leat_slice_of(address), refusal, why);
}

/* --- publishing --- */

/* A client without a user is one of its own, from its first publish on. */
static leat_account *publisher_of(leat_subscriber *to)
{
    char name[24];
    int len = snprintf(name, sizeof(name), "%" PRIu64, to->session->client);
    if (to->user == NULL) {
        to->user = leat_account_open(&to->core->accounts, LEAT_ACCOUNT_GUEST,
                                     (leat_slice){name, (size_t)len});
        add_subscriptions(to->user, (int64_t)to->subs.count);
        add_handshake(to->user, (int)to->n_handshakes);
    }
    return to->user;
}

static uint64_t tenant_wait_ms(const leat_subscriber *to, uint64_t now_ms)
{
    return to->tenant == NULL
               ? 0
               : leat_bucket_wait_ms(&to->tenant->publishes,
                                     &leat_session_terms(to->session)->tenant_publishes, now_ms);
}

/* Returns 0, or in how many milliseconds there may be one: then neither the user nor the tenant is
 * charged. */
static uint64_t charge_publish(leat_subscriber *to, leat_slice topic, const char **limit)
{
    uint64_t now_ms = leat_loop_now(to->core->loop);
    uint64_t wait_ms = tenant_wait_ms(to, now_ms);
    *limit = "tenant.publish_rate";
    if (wait_ms > 0)
        return wait_ms;
    *limit = "publish_rate_per_user";
    wait_ms = leat_account_publish(publisher_of(to), topic, &allowance_of(to)->publishes, now_ms);
    if (wait_ms == 0 && to->tenant != NULL)
        leat_bucket_charge(&to->tenant->publishes,
                           &leat_session_terms(to->session)->tenant_publishes, 1, now_ms);
    return wait_ms;
}

bool leat_admission_publish(leat_subscriber *to, leat_slice topic, leat_failure *refusal)
{
    const char *limit = NULL;
    uint64_t wait_ms = charge_publish(to, topic, &limit);
    leat_failure why = {
        .code = LEAT_CODE_RATE_LIMITED,
        .message = leat_slice_of("too many publishes"),
        .retry_after_ms = (uint32_t)(wait_ms < UINT32_MAX ? wait_ms : UINT32_MAX),
    };
    return wait_ms == 0 || refuse(to->core, LEAT_M_LIMITED_PUBLISHES, limit,
                                  leat_session_user_id(to->session), refusal, why);
}
