/* main.c - what Postgres gives at best: the statements of a handshake with three reads, from a bare
 * libpq program without clients.
 *
 *   pipeline database=URL handshakes=N connections=N rooms=N
 *
 * Each connection has one handshake at a time, in pipeline mode, with prepared statements and two
 * round trips: the authorising read; then, as it found a row, the transaction with the topic's
 * position, the refresh and the snapshot. One line of JSON is printed.
 */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/process.h"
#include "common/tool.h"

enum {
    MOST_CONNECTIONS = 100,
    STATEMENTS_OF_READ = 5, /* begin, position, refresh, snapshot, commit */
};

typedef enum session_state {
    SESSION_IDLE,
    SESSION_AUTHORIZING,
    SESSION_READING,
} session_state;

typedef struct session {
    PGconn *conn;
    session_state state;
    int awaited; /* results of this state that have not come */
    char room[16];
    char topic[32];
} session;

typedef struct bench {
    session sessions[MOST_CONNECTIONS];
    int n_sessions;
    int rooms;
    int begun;
    int done;
    int wanted;
} bench;

static const char *const statements[][2] = {
    {"authorize", "select id, title from rooms where id = $1"},
    {"begin", "begin isolation level repeatable read read only"},
    {"position", "select epoch, seq, revoked from leat.topic where name = $1"},
    {"refresh", "select id, title from rooms where id = $1"},
    {"snapshot", "select id, body from notes where room_id = $1 order by id"},
    {"commit", "commit"},
};

static void open_session(session *s, const char *database)
{
    s->conn = PQconnectdb(database);
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        PGresult *r = PQprepare(s->conn, statements[i][0], statements[i][1], 0, NULL);
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            tool_fail("preparing: %s", PQerrorMessage(s->conn));
        PQclear(r);
    }
    if (PQsetnonblocking(s->conn, 1) < 0 || !PQenterPipelineMode(s->conn))
        tool_fail("pipeline mode: %s", PQerrorMessage(s->conn));
}

static void send_statement(const session *s, const char *name, const char *parameter)
{
    if (!PQsendQueryPrepared(s->conn, name, parameter != NULL ? 1 : 0, &parameter, NULL, NULL, 0))
        tool_fail("%s: %s", name, PQerrorMessage(s->conn));
}

static void end_batch(const session *s)
{
    if (!PQpipelineSync(s->conn) || PQflush(s->conn) < 0)
        tool_fail("sending: %s", PQerrorMessage(s->conn));
}

static void begin_handshake(bench *b, session *s)
{
    if (b->begun == b->wanted) {
        s->state = SESSION_IDLE;
        return;
    }
    int room = 1 + b->begun++ % b->rooms;
    snprintf(s->room, sizeof(s->room), "%d", room);
    snprintf(s->topic, sizeof(s->topic), "room:%d", room);
    s->state = SESSION_AUTHORIZING;
    s->awaited = 1;
    send_statement(s, "authorize", s->room);
    end_batch(s);
}

static void read_room(session *s)
{
    s->state = SESSION_READING;
    s->awaited = STATEMENTS_OF_READ;
    send_statement(s, "begin", NULL);
    send_statement(s, "position", s->topic);
    send_statement(s, "refresh", s->room);
    send_statement(s, "snapshot", s->room);
    send_statement(s, "commit", NULL);
    end_batch(s);
}

static void on_synced(bench *b, session *s)
{
    if (s->awaited != 0)
        tool_fail("a statement had no result");
    if (s->state == SESSION_AUTHORIZING) {
        read_room(s);
        return;
    }
    b->done++;
    begin_handshake(b, s);
}

static void on_result(bench *b, session *s, PGresult *r)
{
    switch (PQresultStatus(r)) {
    case PGRES_PIPELINE_SYNC:
        on_synced(b, s);
        break;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        s->awaited--;
        break;
    default:
        tool_fail("a read failed: %s", PQerrorMessage(s->conn));
    }
    PQclear(r);
}

/* Between two statements' results there is a NULL; after a NULL libpq says whether it has more. */
static void on_readable(bench *b, session *s)
{
    if (!PQconsumeInput(s->conn))
        tool_fail("the connection broke: %s", PQerrorMessage(s->conn));
    while (s->state != SESSION_IDLE && !PQisBusy(s->conn)) {
        PGresult *r = PQgetResult(s->conn);
        if (r != NULL)
            on_result(b, s, r);
    }
    PQflush(s->conn);
}

static void run(bench *b)
{
    struct pollfd wait[MOST_CONNECTIONS];
    for (int i = 0; i < b->n_sessions; i++)
        begin_handshake(b, &b->sessions[i]);
    while (b->done < b->wanted) {
        for (int i = 0; i < b->n_sessions; i++)
            wait[i] = (struct pollfd){PQsocket(b->sessions[i].conn), POLLIN, 0};
        poll(wait, (nfds_t)b->n_sessions, -1);
        for (int i = 0; i < b->n_sessions; i++)
            if (wait[i].revents != 0)
                on_readable(b, &b->sessions[i]);
    }
}

int main(int argc, char **argv)
{
    static bench b;
    static process_cpu before, after;
    (void)argc;
    b.n_sessions = (int)tool_number(argv, "connections", 10);
    b.rooms = (int)tool_number(argv, "rooms", 100);
    b.wanted = (int)tool_number(argv, "handshakes", 5000);
    if (b.n_sessions < 1 || b.n_sessions > MOST_CONNECTIONS || b.rooms < 1)
        tool_fail("connections is between 1 and %d, rooms at least 1", MOST_CONNECTIONS);
    for (int i = 0; i < b.n_sessions; i++)
        open_session(&b.sessions[i], tool_option(argv, "database", ""));
    process_read_cpu((int)getpid(), &before);
    uint64_t began = tool_now_ns();
    run(&b);
    double wall = (double)(tool_now_ns() - began) / 1e9;
    process_read_cpu((int)getpid(), &after);
    printf("{\"handshakes\":{\"n\":%d,\"wall_s\":%.3f,\"per_s\":%.1f,\"cpu_us\":%.3f}}\n", b.done,
           wall, b.done / wall, (after.total_s - before.total_s) * 1e6 / b.done);
    for (int i = 0; i < b.n_sessions; i++)
        PQfinish(b.sessions[i].conn);
    return 0;
}
