/* console.c - leat_console_request checks in turn: the host (http_host.h), whether the address may
 * try another token, the token or session, and, of a change, where it comes from. Only then does it
 * look at what is asked for. */
#include "control/console.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/console_login.h"
#include "control/live.h"
#include "control/tail.h"
#include "http/http_answer.h"
#include "http/http_handshake.h"
#include "http/http_host.h"
#include "http/http_route.h"
#include "http/http_static.h"

#define ROOT "/console"
#define HTML "text/html; charset=utf-8"
#define NO_STORE "Cache-Control: no-store\r\n"

/* Limits of one address. */
enum {
    CONNECTIONS = 64,  /* at a time; half of all */
    OPENING = 1000,    /* new connections a second */
    WRONG_TOKENS = 1,  /* a second */
    WRONG_AT_ONCE = 10 /* after none for a while */
};

static const leat_rate failing = {.per_s = WRONG_TOKENS, .burst = WRONG_AT_ONCE};

struct leat_console {
    const leat_inside *inside;
    leat_metrics *metrics;
    leat_console_login login;
    leat_samples *samples;
    leat_live *live;
    leat_http_policy policy;
    leat_address_limit *addresses;
    leat_bucket failing; /* wrong tokens over connections without an address, as of a Unix socket */
};

static const char page_csp[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'";

/* The headers of every answer, whatever those of the application's pages are. */
static const char *const page_headers[LEAT_HTTP_PAGE_HEADERS] = {
    [LEAT_HTTP_PAGE_CSP] = page_csp,
    [LEAT_HTTP_PAGE_TYPE_OPTIONS] = "nosniff",
    [LEAT_HTTP_PAGE_FRAME_OPTIONS] = "DENY",
    [LEAT_HTTP_PAGE_REFERRER_POLICY] = "same-origin",
    [LEAT_HTTP_PAGE_PERMISSIONS_POLICY] = "camera=(), geolocation=(), microphone=()",
    [LEAT_HTTP_PAGE_HSTS] = "off",
};

static void on_sample(void *arg)
{
    leat_console *k = arg;
    leat_live_give(k->live);
}

leat_console *leat_console_new(const leat_inside *inside, const leat_net *net)
{
    leat_console *k = leat_calloc(1, sizeof(*k));
    k->inside = inside;
    k->metrics = net->metrics;
    leat_console_login_init(&k->login, inside->config->console_token);
    k->samples = leat_samples_new(net->loop, leat_engine_registry(inside->engine), on_sample, k);
    k->live = leat_live_new(k->samples, net);
    k->addresses = leat_address_limit_new(&(leat_address_limits){
        .connections = CONNECTIONS,
        .local_connections = CONNECTIONS,
        .opening = {.per_s = OPENING, .burst = OPENING},
        .failing = failing,
    });
    for (size_t i = 0; i < LEAT_HTTP_PAGE_HEADERS; i++)
        k->policy.page[i] = leat_strdup(page_headers[i]);
    return k;
}

void leat_console_set_options(leat_console *k, leat_http_options *options)
{
    const leat_config *config = k->inside->config;
    options->static_dir = config->web_dir;
    options->policy = &k->policy;
    options->hosts = &config->console_names;
    options->local_only[LEAT_HTTP_DOOR_OPERATOR] = true;
    options->trusted = &config->trusted;
}

leat_address_limit *leat_console_addresses(const leat_console *k)
{
    return k->addresses;
}

const leat_samples *leat_console_samples(const leat_console *k)
{
    return k->samples;
}

void leat_console_close(leat_console *k, void (*done)(void *arg), void *arg)
{
    leat_samples_stop(k->samples);
    leat_live_close(k->live, done, arg);
}

bool leat_console_is_quiet(const leat_console *k)
{
    return leat_live_is_empty(k->live);
}

void leat_console_free(leat_console *k)
{
    if (k == NULL)
        return;
    leat_live_free(k->live);
    leat_samples_free(k->samples);
    leat_console_login_close(&k->login);
    leat_address_limit_free(k->addresses);
    for (size_t i = 0; i < LEAT_HTTP_PAGE_HEADERS; i++)
        free(k->policy.page[i]);
    free(k);
}

/* --- who asks --- */

static bool is_page_wanted(const leat_http_request *r)
{
    return leat_slice_is(r->method, "GET") && leat_http_has_token(r, "accept", "text/html");
}

static bool takes_login(leat_slice path)
{
    return leat_slice_is(path, ROOT "/") || leat_slice_is(path, ROOT "/login");
}

static void answer_login_page(leat_http_conn *conn, int status, bool wrong)
{
    bool here = takes_login(leat_http_conn_request(conn)->path);
    leat_buf page = LEAT_BUF_INIT, lines = LEAT_BUF_INIT;
    leat_buf_text(&lines, NO_STORE "WWW-Authenticate: Bearer\r\n");
    leat_console_login_write_policy(&lines);
    leat_buf_char(&lines, '\0');
    leat_console_login_write_page(wrong, here, &page);
    leat_http_answer(conn, status, HTML, lines.at, leat_buf_view(&page));
    leat_buf_close(&lines);
    leat_buf_close(&page);
}

static void answer_unknown(leat_http_conn *conn)
{
    leat_http_answer_refusal(conn, 401, "unauthenticated",
                             leat_slice_of("the console's token, please"), 0,
                             "WWW-Authenticate: Bearer\r\n");
}

static void count_refused(leat_console *k, leat_http_conn *conn, const char *why)
{
    leat_metrics_add(k->metrics, LEAT_M_CONSOLE_REFUSED, 1);
    LEAT_LOG_INFO("console", "refused why=%s remote=%s", why, leat_http_conn_remote(conn));
}

/* A browser that opens the page for the first time has no token: that is not logged as refused. */
static void refuse_stranger(leat_console *k, leat_http_conn *conn)
{
    if (is_page_wanted(leat_http_conn_request(conn))) {
        answer_login_page(conn, 401, false);
        return;
    }
    count_refused(k, conn, "no_token");
    answer_unknown(conn);
}

/* --- wrong tokens --- */

static uint64_t wait_ms(leat_console *k, leat_http_conn *conn)
{
    leat_address_slot *address = leat_http_conn_address(conn);
    uint64_t now_ms = leat_loop_now(leat_http_conn_side(conn)->loop);
    return address == NULL ? leat_bucket_wait_ms(&k->failing, &failing, now_ms)
                           : leat_address_limit_wait_ms(address, now_ms);
}

/* The right token is refused, too, until then: otherwise its answer would tell it from the wrong
 * ones. */
static bool refuse_hasty(leat_console *k, leat_http_conn *conn)
{
    uint64_t ms = wait_ms(k, conn);
    if (ms == 0)
        return false;
    leat_metrics_add(k->metrics, LEAT_M_CONSOLE_LIMITED, 1);
    leat_http_answer_refusal(conn, 429, "rate_limited",
                             leat_slice_of("too many wrong tokens came from this address"),
                             (uint32_t)ms, NULL);
    return true;
}

static void charge_impostor(leat_console *k, leat_http_conn *conn)
{
    leat_address_slot *address = leat_http_conn_address(conn);
    uint64_t now_ms = leat_loop_now(leat_http_conn_side(conn)->loop);
    count_refused(k, conn, "wrong_token");
    if (address == NULL)
        leat_bucket_charge(&k->failing, &failing, 1, now_ms);
    else
        leat_address_limit_charge_failure(address, now_ms);
    if (wait_ms(k, conn) > 0)
        LEAT_LOG_WARN("console", "too many wrong tokens remote=%s", leat_http_conn_remote(conn));
}

static void refuse_impostor(leat_console *k, leat_http_conn *conn)
{
    const leat_http_request *r = leat_http_conn_request(conn);
    charge_impostor(k, conn);
    if (is_page_wanted(r) && leat_http_find(r, "authorization").at == NULL)
        answer_login_page(conn, 401, false);
    else
        answer_unknown(conn);
}

/* --- login and logout --- */

struct login {
    leat_console *console;
    leat_http_conn *conn;
};

static void go_to_page(leat_http_conn *conn, leat_buf *lines)
{
    leat_buf_text(lines, NO_STORE "Location: " ROOT "/\r\n");
    leat_buf_char(lines, '\0');
    leat_http_answer(conn, 303, NULL, lines->at, leat_slice_of(""));
    leat_buf_close(lines);
}

static bool is_https(const leat_http_request *r)
{
    static const char https[] = "https://";
    leat_slice origin = leat_http_find(r, "origin");
    return origin.len >= sizeof(https) - 1 && memcmp(origin.at, https, sizeof(https) - 1) == 0;
}

static void log_in(leat_console *k, leat_http_conn *conn)
{
    const leat_http_request *r = leat_http_conn_request(conn);
    leat_buf token = LEAT_BUF_INIT, lines = LEAT_BUF_INIT;
    bool right = leat_http_query_get(r->body, "token", &token) &&
                 leat_console_login_is_token(&k->login, leat_buf_view(&token));
    leat_buf_close(&token);
    if (!right) {
        charge_impostor(k, conn);
        answer_login_page(conn, 401, true);
        return;
    }
    LEAT_LOG_INFO("console", "logged in by=%s", leat_http_conn_remote(conn));
    leat_console_login_write_cookie(&k->login, (int64_t)time(NULL), is_https(r), &lines);
    go_to_page(conn, &lines);
}

static void on_login_body(void *arg)
{
    struct login *l = arg;
    leat_console *k = l->console;
    leat_http_conn *conn = l->conn;
    free(l);
    if (!refuse_hasty(k, conn)) /* other wrong tokens may have come while the body was read */
        log_in(k, conn);
}

static void on_login_cancel(void *arg)
{
    free(arg);
}

static void begin_login(leat_console *k, leat_http_conn *conn)
{
    if (refuse_hasty(k, conn) || !leat_http_handshake_check_origin(conn))
        return;
    if (!leat_http_conn_request(conn)->has_body) {
        log_in(k, conn);
        return;
    }
    struct login *l = leat_calloc(1, sizeof(*l));
    *l = (struct login){k, conn};
    leat_http_conn_set_task(
        conn, (leat_http_task){.cancel = on_login_cancel, .on_body = on_login_body, .arg = l});
    leat_http_conn_read_body(conn);
}

static void log_out(leat_http_conn *conn)
{
    leat_buf lines = LEAT_BUF_INIT;
    leat_console_login_clear_cookie(&lines);
    go_to_page(conn, &lines);
}

/* --- what is asked for --- */

static bool changes(const leat_http_request *r)
{
    return !leat_slice_is(r->method, "GET") && !leat_slice_is(r->method, "HEAD");
}

/* Returns false if that was answered. */
static bool check_change(leat_http_conn *conn)
{
    const leat_http_request *r = leat_http_conn_request(conn);
    if (!changes(r))
        return true;
    if (!leat_http_handshake_check_origin(conn))
        return false;
    if (leat_http_find(r, "leat-console").at != NULL)
        return true;
    leat_http_answer_refusal(conn, 403, "forbidden",
                             leat_slice_of("the header Leat-Console is missing"), 0, NULL);
    return false;
}

/* The rest of the path behind the prefix; at == NULL: it does not begin so. */
static leat_slice behind(leat_slice path, const char *prefix)
{
    size_t len = strlen(prefix);
    if (path.len < len || memcmp(path.at, prefix, len) != 0)
        return (leat_slice){NULL, 0};
    return (leat_slice){path.at + len, path.len - len};
}

/* A browser says whose page a request is of (Fetch Metadata). That of another site cannot read what
 * is answered, but a console without a token would answer it, and a cookie goes with what comes
 * from another port of this host. Returns false if that was answered. */
static bool check_page(leat_console *k, leat_http_conn *conn)
{
    leat_slice site = leat_http_find(leat_http_conn_request(conn), "sec-fetch-site");
    if (site.at == NULL || leat_slice_is(site, "same-origin") || leat_slice_is(site, "none"))
        return true;
    leat_metrics_add(k->metrics, LEAT_M_ORIGINS_REFUSED, 1);
    LEAT_LOG_INFO("console", "refused why=foreign_page remote=%s", leat_http_conn_remote(conn));
    leat_http_answer_refusal(conn, 403, "forbidden",
                             leat_slice_of("only the console's own page may ask that"), 0, NULL);
    return false;
}

static void answer_api(leat_console *k, leat_http_conn *conn, leat_slice path, int64_t ends_s)
{
    if (!check_page(k, conn))
        return;
    if (leat_slice_is(path, "/live") && leat_slice_is(leat_http_conn_request(conn)->method, "GET"))
        leat_live_begin(k->live, conn, ends_s);
    else if (!leat_tail_begin(k->inside->engine, conn, path, ends_s))
        leat_ask_begin(k->inside, conn, path, "console");
}

static void answer(leat_console *k, leat_http_conn *conn, int64_t ends_s)
{
    const leat_http_request *r = leat_http_conn_request(conn);
    leat_slice api = behind(r->path, ROOT "/api");
    leat_buf lines = LEAT_BUF_INIT;
    if (api.at != NULL && api.len > 0 && api.at[0] == '/')
        answer_api(k, conn, api, ends_s);
    else if (leat_slice_is(r->path, ROOT "/logout") && changes(r))
        log_out(conn);
    else if (leat_slice_is(r->path, "/") || leat_slice_is(r->path, ROOT))
        go_to_page(conn, &lines);
    else if (behind(r->path, ROOT "/").at != NULL && !changes(r))
        leat_http_static_answer(conn);
    else
        leat_http_answer_absent(conn);
}

static void answer_caller(leat_console *k, leat_http_conn *conn)
{
    const leat_http_request *r = leat_http_conn_request(conn);
    int64_t ends_s = 0;
    if (leat_console_login_brings(&k->login, r) && refuse_hasty(k, conn))
        return;
    switch (leat_console_login_look(&k->login, r, (int64_t)time(NULL), &ends_s)) {
    case LEAT_CONSOLE_KNOWN:
        if (check_change(conn))
            answer(k, conn, ends_s);
        break;
    case LEAT_CONSOLE_STRANGER:
        refuse_stranger(k, conn);
        break;
    case LEAT_CONSOLE_IMPOSTOR:
        refuse_impostor(k, conn);
        break;
    }
}

void leat_console_request(leat_console *k, leat_http_conn *conn)
{
    const leat_http_request *r = leat_http_conn_request(conn);
    if (!leat_http_route_identify(conn) || !leat_http_host_check(conn))
        return;
    if (takes_login(r->path) && leat_slice_is(r->method, "POST"))
        begin_login(k, conn);
    else
        answer_caller(k, conn);
}
