/* pg_files.c - first the keywords that name files, in the connection string and in libpq's
 * defaults; then what libpq looks for by itself: variables, and files in the home folder. */
#include "pg/pg_files.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>

static void tell_options(PQconninfoOption *options, leat_pg_files_cb cb, void *arg)
{
    static const char *const keywords[] = {"passfile",  "sslcert", "sslcrl",
                                           "sslcrldir", "sslkey",  "sslrootcert"};
    for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
        for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
            if (strcmp(o->keyword, keywords[i]) == 0 && o->val != NULL && o->val[0] == '/')
                cb(arg, o->val);
    PQconninfoFree(options);
}

static void tell_variables(leat_pg_files_cb cb, void *arg)
{
    static const char *const variables[] = {"PGSERVICEFILE", "PGSYSCONFDIR", "KRB5CCNAME",
                                            "KRB5_CONFIG",   "SSL_CERT_DIR", "SSL_CERT_FILE"};
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        const char *value = getenv(variables[i]);
        if (value != NULL && strncmp(value, "FILE:", 5) == 0)
            value += 5;
        if (value != NULL && value[0] == '/')
            cb(arg, value);
    }
}

/* As libpq finds it: the variable, else the entry of the user. */
static const char *home_folder(void)
{
    const char *home = getenv("HOME");
    if (home != NULL && home[0] != '\0')
        return home;
    const struct passwd *entry = getpwuid(geteuid()); /* NULL: the user has no entry */
    return entry != NULL ? entry->pw_dir : NULL;
}

static void tell_home(leat_pg_files_cb cb, void *arg)
{
    static const char *const names[] = {".pgpass", ".pg_service.conf", ".postgresql"};
    const char *home = home_folder();
    char path[PATH_MAX];
    if (home == NULL || home[0] != '/')
        return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (snprintf(path, sizeof(path), "%s/%s", home, names[i]) < (int)sizeof(path))
            cb(arg, path);
}

void leat_pg_files(const char *conninfo, leat_pg_files_cb cb, void *arg)
{
    tell_options(PQconndefaults(), cb, arg);
    tell_options(PQconninfoParse(conninfo, NULL), cb, arg);
    tell_variables(cb, arg);
    tell_home(cb, arg);
}
