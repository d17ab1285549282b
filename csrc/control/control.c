/* control.c - an operator has two doors: the socket of `leat show`, and the console. on_accept
 * makes a leat_http_conn of each connection. At the socket, ask.c answers its requests; at the
 * console, console.c checks first who sends them. leat_control_close closes the listeners, the
 * connections, the mailbox of the workers' answers and at last the loop's handles, each when the
 * one before is gone. */
#include "control/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/ask.h"
#include "control/console.h"
#include "control/tail.h"
#include "http/http_server.h"
#include "net/listener.h"

enum {
    MAX_CONNECTIONS = 128, /* of one door */
    CLOSE_MS = 500,
    SLOW_MS = 15000,
    PING_MS = 15000,
    MAX_HEAD = 16384,
    MAX_HEADERS = 50,
    MAX_HELD = 64 << 20,
};

enum { DOOR_SOCKET, DOOR_CONSOLE, DOORS };

struct door {
    leat_control *control;
    int socket; /* -1: there is no such door */
    leat_listener *listener;
    leat_http_options options;
    leat_http_side side;
    void (*on_request)(leat_http_conn *conn);
};

struct leat_control {
    leat_inside inside;
    leat_loop *loop; /* NULL: nothing is open */
    bool lookout_open;
    leat_limits limits;
    leat_net net;
    leat_networks nobody;
    leat_metrics *metrics;
    leat_console *console;
    struct door doors[DOORS];
};

static void on_accept(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer);
static void on_asked(leat_http_conn *conn);
static void on_console(leat_http_conn *conn);

static leat_http_options options_of(const leat_control *c)
{
    const leat_config *config = c->inside.config;
    return (leat_http_options){
        .head = {MAX_HEAD, MAX_HEADERS, config->limits.max_event_bytes, MAX_HEAD / 2},
        .header_timeout_ms = config->header_timeout_ms,
        .keep_alive_timeout_ms = config->keep_alive_timeout_ms,
        .allowed_origins = "",
        .static_dir = "",
        .centrifuge_path = "",
        .client_dir = "",
        .policy = &config->http,
        .hosts = &config->hosts,
        .trusted = &c->nobody,
        .introducing = &c->nobody,
        .max_connections = MAX_CONNECTIONS,
        .max_bytes = {[LEAT_HTTP_POT_GUESTS] = MAX_HELD, [LEAT_HTTP_POT_CALLERS] = MAX_HELD},
    };
}

static void init_door(leat_control *c, struct door *d, int socket,
                      void (*on_request)(leat_http_conn *conn))
{
    d->control = c;
    d->socket = socket;
    d->options = options_of(c);
    d->on_request = on_request;
    leat_list_init(&d->side.conns);
    leat_list_init(&d->side.arrivals);
}

leat_control *leat_control_new(leat_engine *engine, const leat_config *config, int socket,
                               int console)
{
    leat_control *c = leat_calloc(1, sizeof(*c));
    c->inside = (leat_inside){.engine = engine, .config = config, .began_ns = uv_hrtime()};
    c->limits = config->limits;
    c->limits.close_timeout_ms = CLOSE_MS;
    c->limits.slow_client_timeout_ms = SLOW_MS;
    c->limits.ping_interval_ms = PING_MS;
    init_door(c, &c->doors[DOOR_SOCKET], socket, on_asked);
    init_door(c, &c->doors[DOOR_CONSOLE], console, on_console);
    return c;
}

static int open_door(leat_control *c, struct door *d)
{
    d->side.loop = c->loop;
    d->side.registry = leat_engine_registry(c->inside.engine);
    d->side.metrics = c->metrics;
    d->side.limits = &c->limits;
    d->side.options = &d->options;
    return d->socket < 0 ? 0 : leat_listener_adopt(&d->listener, c->loop, d->socket, on_accept, d);
}

static void open_console(leat_control *c)
{
    struct door *d = &c->doors[DOOR_CONSOLE];
    if (d->socket < 0)
        return;
    c->console = leat_console_new(&c->inside, &c->net);
    c->inside.samples = leat_console_samples(c->console);
    leat_console_set_options(c->console, &d->options);
    d->side.addresses = leat_console_addresses(c->console);
}

int leat_control_open(leat_control *c, uv_loop_t *loop)
{
    int err = leat_loop_new(&c->loop, loop);
    if (err < 0)
        return err;
    c->inside.lookout = leat_lookout_new(c->inside.engine, c->loop);
    c->inside.recent = leat_recent_new(leat_engine_registry(c->inside.engine));
    leat_recent_start(c->inside.recent, c->loop);
    c->metrics = leat_metrics_new(leat_engine_registry(c->inside.engine));
    c->net = (leat_net){.loop = c->loop, .metrics = c->metrics, .limits = &c->limits};
    err = leat_lookout_open(c->inside.lookout);
    c->lookout_open = err == 0;
    if (err == 0)
        open_console(c);
    for (int i = 0; i < DOORS && err == 0; i++)
        err = open_door(c, &c->doors[i]);
    return err;
}

