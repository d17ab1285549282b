/* control.c - on_accept takes connections, each of which is a leat_http_conn; ask.c answers what
 * comes on it. leat_control_close closes the listener, the connections, the mailbox of the workers'
 * answers and at last the loop's handles, each when the one before is gone. */
#include "control/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/ask.h"
#include "control/tail.h"
#include "http/http_server.h"
#include "net/listener.h"

enum {
    MAX_CONNECTIONS = 128,
    CLOSE_MS = 500,
    SLOW_MS = 15000,
    MAX_HEAD = 16384,
    MAX_HEADERS = 50,
    MAX_HELD = 64 << 20,
};

struct leat_control {
    leat_inside inside;
    int socket;
    leat_loop *loop; /* NULL: nothing is open */
    leat_listener *listener;
    bool lookout_open;
    leat_limits limits;
    leat_http_options options;
    leat_networks nobody;
    leat_http_side side;
};

static void on_accept(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer);

leat_control *leat_control_new(leat_engine *engine, const leat_config *config, int socket)
{
    leat_control *c = leat_calloc(1, sizeof(*c));
    c->inside = (leat_inside){.engine = engine, .config = config, .began_ns = uv_hrtime()};
    c->socket = socket;
    c->limits = config->limits;
    c->limits.close_timeout_ms = CLOSE_MS;
    c->limits.slow_client_timeout_ms = SLOW_MS;
    c->options = (leat_http_options){
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
    leat_list_init(&c->side.conns);
    leat_list_init(&c->side.arrivals);
    return c;
}

int leat_control_open(leat_control *c, uv_loop_t *loop)
{
    int err = leat_loop_new(&c->loop, loop);
    if (err < 0)
        return err;
    c->inside.lookout = leat_lookout_new(c->inside.engine, c->loop);
    c->side.loop = c->loop;
    c->side.registry = leat_engine_registry(c->inside.engine);
    c->side.metrics = leat_metrics_new(c->side.registry);
    c->side.limits = &c->limits;
    c->side.options = &c->options;
    err = leat_lookout_open(c->inside.lookout);
    c->lookout_open = err == 0;
    if (err == 0)
        err = leat_listener_adopt(&c->listener, c->loop, c->socket, on_accept, c);
    return err;
}

void leat_control_free(leat_control *c)
{
    if (c == NULL)
        return;
    leat_lookout_free(c->inside.lookout);
    free(c);
}

/* --- connections --- */

static void on_request(leat_http_conn *conn)
{
    leat_control *c = LEAT_CONTAINER_OF(leat_http_conn_side(conn), leat_control, side);
    leat_metrics_add(c->side.metrics, LEAT_M_CONTROL_REQUESTS, 1);
    if (!leat_tail_begin(c->inside.engine, conn))
        leat_ask_begin(&c->inside, conn);
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
    leat_control *c = arg;
    leat_http_peer nobody = {.known = false};
    leat_conn *conn = NULL;
    if (c->side.n_conns >= MAX_CONNECTIONS) {
        leat_metrics_add(c->side.metrics, LEAT_M_CONTROL_REFUSED, 1);
        close(socket);
        return;
    }
    int err = leat_conn_new(&conn, c->loop, c->side.metrics, socket, peer);
    if (err < 0) {
        LEAT_LOG_WARN("control", "connection not taken err=%s", uv_err_name(err));
        return;
    }
    name_peer(conn, socket);
    (void)leat_http_conn_new(&c->side, conn, &nobody, LEAT_HTTP_DOOR_METRICS, on_request);
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
    if (c->side.n_conns > 0 || !c->lookout_open)
        return;
    c->lookout_open = false;
    c->side.on_quiet = NULL;
    leat_lookout_close(c->inside.lookout, close_loop, c);
}

void leat_control_close(leat_control *c)
{
    if (c->loop == NULL)
        return;
    if (c->listener != NULL)
        leat_listener_close(c->listener, NULL, NULL);
    c->listener = NULL;
    if (!c->lookout_open) {
        close_loop(c);
        return;
    }
    c->side.draining = true;
    c->side.on_quiet = close_lookout;
    c->side.on_quiet_arg = c;
    leat_http_server_close(&c->side);
    close_lookout(c);
}
