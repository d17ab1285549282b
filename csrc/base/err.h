/* err.h - error numbers and the wire's error codes.
 *
 * Ownership  nothing is owned; every string returned is static.
 * Threads    any.
 * Units      none.
 * Errors     negative is an error. libuv's UV_E* pass through unchanged (they lie above -4096,
 *            UV_EOF at -4095); Leat's LEAT_E* lie below those.
 */
#ifndef LEAT_BASE_ERR_H
#define LEAT_BASE_ERR_H

#include <stdbool.h>

#define LEAT_MUST_CHECK __attribute__((warn_unused_result))

enum leat_err {
    LEAT_OK = 0,
    LEAT_E_LAST = -20000,
    LEAT_ENOMEM = -19999,     /* no memory for a size that a peer chose */
    LEAT_ETOOLARGE = -19998,  /* over a configured limit */
    LEAT_EBADMSG = -19997,    /* malformed input */
    LEAT_EDEADLINE = -19996,  /* the deadline passed first */
    LEAT_ECLOSED = -19995,    /* the object is closed or closing */
    LEAT_EBUSY = -19994,      /* a bounded queue is full */
    LEAT_EPG_SERVER = -19993, /* Postgres answered with an error (see the result) */
    LEAT_EPG_LOST = -19992,   /* the connection to Postgres broke */
    LEAT_ECONFIG = -19991,    /* wrong configuration or usage */
    LEAT_ESCRIPT = -19990,    /* a script failed to load or raised */
    LEAT_ESCHEMA = -19989,    /* schema leat is missing, older or newer than this binary */
    LEAT_EHIDDEN = -19988,    /* row security hides rows that Leat must see */
    LEAT_EMISSING = -19987,   /* an answer lacks rows that must always be there */
    LEAT_EBUDGET = -19986,    /* a script has used up its script_budget_ms */
};

/* Returns a static phrase for a LEAT_E* number; NULL for numbers that are not Leat's. */
const char *leat_err_name(int err);

/* The wire's error codes (docs/protocol.md). LEAT_CODE_OK is not sent. LEAT_CODE_REVOKED
 * appears in "closed" messages only. */
typedef enum leat_code {
    LEAT_CODE_OK,
    LEAT_CODE_BAD_REQUEST,
    LEAT_CODE_UNAUTHENTICATED,
    LEAT_CODE_FORBIDDEN,
    LEAT_CODE_NOT_FOUND,
    LEAT_CODE_ALREADY_SUBSCRIBED,
    LEAT_CODE_LIMIT,
    LEAT_CODE_RATE_LIMITED,
    LEAT_CODE_DEADLINE_EXCEEDED,
    LEAT_CODE_UNAVAILABLE,
    LEAT_CODE_TOO_LARGE,
    LEAT_CODE_INTERNAL,
    LEAT_CODE_REVOKED,
    LEAT_CODE_COUNT
} leat_code;

/* Returns the static wire name, "bad_request"; "ok" for LEAT_CODE_OK. */
const char *leat_code_name(leat_code code);

/* Returns a static sentence for people, for when a script gives no message of its own. */
const char *leat_code_sentence(leat_code code);

/* Returns 0 and writes *code, or LEAT_EBADMSG if name is no error code of the wire. */
LEAT_MUST_CHECK int leat_code_parse(leat_code *code, const char *name);

/* Returns true if an error of Postgres may pass by itself, so that the same request may succeed
 * later: SQLSTATE classes 08, 40, 53, 55, 57 and 58, and 25006 (a primary that became a standby),
 * but not 08P01 (too few parameters, for example). */
bool leat_sqlstate_is_passing(const char *sqlstate);

/* Returns true if a failure with that code may pass by itself. */
bool leat_code_is_passing(leat_code code);

/* For conditions that only a bug in Leat can break, never for input of a peer. In every build, a
 * false condition is reported with file and line, and the process aborts. The report goes to the
 * log of the calling thread, or to stderr; it waits for either for a second at most. */
#define LEAT_ASSERT(cond) ((cond) ? (void)0 : leat_assert_failed(#cond, __FILE__, __LINE__))
_Noreturn void leat_assert_failed(const char *cond, const char *file, int line);

/* For what holds by construction, where an analyser cannot see it. Costs nothing: the compiler
 * takes it for true. Builds with sanitizers check it. */
#define LEAT_ASSUME(cond) ((cond) ? (void)0 : __builtin_unreachable())

/* Sets the function that reports a failed assertion of the calling thread (log.c). It returns false
 * if it could not; then, and with NULL, the report goes to stderr. */
void leat_assert_bind(bool (*report)(const char *text));

#endif
