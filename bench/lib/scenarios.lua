-- What scripts/bench measures. A scenario:
--
--   name, title      for the command line, for the table
--   servers          in the order in which they take turns; the first one is what is measured
--   load             arguments of the load (bench/load/plan.h); events = rate * seconds if those are given
--   vary             { argument, values… }: a curve; each value may be a table of arguments
--   figure           the path of the figure in the load's JSON, its unit, and whether more is better
--   against          { server = the most that figure / its figure may be } (or the least, if more is better)
--   beside           more figures for the table: { heading, path }
--   replaced         { server = function(context, scenario, arguments) }: measures without the load, returns its JSON
--   env              more variables of Leat
--   before           function(context, arguments): prepares the database
--   most             the most that the figure may be
--   peers            --peers take part
--   past             events that raw remembers, for clients that resume
--   metrics          counters of Leat, whose growth is among the results
--   picture          of a curve: the axes' names, the figure's scale, whether x is logarithmic
--   rounds           if not the usual number
--   limit_ms         how long the load may take, if not ten minutes
--   optional         runs only if it is named
local cjson = require "cjson"

local compression = require "bench.lib.compression"
local console = require "bench.lib.console"
local inside = require "bench.lib.inside"
local process = require "bench.lib.process"
local flood = require "bench.lib.flood"
local postgres_cost = require "bench.lib.postgres_cost"
local publishing = require "bench.lib.publishing"

local LATENCY = { { "p50 µs", "events.latency.p50_us" }, { "p99 µs", "events.latency.p99_us" } }
local DELIVERY = { path = "events.cpu_us", unit = "µs of CPU a delivery" }
local HANDSHAKE = { path = "handshakes.cpu_us", unit = "µs of CPU each" }
local TOOK = { { "a second", "handshakes.per_s" }, { "p50 µs", "handshakes.took.p50_us" },
  { "p99 µs", "handshakes.took.p99_us" } }

-- The bare libpq program takes the place of the server and its clients.
local function pipeline(context, _, arguments)
  local results, us = postgres_cost.of(context, true, function()
    return process.run(context.bin .. "/bench_pipeline", {
      core = context.server_core,
      args = { "database=" .. context.database, "handshakes=" .. arguments.clients, "connections=10",
        "rooms=" .. arguments.topics },
    })
  end)
  local figures = cjson.decode(results[1] or error(results[2], 0))
  figures.postgres = { cpu_us = us / arguments.clients }
  return cjson.encode(figures)
end

