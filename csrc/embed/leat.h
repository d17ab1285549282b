/* leat.h - a Leat server inside your program.
 *
 * A server runs on threads of its own. What it has to say to the program waits in a queue; the
 * program watches one descriptor (leat_fd) and calls leat_dispatch when that is readable, or once
 * in every tick of a game. docs/embedding.md has a whole program.
 *
 * Ownership  leat_server_new returns owned; leat_server_free frees a server and all that it made.
 *            Texts given to a function are copied. What a callback gets is borrowed until it
 *            returns, unless the callback's comment says more. The `arg` of a callback is the
 *            program's; Leat only hands it back.
 * Threads    callbacks run only inside leat_dispatch, on the thread that calls it, or on a thread
 *            of Leat's if the program asked for that (leat_use_own_thread); one after the other,
 *            never two at once. The thread that calls leat_start is the host thread:
 *            leat_dispatch, leat_server_free and everything that is to be called before the start
 *            belong to it. All other functions may be called on any thread, and from callbacks;
 *            none of them waits. While leat_server_free runs, no other thread may be in a function
 *            of that server. Several servers in one process know nothing of each other. A broken
 *            thread rule ends the process with a message that names the function.
 * Units      _ms milliseconds, _s seconds since 1970. JSON is UTF-8.
 * Errors     a function that can fail returns -1 (or NULL), and fills in *error, which may be NULL.
 *            A text that is NULL where one is needed is such an error. Where memory is out, the
 *            process ends.
 *
 * A callback returns normally: it does not throw through Leat, nor jump out. A process that forks
 * uses no server in the child, but may call exec. A process may exit() while a server runs, which
 * is then gone without a drain; not, though, if it has used OpenSSL before its first
 * leat_server_new: OpenSSL cleans up in exit() then, under the feet of Leat's threads. So it frees
 * its servers first.
 *
 * Leat installs no signal handler, blocks all signals on its own threads, never ends the process
 * (but for a broken rule of this header), reads no environment variable, and prints nothing. Its
 * libraries read theirs: libpq PGHOST and the like, for what database_url does not say; libcurl the
 * proxy's; OpenSSL that of its configuration.
 */
#ifndef LEAT_H
#define LEAT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LEAT_API_VERSION 1

/* A server. */
typedef struct leat_server leat_server;
/* A subscription of the program itself: from leat_subscribe until its callback `closed` returns. */
typedef struct leat_subscription leat_subscription;
/* What a client asks of the program: from the handler's call until it is answered. */
typedef struct leat_request leat_request;

/* Why something was not done. */
typedef struct leat_error {
    char code[32];           /* "config", "start", "stopped", "usage", or one of docs/protocol.md:
                                "forbidden", "unavailable", "deadline_exceeded" ... */
    char message[472];       /* for people */
    uint32_t retry_after_ms; /* 0: waiting does not help, or nobody knows how long */
    uint32_t reserved;
} leat_error;

/* Returns the version of the library, "0.1.0": a static text.
 * Threads: any. In callbacks: yes. */
const char *leat_version(void);

/* --- before the start --- */

/* Makes a server that does nothing yet. Returns owned: leat_server_free frees it. Returns NULL if
 * the process has no descriptor left.
 * Threads: any. In callbacks: yes. */
leat_server *leat_server_new(void);

/* Sets one key of the configuration (docs/configuration.md): leat_set(s, "listen",
 * "127.0.0.1:8000", &error), "database_url", "app", "retention.seconds" ... The last value of a key
 * counts. A relative path is relative to the working directory. listen may be "none". Besides the
 * keys there are "home", the folder with Leat's own lua/ and config/ (found by itself where Leat is
 * installed), and "app_source", the text of an app in place of a file. Both texts are copied.
 * Returns -1 with code "config" for an unknown key, or if value is NULL; what the value is worth,
 * leat_start tells.
 * Threads: the host thread, before the start. In callbacks: only in those of other servers. */
int leat_set(leat_server *s, const char *key, const char *value, leat_error *error);

/* Takes the keys of a configuration file, a Lua file that returns a table; keys of leat_set win.
 * leat_start reads the file. Returns -1 with code "config" if path is NULL.
 * Threads: the host thread, before the start. In callbacks: only in those of other servers. */
int leat_set_file(leat_server *s, const char *path, leat_error *error);

/* Callbacks come on a thread of Leat's, for a program without a loop. leat_fd is -1 then, and
 * leat_dispatch may not be called.
 * Threads: the host thread, before the start. In callbacks: only in those of other servers. */
