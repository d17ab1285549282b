-- require "leat.host" in programs that are not kind to it: they forget servers, starve and flood them, stop them at the
-- wrong time, and throw errors. The module is that of the build tree (spec/support/preload.lua).

local files = require "spec.support.files"
local loop = require "spec.support.loop"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local ws = require "spec.support.ws"

local PRELUDE = [[
  local host = require "leat.host"
  local function start(options)
    options = options or {}
    options.database, options.listen = os.getenv "DATABASE_URL", options.listen or "none"
    options.app_source = [=[
      local leat = require "leat"
      local app = leat.app()
      app:topic("room:{id:int}", {
        subscribe = function(ctx, args)
          if not ctx.user then return leat.deny("unauthenticated") end
          return leat.subscribe_authorized(ctx, args, { snapshot = function() return {} end })
        end,
      })
      return app
    ]=]
    return assert(host.start(options))
  end
  local function subscribe(server, options)
    options.user = { id = 1 }
    options.closed = options.closed or function() end
    return assert(server:subscribe("room:1", options))
  end
]]

describe("leat.host", function()
  local db, folder

  lazy_setup(function() db, folder = postgres.database(), files.folder() end)
  lazy_teardown(function()
    files.remove(folder)
    db:drop()
  end)

  local function spawn(text)
    files.write(folder .. "/program.lua", PRELUDE .. text)
    local env = { DATABASE_URL = db.url }
    for _, name in ipairs { "LUA_PATH", "LUA_CPATH", "LD_PRELOAD", "ASAN_OPTIONS" } do
      env[name] = os.getenv("LEAT_TEST_PROGRAM_" .. name)
    end
    return process.spawn("lua5.4", { args = { folder .. "/program.lua" }, env = env })
  end

  -- Runs a program to its end: its lines, and its exit code.
  local function run(text)
    local p = spawn(text)
    loop.eventually(function() return not p:running() end, 120000, function() return "its end\n" .. p:output() end)
    return p.out, p.code, p:output()
  end

  local function prints(expected, text)
    local out, code, all = run(text)
    assert.equal(0, code, all)
    assert.same(expected, out, all)
  end

  it("ends a server that is collected, or left over at the end", function()
    prints({ "ok" }, [[
      for _ = 1, 3 do
        start()
        collectgarbage()
        collectgarbage()
      end
      left = start()
      print "ok"
    ]])
  end)

  it("ends with a server that runs on luv's loop and was never stopped", function()
    prints({ "ok" }, [[
      require "luv"
      local server = start()
      subscribe(server, {})
      print "ok"
    ]])
  end)

  it("runs two servers", function()
    prints({ "one 7", "two 7" }, [[
      local one, two, n, ready = start(), start(), 0, 0
      for name, server in pairs { one = one, two = two } do
        subscribe(server, {
          snapshot = function() ready = ready + 1 end,
          event = function(data) n = n + 1; server.got = name .. " " .. math.tointeger(data) end,
        })
      end
      local function both(done)
        while not done() do
          one:dispatch(10)
          two:dispatch(10)
        end
      end
      both(function() return ready == 2 end)
      one:publish("room:1", 7)
      both(function() return n == 2 end)
      print(one.got)
      print(two.got)
      one:stop()
      two:stop()
    ]])
  end)

  it("keeps every event, in order, for a program that does not dispatch", function()
    prints({ "300 in order" }, [[
      local server, at, seq, wrong, sent, ready = start(), 0, nil, false, 0, false
      subscribe(server, { window_bytes = 1024, event = function(data, position)
        wrong = wrong or data.n ~= at + 1 or position.seq ~= seq + 1
        at, seq = data.n, position.seq
      end, snapshot = function(_, position) ready, seq = true, position.seq end })
      while not ready do server:dispatch(100) end
      local function send()
        sent = sent + 1
        if sent <= 300 then server:publish("room:1", { n = sent, text = ("x"):rep(2000) }, send) end
      end
      send()
      local starve = os.time() + 1
      while os.time() <= starve do end
      while at < 300 do server:dispatch(1000) end
      print(math.tointeger(at) .. (wrong and " in disorder" or " in order"))
      server:stop()
    ]])
  end)

  it("hands an error of a callback to dispatch, and goes on", function()
    prints({ "false first", "true" }, [[
      local server, n = start(), 0
      server:publish("room:2", 1, function() error("first", 0) end)
      server:publish("room:2", 1, function() n = n + 1 end)
      local ok, err
      repeat ok, err = pcall(server.dispatch, server, 1000) until not ok
      print(tostring(ok) .. " " .. tostring(err))
      while n < 1 do server:dispatch(1000) end
      print(true)
      server:stop()
    ]])
  end)

  it("stops in a callback, once that has returned", function()
    for _, luv in ipairs { "", "local uv = require 'luv'\n" } do
      prints({ "stopping", "closed unavailable", "0", "nil\tthe server has stopped\tstopped" }, luv .. [[
        local server = start()
        subscribe(server, {
          snapshot = function()
            server:stop()
            server:stop()
            print "stopping"
          end,
          closed = function(why) print("closed " .. why.code) end,
        })
        if uv then uv.run() else
          while not server.is_free do server:dispatch(1000) end
        end
        print(server:dispatch(0))
        print(server:publish("room:1", 1))
        server:stop()
      ]])
    end
  end)

  it("stops while much is under way, and tells every callback first", function()
    prints({ "100 100" }, [[
      local server, done, closed = start(), 0, 0
      for _ = 1, 100 do
        subscribe(server, { closed = function() closed = closed + 1 end })
        server:publish("room:3", 1, function() done = done + 1 end)
      end
      server:stop()
      print(done .. " " .. closed)
    ]])
  end)

  it("finishes a stop in which a callback fails", function()
    prints({ "late", "true" }, [[
      local server = start()
      subscribe(server, { closed = function() error("late", 0) end })
      print(select(2, pcall(server.stop, server)))
      print(server.is_free)
    ]])
  end)

  it("is used from coroutines", function()
    prints({ "1" }, [[
      coroutine.wrap(function()
        local server = start()
        local co = coroutine.running()
        local sub = coroutine.wrap(function()
          subscribe(server, { snapshot = function() server:publish("room:1", 1) end,
            event = function(data) got = math.tointeger(data) end })
        end)
        sub()
        while not got do server:dispatch(1000) end
        server:stop()
      end)()
      print(got)
    ]])
  end)

  it("has nothing but an error for a descriptor that is no connection", function()
    prints({ "bad_request", "bad_request" }, [[
      local server = start()
      print(select(3, server:hand_over(9999, "GET / HTTP/1.1\r\n\r\n")))
      print(select(3, server:hand_over(0, "GET / HTTP/1.1\r\n\r\n")))
      server:stop()
    ]])
  end)

  -- For leat.h the text ends there: it would be another topic, another user.
  it("refuses texts with a zero byte", function()
    prints({ "config", "usage", "bad_request", "bad_request", "bad_request", "bad_request", "0" }, [[
      print(select(3, host.start { listen = "none\0" }))
      print(select(3, host.start { methods = { ["a\0b"] = print } }))
      local server, got = start(), 0
      local ready
      subscribe(server, { snapshot = function() ready = true end, event = function() got = got + 1 end })
      while not ready do server:dispatch(1000) end
      print(select(3, server:publish("room:1\0x", 1)))
      print(select(3, server:signal("room:1", 1, { conflate = "a\0b" })))
      print(select(3, server:revoke("room:1", "ann\0bob")))
      print(select(3, server:subscribe("room:1\0x", { user = { id = 1 }, closed = print })))
      server:publish("room:2", 1, function() ready = false end)
      while ready do server:dispatch(1000) end
      server:stop()
      print(got)
    ]])
  end)

  it("raises an error for a number that does not fit, and keeps nothing of it", function()
    prints({ "false false false true", "same" }, [[
      local server = start()
      local function kept()
        local n = 0
        for _ in pairs(server.waiting) do n = n + 1 end
        return n
      end
      local before = kept()
      local function try(name, value)
        return (pcall(server.subscribe, server, "room:1", { user = { id = 1 }, [name] = value }))
      end
      print(("%s %s %s %s"):format(try("window_bytes", -1), try("window_bytes", 1 << 32), try("timeout_ms", -1),
        not pcall(server.publish, server, nil, 1)))
      print(kept() == before and "same" or "more")
      server:stop()
    ]])
  end)

  it("still owes the answer if that was called in a wrong way", function()
    local p = spawn [[
      local over = false
      local server = start { listen = "127.0.0.1:0", max_host_requests = 1, methods = {
        refuse = function(request) request:refuse("forbidden", request.data) end,
        over = function(request) over = true; request:answer() end,
      } }
      print(server.address)
      io.stdout:flush()
      while not over do pcall(server.dispatch, server, 1000) end
      server:stop()
    ]]
    local port
    loop.eventually(function()
      port = tonumber(p:output():match "127%.0%.0%.1:(%d+)")
      return port or not p:running()
    end, 120000, function() return p:output() end)
    local client = ws.connect { port = port }
    local function call(id, method, params)
      client:send { op = "call", id = id, method = method, params = params }
      return client:recv(120000).code
    end

    assert.equal("forbidden", call(1, "refuse", "no"))
    assert.equal("internal", call(2, "refuse", { 1 }))
    assert.equal("internal", call(3, "refuse", { 1 }))
    assert.equal("internal", call(4, "refuse", "a\0b"))
    assert.equal("forbidden", call(5, "refuse", "no"))
    assert.is_nil(call(6, "over"))
    loop.eventually(function() return not p:running() end, 120000, function() return p:output() end)
    client:close()
  end)
end)
