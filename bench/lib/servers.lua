-- How each server is started, and how the load speaks to it and publishes through it.
local process = require "bench.lib.process"

local M = {}

local START_MS = 20000

-- Limits of Leat that a bench on one machine would meet.
local LEAT = {
  LEAT_LOG_LEVEL = "warn",
  LEAT_MAX_CONNECTIONS = 19500,
  LEAT_MAX_CONNECTIONS_PER_ADDRESS = 100000,
  LEAT_CONNECTION_RATE_PER_ADDRESS = 1000000,
  LEAT_CONNECTION_BURST_PER_ADDRESS = 1000000,
  LEAT_REQUEST_RATE_PER_ADDRESS = 1000000,
  LEAT_REQUEST_BURST_PER_ADDRESS = 1000000,
  LEAT_SUBSCRIBE_RATE_PER_ADDRESS = 1000000,
  LEAT_SUBSCRIBE_BURST_PER_ADDRESS = 1000000,
  LEAT_MAX_SUBSCRIPTIONS = 1000,
}

-- options.wrapper: a program, with arguments, that runs the server.
local function start(context, path, args, env, options)
  local words = { path, table.unpack(args) }
  if options and options.wrapper then
    words = table.move(words, 1, #words, #options.wrapper + 1, { table.unpack(options.wrapper) })
  end
  local server, why = process.start(words[1], { args = { table.unpack(words, 2) }, env = env,
    core = context.server_core })
  return server or error(why, 0)
end

local function await_port(server, name, port)
  local up = process.wait(function()
    return server.code or process.accepts(port)
  end, START_MS)
  if not up or server.code then
    process.stop(server)
    local out, err = process.output(server)
    error(("%s did not start on port %d: %s"):format(name, port, (out .. err):sub(-1000)), 0)
  end
end

-- options: env, wrapper.
local function leat(context, options)
  local port = process.free_port()
  local env = {}
  for name, value in pairs(LEAT) do
    env[name] = value
  end
  for name, value in pairs(options.env or {}) do
    env[name] = value
  end
  local args = { "serve", "--database", context.database, "--app", context.root .. "/bench/app.lua", "--listen",
    "127.0.0.1:" .. port }
  local server = start(context, context.leat, args, env, options)
  await_port(server, "leat", port)
  return server, { port = port, protocol = "leat", driver = "sql", target = context.database }
end

-- Leat, spoken to in Centrifugo's protocol.
local function leat_as(protocol)
  return function(context, options)
    local server, how = leat(context, options)
    how.protocol = protocol
    return server, how
  end
end

-- Makes a certificate, once, with a key of that kind. Returns its file and the key's.
local function certificate(context)
  local path = context.work .. "/tls"
  local ok = os.execute(("test -f '%s.key' || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    .. " -subj /CN=localhost -days 30 -keyout '%s.key' -out '%s.pem' 2>/dev/null"):format(path, path, path))
  assert(ok, "openssl makes no certificate")
  return path .. ".pem", path .. ".key"
end

local function leat_tls(context, options)
  local port, env = process.free_port(), {}
  for name, value in pairs(options.env or {}) do
    env[name] = value
  end
  env.LEAT_TLS_LISTEN = "127.0.0.1:" .. port
  env.LEAT_TLS_CERTIFICATE, env.LEAT_TLS_KEY = certificate(context)
  local server, how = leat(context, { env = env, wrapper = options.wrapper })
  how.plain_port, how.port, how.tls = how.port, port, 1
  return server, how
end

local function raw(mode)
  return function(context, options)
    local port = process.free_port()
    local source = options.pipe and "pipe=" .. context.fifo or "database=" .. context.database
    local server = start(context, context.bin .. "/bench_raw",
      { "mode=" .. mode, "port=" .. port, "past=" .. (options.past or 0), source }, options.env,
      options)
    await_port(server, mode, port)
    return server, {
      port = port,
      protocol = "leat",
      driver = options.pipe and "pipe" or "notify",
      target = options.pipe and context.fifo or context.database,
    }
  end
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

local function nchan(context)
  local port, dir = process.free_port(), context.work .. "/nchan"
  os.execute(("mkdir -p '%s/logs'"):format(dir))
  write(dir .. "/nginx.conf", (read(context.root .. "/bench/peers/nchan.conf"):gsub("@PORT@", port)))
  local server = start(context, "/usr/sbin/nginx", { "-p", dir, "-c", dir .. "/nginx.conf", "-e", "stderr" })
  await_port(server, "nchan", port)
  return server, { port = port, protocol = "nchan", driver = "http", target = port }
end

-- nginx ends TLS in front of Leat; what both use is counted.
local function nginx(context, options)
  local behind, how = leat(context, options)
  local port, dir = process.free_port(), context.work .. "/nginx"
  local pem, key = certificate(context)
  os.execute(("mkdir -p '%s/logs'"):format(dir))
  local words = { PORT = port, BEHIND = how.port, CERTIFICATE = pem, KEY = key }
  write(dir .. "/nginx.conf", (read(context.root .. "/bench/peers/nginx.conf"):gsub("@(%u+)@", words)))
  local server = start(context, "/usr/sbin/nginx", { "-p", dir, "-c", dir .. "/nginx.conf", "-e", "stderr" })
  server.beside = behind
  await_port(server, "nginx", port)
  how.port, how.tls, how.beside = port, 1, behind.pid
  return server, how
end

local function nats(context)
  local port = process.free_port()
  local server = start(context, "nats-server", { "-a", "127.0.0.1", "-p", tostring(port) }, { GOMAXPROCS = 1 })
  await_port(server, "nats", port)
  return server, { port = port, protocol = "nats", driver = "nats", target = port }
end

local function centrifugo(context)
  local port, config = process.free_port(), context.work .. "/centrifugo.json"
  write(config, (read(context.root .. "/bench/peers/centrifugo.json"):gsub("@PORT@", port)))
  local server = start(context, context.peers .. "/bin/centrifugo", { "--config", config }, { GOMAXPROCS = 1 })
  await_port(server, "centrifugo", port)
  return server, { port = port, protocol = "centrifugo", driver = "centrifugo", target = port }
end

local function node(script, protocol)
  return function(context)
    local port = process.free_port()
    local server = start(context, "node", { context.root .. "/bench/peers/" .. script, tostring(port), context.fifo },
      { NODE_PATH = context.peers .. "/node_modules" })
    await_port(server, script, port)
    return server, { port = port, protocol = protocol, driver = "pipe", target = context.fifo }
  end
end

M.start = {
  leat = leat,
  leat_json = leat_as("centrifugo"),
  leat_protobuf = leat_as("centrifugo-protobuf"),
  leat_tls = leat_tls,
  nginx = nginx,
  raw = raw("raw"),
  rawbatch = raw("rawbatch"),
  nchan = nchan,
  nats = nats,
  centrifugo = centrifugo,
  ws = node("ws.js", "leat"),
  socketio = node("socketio.js", "socketio"),
}

--- Servers that packages install, in the order of the table.
M.peers = { "nchan", "nats", "ws", "socketio", "centrifugo" }

return M