void leat_use_own_thread(leat_server *s);

/* A line of the log, which has no newline but a zero byte behind it. level: 0 debug, 1 info, 2
 * warning, 3 error. */
typedef void (*leat_log_fn)(void *arg, int level, const char *line, size_t len);

/* Has on_log called for each line. Without it nothing is logged. The key log_level says how much
 * is. If the program does not dispatch, lines are dropped, and their number is logged later.
 * Threads: the host thread, before the start. In callbacks: only in those of other servers. */
void leat_on_log(leat_server *s, leat_log_fn on_log, void *arg);

/* How the start went. error NULL: the server listens at address ("127.0.0.1:40123"; "" if it
 * listens nowhere). Otherwise it has not started, and is over. */
typedef void (*leat_ready_fn)(void *arg, const char *address, const leat_error *error);

/* Has on_ready called once after leat_start, before any other callback but that of the log.
 * Threads: the host thread, before the start. In callbacks: only in those of other servers. */
void leat_on_ready(leat_server *s, leat_ready_fn on_ready, void *arg);

/* --- life --- */

/* Starts the server's threads and returns; on_ready tells how it went. The calling thread is the
 * host thread from here on. Returns -1 with code "config" if the configuration is wrong, or "start"
 * if there is no thread to be had: then it may be called again. A server starts once.
 * Threads: the host thread. In callbacks: only in those of other servers. */
int leat_start(leat_server *s, leat_error *error);

/* Returns a descriptor that is readable while leat_dispatch has something to do, or -1 after
 * leat_use_own_thread. It is the same from leat_server_new to leat_server_free, and belongs to the
 * server: only poll it.
 * Threads: any. In callbacks: yes. */
int leat_fd(const leat_server *s);

/* Waits until there is something to do, for timeout_ms at most (0: does not wait, -1: without
 * end), and calls the callbacks of all that was waiting at that moment. What comes meanwhile waits
 * for the next call. A signal ends the wait early. Returns how many items there were; a held or
 * silent one (leat_pause, a callback that is NULL) counts, too.
 * Threads: the host thread. In callbacks: no. */
int leat_dispatch(leat_server *s, int timeout_ms);

/* Loads the app anew, and the certificates. An app that does not load leaves the old one serving;
 * the log says so. Does nothing unless the server serves.
 * Threads: any. In callbacks: yes. */
void leat_reload(leat_server *s);

/* The end of a server. */
typedef void (*leat_stopped_fn)(void *arg);

/* Ends the server: it accepts nothing more, clients are told to come back elsewhere (drain_ms),
 * every subscription of the program gets `closed`, and every pending answer arrives. on_stopped
 * (may be NULL) is called once, after all of that; at once, if the server is over already. A second
 * call drains no longer; both functions are called. A server that still starts ends when it has
 * started. Does nothing before leat_start: then on_stopped is not called.
 * Threads: any. In callbacks: yes. */
void leat_stop(leat_server *s, leat_stopped_fn on_stopped, void *arg);

/* Ends the server, if it still runs, without a drain; waits for its threads; frees it. That takes
 * moments, or, where the database does not answer, no longer than control_timeout_ms and
 * database_connect_timeout_ms together. A server that still starts is waited for, too: its first
 * connections may take database_connect_timeout_ms, or the connect_timeout of database_url, for
 * each host, twice. No callback is called any more, but for one that runs on Leat's own thread at
 * this moment, for which it waits. Requests that were not answered are freed, too. NULL is allowed.
 * Threads: the host thread; no other may be in a function of this server. In callbacks: no. */
void leat_server_free(leat_server *s);

/* --- publishing --- */

/* To publish within a transaction of the program's own, which is what makes an event and the
 * change that it tells of one thing, run one of these on the program's own connection: with libpq,
 * PQexecParams(conn, LEAT_SQL_PUBLISH, 2, NULL, values, NULL, NULL, 0). */
#define LEAT_SQL_PUBLISH "select leat.publish($1::text, $2::jsonb)"
#define LEAT_SQL_SIGNAL "select leat.signal($1::text, $2::jsonb, $3::text)"
#define LEAT_SQL_REVOKE "select leat.revoke($1::text, $2::text)"
#define LEAT_SQL_RESYNC "select leat.resync($1::text)"

/* What became of it. error NULL: it is committed. Otherwise it is not, unless the code is
 * "unavailable" or "deadline_exceeded": then nobody can know. */
