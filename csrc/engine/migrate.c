/* migrate.c - the files of the folder are listed and numbered (list_migrations), and compared
 * with what leat_internal.migration says. leat_migrate_run applies those that are missing,
 * leat_migrate_plan prints them, and leat_migrate_check says whether the server can work with
 * what is installed. */
#include "engine/migrate.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Any number that no other program locks: "leat" in ASCII. */
#define LOCK "1818583412"

/* Nothing that migrations name may be found in a schema where another role can create: it would be
 * bound into functions of our owner. */
#define BEGIN_SQL                                                                                  \
    "set search_path = pg_catalog, pg_temp; set standard_conforming_strings = on;"                 \
    "select pg_advisory_lock(" LOCK ")"

#define HOLDER_SQL                                                                                 \
    "select format('process %s (%s, of %s)', l.pid, a.application_name, a.usename)"                \
    " from pg_locks l left join pg_stat_activity a on a.pid = l.pid"                               \
    " where l.locktype = 'advisory' and l.granted and l.pid <> pg_backend_pid()"                   \
    " and l.database = (select d.oid from pg_database d where d.datname = current_database())"     \
    " and (l.classid, l.objid, l.objsubid) = (0, " LOCK ", 1) limit 1"

/* A migration may have to wait for other sessions or rewrite a table; what only looks must not
 * hang. */
#define NO_TIMEOUT 0
#define LOOK_TIMEOUT_MS 10000

#define MAX_MIGRATIONS 9999
#define MAX_FILE_BYTES (4u << 20)

struct migration {
    int version;
    char *name; /* "0001_outbox.sql" */
};

struct migrations {
    struct migration *at; /* sorted by version: 1, 2, 3 ... */
    int count;
};

/* --- the files --- */

static void free_migrations(struct migrations *m)
{
    for (int i = 0; i < m->count; i++)
        free(m->at[i].name);
    free(m->at);
}

/* The version of NNNN_name.sql, 0 for any other name. */
static int parse_version(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    if (strspn(name, "0123456789") != 4 || name[4] != '_')
        return 0;
    return strcmp(name + 5 + strspn(name + 5, letters), ".sql") == 0 ? (int)strtol(name, NULL, 10)
                                                                     : 0;
}

static int compare(const void *a, const void *b)
{
    return ((const struct migration *)a)->version - ((const struct migration *)b)->version;
}

static int check_numbers(const struct migrations *m, const char *dir, leat_buf *error)
{
    if (m->count == 0) {
        leat_buf_printf(error, "%s holds no migrations", dir);
        return LEAT_ECONFIG;
    }
    for (int i = 0; i < m->count; i++)
        if (m->at[i].version != i + 1) {
            leat_buf_printf(error, "%s: expected migration %04d, found %s", dir, i + 1,
                            m->at[i].name);
            return LEAT_ECONFIG;
        }
    return 0;
}

static int list_migrations(struct migrations *out, const char *dir, leat_buf *error)
{
    DIR *d = opendir(dir);
    if (d == NULL) {
        leat_buf_printf(error, "%s: %s", dir, strerror(errno));
        return LEAT_ECONFIG;
    }
    struct migrations m = {NULL, 0};
    for (struct dirent *entry = readdir(d); entry != NULL; entry = readdir(d)) {
        int version = parse_version(entry->d_name);
        if (version == 0 || m.count == MAX_MIGRATIONS)
            continue;
        m.at = leat_realloc(m.at, ((size_t)m.count + 1) * sizeof(*m.at));
        m.at[m.count++] = (struct migration){version, leat_strdup(entry->d_name)};
    }
    closedir(d);
    if (m.count > 0)
        qsort(m.at, (size_t)m.count, sizeof(*m.at), compare);
    int err = check_numbers(&m, dir, error);
    if (err < 0)
        free_migrations(&m);
    else
        *out = m;
    return err;
}

static int read_sql(leat_buf *out, const char *dir, const char *name, leat_buf *error)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        leat_buf_printf(error, "%s: %s", path, strerror(errno));
        return LEAT_ECONFIG;
    }
    size_t n = 0;
    do {
        n = fread(leat_buf_reserve(out, 65536), 1, 65536, f);
        out->len += n;
    } while (n > 0 && out->len <= MAX_FILE_BYTES);
    int failed = ferror(f);
    fclose(f);
    if (failed != 0 || out->len > MAX_FILE_BYTES || memchr(out->at, '\0', out->len) != NULL) {
        leat_buf_printf(error, "%s: not a readable SQL file", path);
        return LEAT_ECONFIG;
    }
    leat_buf_char(out, '\0');
    return 0;
}

