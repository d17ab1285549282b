/* pg_connect.c - the attempts to connect, until one succeeds or none is left.
 *
 * leat_pg_connect_next takes the next address of the current server, or the next server. A host
 * name is looked up first, on a thread (on_lookup_done). libpq makes each attempt: PQconnectPoll is
 * called whenever its socket is ready. Then the session's settings are sent (set_up), and their
 * answer makes the connection ready. An attempt that fails or takes too long schedules the next
 * one; when none is left, the owner's callback gets the error. Everything begins in the sweep at
 * the end of a turn, so that no callback runs before leat_pg_conn_open returns.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "pg/pg_conn.h"
#include "pg/pg_conn_private.h"
#include "wire/written.h"

enum { MAX_ERRORS_LEN = 400 }; /* bytes that the errors of all attempts may have together */

void leat_pg_connect_init(leat_pg_conn *c)
{
    leat_pg_connect *x = &c->connect;
    leat_deadline_init(&x->deadline);
    if (leat_pg_targets_parse(&x->targets, c->options->conninfo) < 0)
        leat_buf_text(&x->errors,
                      "the connection string is malformed"); /* it may hold a password */
}

void leat_pg_connect_close(leat_pg_conn *c)
{
    leat_pg_connect *x = &c->connect;
    leat_deadline_cancel(&x->deadline);
    if (x->lookup != NULL)
        leat_pg_thread_set_timeout(x->lookup, 0);
    leat_pg_targets_close(&x->targets);
    leat_buf_close(&x->errors);
}

static void note_error(leat_pg_conn *c, const char *text)
{
    leat_buf *errors = &c->connect.errors;
    char line[sizeof(c->error)];
    leat_pg_conn_one_line(line, sizeof(line), text);
    if (errors->len >= MAX_ERRORS_LEN)
        return;
    if (errors->len > 0)
        leat_buf_text(errors, "; ");
    leat_buf_text(errors, line[0] != '\0' ? line : "closed by the other side without a word");
}

/* This attempt has failed; the sweep makes the next one. */
static void end_attempt(leat_pg_conn *c, const char *why)
{
    if (why != NULL)
        note_error(c, why);
    leat_deadline_cancel(&c->connect.deadline);
    leat_pg_conn_unwatch(c);
    PQfinish(c->pg);
    c->pg = NULL;
    leat_sweep_schedule(c->loop, &c->sweep);
}

/* No attempt is left. */
static void fail(leat_pg_conn *c)
{
    leat_buf_char(&c->connect.errors, '\0');
    leat_pg_conn_one_line(c->error, sizeof(c->error), c->connect.errors.at);
    leat_pg_connect_close(c);
    c->state = LEAT_PG_CONN_BROKEN;
    c->cb(c, LEAT_EPG_LOST, c->arg);
}

static void on_attempt_deadline(leat_deadline *d)
{
    leat_pg_conn *c = LEAT_CONTAINER_OF(d, leat_pg_conn, connect.deadline);
    char text[sizeof(c->error)];
    c->state = LEAT_PG_CONN_CONNECTING;
    const char *host = PQhost(c->pg), *port = PQport(c->pg);
    snprintf(text, sizeof(text), "no answer in time from %s port %s", host != NULL ? host : "",
             port != NULL ? port : "");
    end_attempt(c, text);
}

/* A fatal notice says why the server is about to hang up. A report is kept. Others are ignored;
 * without a receiver libpq would print them. */
static void on_notice(void *arg, const PGresult *notice)
{
    leat_pg_conn *c = arg;
    const char *sqlstate = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    if (severity != NULL && message != NULL && strcmp(severity, "FATAL") == 0)
        leat_pg_conn_one_line(c->last_words, sizeof(c->last_words), message);
    if (sqlstate != NULL && message != NULL && strcmp(sqlstate, LEAT_WRITTEN_SQLSTATE) == 0) {
        c->report.len = 0;
        leat_buf_text(&c->report, message);
    }
}

static void attempt(leat_pg_conn *c, const char *address)
{
    leat_pg_connect *x = &c->connect;
    const char *attrs = NULL;
    if (x->targets.prefer_standby)
        attrs = x->any_session ? "any" : "standby";
    c->pg = leat_pg_target_connect(&x->targets, &x->targets.at[x->next_target - 1], address, attrs,
                                   c->options->application_name);
    if (c->pg == NULL || PQstatus(c->pg) == CONNECTION_BAD) {
        end_attempt(c, PQerrorMessage(c->pg));
        return;
    }
    PQsetNoticeReceiver(c->pg, on_notice, c);
    int err = leat_pg_conn_watch(c, UV_WRITABLE);
    if (err < 0) {
        end_attempt(c, uv_strerror(err));
        return;
    }
    leat_loop_after(c->loop, &x->deadline, c->options->connect_timeout_ms, on_attempt_deadline);
}

struct lookup {
    char *host;
    int rc; /* of getaddrinfo */
    size_t count;
    char addresses[LEAT_PG_MAX_ADDRESSES][LEAT_PG_ADDRESS_SIZE];
};

