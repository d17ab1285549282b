/* pg_conn_private.h - the inside of a connection. Its files are pg_conn.c (the socket and the
 * states), pg_connect.c (until it is ready), pg_session.c (the session's settings), pg_pipeline.c
 * (queries and their results) and pg_clean.c (cancelling, and making it fit for another user).
 *
 * Ownership  see pg_conn.h.
 * Threads    loop thread only.
 * Units      milliseconds.
 * Errors     see pg_conn.h.
 */
#ifndef LEAT_PG_PG_CONN_PRIVATE_H
#define LEAT_PG_PG_CONN_PRIVATE_H

#include <libpq-fe.h>
#include <uv.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "loop/loop.h"
#include "pg/pg_statements.h"
#include "pg/pg_target.h"
#include "pg/pg_thread.h"
#include "pg/pg_types.h"

typedef enum leat_pg_conn_state {
    LEAT_PG_CONN_CONNECTING,
    LEAT_PG_CONN_SETTING_UP, /* connected; the session's settings are not yet answered */
    LEAT_PG_CONN_READY,
    LEAT_PG_CONN_BROKEN, /* connecting failed, or it was lost; its owner has to close it */
    LEAT_PG_CONN_CLOSED, /* it is freed once libuv and the threads are done with it */
} leat_pg_conn_state;

enum { LEAT_PG_MAX_ADDRESSES = 16, LEAT_PG_ADDRESS_SIZE = 64 };

/* The attempts to connect, one server after the other. */
typedef struct leat_pg_connect {
    leat_pg_targets targets;
    size_t next_target;
    bool any_session; /* prefer_standby: the second round */
    char addresses[LEAT_PG_MAX_ADDRESSES]
                  [LEAT_PG_ADDRESS_SIZE]; /* of the target, if it is a name */
    size_t n_addresses;
    size_t next_address;
    leat_pg_thread *lookup; /* NULL: none runs */
    leat_deadline deadline; /* of one attempt */
    leat_buf errors;
} leat_pg_connect;

typedef enum leat_pg_clean_state {
    LEAT_PG_CLEAN_OFF,       /* the connection is in use, or idle */
    LEAT_PG_CLEAN_CANCELING, /* until the server has answered all queries */
    LEAT_PG_CLEAN_ROLLING_BACK,
    LEAT_PG_CLEAN_DISCARDING, /* what a script has left in the session */
} leat_pg_clean_state;

/* Making the connection fit for another user, while it is READY. */
typedef struct leat_pg_clean {
    leat_pg_clean_state state;
    void (*cb)(leat_pg_conn *c, int err, void *arg);
    void *arg;
    leat_deadline deadline;
    leat_deadline again; /* the next cancel, if the last one came between two queries */
} leat_pg_clean;

/* What is known about the settings of the session. */
typedef struct leat_pg_session {
    bool undone;  /* a script's statement may have changed them */
    bool left;    /* a script's statement may have left something that outlives transactions */
    bool reports; /* the server, or the pooler before it, tells when the formats of times change */
} leat_pg_session;

struct leat_pg_conn {
    leat_loop *loop;
    leat_metrics *metrics;
    const leat_pg_options *options;
    leat_pg_conn_cb cb;
    void *arg;
    leat_pg_notify_cb notify_cb;
    void *notify_arg;

    leat_pg_conn_state state;
    PGconn *pg;
    uv_poll_t *poll; /* on the heap: a changed socket gets a new one while the old one closes */
    int poll_fd;
    int backend_pid;
    bool writing;     /* libpq holds bytes that the socket did not take */
    uv_idle_t anchor; /* never started: its close callback frees c, even without a socket */
    int holders;      /* handles and threads that refer to c */
    void (*gone)(void *arg);
    void *gone_arg;

    leat_sweep sweep;
    leat_list queued; /* queries not yet sent */
    leat_list flight; /* queries sent, in order */
    size_t led_bytes; /* of the results of those that lead on to the flight's first one */
    leat_pg_statements statements;
    leat_pg_connect connect;
    leat_pg_session session;
    leat_pg_clean clean;
    leat_pg_thread *cancel; /* NULL: none runs */
    char error[512];
    char last_words[256]; /* what the server said before it hung up */
    leat_buf report;      /* of the positions that the current transaction has come to */
};