/* --- the database --- */

#define NEWER "schema leat is at version %d, newer than this leat, which knows %d and works with it"

static int refuse_newer(int installed, int known, leat_schema_trouble *why)
{
    leat_buf_printf(&why->problem,
                    "schema leat is at version %d, newer than this leat, which knows %d", installed,
                    known);
    why->remedy = "use the newer leat";
    return LEAT_ESCHEMA;
}

/* Whatever a session's search_path finds first, it is not asked for here. */
static int ask(leat_pg_sync *db, const char *sql, leat_buf *value, bool *is_null, leat_buf *error)
{
    value->len = 0;
    int err = leat_pg_sync_value(db, sql, LOOK_TIMEOUT_MS, value, is_null, error);
    leat_buf_char(value, '\0');
    return err;
}

static int relation_exists(leat_pg_sync *db, const char *name, bool *exists, leat_buf *error)
{
    leat_buf sql = LEAT_BUF_INIT, value = LEAT_BUF_INIT;
    bool absent = true;
    leat_buf_printf(&sql, "select pg_catalog.to_regclass('%s')", name);
    leat_buf_char(&sql, '\0');
    int err = ask(db, sql.at, &value, &absent, error);
    *exists = !absent;
    leat_buf_close(&sql);
    leat_buf_close(&value);
    return err;
}

static int read_version(leat_pg_sync *db, int *version, leat_buf *error)
{
    leat_buf value = LEAT_BUF_INIT;
    bool exists = false, is_null = true;
    int err = relation_exists(db, "leat_internal.migration", &exists, error);
    *version = 0;
    if (err == 0 && exists) {
        err = ask(db, "select coalesce(pg_catalog.max(version), 0) from leat_internal.migration",
                  &value, &is_null, error);
        if (err == 0)
            *version = (int)strtol(value.at, NULL, 10);
    }
    leat_buf_close(&value);
    return err;
}

/* The names that the files have, as an SQL array; they need no escaping (parse_version). */
static void print_names(leat_buf *sql, const struct migrations *m)
{
    leat_buf_text(sql, "array[");
    for (int i = 0; i < m->count; i++)
        leat_buf_printf(sql, "%s'%s'", i == 0 ? "" : ",", m->at[i].name);
    leat_buf_text(sql, "]::pg_catalog.text[]");
}

#define MAKE_ANEW                                                                                  \
    "run \"drop schema if exists leat, leat_internal cascade\" in that database (tables of "       \
    "applications stay, but have to be watched again), then leat migrate"

static int refuse_earlier(const char *evidence, leat_schema_trouble *why)
{
    leat_buf_printf(&why->problem,
                    "schema leat was made by an earlier state of leat (%s), which cannot be"
                    " upgraded",
                    evidence);
    why->remedy = MAKE_ANEW;
    return LEAT_ESCHEMA;
}

/* Before the first release a version's file had other names and other contents. A database that
 * such a file has made cannot be upgraded. */
static int refuse_other_files(leat_pg_sync *db, const struct migrations *m,
                              leat_schema_trouble *why)
{
    leat_buf sql = LEAT_BUF_INIT;
    leat_buf name = LEAT_BUF_INIT;
    bool none = true;
    leat_buf_text(&sql, "select pg_catalog.min(m.name) from leat_internal.migration m"
                        " where m.name operator(pg_catalog.<>) (");
    print_names(&sql, m);
    leat_buf_text(&sql, ")[m.version]");
    leat_buf_char(&sql, '\0');
    int err = ask(db, sql.at, &name, &none, &why->problem);
    if (err == 0 && !none)
        err = refuse_earlier(name.at, why);
    leat_buf_close(&name);
    leat_buf_close(&sql);
    return err;
}

/* Earlier states kept the table of migrations in schema leat. */
static int refuse_earlier_schema(leat_pg_sync *db, leat_schema_trouble *why)
{
    bool exists = false;
    int err = relation_exists(db, "leat.migration", &exists, &why->problem);
    if (err == 0 && exists)
        err = refuse_earlier("it has a table leat.migration", why);
    return err;
}

