/* console_login.c - leat_console_login_look knows a caller by the token (RFC 6750 §2.1), or by the
 * cookie that leat_console_login_write_cookie made. Codes are HMAC-SHA-256 under the token; each
 * kind has words of its own before its content, so that none can stand for another.
 */
#include "control/console_login.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "wire/crypto.h"
#include "wire/json.h"

#define COOKIE "leat_console"
/* The attributes of the cookie. Lax: a link on another page leads into the console, but nothing
 * that another page sends or loads brings the cookie. */
#define ATTRIBUTES "; Path=/console; HttpOnly; SameSite=Lax"

#define STYLE                                                                                      \
    ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"                            \
    "body{margin:0;min-height:100vh;display:grid;place-items:center;"                              \
    "background:light-dark(#f4f6f8,#11161b);color:light-dark(#17202a,#e6ebf0)}"                    \
    "main{width:min(22rem,calc(100vw - 3rem));padding:1.5rem;border-radius:.75rem;"                \
    "background:light-dark(#fff,#1a2128);box-sizing:border-box;"                                   \
    "border:1px solid light-dark(#d5dce3,#313b45)}"                                                \
    "h1{font-size:1.25rem;margin:0 0 1rem}label{display:block;margin-bottom:.25rem}"               \
    "input,button{font:inherit;box-sizing:border-box;width:100%;min-height:2.75rem;"               \
    "border-radius:.5rem;padding:.5rem .75rem;border:1px solid light-dark(#8593a1,#6b7885)}"       \
    "input{background:light-dark(#fff,#11161b);color:inherit;margin-bottom:1rem}"                  \
    "button{background:#0b5cad;border-color:#0b5cad;color:#fff;cursor:pointer}"                    \
    ":focus-visible{outline:3px solid light-dark(#0b5cad,#7cb8f5);outline-offset:2px}"             \
    "[role=alert]{margin:0 0 1rem;color:light-dark(#a3141e,#ff9c9c)}"

static const char page_begin[] =
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
    "content=\"width=device-width,initial-scale=1\"><meta name=robots content=noindex>"
    "<title>Console: log in</title><style>" STYLE "</style><main><h1>Console</h1>";
static const char page_wrong[] = "<p role=alert>This is not the token.</p>";
static const char form_here[] = "<form method=post>";
static const char form_elsewhere[] = "<form method=post action=\"/console/login\">";
static const char page_end[] =
    "<label for=token>Token</label>"
    "<input id=token name=token type=password required autofocus "
    "autocomplete=current-password><button>Log in</button></form></main></html>\n";

void leat_console_login_init(leat_console_login *l, const char *token)
{
    l->token_ = leat_strdup(token);
}

void leat_console_login_close(leat_console_login *l)
{
    free(l->token_);
}

/* --- sessions --- */

/* Appends SECOND.CODE. */
static void write_session(const leat_console_login *l, int64_t ends_s, leat_buf *out)
{
    leat_buf text = LEAT_BUF_INIT, code = LEAT_BUF_INIT;
    leat_buf_printf(&text, "leat console session %" PRId64, ends_s);
    leat_crypto_hmac(&code, LEAT_HASH_SHA256, leat_slice_of(l->token_), leat_buf_view(&text));
    leat_buf_printf(out, "%" PRId64 ".", ends_s);
    leat_base64_write(out, LEAT_BASE64_URL, leat_buf_view(&code));
    leat_buf_close(&code);
    leat_buf_close(&text);
}

/* Looks at the cookie's value. Writes *ends_s if the session is good. */
static leat_console_caller look_at_session(const leat_console_login *l, leat_slice session,
                                           int64_t now_s, int64_t *ends_s)
{
    const char *dot = session.len == 0 ? NULL : memchr(session.at, '.', session.len);
    int64_t until_s = 0;
    if (dot == NULL ||
        !leat_json_int((leat_slice){session.at, (size_t)(dot - session.at)}, &until_s))
        return LEAT_CONSOLE_STRANGER;
    if (until_s <= now_s || until_s > now_s + LEAT_CONSOLE_SESSION_S)
        return LEAT_CONSOLE_STRANGER;
    leat_buf expected = LEAT_BUF_INIT;
    write_session(l, until_s, &expected);
    bool same = leat_crypto_equal(session, leat_buf_view(&expected));
    leat_buf_close(&expected);
    if (same)
        *ends_s = until_s;
    return same ? LEAT_CONSOLE_KNOWN : LEAT_CONSOLE_IMPOSTOR;
}

/* Compares codes of both, which have the same length: so the time that it takes does not tell the
 * length of the token, either. */
bool leat_console_login_is_token(const leat_console_login *l, leat_slice text)
{
    leat_slice purpose = leat_slice_of("leat console token");
    leat_buf given = LEAT_BUF_INIT, expected = LEAT_BUF_INIT;
    leat_crypto_hmac(&given, LEAT_HASH_SHA256, text, purpose);
    leat_crypto_hmac(&expected, LEAT_HASH_SHA256, leat_slice_of(l->token_), purpose);
    bool same = text.len > 0 && leat_crypto_equal(leat_buf_view(&given), leat_buf_view(&expected));
    leat_buf_close(&expected);
    leat_buf_close(&given);
    return same;
}

static leat_slice find_cookie(const leat_http_request *r)
{
    leat_slice name, value;
    for (size_t i = 0; i < r->n_headers; i++) {
        if (!leat_slice_is(r->headers[i].name, "cookie"))
            continue;
        for (leat_slice rest = r->headers[i].value; leat_http_cookie_next(&rest, &name, &value);)
            if (leat_slice_is(name, COOKIE))
                return value;
    }
    return (leat_slice){NULL, 0};
}

bool leat_console_login_brings(const leat_console_login *l, const leat_http_request *r)
{
    return l->token_[0] != '\0' &&
           (leat_http_find(r, "authorization").at != NULL || find_cookie(r).at != NULL);
}

leat_console_caller leat_console_login_look(const leat_console_login *l, const leat_http_request *r,
                                            int64_t now_s, int64_t *ends_s)
{
    static const char bearer[] = "Bearer ";
    const size_t len = sizeof(bearer) - 1;
    leat_slice given = leat_http_find(r, "authorization");
    *ends_s = 0;
    if (l->token_[0] == '\0')
        return LEAT_CONSOLE_KNOWN;
    if (given.len > len && strncasecmp(given.at, bearer, len) == 0)
        return leat_console_login_is_token(l, (leat_slice){given.at + len, given.len - len})
                   ? LEAT_CONSOLE_KNOWN
                   : LEAT_CONSOLE_IMPOSTOR;
    return look_at_session(l, find_cookie(r), now_s, ends_s);
}

void leat_console_login_write_cookie(const leat_console_login *l, int64_t now_s, bool secure,
                                     leat_buf *lines)
{
    leat_buf_text(lines, "Set-Cookie: " COOKIE "=");
    write_session(l, now_s + LEAT_CONSOLE_SESSION_S, lines);
    leat_buf_printf(lines, ATTRIBUTES "; Max-Age=%d%s\r\n", LEAT_CONSOLE_SESSION_S,
                    secure ? "; Secure" : "");
}

void leat_console_login_clear_cookie(leat_buf *lines)
{
    leat_buf_text(lines, "Set-Cookie: " COOKIE "=" ATTRIBUTES "; Max-Age=0\r\n");
}

/* --- the page --- */

void leat_console_login_write_page(bool wrong, bool here, leat_buf *page)
{
    leat_buf_text(page, page_begin);
    if (wrong)
        leat_buf_text(page, page_wrong);
    leat_buf_text(page, here ? form_here : form_elsewhere);
    leat_buf_text(page, page_end);
}

void leat_console_login_write_policy(leat_buf *lines)
{
    leat_buf hash = LEAT_BUF_INIT;
    leat_crypto_hash(&hash, LEAT_HASH_SHA256, leat_slice_of(STYLE));
    leat_buf_text(lines, "Content-Security-Policy: default-src 'none'; style-src 'sha256-");
    leat_base64_write(lines, LEAT_BASE64, leat_buf_view(&hash));
    leat_buf_text(lines, "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\n");
    leat_buf_close(&hash);
}
