/* leat_doctor_examine takes its steps in the order in which a server would fail: connect, version,
 * rights, schema, what leat_internal.problems() knows, the way of the handlers' pool, the
 * listener's way. A fatal finding ends it, because what follows would only repeat it in other
 * words.
 */
#include "engine/doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "engine/doctor_sql.h"
#include "engine/migrate.h"
#include "pg/pg_sync.h"
#include "wire/announcement.h"

#define APPLICATION_NAME "leat check"

enum { OLDEST_VERSION = 140000, NEWEST_VERSION = 180000, POOL_ROUNDS = 3 };

typedef struct examination {
    const leat_config *config;
    const leat_doctor *doctor;
    leat_pg_sync *db;      /* by database_url */
    leat_pg_sync *session; /* by listen_url */
    bool is_standby;       /* database_url leads to one */
    bool is_fatal;
} examination;

static const char *const severities[] = {"note", "warning", "error", "error"};

const char *leat_severity_name(leat_severity severity)
{
    return severities[severity];
}

static void find(examination *x, leat_severity severity, const char *problem, const char *remedy)
{
    leat_finding finding = {severity, problem, remedy};
    x->is_fatal = x->is_fatal || severity == LEAT_SEVERITY_FATAL;
    x->doctor->on_finding(x->doctor->arg, &finding);
}

/* Who holds the lock for which a session of this examination waits, by a fresh connection. */
static bool find_blockers(const examination *x, leat_buf *who)
{
    leat_pg_sync *db = NULL;
    leat_buf why = LEAT_BUF_INIT;
    bool is_null = true;
    int err = leat_pg_sync_open(&db, x->config->listen_url, "leat check for locks",
                                x->config->database_connect_timeout_ms, &why);
    if (err == 0)
        err = leat_pg_sync_value(db, leat_doctor_blockers_sql, x->config->limits.control_timeout_ms,
                                 who, &is_null, &why);
    leat_pg_sync_close(db);
    leat_buf_close(&why);
    return err == 0 && !is_null;
}

/* No answer came: the remedy is that of a lock, or of a database that has no time. */
static const char *explain_silence(const examination *x, leat_buf *why)
{
    leat_buf who = LEAT_BUF_INIT;
    bool is_blocked = find_blockers(x, &who);
    if (is_blocked)
        leat_buf_printf(why, ": it waits for a lock of backend %.*s", (int)who.len, who.at);
    leat_buf_close(&who);
    return is_blocked
               ? "end that transaction, by select pg_terminate_backend(PID) if need be"
               : "look at pg_stat_activity and at the machine of Postgres: it is overloaded, "
                 "or hangs";
}

/* A step failed: what was said about it is the finding. */
static int fail(examination *x, int err, const char *doing, leat_buf *why, const char *remedy)
{
    leat_buf problem = LEAT_BUF_INIT;
    if (err == LEAT_EDEADLINE)
        remedy = explain_silence(x, why);
    leat_buf_printf(&problem, "%s: %.*s", doing, (int)why->len, why->at == NULL ? "" : why->at);
    leat_buf_char(&problem, '\0');
    find(x, LEAT_SEVERITY_FATAL, problem.at, remedy);
    leat_buf_close(&problem);
    return err;
}

static uint64_t timeout(const examination *x)
{
    return x->config->limits.control_timeout_ms;
}

static int ask(examination *x, leat_pg_sync *db, const char *sql, leat_buf *value, leat_buf *why)
{
    bool is_null = false;
    value->len = 0;
    int err = leat_pg_sync_value(db, sql, timeout(x), value, &is_null, why);
    leat_buf_char(value, '\0');
    return err;
}

/* Whether the query's answer is true; false, too, if there was none. */
static bool holds(examination *x, leat_pg_sync *db, const char *sql)
{
    leat_buf value = LEAT_BUF_INIT, why = LEAT_BUF_INIT;
    bool yes = ask(x, db, sql, &value, &why) == 0 && strcmp(value.at, "t") == 0;
    leat_buf_close(&value);
    leat_buf_close(&why);
    return yes;
}

static void on_row(void *arg, const char *const *values)
{
    leat_severity severity = strcmp(values[0], "fatal") == 0     ? LEAT_SEVERITY_FATAL
                             : strcmp(values[0], "error") == 0   ? LEAT_SEVERITY_ERROR
                             : strcmp(values[0], "warning") == 0 ? LEAT_SEVERITY_WARNING
                                                                 : LEAT_SEVERITY_NOTE;
    find(arg, severity, values[1], values[2]);
}

