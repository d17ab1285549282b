-- SIGHUP: the new script beside the old one.

local control = require "spec.support.control"
local files = require "spec.support.files"
local gate = require "spec.support.gate"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"

local function app(version, extra)
  return ([[
    local leat = require "leat"
    local app = leat.app()
    app:topic("t", {
      subscribe = function(ctx)
        ctx.db:exec("%s")
        return leat.subscribe_authorized(ctx, { v = "%s" }, {
          snapshot = function(db, row) return row.v end,
        })
      end,
    })
    app:method("version", function() return "%s" end)
    %s
    return app
  ]]):format(gate.sql(gate.AUTHORIZE), version, version, extra or "")
end

describe("a reload", function()
  local s

  lazy_setup(function() s = stage.open { app = app "one", log = { "scripts not loaded" } } end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local function reload(text, pattern)
    local from = #s.server.log + 1
    files.write(s.app, text)
    s.server:send_signal("sighup")
    s.server:await_log(pattern, from)
  end

  local function version(client)
    return client:ask({ op = "call", id = 1, method = "version" }, "ok").data
  end

  it("brings the new script to old and new connections", function()
    local old = s:connect()

    reload(app "two", "scripts reloaded")

    assert.equal("two", version(old))
    assert.equal("two", version(s:connect()))
    assert.equal("two", old:subscribe("t").data)
  end)

  it("names the code: the same one has the same name, and a module's change is one", function()
    local folder = s.app:match("^.*/")
    local module = folder .. "named_by_a_spec.lua"
    finally(function() os.remove(module) end)
    local text = "require 'named_by_a_spec'\n" .. app "named"
    local function name_with(value)
      files.write(module, "return " .. value)
      local from = #s.server.log + 1
      reload(text, "scripts reloaded")
      return (s.server:await_log("scripts reloaded version=(%x+)$", from))
    end

    local first = name_with(1)
    assert.equal(16, #first)
    assert.equal(first, name_with(1))
    assert.not_equal(first, name_with(2))
    text = text .. "-- a comment at the end\n"
    assert.equal(first, name_with(1))
    text = "\n" .. text
    assert.not_equal(first, name_with(1))
  end)

  it("lets a handshake in flight end on the version that it began with", function()
    reload(app "before", "scripts reloaded")
    local client, other = s:connect(), s:connect()
    local shut = gate.shut(s.db, gate.AUTHORIZE)
    client:send { op = "subscribe", id = 1, topic = "t" }
    shut:await()

    reload(app "after", "scripts reloaded")
    assert.equal("after", version(other))
    shut:open()

    assert.equal("before", client:expect("snapshot", 1).data)
  end)

  it("lets a request whose body is still to come end on the version that it began with", function()
    local route = [[
      app:route("POST /size", function(_, request) return { status = 200, body = "%s " .. #request.body } end)
    ]]
    reload(app("before", route:format "before"), "scripts reloaded")
    local conn = tcp.connect(s.server.port)
    conn:write(http.text { method = "POST", path = "/size",
      headers = { ["Content-Length"] = 3, Expect = "100-continue" } })
    assert.equal(100, http.read_answer(conn).status)

    reload(app("after", ("app:route('GET /other', function() end)" .. route:format "after")), "scripts reloaded")
    conn:write "abc"

    assert.equal("before 3", http.read_answer(conn).body)
    conn:close()
  end)

  it("keeps live subscriptions, with their events", function()
    local client = s:connect()
    local snapshot = client:subscribe("t")

    for i = 1, 3 do
      reload(app("version " .. i), "scripts reloaded")
      s.session:publish("t", tostring(i))
      local event = client:until_message(function(m) return m.op == "event" end)
      assert.same({ snapshot.seq + i, i }, { event.seq, event.data })
    end
  end)

  it("that does not load leaves the old script serving, and says why", function()
    reload(app "good", "scripts reloaded")
    local client = s:connect()

    for _, broken in ipairs { "this is no Lua", "error('not today')", "return 5", "while true do end",
      "require 'nothing.like.this'" } do
      reload(broken, "scripts not loaded")

      assert.equal("good", version(client))
      assert.equal("good", version(s:connect()))
    end
    s.server:await_log("scripts not loaded.*not today")
  end)

  it("leaves nothing of the old scripts behind", function()
    reload(app "fresh", "scripts reloaded")
    local before = s:metrics().leat_script_memory_bytes

    for i = 1, 10 do reload(app("again " .. i), "scripts reloaded") end

    assert.is_true(s:metrics().leat_script_memory_bytes < before * 2)
  end)
end)

describe("a reload of the configuration", function()
  local s, file, path

  before_each(function()
    file = files.folder() .. "/leat.lua"
    files.write(file, "return { max_subscriptions = 2 }")
    path = control.path()
    s = stage.open { app = app "one", args = { "--config", file }, env = { LEAT_CONTROL = path },
      log = { "key ", "configuration not read", "scripts not loaded" } }
  end)
  after_each(function()
    s:close()
    files.remove(file:match("^(.*)/"))
    control.remove(path)
  end)

  local function reload(text, pattern)
    local from = #s.server.log + 1
    files.write(file, text)
    s.server:send_signal("sighup")
    s.server:await_log(pattern, from)
  end

  -- What the server tells of itself, once it is ready.
  local function details()
    return loop.eventually(function()
      local answer = http.request(s.server, "/readyz?verbose")
      return answer.status == 200 and answer.body
    end, nil, "a server that is ready")
  end

  it("takes over what it can, for old clients, too, and names the others", function()
    local client = s:connect()
    client:subscribe("t")

    reload("return { max_subscriptions = 1, log_level = 'debug', pool_size = 3, static_dir = '/tmp' }",
      "scripts reloaded")

    s.server:await_log("key taken over key=max_subscriptions value=1")
    s.server:await_log("key taken over key=log_level value=debug")
    s.server:await_log("WARN server key needs a restart key=pool_size")
    s.server:await_log("WARN server key needs a restart key=static_dir")
    assert.equal(0, s.server:count_log("key needs a restart key=max_"))
    assert.equal("limit", client:ask({ op = "subscribe", id = 2, topic = "u" }, "error").code)
  end)

  it("takes back what the file says no more", function()
    reload("return { max_inflight = 1 }", "key taken over key=max_inflight value=1")

    reload("return {}", "key taken over key=max_inflight value=8")
  end)

  it("that fails changes nothing, and says why where an operator looks", function()
    files.write(s.app, app "two")

    reload("return {\n max_inflight = 0 }",
      "configuration not read, nothing is reloaded err=.*leat.lua:2: max_inflight = 0")

    assert.equal("one", s:connect():ask({ op = "call", id = 1, method = "version" }, "ok").data)
    local body = details()
    assert.matches("\nreload: failed, all is as before: [^\n]*max_inflight = 0: expected an integer", body)
    assert.matches("^reload: failed, all is as before: [^\n]*max_inflight = 0",
      control.show(path, "summary").problems[1])
    assert.equal(1, s:metrics().leat_reload_failed)
    assert.equal(1, s:metrics()['leat_reloads_total{outcome="failed"}'])

    reload("return {}", "scripts reloaded")
    assert.equal("database: ok\nlistener: ok\nhistory: ok\noutbox: ok\nschema: ok\nscripts: ok\nserver: ok\n"
      .. "reload: ok\n", details())
    assert.equal(0, s:metrics().leat_reload_failed)
    assert.equal("ok\n", http.request(s.server, "/readyz").body)
  end)

  it("whose script does not load says so there, too", function()
    files.write(s.app, "return 5")

    reload("return {}", "scripts not loaded")

    local body = details()
    assert.matches("\nreload: failed, all is as before: [^\n]*must end with 'return app'", body)
  end)
end)
