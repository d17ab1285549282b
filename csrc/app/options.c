/* options.c - the first word is the command, which decides the options that are taken; each is
 * looked up in a table. */
#include "app/options.h"

#include <stddef.h>
#include <string.h>

struct command {
    const char *name;
    leat_options_command command;
};

static const struct command commands[] = {
    {"serve", LEAT_OPTIONS_SERVE}, {"migrate", LEAT_OPTIONS_MIGRATE},
    {"check", LEAT_OPTIONS_CHECK}, {"version", LEAT_OPTIONS_VERSION},
    {"test", LEAT_OPTIONS_TEST},   {"show", LEAT_OPTIONS_SHOW},
    {"tail", LEAT_OPTIONS_TAIL},   {"publish", LEAT_OPTIONS_PUBLISH},
    {"log", LEAT_OPTIONS_LOG},     {"top", LEAT_OPTIONS_TOP},
    {"help", LEAT_OPTIONS_HELP},   {"--version", LEAT_OPTIONS_VERSION},
    {"--help", LEAT_OPTIONS_HELP}, {"-h", LEAT_OPTIONS_HELP},
};

struct option {
    const char *name;
    size_t offset;
    unsigned commands; /* bit set of the commands that take it */
};

#define TAKES_DATABASE                                                                             \
    (1u << LEAT_OPTIONS_SERVE | 1u << LEAT_OPTIONS_MIGRATE | 1u << LEAT_OPTIONS_CHECK)
#define TAKES_WORDS                                                                                \
    (1u << LEAT_OPTIONS_SHOW | 1u << LEAT_OPTIONS_TAIL | 1u << LEAT_OPTIONS_PUBLISH |              \
     1u << LEAT_OPTIONS_LOG)
#define TAKES_CONTROL (TAKES_WORDS | 1u << LEAT_OPTIONS_TOP)
#define TAKES_JSON (1u << LEAT_OPTIONS_CHECK | TAKES_CONTROL)
#define TAKES_APP (1u << LEAT_OPTIONS_SERVE | 1u << LEAT_OPTIONS_CHECK)

static const struct option options[] = {
    {"--config", offsetof(leat_options, config), TAKES_DATABASE | TAKES_CONTROL},
    {"--database", offsetof(leat_options, database), TAKES_DATABASE},
    {"--listen-url", offsetof(leat_options, listen_url), TAKES_DATABASE},
    {"--app", offsetof(leat_options, app), TAKES_APP},
    {"--listen", offsetof(leat_options, listen), TAKES_APP},
    {"--grant-server", offsetof(leat_options, grant_server), 1u << LEAT_OPTIONS_MIGRATE},
    {"--grant-publisher", offsetof(leat_options, grant_publisher), 1u << LEAT_OPTIONS_MIGRATE},
    {"--grant-watcher", offsetof(leat_options, grant_watcher), 1u << LEAT_OPTIONS_MIGRATE},
    {"--control", offsetof(leat_options, control), TAKES_CONTROL},
    {"--by", offsetof(leat_options, by), 1u << LEAT_OPTIONS_SHOW},
    {"--limit", offsetof(leat_options, limit), 1u << LEAT_OPTIONS_SHOW},
    {"--since", offsetof(leat_options, since), 1u << LEAT_OPTIONS_TAIL},
    {"--interval", offsetof(leat_options, interval), 1u << LEAT_OPTIONS_TOP},
    {"--user", offsetof(leat_options, user), 1u << LEAT_OPTIONS_SHOW},
    {"--address-file", offsetof(leat_options, address_file), 1u << LEAT_OPTIONS_SERVE},
};

/* Options without a value. */
static const struct option flags[] = {
    {"--plan", offsetof(leat_options, plan), 1u << LEAT_OPTIONS_MIGRATE},
    {"--json", offsetof(leat_options, json), TAKES_JSON},
};

static bool set_flag(leat_options *out, const char *arg)
{
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if ((flags[i].commands & (1u << out->command)) != 0 && strcmp(arg, flags[i].name) == 0) {
            *(bool *)(void *)((char *)out + flags[i].offset) = true;
            return true;
        }
    return false;
}

static const struct option *find_option(const char *arg, leat_options_command command,
                                        const char **value)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        size_t len = strlen(options[i].name);
        if ((options[i].commands & (1u << command)) == 0 || strncmp(arg, options[i].name, len) != 0)
            continue;
        if (arg[len] == '\0' || arg[len] == '=') {
            *value = arg[len] == '=' ? arg + len + 1 : NULL;
            return &options[i];
        }
    }
    return NULL;
}

static int parse_command(leat_options *out, const char *name, leat_buf *error)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0) {
            out->command = commands[i].command;
            return 0;
        }
    leat_buf_printf(error,
                    "unknown command %s: expected serve, migrate, check, test, show, top, tail, "
                    "publish, log or version",
                    name);
    return LEAT_ECONFIG;
}

/* A word, or an option without a value. Returns false if it is an option that has one. */
static bool take_plain(leat_options *out, const char *arg)
{
    bool takes_words = (TAKES_WORDS & 1u << out->command) != 0;
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
        out->help = true;
        return true;
    }
    if (set_flag(out, arg))
        return true;
    if (out->command == LEAT_OPTIONS_TOP && strcmp(arg, "--once") == 0) {
        out->frames = 1;
        return true;
    }
    if (arg[0] == '-' || !takes_words || out->n_words == LEAT_OPTIONS_WORDS)
        return false;
    out->words[out->n_words++] = arg;
    return true;
}

int leat_options_parse(leat_options *out, int argc, char **argv, leat_buf *error)
{
    *out = (leat_options){.command = LEAT_OPTIONS_HELP};
    if (argc < 2) {
        leat_buf_text(
            error, "a command is missing: expected serve, migrate, check, test, show, top, tail, "
                   "publish, log or version");
        return LEAT_ECONFIG;
    }
    int err = parse_command(out, argv[1], error);
    out->rest = argv + 2;
    if (out->command == LEAT_OPTIONS_TEST)
        return err;
    for (int i = 2; i < argc && err == 0; i++) {
        if (take_plain(out, argv[i]))
            continue;
        const char *value = NULL;
        const struct option *option = find_option(argv[i], out->command, &value);
        if (option == NULL) {
            leat_buf_printf(error, "unknown option %s for leat %s", argv[i], argv[1]);
            return LEAT_ECONFIG;
        }
        if (value == NULL && i + 1 < argc)
            value = argv[++i];
        if (value == NULL) {
            leat_buf_printf(error, "%s: expected a value", option->name);
            return LEAT_ECONFIG;
        }
        *(const char **)(void *)((char *)out + option->offset) = value;
    }
    return err;
}
