/* err.c - names and sentences of errors, and the end of a process with a bug. */
#include "base/err.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STDERR_MS = 1000 };

static _Thread_local bool (*report)(const char *text);

const char *leat_err_name(int err)
{
    switch (err) {
    case LEAT_OK:
        return "ok";
    case LEAT_ENOMEM:
        return "out of memory";
    case LEAT_ETOOLARGE:
        return "over a configured limit";
    case LEAT_EBADMSG:
        return "malformed input";
    case LEAT_EDEADLINE:
        return "deadline passed";
    case LEAT_ECLOSED:
        return "closed";
    case LEAT_EBUSY:
        return "queue is full";
    case LEAT_EPG_SERVER:
        return "postgres answered with an error";
    case LEAT_EPG_LOST:
        return "connection to postgres lost";
    case LEAT_ECONFIG:
        return "wrong configuration or usage";
    case LEAT_ESCRIPT:
        return "script failed";
    case LEAT_ESCHEMA:
        return "schema leat is missing or of another version";
    case LEAT_EHIDDEN:
        return "row security hides rows of schema leat";
    case LEAT_EMISSING:
        return "rows of schema leat are missing";
    case LEAT_EBUDGET:
        return "script_budget_ms is used up";
    default:
        return NULL;
    }
}

static const char *const code_names[LEAT_CODE_COUNT] = {
    [LEAT_CODE_OK] = "ok",
    [LEAT_CODE_BAD_REQUEST] = "bad_request",
    [LEAT_CODE_UNAUTHENTICATED] = "unauthenticated",
    [LEAT_CODE_FORBIDDEN] = "forbidden",
    [LEAT_CODE_NOT_FOUND] = "not_found",
    [LEAT_CODE_ALREADY_SUBSCRIBED] = "already_subscribed",
    [LEAT_CODE_LIMIT] = "limit",
    [LEAT_CODE_RATE_LIMITED] = "rate_limited",
    [LEAT_CODE_DEADLINE_EXCEEDED] = "deadline_exceeded",
    [LEAT_CODE_UNAVAILABLE] = "unavailable",
    [LEAT_CODE_TOO_LARGE] = "too_large",
    [LEAT_CODE_INTERNAL] = "internal",
    [LEAT_CODE_REVOKED] = "revoked",
};

const char *leat_code_name(leat_code code)
{
    LEAT_ASSERT((unsigned)code < LEAT_CODE_COUNT);
    return code_names[code];
}

int leat_code_parse(leat_code *code, const char *name)
{
    /* "ok" is no error, and "revoked" is for messages that end a subscription only. */
    for (unsigned i = LEAT_CODE_OK + 1; i < LEAT_CODE_REVOKED; i++) {
        if (strcmp(code_names[i], name) == 0) {
            *code = (leat_code)i;
            return 0;
        }
    }
    return LEAT_EBADMSG;
}

/* The only place below csrc/app that prints: after a bug the log may not work. */
_Noreturn void leat_assert_failed(const char *cond, const char *file, int line)
{
    char text[1024];
    int len = snprintf(text, sizeof(text), "%s:%d: assertion failed: %s", file, line, cond);
    if (report == NULL || !report(text)) {
        /* One write that does not block: a pipe that nobody reads must not keep the process alive.
         */
        struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
        size_t n = len < (int)sizeof(text) ? (size_t)len : sizeof(text) - 1;
        text[n] = '\n';
        if (poll(&out, 1, STDERR_MS) == 1 && write(STDERR_FILENO, text, n + 1) < 0)
            abort();
    }
    abort();
}

void leat_assert_bind(bool (*cb)(const char *text))
{
    report = cb;
}

bool leat_sqlstate_is_passing(const char *sqlstate)
{
    static const char *const classes[] = {"08", "40", "53", "55", "57", "58"};
    if (strcmp(sqlstate, "08P01") == 0)
        return false;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strncmp(sqlstate, classes[i], 2) == 0)
            return true;
    }
    return strcmp(sqlstate, "25006") == 0;
}

bool leat_code_is_passing(leat_code code)
{
    return code == LEAT_CODE_UNAVAILABLE || code == LEAT_CODE_DEADLINE_EXCEEDED;
}

const char *leat_code_sentence(leat_code code)
{
    switch (code) {
    case LEAT_CODE_OK:
        return "";
    case LEAT_CODE_BAD_REQUEST:
        return "the request cannot be understood";
    case LEAT_CODE_UNAUTHENTICATED:
        return "identity required";
    case LEAT_CODE_FORBIDDEN:
        return "not allowed";
    case LEAT_CODE_NOT_FOUND:
        return "not found";
    case LEAT_CODE_ALREADY_SUBSCRIBED:
        return "already subscribed";
    case LEAT_CODE_LIMIT:
        return "a limit is reached";
    case LEAT_CODE_RATE_LIMITED:
        return "too many requests";
    case LEAT_CODE_DEADLINE_EXCEEDED:
        return "the deadline passed";
    case LEAT_CODE_UNAVAILABLE:
        return "the database is not available now";
    case LEAT_CODE_TOO_LARGE:
        return "too large";
    case LEAT_CODE_INTERNAL:
        return "internal error";
    case LEAT_CODE_REVOKED:
        return "the right to this topic was withdrawn";
    case LEAT_CODE_COUNT:
        break;
    }
    return "";
}
