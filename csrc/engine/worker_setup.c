/* worker_setup.c - a worker is made: worker_set_up, in the order of its life. What comes in at the
 * listeners goes to http/http_server.c. */
#include <stdio.h>

#include "base/mem.h"
#include "engine/worker_inside.h"
#include "http/http_server.h"
#include "net/address.h"

int worker_load_scripts(leat_worker *w, leat_buf *error)
{
    const leat_config *config = w->options.config;
    leat_lua_options options = {
        .app_path = config->app,
        .app_source = config->app_source,
        .lua_dir = config->lua_dir,
        .require_folders = config->require_folders,
        .budget_ms = config->script_budget_ms,
        .memory_bytes = config->script_memory_bytes,
        .core = &w->core,
    };
    leat_lua *lua = NULL;
    int err = leat_lua_new(&lua, &options, error);
    if (err < 0)
        return err;
    struct worker_load *l = leat_calloc(1, sizeof(*l));
    l->worker = w;
    l->lua = lua;
    leat_list_push(&w->scripts, &l->link);
    w->lua = lua;
    w->loaded_at = time(NULL);
    w->code = leat_lua_code(lua);
    w->n_loads++;
    return 0;
}

static void fill_core(leat_worker *w)
{
    w->core.loop = w->loop;
    w->core.metrics = w->metrics;
    w->core.pool = w->pool;
    w->core.hub = leat_hub_mailbox(w->options.hub);
    w->core.limits = &w->limits;
    w->gate.fd = w->options.config->gates;
    w->core.gate = w->gate.fd == LEAT_GATE_NONE ? NULL : &w->gate;
    w->core.max_client_bytes = w->options.config->max_client_bytes / w->options.config->workers;
    w->core.max_ring_bytes = w->options.config->max_ring_bytes / w->options.config->workers;
    w->core.keys = leat_key_store_new(w->loop, w->metrics, w->core.limits);
    if (w->options.config->compression_level > 0)
        w->core.net.deflate = leat_deflate_new((int)w->options.config->compression_level,
                                               w->options.config->compression_min_bytes);
}

/* True if no other machine can connect to that address; or if there is none. TLS needs no such
 * look: a page whose name points elsewhere has no certificate for it. */
static bool is_local(const struct sockaddr_storage *addr)
{
    leat_ip ip;
    return addr == NULL || (leat_ip_of(&ip, addr) && leat_ip_is_loopback(&ip));
}

/* The sockets that an embedding program hands over come from anywhere. */
static bool is_local_door(const leat_worker *w)
{
    return w->options.addr == NULL ? !w->options.config->embedded : is_local(w->options.addr);
}

static leat_http_options http_options(const leat_worker *w)
{
    const leat_config *config = w->options.config;
    bool has_proxy = config->trusted.count + config->introducing.count > 0;
    return (leat_http_options){
        .head = {config->max_header_bytes, config->max_headers, config->max_body_bytes,
                 config->max_url_bytes},
        .header_timeout_ms = config->header_timeout_ms,
        .keep_alive_timeout_ms = config->keep_alive_timeout_ms,
        .allowed_origins = config->allowed_origins,
        .centrifuge_path = config->centrifuge_path,
        .static_dir = config->static_dir,
        .client_dir = config->client_dir,
        .policy = &config->http,
        .hosts = &config->hosts,
        .local_only = {[LEAT_HTTP_DOOR_PUBLIC] = is_local_door(w) && !has_proxy,
                       [LEAT_HTTP_DOOR_METRICS] = is_local(w->options.metrics_addr)},
        .trusted = &config->trusted,
        .introducing = &config->introducing,
        .has_metrics_door = config->metrics_listen[0] != '\0',
        .max_unauthenticated =
            (config->max_unauthenticated + config->workers - 1) / config->workers,
        .max_connections = (config->limits.max_connections + config->workers - 1) / config->workers,
        .max_bytes = {[LEAT_HTTP_POT_GUESTS] = config->max_guest_bytes / config->workers,
                      [LEAT_HTTP_POT_CALLERS] = config->max_request_bytes / config->workers},
    };
}

static void fill_http(leat_worker *w)
{
    w->http_options = http_options(w);
    w->http.loop = w->loop;
    w->http.metrics = w->metrics;
    w->http.registry = w->options.registry;
    w->http.core = &w->core;
    w->http.hub = w->options.hub;
    w->http.pool = w->pool;
    w->http.limits = &w->limits;
    w->http.options = &w->http_options;
    w->http.addresses = w->options.addresses;
    w->http.accept = leat_accept_new();
    const leat_http_policy *policy = &w->options.config->http;
    if (policy->gzip_level > 0)
        w->http.gzip = leat_http_gzip_new(w->loop, w->metrics, (int)policy->gzip_level,
                                          policy->gzip_cache_bytes / w->options.config->workers);
    w->http.on_quiet = worker_check_drained;
    w->http.on_quiet_arg = w;
}