/* A query whose rows are findings. */
static int find_rows(examination *x, leat_pg_sync *db, const char *sql)
{
    leat_buf why = LEAT_BUF_INIT;
    int err = leat_pg_sync_rows(db, sql, timeout(x), on_row, x, &why);
    if (err < 0)
        fail(x, err, "the database cannot be examined", &why, "look at the log of Postgres");
    leat_buf_close(&why);
    return err;
}

/* --- the steps --- */

static int connect_to(examination *x, leat_pg_sync **out, const char *url, const char *key)
{
    leat_buf why = LEAT_BUF_INIT;
    int err =
        leat_pg_sync_open(out, url, APPLICATION_NAME, x->config->database_connect_timeout_ms, &why);
    if (err < 0) {
        char doing[128], remedy[128];
        snprintf(doing, sizeof(doing), "cannot connect to the database (%s)", key);
        snprintf(remedy, sizeof(remedy), "start Postgres, or correct %s; psql tries the same way",
                 key);
        fail(x, err, doing, &why, remedy);
    }
    leat_buf_close(&why);
    return err;
}

static int look_at_version(examination *x)
{
    leat_buf value = LEAT_BUF_INIT, why = LEAT_BUF_INIT;
    int err = ask(x, x->db, "select current_setting('server_version_num')", &value, &why);
    int number = err == 0 ? (int)strtol(value.at, NULL, 10) : 0;
    char problem[128];
    if (err == 0)
        err = ask(x, x->db, "select 'PostgreSQL ' || current_setting('server_version')", &value,
                  &why);
    if (err < 0) {
        fail(x, err, "the database does not answer", &why, "look at the log of Postgres");
    } else {
        x->doctor->on_fact(x->doctor->arg, "database", value.at);
        snprintf(problem, sizeof(problem), "%.60s is not supported", value.at);
        if (number < OLDEST_VERSION)
            find(x, LEAT_SEVERITY_FATAL, problem, "use PostgreSQL 14 to 18");
        else if (number >= NEWEST_VERSION + 10000)
            find(x, LEAT_SEVERITY_WARNING, problem, "use PostgreSQL 14 to 18, or a newer leat");
    }
    leat_buf_close(&value);
    leat_buf_close(&why);
    return err;
}

static int look_at_schema(examination *x)
{
    leat_schema_trouble why = {LEAT_BUF_INIT, NULL};
    char text[128];
    int installed = 0, known = 0;
    int err = leat_migrate_check(x->db, x->config->schema_dir, &installed, &known, &why);
    leat_buf_char(&why.problem, '\0');
    if (err < 0)
        find(x, LEAT_SEVERITY_FATAL, why.problem.at,
             why.remedy == NULL ? "look at the log of Postgres" : why.remedy);
    snprintf(text, sizeof(text), "version %d", installed);
    if (err == 0)
        x->doctor->on_fact(x->doctor->arg, "schema", text);
    snprintf(text, sizeof(text),
             "schema leat is at version %d, newer than this leat, which knows %d and works with it",
             installed, known);
    if (installed > known)
        find(x, LEAT_SEVERITY_NOTE, text, "upgrade this leat when the others are");
    leat_buf_close(&why.problem);
    return err;
}

/* Reads a position as handlers do. 57P03: the history is not confirmed yet, which a server does. */
static int look_at_position(examination *x)
{
    leat_buf value = LEAT_BUF_INIT, why = LEAT_BUF_INIT;
    int err = ask(x, x->db, "select seq from leat_internal.position('leat:check')", &value, &why);
    if (err == LEAT_EPG_SERVER && strcmp(leat_pg_sync_sqlstate(x->db), "57P03") == 0)
        err = 0;
    if (err < 0)
        fail(x, err, "positions cannot be read", &why, "leat migrate --grant-server ROLE");
    leat_buf_close(&value);
    leat_buf_close(&why);
    return err;
}

#define SESSION_REMEDY                                                                             \
    "set listen_url to a connection of the same database that leads to the primary, directly or "  \
    "through a pooler in session mode"

static int look_at_session(examination *x)
{
    int err = connect_to(x, &x->session, x->config->listen_url, "listen_url");
    if (err == 0 && holds(x, x->session, "select pg_is_in_recovery()"))
        find(x, LEAT_SEVERITY_FATAL, "listen_url leads to a standby, where LISTEN is impossible",
             SESSION_REMEDY);
    return err;
}

