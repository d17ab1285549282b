/* leat - the command line. Everything that prints, and everything that ends the process, is here.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/confine.h"
#include "app/follow.h"
#include "app/options.h"
#include "app/serve.h"
#include "app/service.h"
#include "app/show.h"
#include "app/test.h"
#include "app/top.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/socket.h"
#include "engine/check.h"
#include "engine/config_help.h"
#include "engine/config_load.h"
#include "engine/home.h"
#include "engine/migrate.h"
#include "pg/pg_sync.h"

enum { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Descriptors that are not clients: the database, files, the loops' own. */
#define OTHER_DESCRIPTORS 128

static const char usage[] =
    "usage: leat serve   [--config FILE] [--app FILE] [--listen ADDR:PORT] [--database URL]\n"
    "                    [--listen-url URL] [--address-file FILE]\n"
    "       leat migrate [--config FILE] [--database URL] [--plan] [--grant-server ROLE]\n"
    "                    [--grant-publisher ROLE] [--grant-watcher ROLE]\n"
    "       leat check   [--config FILE] [--app FILE] [--listen ADDR:PORT] [--database URL]\n"
    "                    [--listen-url URL] [--json]\n"
    "       leat test    [--database URL] [FILE...]\n"
    "       leat show    [summary|ready|topics|topic NAME|clients|client ID|pool|watches|config|\n"
    "                     script|handlers|patterns|statements|postgres] [--by ORDER] [--limit N]\n"
    "                    [--user ID] [--json] [--config FILE] [--control PATH]\n"
    "       leat top     [--once] [--interval SECONDS] [--json] [--config FILE] [--control PATH]\n"
    "       leat tail    TOPIC [--since EPOCH:SEQ] [--json] [--config FILE] [--control PATH]\n"
    "       leat publish TOPIC JSON [--json] [--config FILE] [--control PATH]\n"
    "       leat log     [LEVELS] [--json] [--config FILE] [--control PATH]\n"
    "       leat version\n"
    "\n"
    "serve    serves until SIGTERM, which drains; SIGHUP reloads the app\n"
    "         --address-file gets ADDR:PORT once it listens\n"
    "migrate  installs or upgrades schema leat; gives a role its rights\n"
    "         --plan says what it would do, and changes nothing\n"
    "check    loads configuration and app, connects, reports; changes nothing\n"
    "         --json for programs; exit code 2 if something is wrong, 0 if there are only "
    "warnings\n"
    "test     runs an application's specs against a scratch database\n"
    "show     asks a running server, through its socket (key control)\n"
    "top      shows live how it fares; q ends it\n"
    "tail     prints a topic's events with their positions, from now on or since one\n"
    "publish  publishes an event through the server, and prints its position\n"
    "log      tells the levels of a running server's log, or sets them until its next reload\n"
    "\n"
    "Exit codes: 0 done as asked, 1 a failure that may pass, 2 wrong usage or configuration.\n"
    "leat serve --help lists the configuration's keys.\n";

static int fail(int code, const leat_buf *error)
{
    fprintf(stderr, "leat: %.*s\n", (int)error->len, error->at == NULL ? "" : error->at);
    return code;
}

static void print(FILE *out, const leat_buf *text)
{
    if (text->len > 0)
        fwrite(text->at, 1, text->len, out);
}

static int help(const leat_options *options)
{
    fputs(usage, stdout);
    if (options->command == LEAT_OPTIONS_SERVE) {
        leat_buf text = LEAT_BUF_INIT;
        leat_buf_text(&text, "\nKeys of the configuration file, their defaults and variables:\n\n");
        leat_config_help(&text);
        print(stdout, &text);
        leat_buf_close(&text);
    }
    return EXIT_STOPPED;
}

static int load_config(leat_config *config, const leat_options *options, leat_buf *error)
{
    char *home = NULL;
    int err = leat_home_find(&home, error);
    if (err < 0)
        return err;
    leat_config_sources sources = {
        .home = home,
        .file = options->config,
        .listen = options->listen,
        .database_url = options->database,
        .listen_url = options->listen_url,
        .app = options->app,
        .getenv = getenv,
    };
    err = leat_config_load(config, &sources, error);
    free(home);
    return err;
}

/* --- leat migrate, leat check --- */

