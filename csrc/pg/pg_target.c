/* pg_target.c - a connection string is split into one target a server; libpq gets one at a time. */
#include "pg/pg_target.h"

#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/mem.h"

static const char *find(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
        if (strcmp(o->keyword, keyword) == 0 && o->val != NULL && o->val[0] != '\0')
            return o->val;
    return NULL;
}

static size_t count_items(const char *list)
{
    if (list == NULL)
        return 0;
    size_t n = 1;
    while ((list = strchr(list, ',')) != NULL) {
        n++;
        list++;
    }
    return n;
}

static char *copy(const char *text)
{
    return text != NULL ? leat_strdup(text) : NULL;
}

/* The nth item of a comma-separated list; the only one, if it has just one; NULL if it is empty. */
static char *copy_item(const char *list, size_t nth, size_t count)
{
    if (list == NULL)
        return NULL;
    if (count > 1)
        for (; nth > 0; nth--)
            list = strchr(list, ',') + 1;
    size_t len = strcspn(list, ",");
    return len == 0 ? NULL : leat_memdup(list, len);
}

static void split(leat_pg_targets *t, const char *host, const char *hostaddr, const char *port)
{
    size_t hosts = count_items(host), addrs = count_items(hostaddr), ports = count_items(port);
    t->count = addrs > 0 ? addrs : hosts > 0 ? hosts : 1;
    bool matches = (hosts == 0 || hosts == t->count) && (ports <= 1 || ports == t->count);
    if (!matches)
        t->count = 1; /* libpq gets the lists unchanged, and reports the mistake */

    t->at = leat_calloc(t->count, sizeof(*t->at));
    for (size_t i = 0; i < t->count; i++) {
        leat_pg_target *target = &t->at[i];
        if (matches) {
            target->host = copy_item(host, i, hosts);
            target->hostaddr = copy_item(hostaddr, i, addrs);
            target->port = copy_item(port, i, ports);
        } else {
            target->host = copy(host);
            target->hostaddr = copy(hostaddr);
            target->port = copy(port);
        }
    }
}

int leat_pg_targets_parse(leat_pg_targets *out, const char *conninfo)
{
    *out = (leat_pg_targets){0};
    PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
    if (parsed == NULL)
        return LEAT_ECONFIG;
    PQconninfoOption *defaults = PQconndefaults(); /* environment and compiled-in */

    const char *host = find(parsed, "host");
    const char *hostaddr = find(parsed, "hostaddr");
    const char *port = find(parsed, "port");
    /* A service names its own hosts, in a file that only libpq reads. */
    if (find(parsed, "service") == NULL) {
        if (host == NULL && hostaddr == NULL) {
            host = find(defaults, "host");
            hostaddr = find(defaults, "hostaddr");
        }
        if (port == NULL)
            port = find(defaults, "port");
    }
    split(out, host, hostaddr, port);

    const char *attrs = find(parsed, "target_session_attrs");
    if (attrs == NULL)
        attrs = find(defaults, "target_session_attrs");
    out->prefer_standby = attrs != NULL && strcmp(attrs, "prefer-standby") == 0;

    PQconninfoFree(defaults);
    out->options_ = parsed;
    return 0;
}

void leat_pg_targets_close(leat_pg_targets *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->at[i].host);
        free(t->at[i].hostaddr);
        free(t->at[i].port);
    }
    free(t->at);
    PQconninfoFree(t->options_);
    *t = (leat_pg_targets){0};
}

bool leat_pg_target_is_name(const leat_pg_target *target)
{
    if (target->hostaddr != NULL || target->host == NULL)
        return false;
    if (target->host[0] == '/' || target->host[0] == '@')
        return false; /* the folder of a Unix socket, or an abstract socket */
    if (strchr(target->host, ',') != NULL)
        return false; /* lists that do not match */
    unsigned char ip[16];
    return uv_inet_pton(AF_INET, target->host, ip) != 0 &&
           uv_inet_pton(AF_INET6, target->host, ip) != 0;
}

struct pairs {
    const char **keywords;
    const char **values;
    size_t count;
};

/* If a keyword occurs twice, libpq takes the later value; it skips empty ones. */
static void add(struct pairs *p, const char *keyword, const char *value)
{
    if (value == NULL)
        return;
    p->keywords[p->count] = keyword;
    p->values[p->count] = value;
    p->count++;
}

static bool is_per_target(const char *keyword)
{
    return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 ||
           strcmp(keyword, "port") == 0;
}

PGconn *leat_pg_target_connect(const leat_pg_targets *t, const leat_pg_target *target,
                               const char *hostaddr, const char *session_attrs,
                               const char *application_name)
{
    size_t room = 8; /* for the pairs that are added below, and the terminator */
    for (const PQconninfoOption *o = t->options_; o->keyword != NULL; o++)
        room++;
    struct pairs p = {leat_calloc(room, sizeof(char *)), leat_calloc(room, sizeof(char *)), 0};

    add(&p, "fallback_application_name", application_name);
    for (const PQconninfoOption *o = t->options_; o->keyword != NULL; o++)
        if (!is_per_target(o->keyword))
            add(&p, o->keyword, o->val);
    add(&p, "host", target->host);
    add(&p, "hostaddr", hostaddr != NULL ? hostaddr : target->hostaddr);
    add(&p, "port", target->port);
    add(&p, "target_session_attrs", session_attrs);
    add(&p, "client_encoding", "UTF8");

    PGconn *pg = PQconnectStartParams(p.keywords, p.values, 0);
    free(p.keywords);
    free(p.values);
    return pg;
}