/* Asked by listen_url: a standby cannot look at unlogged tables. */
static int look_at_problems(examination *x)
{
    if (!holds(x, x->session,
               "select pg_catalog.has_function_privilege('leat_internal.problems()', 'execute')"))
        return 0; /* that is a finding about the role */
    return find_rows(x, x->session,
                     "select severity, problem, remedy from leat_internal.problems()");
}

/* Only a warning: whether the standby may be behind is decided by settings of those who write. */
static void look_at_standby(examination *x)
{
    x->is_standby = holds(x, x->db, "select pg_is_in_recovery()");
    if (x->is_standby)
        find(x, LEAT_SEVERITY_WARNING,
             "database_url leads to a standby: handlers cannot write, and while it is behind they "
             "do "
             "not see a revocation that was committed already",
             "let every writer commit with synchronous_commit = remote_apply, or use the primary");
}

/* --- poolers --- */

static void make_name(char *out, size_t size, const char *prefix)
{
    uint64_t nonce;
    leat_random_bytes(&nonce, sizeof(nonce));
    snprintf(out, size, "%s%016" PRIx64, prefix, nonce);
}

typedef enum pooling { POOLING_NONE, POOLING_STATEMENTS_LOST, POOLING_STATEMENTS_KEPT } pooling;

/* Two connections tell a pooler in transaction mode: while the second is in a transaction, it has
 * the server that the first one had, and the first one gets another. That one knows the first one's
 * prepared statement only if the pooler cares for it. */
static pooling pooling_of(examination *x, leat_pg_sync *first, leat_pg_sync *second)
{
    static const char pid_sql[] = "select pg_backend_pid()";
    leat_buf pid = LEAT_BUF_INIT, other = LEAT_BUF_INIT, why = LEAT_BUF_INIT;
    pooling found = POOLING_NONE;
    char name[32], deallocate[64];
    make_name(name, sizeof(name), "check_"); /* one that no earlier check has left behind */
    snprintf(deallocate, sizeof(deallocate), "deallocate %s; rollback", name);
    int err = leat_pg_sync_prepare(first, name, pid_sql, timeout(x), &why);
    for (int i = 0; err == 0 && found == POOLING_NONE && i < POOL_ROUNDS; i++) {
        err = ask(x, first, pid_sql, &pid, &why);
        if (err == 0)
            err = leat_pg_sync_exec(second, "begin; select 1", timeout(x), &why);
        if (err == 0)
            err = ask(x, first, pid_sql, &other, &why);
        if (err == 0 && strcmp(pid.at, other.at) != 0)
            found = leat_pg_sync_execute(first, name, timeout(x), &why) == 0
                        ? POOLING_STATEMENTS_KEPT
                        : POOLING_STATEMENTS_LOST;
        int ended = leat_pg_sync_exec(
            second, found == POOLING_STATEMENTS_LOST ? deallocate : "rollback", timeout(x), &why);
        err = err == 0 ? ended : err;
    }
    leat_buf_close(&pid);
    leat_buf_close(&other);
    leat_buf_close(&why);
    return found;
}

static int look_at_pool(examination *x)
{
    leat_pg_sync *second = NULL;
    int err = connect_to(x, &second, x->config->database_url, "database_url, for a second time");
    if (err < 0)
        return err;
    pooling found = pooling_of(x, x->db, second);
    leat_pg_sync_close(second);
    if (found == POOLING_STATEMENTS_LOST && x->config->max_statements > 0)
        find(x, LEAT_SEVERITY_FATAL,
             "database_url leads through a pooler in transaction mode that does not know prepared "
             "statements",
             "set max_statements = 0");
    if (found != POOLING_NONE)
        err = find_rows(x, x->db, leat_doctor_formats_sql);
    return err;
}

/* --- listening --- */

/* Listens, and lets another connection notify: the one of the handlers if that can. LEAT_ESCHEMA:
 * the database answers in time, but the notification does not arrive. */
static int hear(examination *x, leat_pg_sync *other, leat_buf *why)
{
    char payload[32], sql[256];
    int err = leat_pg_sync_exec(x->session, "listen " LEAT_ANNOUNCEMENT_CHANNEL, timeout(x), why);
    make_name(payload, sizeof(payload), "fence:"); /* servers ignore the fences of others */
    snprintf(sql, sizeof(sql), "select pg_notify('%s', '%s')", LEAT_ANNOUNCEMENT_CHANNEL, payload);
    if (err == 0)
        err = leat_pg_sync_exec(other, sql, timeout(x), why);
    if (err < 0)
        return err;
    err = leat_pg_sync_await(x->session, payload, timeout(x), why);
    return err == LEAT_EDEADLINE ? LEAT_ESCHEMA : err;
}