/* The first file makes both schemas, but one of them can be dropped without the other one. */
static int refuse_half(leat_pg_sync *db, leat_schema_trouble *why)
{
    bool exists = false;
    int err = relation_exists(db, "leat.topic", &exists, &why->problem);
    if (err == 0 && !exists) {
        leat_buf_text(&why->problem, "table leat.topic is missing");
        why->remedy = MAKE_ANEW;
        err = LEAT_ESCHEMA;
    }
    return err;
}

/* Whether a schema that is newer than these files says that a server of theirs works with it
 * (0010_upgrades.sql). */
static int read_is_served(leat_pg_sync *db, int known, bool *is_served, leat_buf *error)
{
    leat_buf sql = LEAT_BUF_INIT, value = LEAT_BUF_INIT;
    bool is_null = true;
    int err = ask(db,
                  "select 1 from pg_catalog.pg_attribute"
                  " where attrelid = 'leat_internal.migration'::pg_catalog.regclass"
                  " and attname = 'oldest_server'",
                  &value, &is_null, error);
    *is_served = false;
    leat_buf_printf(&sql,
                    "select oldest_server <= %d from leat_internal.migration"
                    " order by version desc limit 1",
                    known);
    leat_buf_char(&sql, '\0');
    if (err == 0 && !is_null) {
        err = ask(db, sql.at, &value, &is_null, error);
        *is_served = err == 0 && !is_null && strcmp(value.at, "t") == 0;
    }
    leat_buf_close(&sql);
    leat_buf_close(&value);
    return err;
}

/* Returns LEAT_ESCHEMA if the installed schema is neither one that these files can have made, nor a
 * newer one that goes with them. */
static int read_fitting_version(leat_pg_sync *db, const struct migrations *m, int *version,
                                leat_schema_trouble *why)
{
    int err = refuse_earlier_schema(db, why);
    if (err == 0)
        err = read_version(db, version, &why->problem);
    if (err == 0 && *version > 0)
        err = refuse_other_files(db, m, why);
    if (err == 0 && *version > 0)
        err = refuse_half(db, why);
    bool is_served = true;
    if (err == 0 && *version > m->count)
        err = read_is_served(db, m->count, &is_served, &why->problem);
    if (err == 0 && !is_served)
        err = refuse_newer(*version, m->count, why);
    return err;
}

/* As above; the trouble becomes one sentence. */
static int read_version_or_tell(leat_pg_sync *db, const struct migrations *m, int *version,
                                leat_buf *error)
{
    leat_schema_trouble why = {LEAT_BUF_INIT, NULL};
    int err = read_fitting_version(db, m, version, &why);
    if (err < 0)
        leat_buf_slice(error, leat_buf_view(&why.problem));
    if (err < 0 && why.remedy != NULL)
        leat_buf_printf(error, ": %s", why.remedy);
    leat_buf_close(&why.problem);
    return err;
}

/* The first file makes the table. The name needs no escaping (parse_version). */
static int record(leat_pg_sync *db, const struct migration *m, leat_buf *error)
{
    leat_buf sql = LEAT_BUF_INIT;
    leat_buf_printf(&sql, "insert into leat_internal.migration (version, name) values (%d, '%s')",
                    m->version, m->name);
    int err = leat_pg_sync_exec(db, sql.at, NO_TIMEOUT, error);
    leat_buf_close(&sql);
    return err;
}

static int apply(leat_pg_sync *db, const char *dir, const struct migration *m, leat_buf *error)
{
    leat_buf sql = LEAT_BUF_INIT;
    leat_buf why = LEAT_BUF_INIT;
    int err = read_sql(&sql, dir, m->name, &why);
    if (err == 0)
        err = leat_pg_sync_exec(db, "begin", NO_TIMEOUT, &why);
    if (err == 0)
        err = leat_pg_sync_exec(db, sql.at, NO_TIMEOUT, &why);
    if (err == 0 && !leat_pg_sync_in_transaction(db)) {
        leat_buf_text(&why, "it must not end the transaction that it runs in");
        err = LEAT_ECONFIG;
    }
    if (err == 0)
        err = record(db, m, &why);
    if (err == 0)
        err = leat_pg_sync_exec(db, "commit", NO_TIMEOUT, &why);
    if (err < 0)
        leat_buf_printf(error, "%s: %.*s", m->name, (int)why.len, why.at);
    leat_buf_close(&sql);
    leat_buf_close(&why);
    return err;
}

