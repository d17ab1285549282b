/* small.c - the smallest program that embeds Leat, for spec/integration/embed_install_spec.lua: it
 * starts a server with the app that it is given, says how that went, and ends. It is C and C++.
 *
 *   small APP [HOME]       DATABASE_URL is read. */
#include <leat.h>
#include <stdio.h>
#include <stdlib.h>

static int over;

static void on_stopped(void *arg)
{
    (void)arg;
    over = 1;
}

static void on_ready(void *arg, const char *address, const leat_error *error)
{
    (void)address;
    printf("%s\n", error == NULL ? "ready" : error->message);
    if (error == NULL)
        leat_stop((leat_server *)arg, on_stopped, NULL);
    else
        over = 1;
}

int main(int argc, char **argv)
{
    leat_error error;
    leat_server *server = leat_server_new();
    leat_on_ready(server, on_ready, server);
    if (argc < 2 || leat_set(server, "database_url", getenv("DATABASE_URL"), &error) < 0 ||
        leat_set(server, "listen", "none", &error) < 0 ||
        leat_set(server, "workers", "1", &error) < 0 ||
        leat_set(server, "app_source", argv[1], &error) < 0 ||
        (argc > 2 && leat_set(server, "home", argv[2], &error) < 0) ||
        leat_start(server, &error) < 0)
        return 1;
    while (!over)
        leat_dispatch(server, 1000);
    leat_server_free(server);
    return 0;
}