static void on_accept(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer)
{
    leat_worker *w = arg;
    leat_http_server_accept(&w->http, socket, peer, LEAT_HTTP_DOOR_PUBLIC);
}

static void on_accept_tls(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer)
{
    leat_worker *w = arg;
    leat_http_server_accept(&w->http, socket, peer, LEAT_HTTP_DOOR_TLS);
}

static void on_accept_metrics(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer)
{
    leat_worker *w = arg;
    leat_http_server_accept(&w->http, socket, peer, LEAT_HTTP_DOOR_METRICS);
}

static const char *error_text(int err)
{
    const char *name = leat_err_name(err);
    return name != NULL ? name : uv_strerror(err);
}

static int cannot_listen(leat_worker *w, const char *address, int err)
{
    leat_buf_printf(&w->start_error, "cannot listen on %s: %s", address, error_text(err));
    return err;
}

static int open_listener(leat_worker *w)
{
    if (w->options.addr == NULL)
        return 0;
    if (w->options.has_doorman[LEAT_HTTP_DOOR_PUBLIC]) {
        leat_address_format(w->options.addr, w->address, sizeof(w->address));
        return 0;
    }
    int err =
        leat_listener_open(&w->listener, w->loop, w->options.addr, w->reuse_port, on_accept, w);
    if (err < 0)
        return cannot_listen(w, w->options.config->listen, err);
    leat_listener_address(w->listener, w->address, sizeof(w->address));
    return 0;
}

static int open_tls_listener(leat_worker *w)
{
    const leat_config *config = w->options.config;
    if (w->options.tls_addr == NULL)
        return 0;
    size_t share = (config->max_tls_handshakes + config->workers - 1) / config->workers;
    w->tls = leat_tls_side_new(w->loop, w->metrics,
                               &(leat_tls_side_options){
                                   .store = w->options.tls,
                                   .handshake_timeout_ms = config->tls_handshake_timeout_ms,
                                   .max_handshakes = share,
                               });
    w->http.tls = w->tls;
    if (w->options.has_doorman[LEAT_HTTP_DOOR_TLS]) {
        leat_address_format(w->options.tls_addr, w->tls_address, sizeof(w->tls_address));
        return 0;
    }
    int err = leat_listener_open(&w->tls_listener, w->loop, w->options.tls_addr, w->reuse_port,
                                 on_accept_tls, w);
    if (err < 0)
        return cannot_listen(w, config->tls_listen, err);
    leat_listener_address(w->tls_listener, w->tls_address, sizeof(w->tls_address));
    return 0;
}

static int open_metrics_listener(leat_worker *w)
{
    if (w->options.metrics_addr == NULL)
        return 0;
    int err = leat_listener_open(&w->metrics_listener, w->loop, w->options.metrics_addr, false,
                                 on_accept_metrics, w);
    if (err < 0)
        return cannot_listen(w, w->options.config->metrics_listen, err);
    leat_listener_address(w->metrics_listener, w->metrics_address, sizeof(w->metrics_address));
    return 0;
}

static int start_core(leat_worker *w)
{
    w->core.script = leat_lua_script(w->lua);
    int err = leat_core_start(&w->core);
    w->core_started = err == 0;
    if (w->core_started && w->options.host->worker_opens != NULL)
        w->core.native = w->options.host->worker_opens(w->options.host->arg, w);
    return err;
}

int worker_set_up(leat_worker *w)
{
    leat_list_init(&w->http.conns);
    leat_list_init(&w->http.arrivals);
    int err = leat_mailbox_new(&w->mailbox, leat_loop_uv(w->loop), worker_on_mail, w);
    if (err == 0)
        err = leat_pg_pool_new(&w->pool, w->loop, w->metrics, &w->pool_options);
    if (err == 0) {
        fill_core(w);
        fill_http(w);
        err = worker_load_scripts(w, &w->start_error);
    }
    if (err == 0)
        err = start_core(w);
    if (err == 0)
        err = open_metrics_listener(w);
    if (err == 0)
        err = open_tls_listener(w);
    if (err == 0)
        err = open_listener(w);
    return err;
}
