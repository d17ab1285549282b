/* pg_conn_private.h - what the files of pg share of a connection: pg_conn.c (its socket and
 * states), pg_connect.c (until it is ready), pg_session.c (its settings), pg_pipeline.c (queries
 * and their results), pg_clean.c (cancelling, and making it fit for reuse).
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
#include "pg/pg_conn.h"
#include "pg/pg_statements.h"
#include "pg/pg_target.h"
#include "pg/pg_thread.h"

typedef enum leat_pg_conn_state {
    LEAT_PG_CONN_CONNECTING,
    LEAT_PG_CONN_SETTING_UP, /* connected; the session's settings are not yet answered */
    LEAT_PG_CONN_READY,
    LEAT_PG_CONN_BROKEN, /* failed to connect, or lost; waits for its owner to close it */
    LEAT_PG_CONN_CLOSED, /* waits for libuv and the worker thread */
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

typedef struct leat_pg_clean {
    void (*cb)(leat_pg_conn *c, int err, void *arg); /* NULL: not cleaning */
    void *arg;
    leat_deadline deadline;
    leat_deadline again; /* the next cancel, if the last one came between two queries */
    bool rolling_back;
} leat_pg_clean;

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
    bool settings_undone; /* perhaps: a script has run something that may do that */
    bool reports_formats; /* the server, or the pooler before it, tells when these change */
    bool writing;         /* libpq holds bytes that the socket did not take */
    uv_idle_t anchor;     /* never started: c is freed by a close callback, even without a socket */
    int holders;          /* handles and threads that refer to c */
    void (*gone)(void *arg);
    void *gone_arg;

    leat_sweep sweep;
    leat_list queued; /* slots not yet sent */
    leat_list flight; /* slots sent, in order */
    leat_pg_statements statements;
    leat_pg_connect connect;
    leat_pg_clean clean;
    leat_pg_thread *cancel; /* NULL: none runs */
    char error[512];
    char last_words[256]; /* what the server said before it hung up */
};

/* pg_conn.c */
void *leat_pg_conn_arg(const leat_pg_conn *c);
/* cb runs once c is freed. Before leat_pg_conn_close. */
void leat_pg_conn_on_gone(leat_pg_conn *c, void (*cb)(void *arg), void *arg);
void leat_pg_conn_let_go(leat_pg_conn *c);
LEAT_MUST_CHECK int leat_pg_conn_watch(leat_pg_conn *c, int events);
void leat_pg_conn_unwatch(leat_pg_conn *c);
/* Writes what libpq holds; false if the connection was lost. */
LEAT_MUST_CHECK bool leat_pg_conn_flush(leat_pg_conn *c);
/* Tells everyone that the connection is gone, the owner last. why may be NULL. */
void leat_pg_conn_lose(leat_pg_conn *c, const char *why);
/* Copies text as one line. Returns out. */
char *leat_pg_conn_one_line(char *out, size_t size, const char *text);

/* pg_connect.c. The last three run the owner's callback when it is ready or has failed. */
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
/* The settings are set for the first time. */
void leat_pg_session_begin(leat_pg_conn *c);
/* res: of a query that an owner sent. */
void leat_pg_session_note(leat_pg_conn *c, PGresult *res);
/* Before queued queries are sent: sets what may have been undone. */
void leat_pg_session_restore(leat_pg_conn *c);

/* pg_pipeline.c */
void leat_pg_conn_forget_all(leat_pg_conn *c);
void leat_pg_pipeline_send_own(leat_pg_conn *c, const char *sql);
/* The same, in front of all that is queued. */
void leat_pg_pipeline_send_first(leat_pg_conn *c, const char *sql);
void leat_pg_pipeline_send(leat_pg_conn *c);
void leat_pg_pipeline_take_input(leat_pg_conn *c);
/* Ends all that is pending; false if a callback closed the connection meanwhile. */
bool leat_pg_pipeline_fail(leat_pg_conn *c, int err);
/* Why the connection broke: the server's last words, or libpq's. */
const char *leat_pg_pipeline_reason(const leat_pg_conn *c);

/* pg_clean.c. Starting a cancel does nothing if one runs already. */
void leat_pg_clean_init(leat_pg_conn *c);
void leat_pg_clean_start_cancel(leat_pg_conn *c);
void leat_pg_clean_go_on(leat_pg_conn *c);
void leat_pg_clean_finish(leat_pg_conn *c, int err);
void leat_pg_clean_stop(leat_pg_conn *c);

#endif