/* pg_conn.c */
void *leat_pg_conn_arg(const leat_pg_conn *c);
/* cb runs once c is freed. To be called before leat_pg_conn_close. */
void leat_pg_conn_on_gone(leat_pg_conn *c, void (*cb)(void *arg), void *arg);
void leat_pg_conn_let_go(leat_pg_conn *c);
LEAT_MUST_CHECK int leat_pg_conn_watch(leat_pg_conn *c, int events);
void leat_pg_conn_unwatch(leat_pg_conn *c);
/* Writes what libpq holds; false if the connection was lost. */
LEAT_MUST_CHECK bool leat_pg_conn_flush(leat_pg_conn *c);
/* The connection is lost: tells the pending queries, then the owner. why may be NULL: libpq says.
 */
void leat_pg_conn_lose(leat_pg_conn *c, const char *why);
/* Copies text as one line, "; " in place of a line's end. Returns out. */
char *leat_pg_conn_one_line(char *out, size_t size, const char *text);

/* pg_connect.c. The last three run the owner's callback once connecting has succeeded or failed. */
void leat_pg_connect_init(leat_pg_conn *c);
void leat_pg_connect_close(leat_pg_conn *c);
void leat_pg_connect_next(leat_pg_conn *c);
void leat_pg_connect_on_poll(leat_pg_conn *c, int status);
void leat_pg_connect_on_set_up_poll(leat_pg_conn *c, int status);

/* pg_session.c */
typedef enum leat_pg_session_answer {
    LEAT_PG_SESSION_WAITING,
    LEAT_PG_SESSION_SET,
    LEAT_PG_SESSION_REFUSED,
} leat_pg_session_answer;

/* Sends the settings over a connection in pipeline mode; false if that is impossible. */
LEAT_MUST_CHECK bool leat_pg_session_send(PGconn *pg);
/* Reads the answer: SET sets backend_pid, REFUSED writes the reason to why, as one line. */
LEAT_MUST_CHECK leat_pg_session_answer leat_pg_session_take(PGconn *pg, int *backend_pid, char *why,
                                                            size_t size);
/* To be called once the settings are set for the first time. */
void leat_pg_session_begin(leat_pg_conn *c);
/* Looks whether the command with this result may have changed settings, or left something in the
 * session. sql is NULL for a command of our own. names_state: as leat_pg_text_names_state says. */
void leat_pg_session_note(leat_pg_conn *c, PGresult *res, const char *sql, bool names_state);
/* To be called before queued queries are sent: queues the settings in front if they may have
 * changed. */
void leat_pg_session_restore(leat_pg_conn *c);

/* pg_pipeline.c */
void leat_pg_conn_forget_all(leat_pg_conn *c);
void leat_pg_pipeline_send_own(leat_pg_conn *c, const char *sql);
/* The same, in front of all queued queries. */
void leat_pg_pipeline_send_first(leat_pg_conn *c, const char *sql);
void leat_pg_pipeline_send(leat_pg_conn *c);
/* Returns the bytes of notifications that it has handed on. */
size_t leat_pg_pipeline_take_input(leat_pg_conn *c);
/* Completes all pending queries with err. Returns false if a callback closed the connection. */
bool leat_pg_pipeline_fail(leat_pg_conn *c, int err);
/* Why the connection broke, in the server's words or in libpq's. */
const char *leat_pg_pipeline_reason(const leat_pg_conn *c);

/* pg_clean.c. leat_pg_clean_start_cancel does nothing if a cancel runs already. */
void leat_pg_clean_init(leat_pg_conn *c);
void leat_pg_clean_start_cancel(leat_pg_conn *c);
void leat_pg_clean_go_on(leat_pg_conn *c);
void leat_pg_clean_finish(leat_pg_conn *c, int err);
void leat_pg_clean_stop(leat_pg_conn *c);
bool leat_pg_clean_is_on(const leat_pg_conn *c);

#endif
