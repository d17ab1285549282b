-- Sockets that a program's own HTTP server hands over, with whatever its peers sent. The program here reads eight
-- digits from each connection, then as many bytes as they say, and hands both over to leat.host.

local files = require "spec.support.files"
local frame = require "spec.support.frame"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local tcp = require "spec.support.tcp"

local PROGRAM = [[
  local uv = require "luv"
  local host = require "leat.host"
  local server = assert(host.start {
    database = os.getenv "DATABASE_URL", listen = "127.0.0.1:0",
    header_timeout_ms = 2000, max_connections_per_address = 20,
    app_source = [=[
      local leat = require "leat"
      local app = leat.app()
      app:topic("room:{id:int}", {
        subscribe = function(ctx, args)
          return leat.subscribe_authorized(ctx, args, { snapshot = function() return {} end })
        end,
      })
      return app
    ]=],
  })
  local listener = uv.new_tcp()
  listener:bind("127.0.0.1", 0)
  listener:listen(512, function()
    local socket, bytes = uv.new_tcp(), ""
    listener:accept(socket)
    socket:read_start(function(err, chunk)
      if err or not chunk then return socket:close() end
      bytes = bytes .. chunk
      local size = tonumber(bytes:sub(1, 8))
      if #bytes < 8 + size then return end
      socket:read_stop()
      print(server:hand_over(socket, bytes:sub(9)) or "refused")
      if not socket:is_closing() then socket:close() end
    end)
  end)
  print(server.address:match "%d+$", listener:getsockname().port)
  uv.new_signal():start("sigterm", function()
    server:stop()
    uv.stop()
  end)
  uv.run()
  print "stopped"
]]

local UPGRADE = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" ..
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" ..
  "Sec-WebSocket-Protocol: leat.v1\r\n\r\n"

local PEER = "127.0.0.2" -- not the address that reads the metrics

local function text(payload, options)
  local f = { op = frame.TEXT, payload = payload }
  for k, v in pairs(options or {}) do f[k] = v end
  return frame.encode(f)
end

describe("a socket that is handed over", function()
  local db, folder, program, server, port

  lazy_setup(function()
    db, folder = postgres.database(), files.folder()
    files.write(folder .. "/program.lua", PROGRAM)
    local env = { DATABASE_URL = db.url }
    for _, name in ipairs { "LUA_PATH", "LUA_CPATH", "LD_PRELOAD", "ASAN_OPTIONS" } do
      env[name] = os.getenv("LEAT_TEST_PROGRAM_" .. name)
    end
    program = process.spawn("lua5.4", { args = { folder .. "/program.lua" }, env = env })
    loop.eventually(function() return program.out[1] end, 30000, function() return "ports:\n" .. program:output() end)
    local own, theirs = program.out[1]:match "(%d+)\t(%d+)"
    server, port = { port = tonumber(own) }, tonumber(theirs)
  end)
  lazy_teardown(function()
    program:send_signal "sigterm"
    assert.equal(0, program:wait(30000), program:output())
    assert.equal("stopped", program.out[#program.out])
    files.remove(folder)
    db:drop()
  end)
  after_each(function() metrics.settled(server) end)

  -- A connection of which the program reads `read`, and Leat the rest.
  local function give(read, rest)
    local conn = tcp.connect(port, { from = PEER })
    conn:write(("%08d"):format(#read) .. read)
    if rest then conn:write(rest) end
    return conn
  end

  local function status_of(conn)
    local answer = http.read_answer(conn, "GET")
    return answer and answer.status
  end

  local function ends(conn)
    loop.eventually(function() return conn.ended end, nil, "the end of the connection")
    conn:close()
  end

  local function close_code(conn)
    local code
    loop.eventually(function()
      local f, at = frame.decode(conn:bytes(), 1)
      while f and f.op ~= frame.CLOSE do f, at = frame.decode(conn:bytes(), at) end
      code = f and string.unpack(">I2", f.payload)
      return code or conn.ended
    end, nil, "a close frame")
    return code
  end

  it("speaks the frames that came with the request", function()
    local conn = give(UPGRADE .. text '{"op":"subscribe","id":1,"topic":"room:1"}')
    assert.equal(101, status_of(conn))
    loop.eventually(function() return conn:bytes():find('"op":"snapshot"', 1, true) end, nil, "a reply")
    conn:close()
  end)

  it("goes on where the program stopped reading, at any byte", function()
    local all = UPGRADE .. text '{"op":"subscribe","id":1,"topic":"room:1"}'
    for size = 1, #all, 37 do
      local conn = give(all:sub(1, size), all:sub(size + 1))
      assert.equal(101, status_of(conn))
      loop.eventually(function() return conn:bytes():find('"op":"snapshot"', 1, true) end, nil, "a reply")
      conn:close()
    end
  end)

  it("has the time for a head that others have", function()
    local conn = give("GET / HTTP/1.1\r\nHost: ")
    assert.equal(408, status_of(conn))
    ends(conn)
  end)

  it("has the limits for a head that others have", function()
    local conn = give("GET / HTTP/1.1\r\nX: " .. ("a"):rep(1024 * 1024))
    assert.equal(431, status_of(conn))
    ends(conn)
  end)

  it("is answered 400 for what is no HTTP", function()
    local conn = give(("\0\xff"):rep(50000))
    assert.equal(400, status_of(conn))
    ends(conn)
  end)

  it("gets one answer for a hundred requests", function()
    local conn = give(("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"):rep(100))
    assert.equal(200, status_of(conn))
    ends(conn)
    assert.equal("", conn:bytes())
  end)

  it("is closed for frames that nobody may send", function()
    for code, bad in pairs {
      [1002] = text("{}", { mask = false }),
      [1009] = string.char(0x81, 0xff) .. string.pack(">I8", 1 << 40) .. "abcd",
      [1007] = text "\xff\xfe",
    } do
      local conn = give(UPGRADE .. bad)
      assert.equal(101, status_of(conn))
      assert.equal(code, close_code(conn))
      conn:close()
    end
  end)

  it("may be gone already", function()
    for _, request in ipairs { UPGRADE, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "GET" } do
      for _ = 1, 20 do
        local conn = tcp.connect(port, { from = PEER })
        conn:write(("%08d"):format(#request) .. request)
        conn.handle:close_reset()
        loop.eventually(function() return conn.handle:is_closing() end)
      end
    end
    assert.equal(200, http.request(server, "/healthz").status)
  end)

  it("counts for its address", function()
    local held = {}
    for i = 1, 20 do
      held[i] = give(UPGRADE)
      assert.equal(101, status_of(held[i]))
    end
    local before = #program.out
    local one_more = give(UPGRADE)
    ends(one_more)
    assert.equal("", one_more:bytes())
    loop.eventually(function() return #program.out > before end, nil, "the program's line")
    assert.equal("true", program.out[#program.out])
    for _, conn in ipairs(held) do conn:close() end
  end)

  it("in a flood is handed over, answered or closed, and nothing stays", function()
    local conns = {}
    for i = 1, 300 do
      local size = i % #UPGRADE
      conns[i] = give(UPGRADE:sub(1, size), i % 3 == 0 and UPGRADE:sub(size + 1) or nil)
    end
    for _, conn in ipairs(conns) do conn:close() end
    metrics.settled(server)
  end)
end)
