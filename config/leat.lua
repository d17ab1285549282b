-- leat.lua - the configuration of Leat: a Lua file that returns a table.
--
-- Every key is here, with its default. A key that is left out has its default; an unknown key, or a
-- value of the wrong type or out of range, stops the start with a message. Each key can be set by
-- an environment variable instead: LEAT_ and the key in upper case, with _ for a dot: LEAT_LISTEN,
-- LEAT_RETENTION_SECONDS. (DATABASE_URL is honoured too, below LEAT_DATABASE_URL.) What counts is
-- the command line, then the environment, then this file, then the default.
--
-- _ms are milliseconds, _bytes bytes. Relative paths start at the folder of this file; in the
-- environment and on the command line they start at the working directory. os.getenv can be called
-- here.

return {
  -- The address and port to serve on, without TLS: "127.0.0.1:8080", "[::1]:8080", ":8080" (all addresses);
  -- with port 0 the system picks one. "none": there is no such address, and tls_listen has one.
  listen = "127.0.0.1:8080",

  -- The address and port to serve on with TLS 1.2 and 1.3, beside the one above or instead of it, for instance
  -- ":443". Empty: none. docs/operations/secure.md, "TLS", tells how to get and renew certificates.
  tls_listen = "",
  -- PEM files, separated by commas. Each has a certificate, and behind it those that lead to its authority
  -- (an ACME client's fullchain.pem). A client gets the certificate for the host name that it asks for, a
  -- wildcard's included, else the first one.
  tls_certificate = "",
  -- PEM files with the keys, in the order of the certificates; keys have no passphrase. Empty: each key is in the
  -- file of its certificate.
  tls_key = "",
  -- How often the server looks whether these files have changed. A certificate is taken over once it fits its key;
  -- until then the old one is served. SIGHUP looks at once.
  tls_check_interval_ms = 2000,
  -- A PEM file with the authorities for clients' certificates. If it is set, clients are asked for one, and
  -- request.tls.client tells a script of it: one that no authority vouches for has verified = false there.
  -- Empty: clients are not asked.
  tls_client_ca = "",
  -- true: a client without a certificate that tls_client_ca vouches for is refused in the handshake.
  tls_client_required = false,
  -- How long a TLS handshake may take.
  tls_handshake_timeout_ms = 10000,
  -- Handshakes under way, shared out among the workers. One more makes the oldest one end.
  max_tls_handshakes = 1000,

  -- The database, as a URL or as key=value pairs, with everything that libpq knows: several hosts,
  -- TLS, passwords. Empty: what libpq takes by default, PGHOST and its kin included.
  database_url = "",

  -- The same database for what needs a session that lasts: LISTEN, reading and trimming the log of events, and
  -- leat migrate. Needed where database_url leads through a pooler in transaction mode. Empty: database_url.
  listen_url = "",

  -- The application: a Lua file. Empty: the example, a chat.
  app = "",

  -- A folder of static files, served where neither Leat nor the application answers. Symbolic links
  -- are followed only inside it; names that begin with a dot are not served, but for .well-known.
  -- Empty: the folder public beside the application's file, if it is there. /leat/ is not served from it: there the
  -- JavaScript client is.
  static_dir = "",

  -- Where clients speak Centrifugo's protocol (docs/centrifuge.md); "" turns it off. They bring their token in their
  -- first message, so max_unauthenticated bounds how many of them may be connecting at the same time.
  centrifuge_path = "/connection/websocket",

  -- Pages of which origins may open a WebSocket or a stream, and send requests that change something
  -- (any method but GET, HEAD and OPTIONS) to guarded routes, separated by commas:
  -- "https://example.org,https://www.example.org". Empty: pages of this server itself, that is, those
  -- whose host and port are those of the request's Host (behind a trusted proxy, of X-Forwarded-Host or
  -- Forwarded, if it sends them), be it with http or https; on tls_listen, with https only. "*": any. The
  -- origin "null" is let in by "*" only. An entry is a whole origin, as browsers send it: scheme and host, the port
  -- only if it is not the scheme's default, an IPv6 address in its shortest form, no path, no pattern. Clients that are
  -- no browsers send no origin, and are let in.
  allowed_origins = "",

  -- Headers of every answer, for browsers: pages, routes and refusals alike. A route that sets one of them
  -- itself has its own instead. "off" leaves one out. The policy of content lets a page load scripts, styles
  -- and pictures of this server only, and nothing inline; no other page may frame it.
  headers = {
    content_security_policy = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
      .. "frame-ancestors 'none'",
    content_type_options = "nosniff",
    frame_options = "DENY",
    referrer_policy = "same-origin",
    permissions_policy = "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), "
      .. "microphone=(), payment=(), usb=()",
    -- On answers by TLS only: browsers then use no plain HTTP with this host, for a year.
    strict_transport_security = "max-age=31536000",
  },

  -- What pages of other origins may do with routes and streams (CORS). Which origins: allowed_origins, if it is
  -- set. They may send these headers besides those that need no permission, and read these headers of an
  -- answer. With credentials, pages of origins that are listed by name may also send cookies; pages that only
  -- "*" lets in never may. A browser remembers the answer to a preflight request for so many seconds.
  cors = {
    credentials = false,
    headers = "Authorization, Content-Type, Last-Event-ID",
    expose_headers = "Retry-After, Leat-Position",
    max_age_s = 600,
  },

  -- Files and the answers of routes are compressed (gzip) for clients that accept it, if their type is one of
  -- text. 1 is the fastest, 9 makes the smallest, 0 compresses none. A file is compressed once and kept in
  -- memory; the files of all workers together take gzip_cache_bytes, and a file that finds no room is sent as
  -- it is. FILE.gz beside a file is sent instead if it is no older. docs/security.md says which answers are
  -- never compressed.
  gzip_level = 6,
  gzip_min_bytes = 1024,
  gzip_cache_bytes = 16777216,

  -- The names that this server is asked for (Host; behind a trusted proxy, X-Forwarded-Host or Forwarded, if
  -- it sends them), separated by commas: "example.org, *.example.org, [2001:db8::1], example.org:8443".
  -- "*.example.org" is every name below it, and not the name itself; an entry without a port is good for
  -- any. Requests for others get 421, so that no page can make its own name point here and be taken
  -- for a page of this server (DNS rebinding). /healthz, /readyz and /metrics are also answered if asked for
  -- by an IP address, as localhost, or without a name, as probes do. Empty: any name; but if listen is an address of
  -- this machine alone (127.0.0.1, ::1), and there are no proxies (below), only those that no page of the
  -- internet can have: IP addresses, localhost, names below it, and names without a dot. "*": any.
  -- tls_listen answers for any name then: such a page has no certificate for its name.
  allowed_hosts = "",

  -- Proxies in front of this server, addresses or networks, separated by commas: "127.0.0.1, 10.0.0.0/8, ::1".
  -- A network of IPv6 has no IPv4 address, "::/0" neither.
  -- Requests that come from them are counted for, and request.remote is, the client that they name: the
  -- last address of X-Forwarded-For that is not itself trusted, or that of Forwarded (RFC 7239) if there
  -- is no X-Forwarded-For. A proxy must set the one and remove or set the other. From all others these
  -- headers are ignored.
  trusted_proxies = "",

  -- Proxies that pass bytes on unread and say first for whom, by the PROXY protocol (versions 1 and 2):
  -- addresses or networks, separated by commas. From these every connection has to begin with such a
  -- header, before TLS and HTTP; without one within header_timeout_ms it is closed. The client that it
  -- names counts for the limits and is request.remote; its own X-Forwarded-For is believed only if
  -- trusted_proxies has it. From all others no such header is taken. metrics_listen knows none.
  proxy_protocol_from = "",

  -- An address of its own for /metrics, /healthz and /readyz with its reasons, for instance
  -- "10.0.0.5:9090". Empty: /metrics and the reasons of /readyz are answered on the address above, to
  -- peers on this machine only, and only if no header (X-Forwarded-*, Forwarded, Via, X-Real-IP) says
  -- that a proxy passes somebody on. A proxy on this machine that sets no such header would let
  -- everybody see them: give them an address of their own.
  metrics_listen = "",

  -- The Unix socket through which an operator looks inside (leat show, leat top, leat tail, leat publish): an absolute
  -- path of at most 100 bytes. Only the user and the group of the server may use it. "off": there is none. Empty: the
  -- file control in the folder that systemd makes for the service (RuntimeDirectory=), else none. A program that
  -- embeds the server has no such socket.
  control = "",

  -- The console: a page that shows how the server fares, and the same questions as JSON (docs/console.md).
  -- An address and port, for instance "127.0.0.1:8090", or the absolute path of a Unix socket, which then
  -- only the user and the group of the server may use. Empty: there is no console.
  console_listen = "",
  -- The secret that the console asks for: at least 16 visible ASCII characters. Without one, whoever reaches
  -- the address is let in; so the server does not start without one if other machines reach it. Better set
  -- by the environment (LEAT_CONSOLE_TOKEN) than written here, if others may read this file.
  console_token = "",
  -- The names by which browsers ask for the console, separated by commas, for instance that of a reverse
  -- proxy: others are answered 421, so that no page of the internet can make its own name point to it.
  -- Empty: only IP addresses and names of this machine.
  console_hosts = "",

  -- "debug", "info", "warn" or "error", and behind it levels of subsystems: "info,sub=debug,http=warn"
  -- (docs/logs.md lists them). The log goes to the standard error, a line each.
  log_level = "info",
  -- "logfmt": time, level, subsystem, words, key=value. "json": the same as one object a line, for
  -- programs that collect logs.
  log_format = "logfmt",
  -- No client can fill the disk through the log. Of each kind of line (its constant words) so many
  -- are written a second, after a first burst; a line then says how many were left out. All lines
  -- together have so many bytes a second, and errors have as many again for themselves.
  log_rate = 10,
  log_burst = 100,
  log_bytes_per_s = 65536,
  -- Lines that wait until somebody reads the standard error. The server never waits for that: what
  -- does not fit is dropped, and a line says how many were.
  log_buffer_bytes = 1048576,

  -- Threads that serve, each with a loop, a Lua state, and database connections of its own. "auto": one
  -- for each core that the server may use, but no more than half of pool_size: a worker with a single
  -- connection can keep none for handshakes. The cores that a container's quota allows are not
  -- counted: set their number there.
  workers = "auto",

  --------------------------------------------------------------------------------------------------
  -- The database

  -- Connections of all workers together, at most; they are opened when needed. They are shared out
  -- among the workers, and each has one at least.
  pool_size = 10,
  -- Requests of one worker that may wait for a connection; further ones get "unavailable" at once.
  pool_max_waiters = 10000,
  -- Nobody takes the pool for himself: so much of it, in percent, one client may hold at once, and
  -- all clients of one user (ctx.user.id) together; and so much is kept for handshakes (connect,
  -- subscribe, snapshots), so that slow calls never keep anybody out. An address that has used
  -- more than five seconds of subscribe_rate_per_address in advance is a crowd: the handshakes of
  -- all crowds together hold at most pool_crowd_percent (100: no such share). Each share is at least one
  -- connection. Calls leave one connection of a client's or user's share to his handshakes.
  pool_client_percent = 30,
  pool_user_percent = 50,
  pool_reserve_percent = 20,
  pool_crowd_percent = 30,
  -- A connection that was not used for so long is closed, but for the last one.
  pool_idle_timeout_ms = 60000,
  -- One attempt to connect. (At the start, for each host that the URL names, in whole seconds, and
  -- at least two.)
  database_connect_timeout_ms = 5000,
  -- true: leat serve starts while the database cannot be reached, is not ready (/readyz says why), and begins to
  -- serve once it is there; it ends then if it finds what it would have refused at the start. false: it ends, and
  -- whoever starts services tries again. The image for containers sets it.
  await_database = false,
  -- Prepared statements kept on one connection. 0 prepares none: for a pooler in transaction mode that does not
  -- know prepared statements (PgBouncer before 1.21, or without max_prepared_statements).
  max_statements = 256,

  --------------------------------------------------------------------------------------------------
  -- Clients

  -- The deadline of every read on behalf of a caller who gave none of his own.
  control_timeout_ms = 5000,
  -- The longest deadline that a caller may give (timeout_ms); more is "bad_request". Longer than
  -- people wait, and than most proxies do; so long a client's slow call can hold a connection.
  max_timeout_ms = 30000,
  -- Connections, shared out evenly among the workers; one more is answered 503.
  max_connections = 10000,
  -- Connections of one address, and how many new ones it may open: so many a second in the long run, and
  -- so many at once. One address is an IPv4 address, or an IPv6 network of 64 bits. Further connections
  -- are closed without an answer; behind a trusted proxy, where the address is known only with the
  -- request, it gets 429. 0 means 256, which suits the public internet, where a school or a mobile network may
  -- stand behind one address; and for peers on this machine (loopback), among them a proxy that is not in
  -- trusted_proxies, half of max_connections, at least 256. Any other number is for all of them. A proxy on another
  -- machine needs trusted_proxies, or it is one address. A load test from another machine needs more.
  max_connections_per_address = 0,
  connection_rate_per_address = 1000,
  connection_burst_per_address = 5000,
  -- HTTP requests that all connections of one address make, for files, routes and upgrades: so many a second in the
  -- long run, and so many at once. One more is answered 429 with Retry-After, before a handler runs.
  request_rate_per_address = 500,
  request_burst_per_address = 5000,
  -- Subscribes of all clients of one address, likewise. The burst is enough for 256 clients that come back at once with
  -- 256 subscriptions each. One more is answered "rate_limited" with retry_after_ms, before its handler runs. Where
  -- peers on this machine may have more connections than others, these two rates do not bound them.
  subscribe_rate_per_address = 200,
  subscribe_burst_per_address = 65536,
  -- A WebSocket client may ask (/ws?authenticate=message) to bring its token in its first message, and not in the URL
  -- or a header. That message has so many bytes at most, and so long to arrive; there are so many such clients at once,
  -- shared out evenly among the workers, and a further one is answered 503. 0: none may do that (403).
  authenticate_timeout_ms = 10000,
  max_first_message_bytes = 16384,
  max_unauthenticated = 1000,
  -- Subscriptions of all clients of one user (ctx.user.id) on one worker; one more is answered "limit".
  max_subscriptions_per_user = 20000,
  -- Handshakes of one worker that are not yet answered: subscribes, and HTTP requests that need the
  -- scripts; and subscribes of one user among them. One more is answered "unavailable" (503) at once,
  -- with a retry_after_ms that is an estimate. So is one that would wait for the database longer than its
  -- deadline.
  max_handshakes = 10000,
  max_handshakes_per_user = 2500,
  -- Bounds of that retry_after_ms. It is the time in which the pool serves those who wait now (their number, by the
  -- pace at which connections have come free lately), and a part of it more, at random, up to as much again. If
  -- nobody waits, or the pace is not known yet, the time is one second.
  retry_after_min_ms = 100,
  retry_after_max_ms = 30000,
  -- Publishes of one user to one topic, on one worker: so many a second in the long run, and so many at
  -- once. One more is answered "rate_limited" with retry_after_ms. A client without a user is one of its
  -- own here.
  publish_rate_per_user = 200,
  publish_burst_per_user = 2000,
  -- Subscriptions of one client, and its requests that are not yet answered; further ones are read
  -- when some have been.
  max_subscriptions = 256,
  max_inflight = 8,
  -- What a client may send: so much a second in the long run, and so much at once. A request that comes
  -- too fast is answered "rate_limited" with retry_after_ms; a client that goes on all the same is
  -- closed (4429) as soon as it is 200 messages beyond the limit, or another burst if that is less; for its address
  -- that counts as 100 new connections. Bytes, of compressed messages also those that they become, never close
  -- it: it is read more slowly. The bytes are always enough for 8 of the largest messages (max_message_bytes) a second,
  -- and for 32 at once: smaller numbers are raised to that. One ping or pong too many closes it.
  message_rate_per_client = 500,
  message_burst_per_client = 5000,
  byte_rate_per_client = 1048576,
  byte_burst_per_client = 4194304,
  control_rate_per_client = 500,
  control_burst_per_client = 5000,
  -- One message of a client, in bytes, and all params of a connection's subscriptions together. A larger
  -- message closes the connection with 1009.
  max_message_bytes = 65536,
  -- JSON values in one message of a client: each element and member, each list and object counts, since
  -- reading them costs far more than their bytes. A number with an exponent, which Postgres writes out, counts
  -- as one more for each 32 digits. A message with more is answered "too_large".
  max_message_values = 10000,
  -- Messages are compressed for clients that offer permessage-deflate, as browsers do: an event once for all
  -- of them, a snapshot for each. 1 is the fastest, 9 makes the smallest messages, 0 compresses none. Shorter
  -- messages than compression_min_bytes gain too little.
  compression_level = 1,
  compression_min_bytes = 256,
  -- One snapshot.
  max_snapshot_bytes = 16777216,
  -- Unsent bytes of one client. Beyond them it is fed no more until it has caught up.
  max_send_buffer_bytes = 1048576,
  -- What all clients together make the server hold: unsent bytes, messages that are not yet whole, requests
  -- under way, params. Each worker has its share. Beyond it, no snapshot is sent ("unavailable"), and the
  -- clients that hold most are closed (4008). An event counts for each client to which it is to be sent.
  max_client_bytes = 536870912,
  -- A client that sends no message after it has connected, or that has no subscription and has sent none
  -- for so long, is closed (4408). Pongs are no messages. (Within four seconds, if there are many.)
  first_message_timeout_ms = 60000,
  idle_timeout_ms = 600000,
  -- A client that takes nothing for so long, though something waits for it, is closed (4008).
  slow_client_timeout_ms = 15000,
  -- A client that says nothing is pinged, and closed if no answer comes.
  ping_interval_ms = 25000,
  pong_timeout_ms = 10000,
  -- How long a closing handshake may take.
  close_timeout_ms = 5000,

  --------------------------------------------------------------------------------------------------
  -- HTTP

  -- How long the head of a request may take to arrive, and, once its caller has been let in, the
  -- body; then 408.
  header_timeout_ms = 10000,
  -- How long a connection may stay open between two requests.
  keep_alive_timeout_ms = 75000,
  -- Request line and headers together, their number, path and query, and the body.
  max_header_bytes = 16384,
  max_headers = 100,
  max_url_bytes = 8192,
  max_body_bytes = 1048576,
  -- What all HTTP connections together may hold in memory: those whose caller has not been let in yet
  -- (heads, the bodies of public routes, answers that are not read), and the requests of callers who
  -- have. Each worker has its share. Beyond half of it, a connection that holds more than 4 KiB is
  -- answered 503 and closed; beyond all of it, every one that holds anything. Leave 8 KiB a
  -- connection for guests.
  max_guest_bytes = 134217728,
  max_request_bytes = 268435456,

  -- Calls and publishes that wait for a handler of the program that embeds the server (docs/embedding.md),
  -- shared out among the workers. Beyond that, a client is told `unavailable`.
  max_host_requests = 1024,

  --------------------------------------------------------------------------------------------------
  -- Topics and their events

  -- What is kept in memory of one topic, so that clients can go on from there without a read.
  ring_events = 1024,
  ring_bytes = 4194304,
  -- What is kept of all topics together, shared out among the workers. For more, the oldest events leave
  -- memory of the topic that has been silent longest.
  max_ring_bytes = 268435456,
  -- The server does not hold an event larger than this: whoever comes to it gets a fresh snapshot instead.
  -- leat.publish refuses large events by a limit of its own, which the database has.
  max_event_bytes = 2097152,
  -- Rows of one fetch from the outbox.
  history_events = 500,
  -- One answer to `history` (Centrifugo's clients) has so many events at most, and so many bytes of them besides
  -- the first one. A client asks again for what comes after them.
  max_history_events = 1000,
  max_history_bytes = 1048576,
  -- Events of one topic that may wait until a hole before them has been filled.
  hub_pending_bytes = 4194304,
  -- Events on their way to one worker (a thread). What does not fit is left out, and fetched from the
  -- outbox when the worker has caught up.
  worker_mail_bytes = 67108864,
  -- A conflating signal waits while so many bytes are unsent to its client. The newer one of its key replaces
  -- it meanwhile.
  max_signal_backlog = 16384,
  -- What a worker keeps of conflating signals for clients that are behind, and what is kept for a worker that
  -- is behind. For more, those go that were sent longest ago.
  kept_signal_bytes = 16777216,
  -- Live subscriptions of one worker that read for themselves at the same time: to prove their right
  -- anew, to resync, to replace a stale snapshot. The others wait for a slot, so that a topic's
  -- thousands do not fall upon the database together. Those that failed, and try again, get at most
  -- half of the slots. Less than pool_size leaves connections to newcomers.
  max_turns = 8,
  -- How often the positions of all topics in use are compared with the database, in case a last
  -- announcement was lost.
  compare_interval_ms = 10000,
  -- What stays in the outbox, leat.event: events not older than so many seconds, and of one topic
  -- not more than so many.
  retention = { seconds = 86400, events = 10000 },
  -- How often the outbox is trimmed to that.
  trim_interval_ms = 5000,
  -- How long a topic that has lost its last subscriber stays in memory.
  topic_linger_ms = 5000,
  -- true: a statement of a handler carries the id of its request (traceparent or X-Request-Id) as a
  -- comment, for Postgres' log and pg_stat_activity. Such a statement is parsed and planned anew
  -- each time; so this is for looking for something, and not for always (docs/logs.md).
  sql_request_id = false,

  --------------------------------------------------------------------------------------------------
  -- Tokens (leat.jwt)

  -- A longer token is refused without a look into it.
  max_token_bytes = 16384,
  -- Keys of a URL are fetched so often. While that fails, those that are there go on being used until
  -- they are jwks_max_age_s old.
  jwks_refresh_s = 600,
  jwks_max_age_s = 86400,
  -- A token that names a key which is not there makes the keys be fetched at once, but not more often than
  -- once in this time.
  jwks_min_interval_ms = 10000,
  -- One fetch: how long it may take, and how large the document may be. Less than control_timeout_ms tells
  -- the waiting callers "unavailable" and not "deadline_exceeded".
  jwks_timeout_ms = 4000,
  jwks_max_bytes = 262144,

  --------------------------------------------------------------------------------------------------
  -- The application's scripts

  -- How long a script may compute without a wait, in processor time. Then it is stopped, and its
  -- caller gets "internal".
  script_budget_ms = 200,
  -- Memory of one worker's scripts. A script that exceeds it gets an error; if what the application
  -- itself holds leaves less than 1/16 of it, /readyz is 503. docs/lua-api.md lists the limits of
  -- single operations.
  script_memory_bytes = 268435456,
  -- Folders where require looks for modules, separated by commas, after the folder of the application's
  -- file. It finds Lua files only, and looks nowhere else.
  require_folders = "",

  --------------------------------------------------------------------------------------------------
  -- What the process itself may do

  -- Once it has read this file, the server gives up the rights that it does not need: it can start no
  -- program, write no file, and read only the folders that the keys here name and those of the system
  -- (Linux: seccomp and landlock). "auto": as far as the kernel can; "on": or the server does not start;
  -- "off": it keeps its rights.
  confine = "auto",
  -- Other files and folders that it may read, separated by commas: keys that the script names, say, or
  -- modules elsewhere. Files of libpq (certificates, .pgpass) are readable anyway.
  confine_read = "",

  --------------------------------------------------------------------------------------------------
  -- Stopping

  -- On SIGTERM the clients are sent away spread over that time, so that they do not all come back
  -- at once.
  drain_ms = 5000,
}