static int upgrade(leat_pg_sync *db, const char *dir, const struct migrations *m, leat_buf *report,
                   leat_buf *error)
{
    int installed = 0;
    int err = read_version_or_tell(db, m, &installed, error);
    if (err < 0)
        return err;
    for (int i = installed; i < m->count; i++) {
        err = apply(db, dir, &m->at[i], error);
        if (err < 0)
            return err;
        leat_buf_printf(report, "applied %s\n", m->at[i].name);
    }
    if (installed > m->count)
        leat_buf_printf(report, NEWER "\n", installed, m->count);
    else
        leat_buf_printf(report, "schema leat is at version %d%s\n", m->count,
                        installed == m->count ? ", nothing to do" : "");
    return 0;
}

int leat_migrate_holder(leat_pg_sync *db, leat_buf *holder, leat_buf *error)
{
    bool is_null = true;
    int err =
        leat_pg_sync_exec(db, "set search_path = pg_catalog, pg_temp", LOOK_TIMEOUT_MS, error);
    if (err == 0)
        err = leat_pg_sync_value(db, HOLDER_SQL, LOOK_TIMEOUT_MS, holder, &is_null, error);
    return err;
}

int leat_migrate_run(leat_pg_sync *db, const char *schema_dir, leat_buf *report, leat_buf *error)
{
    struct migrations m;
    int err = list_migrations(&m, schema_dir, error);
    if (err < 0)
        return err;
    /* Held until the connection closes. */
    err = leat_pg_sync_exec(db, BEGIN_SQL, NO_TIMEOUT, error);
    if (err == 0)
        err = upgrade(db, schema_dir, &m, report, error);
    free_migrations(&m);
    return err;
}

/* The first sentence of a file's first comment, "-- Topics, their numbering, and the outbox." */
static leat_slice first_sentence(const leat_buf *sql)
{
    leat_slice line = {sql->at, strcspn(sql->at, "\n")};
    if (line.len < 3 || strncmp(line.at, "-- ", 3) != 0)
        return (leat_slice){"", 0};
    line = (leat_slice){line.at + 3, line.len - 3};
    for (size_t i = 0; i + 1 < line.len; i++)
        if (line.at[i] == '.' && line.at[i + 1] == ' ')
            line.len = i;
    line.len -= line.len > 0 && line.at[line.len - 1] == '.';
    return line;
}

/* The oldest server that a migration leaves able to work with the schema, if it says so: the line
 * "alter table leat_internal.migration alter column oldest_server set default 15;". 0: it says
 * nothing, so it changes nothing about that (0010_upgrades.sql). */
static int oldest_server(const char *sql)
{
    int oldest = 0;
    for (const char *line = sql; *line != '\0';
         line += strcspn(line, "\n"), line += *line == '\n') {
        size_t len = strcspn(line, "\n");
        const char *column = strstr(line, "oldest_server");
        const char *number = column == NULL ? NULL : strstr(column, " default ");
        if (strncmp(line, "--", 2) != 0 && number != NULL && number < line + len)
            oldest = (int)strtol(number + strlen(" default "), NULL, 10);
    }
    return oldest;
}

/* oldest becomes the version of which a server must be, if the migration raises it; NULL: there
 * are no servers yet. */
static int plan_one(const char *dir, const struct migration *m, int *oldest, leat_buf *report,
                    leat_buf *error)
{
    leat_buf sql = LEAT_BUF_INIT;
    int err = read_sql(&sql, dir, m->name, error);
    if (err == 0) {
        leat_slice why = first_sentence(&sql);
        int raised = oldest == NULL ? 0 : oldest_server(sql.at);
        leat_buf_printf(report, "would apply %s (%.*s)", m->name, (int)why.len, why.at);
        if (oldest != NULL && raised > *oldest)
            leat_buf_printf(report, ": it needs servers of schema version %d or newer", raised);
        else if (oldest != NULL)
            leat_buf_text(report, ": servers that run go on");
        leat_buf_char(report, '\n');
        if (oldest != NULL && raised > *oldest)
            *oldest = raised;
    }
    leat_buf_close(&sql);
    return err;
}

/* Says what to do with the servers. Those that run know the installed version at most. */
static void plan_order(int installed, int oldest, int count, leat_buf *report)
{
    if (installed == 0)
        return;
    if (oldest > installed)
        leat_buf_printf(report,
                        "stop the servers first: none that runs with version %d works with the new "
                        "schema. Start this version afterwards\n",
                        installed);
    else if (oldest > 0)
        leat_buf_printf(report,
                        "stop servers that know a version below %d first; the others go on. "
                        "Restart them with this version afterwards, one by one\n",
                        oldest);
    else
        leat_buf_printf(report,
                        "migrate first, while the servers run, then restart them with this version "
                        "one by one: it needs version %d\n",
                        count);
}