static int grant(leat_pg_sync *db, const leat_options *options, leat_buf *report, leat_buf *error)
{
    const struct {
        const char *function;
        const char *role;
    } grants[] = {{"grant_server", options->grant_server},
                  {"grant_publisher", options->grant_publisher},
                  {"grant_watcher", options->grant_watcher}};
    int err = 0;
    for (size_t i = 0; i < sizeof(grants) / sizeof(grants[0]) && err == 0; i++) {
        if (grants[i].role != NULL && options->plan)
            leat_buf_printf(report, "would call %s: %s\n", grants[i].function, grants[i].role);
        else if (grants[i].role != NULL)
            err = leat_migrate_grant(db, grants[i].function, grants[i].role, report, error);
    }
    return err;
}

static int run_migrations(const leat_config *config, leat_pg_sync *db, leat_buf *report,
                          leat_buf *error)
{
    leat_buf holder = LEAT_BUF_INIT;
    int err = leat_migrate_holder(db, &holder, error);
    if (err == 0 && holder.len > 0)
        fprintf(stderr, "leat: waits for the lock of migrations, which %.*s holds\n",
                (int)holder.len, holder.at);
    leat_buf_close(&holder);
    return err < 0 ? err : leat_migrate_run(db, config->schema_dir, report, error);
}

static int migrate(const leat_config *config, const leat_options *options, leat_buf *error)
{
    leat_pg_sync *db = NULL;
    leat_buf report = LEAT_BUF_INIT;
    int err = leat_pg_sync_open(&db, config->listen_url, "leat migrate",
                                config->database_connect_timeout_ms, error);
    if (err == 0)
        err = options->plan ? leat_migrate_plan(db, config->schema_dir, &report, error)
                            : run_migrations(config, db, &report, error);
    if (err == 0)
        err = grant(db, options, &report, error);
    if (err == 0 && !options->plan)
        err = leat_migrate_problems(db, &report, error);
    leat_pg_sync_close(db);
    print(stdout, &report);
    leat_buf_close(&report);
    return err < 0 ? fail(EXIT_FAILED, error) : EXIT_STOPPED;
}

/* A configuration that cannot be used is a finding, too: one for each line. */
static void report_failure(leat_check_report *report, leat_buf *error)
{
    leat_doctor doctor = leat_check_report_doctor(report);
    char *rest = NULL;
    leat_buf_char(error, '\0');
    for (char *line = strtok_r(error->at, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest))
        doctor.on_finding(doctor.arg, &(leat_finding){LEAT_SEVERITY_FATAL, line,
                                                      "correct it; man leat.lua, and leat serve "
                                                      "--help, describe each key"});
}

/* Prints each line of the error as a mistake of its own. */
static int fail_config(const leat_buf *error)
{
    leat_slice rest = leat_buf_view(error);
    while (rest.len > 0) {
        const char *end = memchr(rest.at, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.at);
        fprintf(stderr, "leat: %.*s\n", (int)len, rest.at);
        rest.at += len + (end != NULL);
        rest.len -= len + (end != NULL);
    }
    return EXIT_USAGE;
}

/* There is no configuration to check anything else by. */
static int refuse(leat_buf *error)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_check_report report;
    leat_check_report_begin(&report, &out, true);
    report_failure(&report, error);
    leat_check_report_end(&report);
    print(stdout, &out);
    leat_buf_close(&out);
    return EXIT_USAGE;
}

static int check(const leat_config *config, bool json, leat_buf *error)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_check_report report;
    leat_check_report_begin(&report, &out, json);
    if (leat_config_check_files(config, error) < 0)
        report_failure(&report, error);
    else
        leat_check_run(config, &report);
    leat_check_report_end(&report);
    print(stdout, &out);
    leat_buf_close(&out);
    return report.n_errors > 0 ? EXIT_USAGE : EXIT_STOPPED;
}

/* --- leat serve --- */

static void raise_descriptor_limit(const leat_config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        LEAT_LOG_WARN("server", "limit of open files not raised err=%s", strerror(errno));
    if (limit.rlim_max != RLIM_INFINITY &&
        limit.rlim_max < config->limits.max_connections + OTHER_DESCRIPTORS)
        LEAT_LOG_WARN("server", "too few open files allowed limit=%llu max_connections=%zu",
                      (unsigned long long)limit.rlim_max, config->limits.max_connections);
}

/* The file of --address-file appears with all of the address at once: it is written under another
 * name, which is opened before the start. So a wrong path is found out then, and the server needs
 * no right to open files for writing. */
typedef struct address_file {
    const char *path; /* NULL: there is none */
    leat_buf fresh;   /* the other name */
    FILE *file;
} address_file;

