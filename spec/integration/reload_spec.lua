-- SIGHUP: the new script beside the old one.

local files = require "spec.support.files"
local gate = require "spec.support.gate"
local http = require "spec.support.http"
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