/* Runs on the thread. The addresses become text, as libpq expects it in hostaddr. */
static void run_lookup(void *job)
{
    struct lookup *l = job;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    l->rc = getaddrinfo(l->host, NULL, &hints, &found);
    if (l->rc != 0)
        return;
    for (struct addrinfo *a = found; a != NULL && l->count < LEAT_PG_MAX_ADDRESSES; a = a->ai_next)
        if (getnameinfo(a->ai_addr, a->ai_addrlen, l->addresses[l->count], LEAT_PG_ADDRESS_SIZE,
                        NULL, 0, NI_NUMERICHOST) == 0)
            l->count++;
    freeaddrinfo(found);
}

static void free_lookup(void *job)
{
    struct lookup *l = job;
    free(l->host);
    free(l);
}

static void on_lookup_done(void *arg, void *job, bool returned)
{
    leat_pg_conn *c = arg;
    leat_pg_connect *x = &c->connect;
    const struct lookup *l = job;
    x->lookup = NULL;
    if (c->state != LEAT_PG_CONN_CLOSED) {
        char text[sizeof(c->error)];
        const char *host = x->targets.at[x->next_target - 1].host;
        const char *why = !returned ? "no answer in time" : l->rc != 0 ? gai_strerror(l->rc) : NULL;
        if (why != NULL) {
            snprintf(text, sizeof(text), "cannot look up %s: %s", host, why);
            note_error(c, text);
        } else {
            memcpy(x->addresses, l->addresses, sizeof(x->addresses));
            x->n_addresses = l->count;
        }
        leat_sweep_schedule(c->loop, &c->sweep);
    }
    leat_pg_conn_let_go(c);
}

static void look_up(leat_pg_conn *c, const char *host)
{
    static const leat_pg_thread_work work = {run_lookup, free_lookup, on_lookup_done};
    struct lookup *l = leat_calloc(1, sizeof(*l));
    l->host = leat_strdup(host);
    int err = leat_pg_thread_start(&c->connect.lookup, leat_loop_uv(c->loop), &work, l, c);
    if (err < 0) {
        free_lookup(l);
        end_attempt(c, uv_strerror(err));
        return;
    }
    c->holders++;
    leat_pg_thread_set_timeout(c->connect.lookup, c->options->connect_timeout_ms);
}

void leat_pg_connect_next(leat_pg_conn *c)
{
    leat_pg_connect *x = &c->connect;
    if (c->pg != NULL || x->lookup != NULL)
        return; /* an attempt is under way */
    if (x->next_address < x->n_addresses) {
        attempt(c, x->addresses[x->next_address++]);
        return;
    }
    x->n_addresses = x->next_address = 0;

    if (x->next_target == x->targets.count && x->targets.prefer_standby && !x->any_session) {
        x->any_session = true;
        x->next_target = 0;
    }
    if (x->next_target == x->targets.count) {
        fail(c);
        return;
    }
    const leat_pg_target *target = &x->targets.at[x->next_target++];
    if (leat_pg_target_is_name(target))
        look_up(c, target->host);
    else
        attempt(c, NULL);
}

/* The connection is made. The settings are sent before all queries (pg_session.c). */
static void set_up(leat_pg_conn *c)
{
    int err = leat_pg_conn_watch(c, UV_READABLE);
    if (err < 0 || PQsetnonblocking(c->pg, 1) != 0 || PQenterPipelineMode(c->pg) == 0 ||
        !leat_pg_session_send(c->pg)) {
        end_attempt(c, err < 0 ? uv_strerror(err) : PQerrorMessage(c->pg));
        return;
    }
    c->state = LEAT_PG_CONN_SETTING_UP;
}

void leat_pg_connect_on_set_up_poll(leat_pg_conn *c, int status)
{
    char why[sizeof(c->error)];
    leat_pg_session_answer answer = leat_pg_session_take(c->pg, &c->backend_pid, why, sizeof(why));
    if (answer == LEAT_PG_SESSION_WAITING && status >= 0)
        return;
    if (answer != LEAT_PG_SESSION_SET) {
        c->state = LEAT_PG_CONN_CONNECTING;
        if (answer == LEAT_PG_SESSION_WAITING)
            end_attempt(c, uv_strerror(status));
        else
            end_attempt(c, c->last_words[0] != '\0' ? c->last_words : why);
        return;
    }
    leat_pg_connect_close(c);
    c->state = LEAT_PG_CONN_READY;
    leat_pg_session_begin(c);
    c->cb(c, 0, c->arg);
}

void leat_pg_connect_on_poll(leat_pg_conn *c, int status)
{
    /* Stopped here, because libpq may now close the socket and open another one with the same
     * number, which libuv would take for the old one. */
    uv_poll_stop(c->poll);
    PostgresPollingStatusType next = PQconnectPoll(c->pg);
    int err = 0;
    switch (next) {
    case PGRES_POLLING_OK:
        set_up(c);
        return;
    case PGRES_POLLING_READING:
        err = status < 0 ? status : leat_pg_conn_watch(c, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
        err = status < 0 ? status : leat_pg_conn_watch(c, UV_WRITABLE);
        break;
    default:
        end_attempt(c, PQerrorMessage(c->pg));
        return;
    }
    if (err < 0)
        end_attempt(c, uv_strerror(err));
}