static int look_at_listener(examination *x)
{
    leat_pg_sync *second = NULL;
    leat_buf why = LEAT_BUF_INIT;
    int err = connect_to(x, &second, x->config->listen_url, "listen_url, for a second time");
    if (err < 0)
        return err;
    if (pooling_of(x, x->session, second) != POOLING_NONE) {
        find(x, LEAT_SEVERITY_FATAL,
             "listen_url leads through a pooler in transaction mode, which LISTEN does not survive",
             SESSION_REMEDY);
    } else {
        err = hear(x, x->is_standby ? second : x->db, &why);
        if (err < 0)
            fail(x, err, "a notification does not arrive where the server would listen", &why,
                 SESSION_REMEDY);
        else
            x->doctor->on_fact(x->doctor->arg, "listener", "a notification arrived");
    }
    leat_pg_sync_close(second);
    leat_buf_close(&why);
    return err;
}

/* Publishes, up to the trigger that numbers the event, and takes all of it back. The event is large
 * and of random text, so that Postgres has to extend its files: a small one finds room on a full
 * disk. A role that may not publish is no finding: then the application's roles do. */
static int look_at_publishing(examination *x)
{
    static const char sql[] = "begin; do $$ begin perform leat.publish('leat check', "
                              "(select pg_catalog.to_jsonb(pg_catalog.string_agg("
                              "pg_catalog.md5(pg_catalog.random()::text), '')) "
                              "from pg_catalog.generate_series(1, 2000))); "
                              "exception when insufficient_privilege then null; end $$; "
                              "set constraints all immediate";
    leat_buf why = LEAT_BUF_INIT;
    leat_buf problem = LEAT_BUF_INIT;
    const char *remedy = "mend this in Postgres: nobody can publish";
    int failed = leat_pg_sync_exec(x->session, sql, timeout(x), &why);
    if (failed == LEAT_EDEADLINE)
        remedy = explain_silence(x, &why);
    if (failed < 0) {
        leat_buf_printf(&problem, "publishing fails: %.*s", (int)why.len, why.at);
        leat_buf_char(&problem, '\0');
        find(x, LEAT_SEVERITY_ERROR, problem.at, remedy);
    }
    why.len = 0;
    int err = failed == LEAT_EDEADLINE /* the session is busy; its end takes all of it back */
                  ? 0
                  : leat_pg_sync_exec(x->session, "rollback", timeout(x), &why);
    if (err < 0)
        fail(x, err, "a transaction is not taken back", &why, "look at Postgres's log");
    leat_buf_close(&why);
    leat_buf_close(&problem);
    return err;
}

static int look_at_role(examination *x)
{
    return find_rows(x, x->db, leat_doctor_role_sql);
}

/* The hub's three connections are the listener, and two for repair and trimming. */
static int look_at_settings(examination *x)
{
    size_t wanted = leat_config_pool_sizes(x->config) + 3;
    leat_buf sql = LEAT_BUF_INIT;
    leat_buf_printf(&sql, "with wanted (connections, max_ms) as (values (%zu, %llu::bigint)),",
                    wanted, (unsigned long long)x->config->limits.max_timeout_ms);
    leat_buf_text(&sql, leat_doctor_settings_sql);
    leat_buf_char(&sql, '\0');
    int err = find_rows(x, x->db, sql.at);
    leat_buf_close(&sql);
    return err;
}

int leat_doctor_examine(const leat_config *config, const leat_doctor *doctor)
{
    static int (*const steps[])(examination * x) = {
        look_at_version,  look_at_role,     look_at_schema, look_at_position, look_at_session,
        look_at_problems, look_at_settings, look_at_pool,   look_at_listener, look_at_publishing};
    examination x = {.config = config, .doctor = doctor};
    int err = connect_to(&x, &x.db, config->database_url, "database_url");
    if (err == 0)
        look_at_standby(&x);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && err == 0 && !x.is_fatal; i++)
        err = steps[i](&x);
    leat_pg_sync_close(x.session);
    leat_pg_sync_close(x.db);
    if (err == 0 && x.is_fatal)
        err = LEAT_ESCHEMA;
    return err;
}