typedef void (*leat_done_fn)(void *arg, const leat_error *error);

/* Publishes an event in a transaction of its own, on the server's pool of connections, and calls
 * on_done (may be NULL) once it is committed. data is JSON. What one thread publishes to one topic
 * may be committed in another order, unless it waits for on_done. Returns -1 if it is refused at
 * once, and on_done is not called then: "bad_request" if topic or data is malformed, "unavailable"
 * while the server starts, "stopped" before and after.
 * Threads: any. In callbacks: yes. */
int leat_publish(leat_server *s, const char *topic, const char *data, leat_done_fn on_done,
                 void *arg, leat_error *error);

/* Sends an event that is stored nowhere; otherwise as leat_publish. conflate NULL: it is told at
 * most once, in order. Otherwise it is a key of the topic (it may be empty): a client that is slow
 * gets the newest signal of each key only, as for a state that is sent many times a second.
 * Threads: any. In callbacks: yes. */
int leat_signal(leat_server *s, const char *topic, const char *data, const char *conflate,
                leat_done_fn on_done, void *arg, leat_error *error);

/* Takes the topic from the user whose id is subject, as text; NULL: everybody's handler decides
 * anew. Otherwise as leat_publish.
 * Threads: any. In callbacks: yes. */
int leat_revoke(leat_server *s, const char *topic, const char *subject, leat_done_fn on_done,
                void *arg, leat_error *error);

/* Has everybody get a fresh snapshot of the topic; otherwise as leat_publish.
 * Threads: any. In callbacks: yes. */
int leat_resync(leat_server *s, const char *topic, leat_done_fn on_done, void *arg,
                leat_error *error);

/* --- subscribing in process --- */

/* The position of what a callback tells, for leat_subscribe_options.since_*. epoch is empty for a
 * signal. */
typedef struct leat_at {
    const char *epoch;
    int64_t seq;
} leat_at;

/* What a subscription's callbacks are told. data is JSON of len bytes, zero-terminated. */
typedef struct leat_subscriber_callbacks {
    size_t size; /* sizeof(leat_subscriber_callbacks) */
    /* The state of the topic; it replaces all that was told before. is_stale: see promise P4. */
    void (*snapshot)(void *arg, leat_subscription *sub, leat_at at, const char *data, size_t len,
                     int is_stale);
    /* The position given in the options holds: the events after it follow. */
    void (*resumed)(void *arg, leat_subscription *sub, leat_at at);
    void (*event)(void *arg, leat_subscription *sub, leat_at at, const char *data, size_t len);
    /* The position moves on, and there is nothing to show. */
    void (*skip)(void *arg, leat_subscription *sub, leat_at at);
    void (*signal)(void *arg, leat_subscription *sub, const char *data, size_t len);
    /* The last call, exactly once: refused, revoked, the server stops, or unsubscribed (code
     * "ok"). The handle is gone when it returns: another thread that may call leat_unsubscribe
     * must know by then. */
    void (*closed)(void *arg, leat_subscription *sub, const leat_error *why);
} leat_subscriber_callbacks;

/* What is subscribed. Everything but size and topic may be zero. */
typedef struct leat_subscribe_options {
    size_t size; /* sizeof(leat_subscribe_options) */
    const char *topic;
    const char *user;        /* ctx.user, a JSON object with an id: {"id":7}; NULL: nobody */
    const char *params;      /* JSON for the handler (ctx.params); NULL: none */
    const char *since_epoch; /* a position to resume from; NULL: none */
    int64_t since_seq;
    uint32_t timeout_ms;   /* of the handshake; 0: control_timeout_ms */
    uint32_t window_bytes; /* what may wait for the program; 0: 262144 */
} leat_subscribe_options;

/* Subscribes the program itself. The topic's `subscribe` handler decides for `user`, which the
 * program vouches for: `connect` is not asked. The subscription is exact as a client's is: one
 * snapshot, then every event. A program that is slow costs no more than window_bytes and a cursor:
 * what does not fit is taken from the topic's ring, the outbox, or a fresh snapshot, later. All
 * callbacks may be NULL but `closed`; options and callbacks are copied. Returns the handle, which
 * belongs to the server; a callback may come on another thread before this returns. Returns NULL,
 * and no callback is called, with "usage" or "bad_request" if an option is malformed, "unavailable"
 * while the server starts, "stopped" before and after.
 * Threads: any. In callbacks: yes. */
leat_subscription *leat_subscribe(leat_server *s, const leat_subscribe_options *options,
                                  const leat_subscriber_callbacks *callbacks, void *arg,
                                  leat_error *error);