static int open_address(address_file *a, const char *path, leat_buf *error)
{
    a->path = path;
    if (path == NULL)
        return 0;
    leat_buf_printf(&a->fresh, "%s.new", path);
    leat_buf_char(&a->fresh, '\0');
    a->file = fopen(a->fresh.at, "we");
    if (a->file == NULL)
        leat_buf_printf(error, "--address-file = \"%s\": %s", path, strerror(errno));
    return a->file == NULL ? LEAT_ECONFIG : 0;
}

static void write_address(address_file *a, const char *address)
{
    if (a->file == NULL)
        return;
    bool written = fprintf(a->file, "%s\n", address) > 0;
    written = fclose(a->file) == 0 && written;
    a->file = NULL;
    if (!written || rename(a->fresh.at, a->path) != 0)
        LEAT_LOG_ERROR("server", "address file not written err=%s", strerror(errno));
}

static void close_address(address_file *a)
{
    if (a->file != NULL)
        fclose(a->file);
    leat_buf_close(&a->fresh);
}

static int confine(leat_confinement *confinement, const leat_config *config, const address_file *a,
                   leat_buf *error)
{
    char *folder = NULL;
    if (a->path != NULL)
        folder = strchr(a->path, '/') != NULL
                     ? leat_memdup(a->path, (size_t)(strrchr(a->path, '/') + 1 - a->path))
                     : leat_strdup(".");
    int err = leat_confine(confinement, config, folder, error);
    free(folder);
    return err;
}

/* What `leat serve` hands on to the process that serves. */
typedef struct serving {
    const leat_options *options;
    address_file address;
    leat_control_socket control;
    leat_engine_sockets sockets;
    leat_control_socket console;
} serving;

static void on_start(void *arg, const char *address)
{
    serving *s = arg;
    write_address(&s->address, address);
}

static int read_again(void *arg, leat_config *out, leat_buf *error)
{
    const serving *s = arg;
    int err = load_config(out, s->options, error);
    if (err < 0)
        return err;
    err = leat_config_check_files(out, error);
    if (err < 0)
        leat_config_free(out);
    return err;
}

static void log_absent_database(leat_buf *error)
{
    char quoted[512];
    LEAT_LOG_WARN("server", "started without the database, which is waited for err=%s",
                  leat_log_quote(quoted, sizeof(quoted), error->at, error->len));
    error->len = 0;
}

static int serve_with_log(const leat_config *config, leat_confinement *confinement, serving *s,
                          leat_buf *error)
{
    leat_log *log = leat_log_open(LEAT_LOG_LEVEL_INFO, STDERR_FILENO, &config->log);
    if (log == NULL) {
        leat_buf_text(error, "cannot start: no thread for the log");
        return fail(EXIT_FAILED, error);
    }
    leat_log_set_levels(log, &config->levels);
    leat_log_set_format(log, config->format);
    leat_log_bind(log);
    raise_descriptor_limit(config);
    leat_serve_options options = {
        .config = config,
        .log = log,
        .confinement = confinement,
        .control = s->control.fd,
        .console = s->console.fd,
        .sockets = &s->sockets,
        .on_start = on_start,
        .read = read_again,
        .arg = s,
    };
    int err = leat_check_start(config, error);
    options.is_unexamined = config->await_database && leat_check_is_unreachable(err);
    if (options.is_unexamined)
        log_absent_database(error);
    if (err == 0 || options.is_unexamined)
        err = leat_serve(&options, error);
    bool is_read = leat_log_flush(log, LEAT_LOG_EXIT_MS);
    leat_log_bind(NULL);
    leat_log_free(log);
    if (err == 0)
        return EXIT_STOPPED;
    return is_read ? fail(EXIT_FAILED, error) : EXIT_FAILED; /* printing would wait for ever */
}

/* What another server has now, it may not have at the next attempt: the code is EXIT_FAILED then.
 */
static int open_operators_doors(serving *s, const leat_config *config, int *code, leat_buf *error)
{
    int err = leat_control_socket_open(&s->control, "control", config->control, error);
    if (err == 0)
        err =
            leat_control_socket_open(&s->console, "console_listen", config->console_listen, error);
    if (err < 0)
        *code = err == UV_EADDRINUSE ? EXIT_FAILED : EXIT_USAGE;
    return err;
}