void leat_control_tell(const leat_control *c)
{
    char address[128];
    const struct door *d = &c->doors[DOOR_CONSOLE];
    if (d->listener == NULL)
        return;
    if (c->inside.config->console_listen[0] == '/')
        snprintf(address, sizeof(address), "%s", c->inside.config->console_listen);
    else
        leat_listener_address(d->listener, address, sizeof(address));
    LEAT_LOG_INFO("console", "open address=%s token=%s", address,
                  c->inside.config->console_token[0] != '\0' ? "yes" : "no");
}

void leat_control_free(leat_control *c)
{
    if (c == NULL)
        return;
    leat_lookout_free(c->inside.lookout);
    leat_recent_free(c->inside.recent);
    leat_console_free(c->console);
    free(c);
}

/* --- connections --- */

static struct door *door_of(leat_http_conn *conn)
{
    return LEAT_CONTAINER_OF(leat_http_conn_side(conn), struct door, side);
}

static void on_asked(leat_http_conn *conn)
{
    leat_control *c = door_of(conn)->control;
    leat_metrics_add(c->metrics, LEAT_M_CONTROL_REQUESTS, 1);
    if (!leat_tail_begin(c->inside.engine, conn, leat_http_conn_request(conn)->path, 0))
        leat_ask_begin(&c->inside, conn, leat_http_conn_request(conn)->path, "socket");
}

static void on_console(leat_http_conn *conn)
{
    leat_control *c = door_of(conn)->control;
    leat_metrics_add(c->metrics, LEAT_M_CONSOLE_REQUESTS, 1);
    leat_console_request(c->console, conn);
}

/* The log names who did something. */
static void name_peer(leat_conn *conn, int socket)
{
    struct ucred who;
    socklen_t len = sizeof(who);
    char text[64];
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
        return;
    snprintf(text, sizeof(text), "uid=%u,pid=%d", (unsigned)who.uid, (int)who.pid);
    leat_conn_set_remote(conn, text);
}

static void on_accept(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer)
{
    struct door *d = arg;
    leat_control *c = d->control;
    leat_conn *conn = NULL;
    if (d->side.n_conns >= MAX_CONNECTIONS) {
        leat_metrics_add(c->metrics, LEAT_M_CONTROL_REFUSED, 1);
        close(socket);
        return;
    }
    leat_http_peer who = leat_http_peer_of(peer, d->options.trusted);
    leat_address_slot *slot = NULL;
    leat_address_verdict verdict =
        leat_http_peer_enter(&who, d->side.addresses, leat_loop_now(c->loop), &slot);
    if (leat_http_side_refuses(&d->side, verdict, &who.ip)) {
        close(socket);
        return;
    }
    int err = leat_conn_new(&conn, &c->net, socket, peer);
    if (err < 0) {
        LEAT_LOG_WARN("control", "connection not taken err=%s", uv_err_name(err));
        if (slot != NULL)
            leat_address_limit_leave(slot);
        return;
    }
    leat_conn_set_address(conn, slot);
    if (!who.known)
        name_peer(conn, socket);
    (void)leat_http_conn_new(&d->side, conn, &who, LEAT_HTTP_DOOR_OPERATOR, d->on_request);
}

/* --- the end --- */

static void close_loop(void *arg)
{
    leat_control *c = arg;
    leat_loop *loop = c->loop;
    c->loop = NULL;
    leat_loop_close(loop, NULL, NULL);
}

static void close_lookout(void *arg)
{
    leat_control *c = arg;
    for (int i = 0; i < DOORS; i++)
        if (c->doors[i].side.n_conns > 0)
            return;
    if (!c->lookout_open || (c->console != NULL && !leat_console_is_quiet(c->console)))
        return;
    c->lookout_open = false;
    for (int i = 0; i < DOORS; i++)
        c->doors[i].side.on_quiet = NULL;
    leat_lookout_close(c->inside.lookout, close_loop, c);
}

static void close_door(leat_control *c, struct door *d)
{
    d->side.draining = true;
    d->side.on_quiet = close_lookout;
    d->side.on_quiet_arg = c;
    leat_http_server_close(&d->side);
}

void leat_control_close(leat_control *c)
{
    if (c->loop == NULL)
        return;
    for (int i = 0; i < DOORS; i++) {
        if (c->doors[i].listener != NULL)
            leat_listener_close(c->doors[i].listener, NULL, NULL);
        c->doors[i].listener = NULL;
    }
    leat_recent_stop(c->inside.recent);
    if (!c->lookout_open) {
        close_loop(c);
        return;
    }
    for (int i = 0; i < DOORS; i++)
        close_door(c, &c->doors[i]);
    if (c->console != NULL)
        leat_console_close(c->console, close_lookout, c);
    close_lookout(c);
}