/* Ends the subscription: only `closed` follows, with code "ok", if nothing else has closed it
 * first. A callback of it that runs on another thread at this moment goes on. Does nothing in
 * `closed`, and if it was called before.
 * Threads: any. In callbacks: yes. */
void leat_unsubscribe(leat_subscription *sub);

/* No callback of the subscription but `closed` comes until leat_resume; what has arrived is kept,
 * up to window_bytes.
 * Threads: that of the callbacks. In callbacks: yes. */
void leat_pause(leat_subscription *sub);

/* What was kept is told in the next leat_dispatch, and all that follows.
 * Threads: that of the callbacks. In callbacks: yes. */
void leat_resume(leat_subscription *sub);

/* --- handlers in C --- */

/* A client's call of a method, or its publish to a topic. What a request tells (leat_request_*) is
 * there until it is answered. A request is answered exactly once, by leat_answer or leat_refuse, in
 * the callback or later, on any thread, but before leat_server_free. If it is not answered by its
 * deadline, the client is told "deadline_exceeded"; the answer is owed all the same, and then
 * dropped. No more than max_host_requests may be owed: beyond, clients get "unavailable". */
typedef void (*leat_request_fn)(void *arg, leat_request *request);

/* Has the program answer this method. It wins over one of the app. Returns -1 with code "usage" if
 * the method has a handler already, or if a pointer is NULL.
 * Threads: the host thread, before the start. In callbacks: only in those of other servers. */
int leat_on_method(leat_server *s, const char *method, leat_request_fn on_request, void *arg,
                   leat_error *error);

/* Has the program answer publishes to topics of that pattern, "room:{id:int}", as in app:topic. It
 * wins over a `publish` handler of the app. Subscribing is always the app's. The patterns are tried
 * in the order of registration. A client's publishes to one topic come one after the other: the
 * next when this one is answered. Returns -1 with code "usage" if the pattern is malformed.
 * Threads: the host thread, before the start. In callbacks: only in those of other servers. */
int leat_on_publish(leat_server *s, const char *pattern, leat_request_fn on_request, void *arg,
                    leat_error *error);

/* Returns the method, or the topic. Borrowed from the request.
 * Threads: any, until it is answered. In callbacks: yes. */
const char *leat_request_name(const leat_request *r);

/* Returns the params, or the published data: JSON of *len bytes (len may be NULL), zero-terminated.
 * NULL: there are none. Borrowed from the request.
 * Threads: any, until it is answered. In callbacks: yes. */
const char *leat_request_data(const leat_request *r, size_t *len);

/* Returns ctx.user as JSON, or NULL: nobody. Borrowed from the request.
 * Threads: any, until it is answered. In callbacks: yes. */
const char *leat_request_user(const leat_request *r);

/* Returns ctx.user.id as text, or NULL: none. Borrowed from the request.
 * Threads: any, until it is answered. In callbacks: yes. */
const char *leat_request_user_id(const leat_request *r);

/* Answers. json is what the client gets as data, and is copied; NULL: nothing. What is no JSON
 * becomes the error "internal". Frees the request.
 * Threads: any. In callbacks: yes. */
void leat_answer(leat_request *r, const char *json);

/* Answers with an error. code: one of docs/protocol.md; another one becomes "internal". message
 * NULL: the code's own sentence. Frees the request.
 * Threads: any. In callbacks: yes. */
void leat_refuse(leat_request *r, const char *code, const char *message);

/* --- sockets, metrics --- */

/* Hands over a connected TCP socket on which the program's own HTTP server has read a request,
 * together with all bytes that were read from it: the whole head at least. Leat answers as if the
 * client had connected to it. Takes the descriptor: it will be non-blocking and close-on-exec. If
 * -1 is returned, the descriptor is the program's still, and as it was: "bad_request" if it is no
 * connected TCP socket, or if bytes and len do not go together (the -1 of a read that has failed),
 * "unavailable" while the server starts, "stopped" before and after.
 * Threads: any. In callbacks: yes. */
int leat_hand_over(leat_server *s, int fd, const void *bytes, size_t len, leat_error *error);

/* Returns the metrics, in the text format of Prometheus, zero-terminated. Owned: free() frees them.
 * NULL before the server is ready and after it has stopped.
 * Threads: any. In callbacks: yes. */
char *leat_metrics_text(leat_server *s);

#ifdef __cplusplus
}
#endif

#endif