static int serve(const leat_config *config, const leat_options *options, leat_buf *error)
{
    serving s = {.options = options,
                 .address = {.fresh = LEAT_BUF_INIT},
                 .control = {-1, -1},
                 .console = {-1, -1}};
    leat_confinement confinement = {.landlock = 0};
    if (leat_config_check_files(config, error) < 0)
        return fail(EXIT_USAGE, error);
    signal(SIGPIPE, SIG_IGN);
    int code = EXIT_FAILED;
    if (open_address(&s.address, options->address_file, error) < 0)
        fail(code, error);
    else if (leat_service_sockets(&s.sockets, config, error) < 0)
        code = fail(EXIT_USAGE, error);
    else if (open_operators_doors(&s, config, &code, error) < 0)
        fail(code, error);
    else if (confine(&confinement, config, &s.address, error) < 0)
        code = fail(EXIT_USAGE, error);
    else
        code = serve_with_log(config, &confinement, &s, error);
    leat_control_socket_close(&s.console);
    leat_control_socket_close(&s.control);
    close_address(&s.address);
    return code;
}

/* --- what asks a running server --- */

static int ask(const leat_options *options, leat_buf *error)
{
    leat_buf out = LEAT_BUF_INIT;
    int err;
    if (options->command == LEAT_OPTIONS_SHOW || options->command == LEAT_OPTIONS_LOG)
        err = leat_show(options, &out, error);
    else if (options->command == LEAT_OPTIONS_PUBLISH)
        err = leat_publish_once(options, &out, error);
    else if (options->command == LEAT_OPTIONS_TAIL)
        err = leat_tail(options, error);
    else
        err = leat_top(options, error);
    print(stdout, &out);
    leat_buf_close(&out);
    if (err < 0)
        return fail(err == LEAT_ECONFIG ? EXIT_USAGE : EXIT_FAILED, error);
    return EXIT_STOPPED;
}

/* With --config, the socket is that of the configuration, unless --control names another one. */
static int find_and_ask(const leat_options *options, leat_buf *error)
{
    leat_config config;
    leat_options with_socket = *options;
    if (options->config == NULL || options->control != NULL)
        return ask(options, error);
    if (load_config(&config, options, error) < 0)
        return fail_config(error);
    with_socket.control = config.control;
    int code = EXIT_USAGE;
    if (config.control[0] != '\0') {
        code = ask(&with_socket, error);
    } else {
        leat_buf_printf(error, "%s: the key control names no socket; name it with --control",
                        options->config);
        code = fail(code, error);
    }
    leat_config_free(&config);
    return code;
}

static bool asks_server(const leat_options *options)
{
    switch (options->command) {
    case LEAT_OPTIONS_SHOW:
    case LEAT_OPTIONS_TAIL:
    case LEAT_OPTIONS_PUBLISH:
    case LEAT_OPTIONS_TOP:
    case LEAT_OPTIONS_LOG:
        return true;
    case LEAT_OPTIONS_SERVE:
    case LEAT_OPTIONS_MIGRATE:
    case LEAT_OPTIONS_CHECK:
    case LEAT_OPTIONS_TEST:
    case LEAT_OPTIONS_VERSION:
    case LEAT_OPTIONS_HELP:
        break;
    }
    return false;
}

static int run(const leat_options *options, leat_buf *error)
{
    leat_config config;
    if (load_config(&config, options, error) < 0)
        return options->json ? refuse(error) : fail_config(error);
    int code = EXIT_FAILED;
    if (options->command == LEAT_OPTIONS_SERVE)
        code = serve(&config, options, error);
    else if (options->command == LEAT_OPTIONS_MIGRATE)
        code = migrate(&config, options, error);
    else
        code = check(&config, options->json, error);
    leat_config_free(&config);
    return code;
}

/* Were one of the three closed, the next socket would take its number, and get what is meant for a
 * terminal. */
static void open_standard_descriptors(void)
{
    int fd = 0;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    open_standard_descriptors();
    leat_buf error = LEAT_BUF_INIT;
    leat_options options;
    int code = EXIT_STOPPED;
    if (leat_options_parse(&options, argc, argv, &error) < 0) {
        code = fail(EXIT_USAGE, &error);
        fputs(usage, stderr);
    } else if (options.command == LEAT_OPTIONS_VERSION) {
        puts("leat " LEAT_VERSION);
    } else if (options.command == LEAT_OPTIONS_TEST) {
        if (leat_test_exec(options.rest, &error) < 0)
            code = fail(EXIT_FAILED, &error);
    } else if (options.help || options.command == LEAT_OPTIONS_HELP) {
        code = help(&options);
    } else if (asks_server(&options)) {
        code = find_and_ask(&options, &error);
    } else {
        code = run(&options, &error);
    }
    leat_buf_close(&error);
    return code;
}
