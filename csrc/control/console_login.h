/* console_login.h - who may use the console: whoever knows its token, or has logged in with it.
 *
 * Ownership  a login copies the token.
 * Threads    the loop of the control.
 * Units      seconds since 1970.
 * Errors     none.
 *
 * A program sends the token as Authorization: Bearer (RFC 6750 §2.1). A browser sends it once, in
 * the body of the form of the login page, and gets a cookie: the second at which the session ends,
 * and a code over it that only who knows the token can make (HMAC-SHA-256). So the server remembers
 * no sessions, they outlive a restart, and another token ends them all.
 */
#ifndef LEAT_CONTROL_CONSOLE_LOGIN_H
#define LEAT_CONTROL_CONSOLE_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/http.h"

enum { LEAT_CONSOLE_SESSION_S = 12 * 3600 };

typedef struct leat_console_login {
    char *token_; /* "": nobody is asked */
} leat_console_login;

void leat_console_login_init(leat_console_login *l, const char *token);
void leat_console_login_close(leat_console_login *l);

typedef enum leat_console_caller {
    LEAT_CONSOLE_KNOWN,    /* the request may be answered */
    LEAT_CONSOLE_STRANGER, /* it brings nothing, or a session that is over */
    LEAT_CONSOLE_IMPOSTOR, /* it brings what only a wrong token can have made */
} leat_console_caller;

/* *ends_s: the second at which the session ends; 0: never. */
leat_console_caller leat_console_login_look(const leat_console_login *l, const leat_http_request *r,
                                            int64_t now_s, int64_t *ends_s);
/* True if the request brings a token, or a session, whatever it is worth. */
bool leat_console_login_brings(const leat_console_login *l, const leat_http_request *r);
/* True if the text is the token. The time that it takes does not tell where they differ. */
bool leat_console_login_is_token(const leat_console_login *l, leat_slice text);

/* Append a line Set-Cookie: a new session, or the end of one. secure: the browser is to send it by
 * HTTPS only. */
void leat_console_login_write_cookie(const leat_console_login *l, int64_t now_s, bool secure,
                                     leat_buf *lines);
void leat_console_login_clear_cookie(leat_buf *lines);

/* Append the login page, and its own line Content-Security-Policy. It says nothing about the
 * server. wrong: a token was tried, and is not the right one. here: the form goes to the address of
 * the page itself, else to /console/login. Only the former keeps what the address has behind #: a
 * form without an action goes to the page's whole address, and the answer's Location has no
 * fragment, so that the browser keeps the one it has (RFC 9110 §10.2.2). */
void leat_console_login_write_page(bool wrong, bool here, leat_buf *page);
void leat_console_login_write_policy(leat_buf *lines);

#endif
