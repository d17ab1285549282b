/* config, config_load: sources, precedence, and messages. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/config_load.h"

/* Files and variables of one test. */
struct world {
    char folder[64];
    char file[96];
    leat_config config;
    leat_buf error;
};

static const char *variables[8][2]; /* what the getenv below knows */

static char *fake_getenv(const char *name)
{
    for (size_t i = 0; i < 8 && variables[i][0] != NULL; i++)
        if (strcmp(variables[i][0], name) == 0)
            return (char *)(uintptr_t)variables[i][1];
    return NULL;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    strcpy(w->folder, "/tmp/leat-config-XXXXXX");
    if (mkdtemp(w->folder) == NULL)
        return -1;
    snprintf(w->file, sizeof(w->file), "%s/leat.lua", w->folder);
    memset(variables, 0, sizeof(variables));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    unlink(w->file);
    rmdir(w->folder);
    leat_buf_close(&w->error);
    free(w);
    return 0;
}

static void write_file(struct world *w, const char *text)
{
    FILE *f = fopen(w->file, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int load(struct world *w, leat_config_sources sources)
{
    if (sources.home == NULL)
        sources.home = w->folder;
    sources.getenv = fake_getenv;
    w->error.len = 0;
    return leat_config_load(&w->config, &sources, &w->error);
}

static void assert_message(struct world *w, const char *expected)
{
    leat_buf_char(&w->error, '\0');
    assert_non_null(strstr(w->error.at, expected));
}

static void test_defaults_without_any_source(void **state)
{
    struct world *w = *state;

    assert_int_equal(load(w, (leat_config_sources){0}), 0);

    assert_string_equal(w->config.listen, "127.0.0.1:8080");
    assert_string_equal(w->config.database_url, "");
    assert_int_equal(w->config.limits.control_timeout_ms, 5000);
    assert_int_equal(w->config.limits.retention_s, 86400);
    assert_int_equal(w->config.max_header_bytes, 16384);
    assert_int_equal(w->config.levels.of[0], LEAT_LOG_LEVEL_INFO);
    assert_null(w->config.file);
    leat_config_free(&w->config);
}

static void test_bytes_are_enough_for_large_messages(void **state)
{
    struct world *w = *state;
    variables[0][0] = "LEAT_MAX_MESSAGE_BYTES";
    variables[0][1] = "16777216";

    assert_int_equal(load(w, (leat_config_sources){0}), 0);

    assert_int_equal(w->config.limits.allowance.bytes.per_s, 8 * 16777216);
    assert_int_equal(w->config.limits.allowance.bytes.burst, 32 * 16777216);
    leat_config_free(&w->config);
}

static void test_annotated_file_documents_every_default(void **state)
{
    struct world *w = *state;
    leat_config defaults;
    leat_config_sources sources = {.home = w->folder, .getenv = fake_getenv};
    assert_int_equal(leat_config_load(&defaults, &sources, &w->error), 0);

    assert_int_equal(load(w, (leat_config_sources){.file = LEAT_SOURCE_DIR "/config/leat.lua"}), 0);

    assert_memory_equal(&w->config.limits, &defaults.limits, sizeof(defaults.limits));
    assert_string_equal(w->config.listen, defaults.listen);
    assert_string_equal(w->config.app, defaults.app);
    assert_string_equal(w->config.static_dir, defaults.static_dir);
    assert_string_equal(w->config.log_level, defaults.log_level);
    assert_int_equal(w->config.workers, defaults.workers);
    assert_int_equal(w->config.pool_size, defaults.pool_size);
    assert_int_equal(w->config.pool_max_waiters, defaults.pool_max_waiters);
    assert_int_equal(w->config.pool_idle_timeout_ms, defaults.pool_idle_timeout_ms);
    assert_int_equal(w->config.database_connect_timeout_ms, defaults.database_connect_timeout_ms);
    assert_int_equal(w->config.max_statements, defaults.max_statements);
    assert_int_equal(w->config.header_timeout_ms, defaults.header_timeout_ms);
    assert_int_equal(w->config.keep_alive_timeout_ms, defaults.keep_alive_timeout_ms);
    assert_int_equal(w->config.max_header_bytes, defaults.max_header_bytes);
    assert_int_equal(w->config.max_headers, defaults.max_headers);
    assert_int_equal(w->config.max_body_bytes, defaults.max_body_bytes);
    assert_int_equal(w->config.script_budget_ms, defaults.script_budget_ms);
    assert_int_equal(w->config.script_memory_bytes, defaults.script_memory_bytes);
    for (size_t i = 0; i < LEAT_HTTP_PAGE_HEADERS; i++)
        assert_string_equal(w->config.http.page[i], defaults.http.page[i]);
    assert_string_equal(w->config.http.cors_headers, defaults.http.cors_headers);
    assert_string_equal(w->config.http.cors_expose, defaults.http.cors_expose);
    assert_int_equal(w->config.http.cors_max_age_s, defaults.http.cors_max_age_s);
    assert_int_equal(w->config.http.cors_credentials, defaults.http.cors_credentials);
    leat_config_free(&w->config);
    leat_config_free(&defaults);
}

static void test_annotated_file_names_every_key(void **state)
{
    (void)state;
    char text[32768];
    FILE *f = fopen(LEAT_SOURCE_DIR "/config/leat.lua", "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);

    size_t n = 0;
    const leat_config_key *keys = leat_config_keys(&n);
    for (size_t i = 0; i < n; i++) {
        const char *dot = strchr(keys[i].name, '.');
        char assignment[64];
        snprintf(assignment, sizeof(assignment), " %s = ", dot != NULL ? dot + 1 : keys[i].name);
        assert_non_null(strstr(text, assignment));
    }
}

static void test_command_line_beats_environment_beats_file(void **state)
{
    struct world *w = *state;
    write_file(
        w, "return { listen = '127.0.0.1:1', database_url = 'file', workers = 2, pool_size = 3 }");
    variables[0][0] = "LEAT_LISTEN";
    variables[0][1] = "127.0.0.1:2";
    variables[1][0] = "LEAT_DATABASE_URL";
    variables[1][1] = "environment";
    variables[2][0] = "LEAT_WORKERS";
    variables[2][1] = "4";

    assert_int_equal(load(w, (leat_config_sources){.file = w->file, .listen = "127.0.0.1:3"}), 0);

    assert_string_equal(w->config.listen, "127.0.0.1:3");
    assert_string_equal(w->config.database_url, "environment");
    assert_int_equal(w->config.workers, 4);
    assert_int_equal(w->config.pool_size, 3);
    leat_config_free(&w->config);
}

static void test_database_url_of_the_host_is_the_weaker_variable(void **state)
{
    struct world *w = *state;
    write_file(w, "return { database_url = 'file' }");
    variables[0][0] = "DATABASE_URL";
    variables[0][1] = "host";
    assert_int_equal(load(w, (leat_config_sources){.file = w->file}), 0);
    assert_string_equal(w->config.database_url, "host");
    leat_config_free(&w->config);

    variables[1][0] = "LEAT_DATABASE_URL";
    variables[1][1] = "own";
    assert_int_equal(load(w, (leat_config_sources){.file = w->file}), 0);
    assert_string_equal(w->config.database_url, "own");
    leat_config_free(&w->config);
}

static void test_dotted_keys_are_nested_tables_and_plain_variables(void **state)
{
    struct world *w = *state;
    write_file(w, "return { retention = { seconds = 60, events = 5 } }");
    variables[0][0] = "LEAT_RETENTION_EVENTS";
    variables[0][1] = "7";

    assert_int_equal(load(w, (leat_config_sources){.file = w->file}), 0);

    assert_int_equal(w->config.limits.retention_s, 60);
    assert_int_equal(w->config.limits.retention_events, 7);
    leat_config_free(&w->config);
}

static void test_switches_are_true_or_false(void **state)
{
    struct world *w = *state;
    write_file(w, "return { cors = { credentials = true } }");
    assert_int_equal(load(w, (leat_config_sources){.file = w->file}), 0);
    assert_true(w->config.http.cors_credentials);
    leat_config_free(&w->config);

    variables[0][0] = "LEAT_CORS_CREDENTIALS";
    variables[0][1] = "false";
    assert_int_equal(load(w, (leat_config_sources){.file = w->file}), 0);
    assert_false(w->config.http.cors_credentials);
    leat_config_free(&w->config);

    variables[0][1] = "1";
    assert_int_equal(load(w, (leat_config_sources){.file = w->file}), LEAT_ECONFIG);
    assert_message(w, "cors.credentials = 1: expected true or false");
}

static void test_headers_have_one_line(void **state)
{
    struct world *w = *state;
    write_file(w, "return { headers = { frame_options = 'DENY\\r\\nSet-Cookie: a=b' } }");

    assert_int_equal(load(w, (leat_config_sources){.file = w->file}), LEAT_ECONFIG);

    assert_message(w, "headers.frame_options");
    assert_message(w, "expected a string of one line");
}

static void test_paths_in_the_file_start_at_its_folder(void **state)
{
    struct world *w = *state;
    char expected[128];
    write_file(w, "return { app = 'my/app.lua', static_dir = '/srv/www' }");

    assert_int_equal(load(w, (leat_config_sources){.file = w->file}), 0);
    snprintf(expected, sizeof(expected), "%s/my/app.lua", w->folder);
    assert_string_equal(w->config.app, expected);
    assert_string_equal(w->config.static_dir, "/srv/www");
    leat_config_free(&w->config);

    assert_int_equal(load(w, (leat_config_sources){.file = w->file, .app = "other.lua"}), 0);
    assert_string_equal(w->config.app, "other.lua");
    leat_config_free(&w->config);
}

static void test_each_path_of_a_list_starts_at_the_folder(void **state)
{
    struct world *w = *state;
    char expected[256];
    write_file(w, "return { tls_certificate = 'a.pem, /etc/b.pem' }");
    assert_int_equal(load(w, (leat_config_sources){.file = w->file}), 0);
    snprintf(expected, sizeof(expected), "%s/a.pem,/etc/b.pem", w->folder);
    assert_string_equal(w->config.tls_certificate, expected);
    leat_config_free(&w->config);
}

static void test_listen_may_be_none_if_tls_listen_is_not(void **state)
{
    struct world *w = *state;
    write_file(w, "return { listen = 'none', tls_listen = ':443' }");
    assert_int_equal(load(w, (leat_config_sources){.file = w->file}), 0);
    assert_string_equal(w->config.listen, "none");
    leat_config_free(&w->config);

    write_file(w, "return { listen = 'none' }");
    assert_int_equal(load(w, (leat_config_sources){.file = w->file}), 0);
    assert_int_equal(leat_config_check_files(&w->config, &w->error), LEAT_ECONFIG);
    assert_message(w, "expected an address there or in tls_listen");
    leat_config_free(&w->config);
}

static void test_static_folder_defaults_to_public_beside_the_app(void **state)
{
    struct world *w = *state;
    char public[96];
    char app[96];
    snprintf(public, sizeof(public), "%s/public", w->folder);
    snprintf(app, sizeof(app), "%s/app.lua", w->folder);
    assert_int_equal(load(w, (leat_config_sources){.app = app}), 0);
    assert_string_equal(w->config.static_dir, "");
    leat_config_free(&w->config);

    assert_int_equal(mkdir(public, 0700), 0);
    assert_int_equal(load(w, (leat_config_sources){.app = app}), 0);
    assert_string_equal(w->config.static_dir, public);
    leat_config_free(&w->config);
    rmdir(public);
}

struct refusal {
    const char *text;
    const char *message;
};

static void test_messages_name_key_value_and_expectation(void **state)
{
    struct world *w = *state;
    static const struct refusal cases[] = {
        {"return { workers = 'two' }",
         "workers = \"two\": expected \"auto\" or an integer from 1 to 64"},
        {"return { workers = 0 }", "workers = 0: expected \"auto\" or an integer from 1 to 64"},
        {"return { workers = -1 }", "workers = -1: expected \"auto\" or an integer from 1 to 64"},
        {"return { workers = 65 }", "workers = 65: expected \"auto\" or an integer from 1 to 64"},
        {"return { workers = 1.5 }", "workers = 1.5: expected \"auto\" or an integer from 1 to 64"},
        {"return { workers = true }",
         "workers = true: expected \"auto\" or an integer from 1 to 64"},
        {"return { listen = 8080 }", "listen = 8080: expected a string \"ADDRESS:PORT\""},
        {"return { listen = 'localhost' }",
         "listen = \"localhost\": expected a string \"ADDRESS:PORT\""},
        {"return { log_level = 'loud' }", "log_level = \"loud\": expected \"debug\", \"info\""},
        {"return { allowed_origins = 'https://example.org/' }",
         "allowed_origins = \"https://example.org/\": expected a string of origins like"},
        {"return { channel = 'leat' }", "unknown key channel = \"leat\": expected one of the keys"},
        {"return { app = function() end }", "expected a string (a path)"},
        {"return { wokers = 2 }",
         "unknown key wokers = 2: expected workers, or another of the keys"},
        {"return { database_url = 'potgresql://u:secret@h/d' }",
         "database_url = (not shown): expected a URL like \"postgresql://USER@HOST/DATABASE\""},
        {"return { retention = 5 }", "retention = 5: expected a table"},
        {"return { retention = { days = 1 } }", "unknown key retention.days = 1"},
        {"return { workers = ", "leat.lua"},
        {"return 5", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_file(w, cases[i].text);
        assert_int_equal(load(w, (leat_config_sources){.file = w->file}), LEAT_ECONFIG);
        assert_message(w, cases[i].message);
    }
}

static void test_messages_name_the_variable(void **state)
{
    struct world *w = *state;
    static const char *const bad[] = {
        "many", "0", "65", "-1", " 1", "1x", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        variables[0][0] = "LEAT_WORKERS";
        variables[0][1] = bad[i];
        assert_int_equal(load(w, (leat_config_sources){0}), LEAT_ECONFIG);
        assert_message(w, "environment variable LEAT_WORKERS: workers = ");
        assert_message(w, "expected \"auto\" or an integer from 1 to 64");
    }
}

static size_t usual_workers(void)
{
    cpu_set_t cores;
    assert_int_equal(sched_getaffinity(0, sizeof(cores), &cores), 0);
    return CPU_COUNT(&cores) < 10 ? (size_t)CPU_COUNT(&cores) : 10;
}

static void test_empty_variable_is_not_set(void **state)
{
    struct world *w = *state;
    variables[0][0] = "LEAT_WORKERS";
    variables[0][1] = "";

    assert_int_equal(load(w, (leat_config_sources){0}), 0);

    assert_int_equal(w->config.workers, usual_workers());
    leat_config_free(&w->config);
}

static void test_workers_are_as_many_as_cores(void **state)
{
    struct world *w = *state;
    variables[0][0] = "LEAT_WORKERS";
    variables[0][1] = "auto";

    assert_int_equal(load(w, (leat_config_sources){0}), 0);
    assert_int_equal(w->config.workers, usual_workers());
    leat_config_free(&w->config);

    assert_int_equal(load(w, (leat_config_sources){.embedded = true}), 0);
    assert_int_equal(w->config.workers, 1);
    leat_config_free(&w->config);

    variables[0][0] = "LEAT_POOL_SIZE";
    variables[0][1] = "1";
    assert_int_equal(load(w, (leat_config_sources){0}), 0);
    assert_int_equal(w->config.workers, 1);
    leat_config_free(&w->config);
}

static void test_workers_share_the_pool(void **state)
{
    (void)state;
    leat_config config = {.workers = 3, .pool_size = 10};
    assert_int_equal(leat_config_pool_size(&config, 0), 4);
    assert_int_equal(leat_config_pool_size(&config, 1), 3);
    assert_int_equal(leat_config_pool_size(&config, 2), 3);
    assert_int_equal(leat_config_pool_sizes(&config), 10);
    config.pool_size = 2;
    assert_int_equal(leat_config_pool_size(&config, 2), 1);
    assert_int_equal(leat_config_pool_sizes(&config), 3);
}

static void test_missing_file_that_was_named(void **state)
{
    struct world *w = *state;
    assert_int_equal(load(w, (leat_config_sources){.file = "/nowhere/leat.lua"}), LEAT_ECONFIG);
    assert_message(w, "--config = \"/nowhere/leat.lua\"");
}

static void test_files_needed_for_serving(void **state)
{
    struct world *w = *state;
    assert_int_equal(load(w, (leat_config_sources){.app = "/nowhere/app.lua"}), 0);
    assert_int_equal(leat_config_check_files(&w->config, &w->error), LEAT_ECONFIG);
    assert_message(w, "app = \"/nowhere/app.lua\": expected a readable Lua file");
    leat_config_free(&w->config);

    write_file(w, "return { static_dir = 'nowhere' }");
    assert_int_equal(load(w, (leat_config_sources){.file = w->file, .app = w->file}), 0);
    assert_int_equal(leat_config_check_files(&w->config, &w->error), LEAT_ECONFIG);
    assert_message(w, "expected a folder that exists");
    leat_config_free(&w->config);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults_without_any_source),
        TEST(test_bytes_are_enough_for_large_messages),
        TEST(test_annotated_file_documents_every_default),
        TEST(test_annotated_file_names_every_key),
        TEST(test_command_line_beats_environment_beats_file),
        TEST(test_database_url_of_the_host_is_the_weaker_variable),
        TEST(test_dotted_keys_are_nested_tables_and_plain_variables),
        TEST(test_switches_are_true_or_false),
        TEST(test_headers_have_one_line),
        TEST(test_paths_in_the_file_start_at_its_folder),
        TEST(test_each_path_of_a_list_starts_at_the_folder),
        TEST(test_listen_may_be_none_if_tls_listen_is_not),
        TEST(test_static_folder_defaults_to_public_beside_the_app),
        TEST(test_messages_name_key_value_and_expectation),
        TEST(test_messages_name_the_variable),
        TEST(test_empty_variable_is_not_set),
        TEST(test_workers_are_as_many_as_cores),
        TEST(test_workers_share_the_pool),
        TEST(test_missing_file_that_was_named),
        TEST(test_files_needed_for_serving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