int leat_migrate_plan(leat_pg_sync *db, const char *schema_dir, leat_buf *report, leat_buf *error)
{
    struct migrations m;
    int installed = 0, oldest = 0;
    int err = list_migrations(&m, schema_dir, error);
    if (err < 0)
        return err;
    err = read_version_or_tell(db, &m, &installed, error);
    for (int i = installed; i < m.count && err == 0; i++)
        err = plan_one(schema_dir, &m.at[i], installed == 0 ? NULL : &oldest, report, error);
    if (err == 0 && installed > m.count)
        leat_buf_printf(report, NEWER "\n", installed, m.count);
    else if (err == 0 && installed == m.count)
        leat_buf_printf(report, "schema leat is at version %d, nothing to do\n", installed);
    else if (err == 0)
        leat_buf_printf(report, "schema leat would go from version %d to %d\n", installed, m.count);
    if (err == 0 && installed < m.count)
        plan_order(installed, oldest, m.count, report);
    free_migrations(&m);
    return err;
}

int leat_migrate_check(leat_pg_sync *db, const char *schema_dir, int *installed, int *known,
                       leat_schema_trouble *why)
{
    struct migrations m;
    int version = 0;
    int err = list_migrations(&m, schema_dir, &why->problem);
    if (err < 0) {
        why->remedy = "install this leat anew, with all of its files";
        return err;
    }
    const int newest = m.count;
    err = read_fitting_version(db, &m, &version, why);
    free_migrations(&m);
    if (err < 0)
        return err;
    if (version >= newest) {
        *installed = version;
        *known = newest;
        return 0;
    }
    if (version == 0)
        leat_buf_text(&why->problem, "schema leat is not installed");
    else
        leat_buf_printf(&why->problem, "schema leat is at version %d, this leat needs %d", version,
                        newest);
    why->remedy = "run leat migrate";
    return LEAT_ESCHEMA;
}

int leat_migrate_known(const char *schema_dir)
{
    struct migrations m;
    leat_buf error = LEAT_BUF_INIT;
    int known = MAX_MIGRATIONS;
    if (list_migrations(&m, schema_dir, &error) == 0) {
        known = m.count;
        free_migrations(&m);
    }
    leat_buf_close(&error);
    return known;
}

int leat_migrate_grant(leat_pg_sync *db, const char *function, const char *role, leat_buf *report,
                       leat_buf *error)
{
    leat_buf sql = LEAT_BUF_INIT;
    leat_buf_printf(&sql, "select leat_internal.%s('", function);
    for (const char *at = role; *at != '\0'; at++) {
        if (*at == '\'')
            leat_buf_char(&sql, '\'');
        leat_buf_char(&sql, *at);
    }
    leat_buf_text(&sql, "')");
    leat_buf_char(&sql, '\0');
    int err = leat_pg_sync_exec(db, sql.at, NO_TIMEOUT, error);
    if (err == 0)
        leat_buf_printf(report, "%s: %s\n", function, role);
    leat_buf_close(&sql);
    return err;
}

int leat_migrate_problems(leat_pg_sync *db, leat_buf *report, leat_buf *error)
{
    static const char allowed[] =
        "select 1 where pg_catalog.has_function_privilege('leat_internal.problems()', 'execute')";
    static const char problems[] = "select pg_catalog.string_agg(pg_catalog.concat_ws(': ', "
                                   "severity, problem, remedy), E'\\n')"
                                   " from leat_internal.problems()";
    leat_buf text = LEAT_BUF_INIT;
    bool none = false;
    int err = leat_pg_sync_value(db, allowed, LOOK_TIMEOUT_MS, &text, &none, error);
    if (err == 0 && none)
        leat_buf_text(report,
                      "note: this role may not execute leat_internal.problems(): as the schema's"
                      " owner, select leat_internal.grant_server(ROLE)\n");
    text.len = 0;
    if (err == 0 && !none) {
        err = leat_pg_sync_value(db, problems, LOOK_TIMEOUT_MS, &text, &none, error);
        if (err == 0 && !none)
            leat_buf_printf(report, "%.*s\n", (int)text.len, text.at);
    }
    leat_buf_close(&text);
    return err;
}