-- Events of long ago, of topics that nobody has, for the server to trim while live ones flow.
local function fill_history(context, arguments)
  context.sql(([[
    insert into leat.topic (name, epoch, seq)
      select 'old:' || i, gen_random_uuid(), %d from generate_series(1, 100) i;
    insert into leat.event (topic, seq, kind, data, created_at)
      select 'old:' || i, s, 'event', '{}', now() - interval '3 days'
      from generate_series(1, 100) i, generate_series(1, %d) s]]):format(
    arguments.history // 100, arguments.history // 100))
end

-- Clients have each topic up to 20 - missed.
local function leave_behind(context, arguments)
  context.sql(("select count(leat.publish('bare:' || t, '{}')) from generate_series(1, 20), generate_series(1, %d) t")
    :format(arguments.topics))
  context.sql("analyze leat.topic, leat.event")
  arguments.epoch = context.sql("select epoch from leat_internal.position('bare:1')"):match("%S+")
  arguments.since = 20 - arguments.missed
end

return {
  {
    name = "fanout-1000",
    title = "1 topic × 1,000 subscribers, 50 events a second",
    servers = { "leat", "raw", "rawbatch" },
    load = { clients = 1000, rate = 50, seconds = 4 },
    figure = DELIVERY,
    against = { raw = 1.05 },
    beside = LATENCY,
    peers = true,
  },
  {
    name = "fanout-10000",
    title = "1 topic × 10,000 subscribers, 3 events a second",
    servers = { "leat", "raw", "rawbatch" },
    load = { clients = 10000, rate = 3, seconds = 4 },
    figure = DELIVERY,
    against = { raw = 1.05 },
    beside = LATENCY,
    peers = true,
  },
  {
    name = "saturated",
    title = "1 topic × 1,000 subscribers, a backlog of 500 events that waits for the server",
    servers = { "leat", "raw", "rawbatch" },
    load = { clients = 1000, events = 500, per_commit = 10, backlog = 1 },
    figure = DELIVERY,
    against = { rawbatch = 1.0 },
    beside = { { "busy", "events.busy" }, { "waiting", "events.waiting" } },
    peers = true,
  },
  {
    name = "topics",
    title = "1,000 topics × 10 subscribers, 300 events a second, one a commit",
    servers = { "leat", "raw", "rawbatch" },
    load = { clients = 10000, topics = 1000, rate = 300, seconds = 4 },
    figure = DELIVERY,
    against = { rawbatch = 1.1 },
    beside = LATENCY,
    peers = true,
  },
  {
    name = "topics-saturated",
    title = "1,000 topics × 10 of 1,000 clients, a backlog of 4,000 events that waits for the server",
    servers = { "leat", "raw", "rawbatch" },
    load = { clients = 1000, topics = 1000, subscriptions = 10, events = 4000, per_commit = 100, backlog = 1 },
    figure = DELIVERY,
    against = { rawbatch = 1.1 },
    beside = { { "busy", "events.busy" }, { "waiting", "events.waiting" } },
  },
  {
    name = "topics-10000",
    title = "10,000 topics × 1 subscriber, 300 events a second, one a commit",
    servers = { "leat", "raw", "rawbatch" },
    load = { clients = 10000, topics = 10000, rate = 300, seconds = 4 },
    figure = DELIVERY,
    against = { rawbatch = 1.1 },
    beside = LATENCY,
  },
  {
    name = "tls",
    title = "1 topic × 1,000 subscribers, 50 events a second, with TLS 1.3: Leat's own, and nginx's in front of it",
    servers = { "leat_tls", "leat", "nginx" },
    load = { clients = 1000, rate = 50, seconds = 4, settle_ms = 1000 },
    figure = DELIVERY,
    against = { nginx = 1.0 },
    beside = { { "p50 µs", "events.latency.p50_us" }, { "CPU µs a connection", "handshakes.cpu_us" },
      { "connections a second", "handshakes.per_s" }, { "kB a connection", "memory.kb_each" } },
  },
  {
    name = "protocols",
    title = "1 topic × 1,000 subscribers, 50 events a second: leat.v1, Centrifugo's protocol as JSON, as Protobuf",
    servers = { "leat", "leat_json", "leat_protobuf" },
    load = { clients = 1000, rate = 50, seconds = 4 },
    figure = DELIVERY,
    beside = { { "p50 µs", "events.latency.p50_us" }, { "p99 µs", "events.latency.p99_us" },
      { "CPU µs a connection", "handshakes.cpu_us" }, { "kB a connection", "memory.kb_each" } },
  },
  {
    name = "protocols-saturated",
    title = "1 topic × 1,000 subscribers, a backlog of 500 events: leat.v1, Centrifugo's protocol as JSON, as Protobuf",
    servers = { "leat", "leat_json", "leat_protobuf" },
    load = { clients = 1000, events = 500, per_commit = 10, backlog = 1 },
    figure = DELIVERY,
    beside = { { "busy", "events.busy" }, { "waiting", "events.waiting" } },
  },
  {
    name = "handshake",
    title = "connect and subscribe, nothing is read, 64 at a time",
    servers = { "leat", "raw" },
    load = { clients = 5000 },
    figure = HANDSHAKE,
    against = { raw = 1.25 },
    beside = TOOK,
    peers = true,
  },
  {
    name = "handshake-reads",
    title = "connect and subscribe with three reads, beside a bare pipelined libpq program with the same statements",
    servers = { "leat", "pipeline" },
    load = { clients = 3000, topics = 100 },
    vary = { "topic", "room:", "batch:" },
    figure = { path = "handshakes.per_s", unit = "a second", more_is_better = true },
    against = { pipeline = 0.7 },
    beside = { { "CPU µs", "handshakes.cpu_us" }, { "Postgres µs", "postgres.cpu_us" } },
    replaced = { pipeline = pipeline },
  },
  {
    name = "handshake-shared",
    title = "connect and subscribe with one shared read, 64 at a time",
    servers = { "leat", "raw" },
    load = { clients = 5000, topic = "shared:" },
    figure = HANDSHAKE,
    beside = TOOK,
  },
  {
    name = "resume",
    title = "connect and resume, 20 events were missed",
    servers = { "leat", "raw" },
    load = { clients = 3000, missed = 20 },
    figure = HANDSHAKE,
    beside = TOOK,
    past = 20,
  },
  {
    name = "comeback",
    title = "10,000 clients resume 1,000 topics at once, which the server has yet to ask for",
    servers = { "leat" },
    load = { clients = 10000, topics = 1000, at_once = 10000 },
    vary = { "missed", 0, 20 },
    before = leave_behind,
    figure = HANDSHAKE,
    beside = { { "Postgres µs", "postgres.cpu_us" }, { "p50 µs", "handshakes.since_began.p50_us" },
      { "p99 µs", "handshakes.since_began.p99_us" }, { "snapshots", "metrics.leat_snapshot_reads_total" } },
    metrics = "leat_snapshot_reads_total",
  },
  {
    name = "flood",
    title = "1 topic × 200 good clients, 50 events a second, while 200 bad ones flood the server",
    servers = { "leat" },
    load = {},
    vary = { "flood", "none", "connects", "malformed", "tls", "pings", "messages", "subscribes", "reads", "huge",
      "slow" },
    figure = { path = "events.latency.p99_us", unit = "µs, p99 from the publish to a good client" },
    beside = { { "p50 µs", "events.latency.p50_us" }, { "NOTIFY p50", "events.notify.p50_us" },
      { "NOTIFY p99", "events.notify.p99_us" }, { "CPU of the server", "events.busy" } },
    replaced = { leat = flood.measure },
  },
  {
    name = "console",
    title = "1,000 topics × 10 of 10,000 clients, 100 events a second, with a page of the console open or not",
    servers = { "leat" },
    load = { clients = 10000, topics = 1000, rate = 100, seconds = 20 },
    vary = { "console", "closed", "open" },
    figure = { path = "events.latency.p50_us", unit = "µs, p50 from the publish to a client" },
    beside = { { "p99 µs", "events.latency.p99_us" }, { "µs of CPU a delivery", "events.cpu_us" },
      { "CPU of the server", "events.busy" } },
    replaced = { leat = console.measure },
  },
  {
    name = "publishing",
    title = "transactions that INSERT and publish, beside the same with pg_notify, on topics of their own",
    servers = { "publish", "notify", "insert" },
    load = { seconds = 4 },
    vary = { "publishers", 1, 8 },
    figure = { path = "publishing.tps", unit = "transactions a second", more_is_better = true },
    against = { notify = 0.8 },
    beside = { { "ms", "publishing.ms" } },
    replaced = { publish = publishing.measure("publish"), notify = publishing.measure("notify"),
      insert = publishing.measure("insert") },
  },
  {
    name = "latency",
    title = "from before the commit to the first and the last of 1,000 clients, beside NOTIFY's own, 20 a second",
    servers = { "leat", "raw" },
    load = { clients = 1000, rate = 20, seconds = 6, listen = 1, driver = "both" },
    figure = { path = "events.first.p50_us", unit = "µs to the first client, median" },
    beside = { { "NOTIFY p50", "events.notify.p50_us" }, { "NOTIFY p99", "events.notify.p99_us" },
      { "first p99", "events.first.p99_us" }, { "last p50", "events.last.p50_us" },
      { "last p99", "events.last.p99_us" } },
  },
  {
    name = "memory",
    title = "10,000 idle subscribers of one topic",
    servers = { "leat", "raw" },
    load = { clients = 10000, settle_ms = 1000 },
    figure = { path = "memory.kb_each", unit = "resident kB each" },
    most = 1.0,
    beside = { { "base kB", "memory.base_rss_kb" }, { "full kB", "memory.rss_kb" } },
    peers = true,
  },
  {
    name = "stampede",
    title = "10,000 clients connect at once and subscribe to one shared topic",
    servers = { "leat", "raw" },
    load = { clients = 10000, at_once = 10000, topic = "shared:" },
    figure = { path = "handshakes.since_began.p99_us", unit = "µs until 99 % have their snapshot" },
    most = 1000000,
    beside = { { "p50 µs", "handshakes.since_began.p50_us" }, { "CPU µs each", "handshakes.cpu_us" },
      { "reads", "metrics.leat_snapshot_reads_total" } },
    metrics = "leat_snapshot_reads_total",
  },
  {
    name = "rates",
    title = "latency over rate: 1 topic × 1,000 subscribers",
    servers = { "leat", "raw", "rawbatch" },
    load = { clients = 1000, seconds = 3 },
    vary = { "rate", 5, 10, 20, 40, 60, 80, 120, 200 },
    figure = { path = "events.latency.p99_us", unit = "µs, 99 % of the deliveries" },
    beside = { { "p50 µs", "events.latency.p50_us" }, { "CPU µs", "events.cpu_us" }, { "busy", "events.busy" } },
    picture = { x = "events a second", y = "ms until 99 % of 1,000 subscribers have it", scale = 0.001, log = true },
    rounds = 1,
  },
  {
    name = "connections",
    title = "cost over connections: 1 topic, 10,000 deliveries a second",
    servers = { "leat", "raw" },
    load = { seconds = 4 },
    vary = { "clients", { clients = 1000, rate = 10 }, { clients = 2000, rate = 5 }, { clients = 5000, rate = 2 },
      { clients = 10000, rate = 1 }, { clients = 19000, rate = 0.5 } },
    figure = DELIVERY,
    beside = { { "kB each", "memory.kb_each" }, { "p99 µs", "events.latency.p99_us" } },
    picture = { x = "connections", y = "µs of CPU a delivery", log = true },
    rounds = 1,
  },
  {
    name = "topics-grow",
    title = "cost over topics, each with one subscription, 300 events a second",
    servers = { "leat", "raw" },
    load = { rate = 300, seconds = 3, settle_ms = 500 },
    vary = { "topics", { topics = 1, clients = 1 }, { topics = 10, clients = 10 }, { topics = 100, clients = 100 },
      { topics = 1000, clients = 1000 }, { topics = 10000, clients = 1000, subscriptions = 10 },
      { topics = 100000, clients = 1000, subscriptions = 100 } },
    figure = { path = "events.cpu_us_an_event", unit = "µs of CPU an event" },
    beside = { { "kB a subscr.", "memory.kb_a_subscription" }, { "p99 µs", "events.latency.p99_us" } },
    picture = { x = "topics", y = "µs of CPU an event", log = true },
    rounds = 1,
  },
  {
    name = "subscriptions",
    title = "10,000 subscriptions to 1,000 topics, on few or many connections, 300 events a second",
    servers = { "leat", "raw" },
    load = { topics = 1000, rate = 300, seconds = 3, settle_ms = 500 },
    vary = { "subscriptions", { subscriptions = 1, clients = 10000 }, { subscriptions = 10, clients = 1000 },
      { subscriptions = 100, clients = 100 }, { subscriptions = 1000, clients = 10 } },
    figure = DELIVERY,
    beside = { { "kB a subscr.", "memory.kb_a_subscription" }, { "p99 µs", "events.latency.p99_us" } },
    picture = { x = "subscriptions a client", y = "µs of CPU a delivery", log = true },
    rounds = 1,
  },
  {
    name = "history",
    title = "latency while that many old events are trimmed: 1 topic × 100 subscribers, 100 events a second",
    servers = { "leat" },
    load = { clients = 100, rate = 100, seconds = 8, listen = 1, driver = "both" },
    vary = { "history", 0, 10000, 100000, 1000000 },
    before = fill_history,
    figure = { path = "events.latency.p99_us", unit = "µs, 99 % of the deliveries" },
    beside = { { "p50 µs", "events.latency.p50_us" }, { "NOTIFY p50", "events.notify.p50_us" },
      { "NOTIFY p99", "events.notify.p99_us" }, { "CPU µs", "events.cpu_us" },
      { "trimmed", "metrics.leat_trimmed_events_total" } },
    metrics = "leat_trimmed_events_total",
    env = { LEAT_TRIM_INTERVAL_MS = 500 },
    picture = { x = "old events", y = "ms until 99 % have a live one", scale = 0.001, log = true },
    rounds = 1,
  },
  {
    name = "churn",
    title = "a million clients connect, subscribe and leave, 64 at a time: resident kB after each tenth of them",
    servers = { "leat" },
    load = { clients = 1000000, leave = 1, addresses = 100, settle_ms = 7000 },
    figure = { path = "memory.grown_kb", unit = "kB from the first tenth to the last" },
    most = 1024,
    limit_ms = 3600000,
    beside = { { "base", "memory.base_rss_kb" }, { "1", "memory.parts_kb.1" }, { "2", "memory.parts_kb.2" },
      { "3", "memory.parts_kb.3" }, { "4", "memory.parts_kb.4" }, { "5", "memory.parts_kb.5" },
      { "6", "memory.parts_kb.6" }, { "7", "memory.parts_kb.7" }, { "8", "memory.parts_kb.8" },
      { "9", "memory.parts_kb.9" }, { "10", "memory.parts_kb.10" }, { "7 s later", "memory.rss_kb" } },
    rounds = 1,
    optional = true,
  },
  {
    name = "inside",
    title = "system calls and allocations of one handshake that reads nothing, and of one event for ten subscribers",
    servers = { "leat", "raw" },
    vary = { "of", "handshake", "event" },
    figure = { path = "inside.all_calls", unit = "system calls" },
    beside = { { "send", "inside.calls.sendto" }, { "recv", "inside.calls.recvfrom" },
      { "epoll_ctl", "inside.calls.epoll_ctl" }, { "epoll_wait", "inside.calls.epoll_wait" },
      { "setsockopt", "inside.calls.setsockopt" }, { "allocations", "inside.allocations" },
      { "bytes", "inside.bytes" } },
    replaced = { leat = inside.counts("leat"), raw = inside.counts("raw") },
    rounds = 1, -- counts, not times: they hardly differ
  },
  {
    name = "compression",
    title = "one message compressed by the server's codec: a chat's, a watched row, a game's tick, a snapshot",
    servers = { "level 1", "off", "level 6", "level 9" },
    load = { messages = 5000 },
    vary = { "of", "chat", "watch", "game", "snapshot" },
    figure = { path = "message.bytes", unit = "bytes on the wire a delivery" },
    beside = { { "% of plain", "message.percent" }, { "CPU µs a message", "message.us" },
      { "kB a worker", "message.codec_kb" } },
    replaced = { ["off"] = compression.at(0), ["level 1"] = compression.at(1), ["level 6"] = compression.at(6),
      ["level 9"] = compression.at(9) },
    rounds = 1,
  },
}
