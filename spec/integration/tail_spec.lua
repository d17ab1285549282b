-- `leat tail`, `leat publish` and `leat top`, and what an operator can do through the socket.

local control = require "spec.support.control"
local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local json = require "cjson"
local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local process = require "spec.support.process"
local stage = require "spec.support.stage"

describe("an operator", function()
  local s, path, tails

  before_each(function()
    path, tails = control.path(), {}
    s = stage.open { app = fixtures.app, schema = fixtures.schema, log = { "scripts not loaded" },
      env = { LEAT_CONTROL = path, LEAT_WORKERS = 2 } }
  end)
  after_each(function()
    for _, t in ipairs(tails) do
      t:send_signal("sigint")
      assert.equal(130, t:wait())
    end
    s:close()
    control.remove(path)
  end)

  local function publish(topic, data)
    local code, out, err = control.run(path, "publish", topic, data)
    assert.equal(0, code, err)
    return out
  end

  --- A tail that has begun: it says so, or resumes.
  local function tail(topic, ...)
    local t = process.spawn(env.binary(), { args = { "tail", topic, "--control", path, ... } })
    tails[#tails + 1] = t
    return t
  end

  local function heard(t, n, what)
    loop.eventually(function() return #t.out >= n end, nil, function() return (what or "lines") .. t:output() end)
    return t.out
  end

  local function begun(t)
    loop.eventually(function() return t:output():find("following from here", 1, true) end, nil, "a beginning")
    return t
  end

  it("follows a topic that he publishes to, from now on", function()
    local client = s:connect { token = "alice" }
    client:subscribe("room:1")
    local first = publish("room:1", '{"n":1}')
    local t = begun(tail("room:1"))

    local second, third = publish("room:1", '{"n":2}'), publish("room:1", '[3, "drei"]')

    assert.same({ second .. ' {"n": 2}', third .. ' [3, "drei"]' }, heard(t, 2))
    assert.matches("^%S+:1$", first)
    assert.equal(1, client:expect("event").data.n)
  end)

  -- U+009B begins a command to a terminal, as ESC [ does.
  it("is shown data that his terminal does not obey", function()
    local t = begun(tail "room:1")
    local as_json = tail("room:1", "--json")
    heard(as_json, 1, "a snapshot")

    publish("room:1", '"\194\1552J\127"')

    assert.matches('"\\u009b2J\\u007f"', heard(t, 1)[1], 1, true)
    assert.matches('"\\u009b2J\\u007f"', heard(as_json, 2)[2], 1, true)
  end)

  it("follows topics that no handler would let him have", function()
    local t = begun(tail("nobody/has-a-handler"))

    local at = publish("nobody/has-a-handler", "true")

    assert.same({ at .. " true" }, heard(t, 1))
  end)

  it("goes on behind a position, as JSON", function()
    local first = publish("room:1", "1")
    publish("room:1", "2")
    local third = publish("room:1", "3")

    local t = tail("room:1", "--since", first, "--json")

    local lines = heard(t, 3)
    assert.equal("resumed", json.decode(lines[1]).op)
    assert.equal(2, json.decode(lines[2]).data)
    local last = json.decode(lines[3])
    assert.same({ third, 3, "event" }, { last.position, last.data, last.op })
  end)

  it("is told if events behind a position are gone", function()
    local first = publish("room:1", "1")
    publish("room:1", "2")
    s.session:run("delete from leat.event")

    local t = tail("room:1", "--since", first)

    loop.eventually(function() return t:output():find("events are missing", 1, true) end, nil, "the news")
    local third = publish("room:1", "3")
    assert.same({ third .. " 3" }, heard(t, 1))
  end)

  it("loses no event if the server is killed, and is told that it was", function()
    local t = begun(tail("room:1"))
    publish("room:1", "1")
    heard(t, 1)

    s.server.process:send_signal("sigkill")
    s.server.process:wait()
    loop.eventually(function() return t:output():find("the server is gone", 1, true) end, nil, "the news")
    s.session:run("select leat.publish('room:1', '2')")
    s:serve { LEAT_CONTROL = path, LEAT_WORKERS = 2 }
    publish("room:1", "3")

    local lines = heard(t, 3)
    assert.same({ "1", "2", "3" }, { lines[1]:match(" (.*)"), lines[2]:match(" (.*)"), lines[3]:match(" (.*)") })
  end)

  it("goes on by himself when the server drains and another one starts", function()
    local t = begun(tail("room:1"))
    publish("room:1", "1")
    heard(t, 1)

    s.server:stop()
    s:serve { LEAT_CONTROL = path, LEAT_WORKERS = 2 }
    publish("room:1", "2")

    assert.matches(" 2$", heard(t, 2)[2])
  end)

  it("is refused what is malformed", function()
    assert.equal(2, (control.run(path, "publish", "room:1", "{rubbish")))
    assert.equal(2, (control.run(path, "publish", "", "1")))
    assert.equal(2, (control.run(path, "publish", "room:1")))
    local code, _, err = control.run(path, "publish", "room:1", [["\u0000"]]) -- JSON, but not for Postgres
    assert.equal(2, code)
    assert.matches("unsupported Unicode escape sequence", err, 1, true)
    assert.equal(2, (control.run(path, "tail", "room:1", "--since", "rubbish")))
    assert.equal(2, (control.run(path, "tail", "")))
    for _, command in ipairs { { "tail", "room:1" }, { "publish", "room:1", "1" }, { "top" }, { "show" }, { "log" } } do
      code, _, err = control.run(path .. ".none", table.unpack(command))
      assert.equal(1, code, command[1])
      assert.matches("no server answers", err, 1, true)
    end
  end)

  it("is told that a server hangs", function()
    local expected = s.server.expected
    expected[#expected + 1] = "WARN" -- what it asked Postgres for before is late when it goes on
    s.server:send_signal("sigstop")
    finally(function() s.server:send_signal("sigcont") end)
    local t = process.spawn(env.binary(), { args = { "tail", "room:1", "--control", path } })

    assert.equal(1, t:wait(25000))
    assert.matches("no server answers at .*: no answer in time", t:output())
  end)

  it("is told that a server hangs while he follows a topic, and where to go on", function()
    s.server:stop()
    s:serve { LEAT_CONTROL = path, LEAT_WORKERS = 1, LEAT_PING_INTERVAL_MS = 200 }
    local expected = s.server.expected
    expected[#expected + 1] = "WARN"
    local t = process.spawn(env.binary(), { args = { "tail", "room:1", "--control", path } })
    begun(t)
    local position = publish("room:1", "1")
    heard(t, 1)

    s.server:send_signal("sigstop")
    finally(function() s.server:send_signal("sigcont") end)

    assert.equal(1, t:wait(60000))
    assert.matches("the server at .* hangs: no sign of life for 1%d s; leat tail %-%-since (%S+) goes on", t:output())
    assert.equal(position, t:output():match("%-%-since (%S+)"))
  end)

  it("says why Postgres refuses a publish", function()
    s.session:run("alter function leat.publish(text, jsonb) rename to published")
    finally(function() s.session:run("alter function leat.published(text, jsonb) rename to publish") end)

    local code, _, err = control.run(path, "publish", "room:1", "1")

    assert.equal(1, code)
    assert.matches("leat.publish", err, 1, true)
  end)

  local function post(what)
    local code, out = process.run("/usr/bin/curl",
      { args = { "-s", "-X", "POST", "--unix-socket", path, "http://x/" .. what } })
    assert.equal(0, code)
    return json.decode(out)
  end

  local function logged(text)
    loop.eventually(function() return s.server.process:output():find(text, 1, true) end, nil, text)
  end

  it("disconnects a client, and the log says who did it", function()
    local client = s:connect { token = "alice" }
    client:subscribe("room:1")
    local id = control.show(path, "clients").clients[1].client

    post("disconnect?client=" .. id)

    assert.equal(1001, client:closed())
    logged("action=disconnect client=" .. id .. " by=uid=0")
    assert.equal("not_found", post("disconnect?client=" .. id).code)
  end)

  it("is named by the log if he hangs up before the answer, or gets none", function()
    local asked = "asked by an operator, not known to be done action=%s topic=%s by=uid=0"
    local other = pg.connect(s.db.url)
    other:run "begin; lock table leat.topic in access exclusive mode"
    finally(function() other:close() end)
    s.server:expect_log "WARN"
    local leaves = process.spawn("/usr/bin/curl",
      { args = { "-s", "-X", "POST", "--unix-socket", path, "http://x/publish?name=room:1", "-d", "1" } })
    loop.eventually(function()
      return s.session:value("select exists (select from pg_stat_activity where wait_event_type = 'Lock' "
        .. "and query like '%leat.publish%')") == "t"
    end, nil, "a publish that waits")
    leaves:send_signal("sigkill")
    leaves:wait()

    logged(asked:format("publish", "room:1"))
    assert.matches("no answer in time", post("resync?name=room:2").error)
    logged(asked:format("resync", "room:2"))
  end)

  it("resyncs a topic", function()
    local client = s:connect { token = "alice" }
    client:subscribe("room:1")

    post("resync?name=room:1")

    assert.equal("room:1", client:expect("snapshot").topic)
    logged("action=resync topic=room:1 by=uid=0")
  end)

  it("reloads the scripts, and sees why they do not load", function()
    files.write(s.app, fixtures.app .. "\n-- changed")
    post("reload")
    loop.eventually(function() return control.show(path, "script").workers[2].loads == 2 end, nil, "a load")
    files.write(s.app, "this is no Lua")
    post("reload")

    local refused = loop.eventually(function() return control.show(path, "script").workers[1].refused end, nil, "why")

    assert.matches("app.lua:1:", refused, 1, true)
  end)

  local function complete(line)
    local word, previous = line:match("([^%s:]*)$"), line:match("(%S+)%s+%S*$")
    local script = ("PATH=%s:$PATH; source %s/packaging/completion/leat; COMP_LINE='%s' COMP_POINT=%d; "
      .. "_leat leat '%s' '%s'; echo \"${COMPREPLY[*]}\""):format(env.binary():match("^(.*)/"), env.root(), line,
      #line, word, previous or "")
    local code, out, err = process.run("/bin/bash", { args = { "-c", script }, env = { LEAT_CONTROL = path } })
    assert.equal(0, code, err)
    return out
  end

  it("has bash complete commands, options and topics", function()
    s:connect({ token = "alice" }):subscribe("room:1")
    assert.equal("serve show", complete("leat s"))
    assert.equal("topics topic", complete("leat show top"))
    assert.equal("--by", complete("leat show topics --b"))
    assert.equal("busiest largest subscribers", complete("leat show topics --by "))
    assert.equal("p99", complete("leat show handlers --by p"))
    assert.equal("deliveries", complete("leat show patterns --by d"))
    assert.equal("room:1", complete("leat tail ro"))
    assert.equal("1", complete("leat tail room:"))
    assert.equal("room:1", complete("leat show topic "))
    assert.equal("--since", complete("leat tail room:1 --s"))
  end)

  -- Clients choose the names of topics, and an operator's shell must not take one for a command.
  it("has bash complete no topic that means something to a shell", function()
    files.write(s.app, fixtures.app:gsub("return app%s*$", [[
      app:topic("any:{name}", { subscribe = function(ctx)
        return leat.subscribe_authorized(ctx, { id = 1 }, { snapshot = function() return 1 end })
      end })
      return app]]))
    post("reload")
    s.server:await_log("scripts reloaded")
    local client, mark = s:connect { token = "alice" }, path .. ".mark"
    for _, name in ipairs { "$(>" .. mark .. ")", "`>" .. mark .. "`", "a;b", "a&b", "a|b", "a>b", "a b", "a'b",
      "$HOME", "{a,b}", "a*", "!a", "a#b", "fine" } do client:subscribe("any:" .. name) end

    local got = complete("leat tail ")
    assert.is_nil(io.open(mark))
    assert.equal("any:fine", got)
    assert.is_nil(io.open(mark))
  end)

  describe("with leat top", function()
    it("sees one frame with rates", function()
      local client = s:connect { token = "alice" }
      client:subscribe("room:1")
      local t = process.spawn(env.binary(), { args = { "top", "--once", "--interval", "1", "--control", path } })
      for i = 1, 20 do publish("room:1", tostring(i)) end
      assert.equal(0, t:wait())
      local frame = table.concat(t.out, "\n")

      assert.matches("serving  pid " .. s.server.process.pid, frame, 1, true)
      assert.matches("connections +1 ", frame)
      assert.matches("room:1", frame, 1, true)
      assert.is_nil(frame:find("\27", 1, true))
    end)

    it("sees the summary in JSON, a line each time", function()
      local t = process.spawn(env.binary(), { args = { "top", "--json", "--interval", "0.1", "--control", path } })
      loop.eventually(function() return #t.out >= 2 end, nil, "two lines")
      t:send_signal("sigkill")
      t:wait()
      for i = 1, 2 do assert.equal(s.server.process.pid, json.decode(t.out[i]).pid) end

      local code, out = control.run(path, "top", "--once", "--json")
      assert.equal(0, code)
      assert.equal("serving", json.decode(out).state)
    end)

    it("sees frames in a terminal until q", function()
      local t = process.spawn("/usr/bin/script", { pipe = true, args = { "-qec",
        "stty rows 20 cols 60; '" .. env.binary() .. "' top --interval 0.2 --control '" .. path .. "'", "/dev/null" } })
      loop.eventually(function()
        local _, frames = t:output():gsub("\27%[H", "")
        return frames >= 3
      end, nil, function() return "three frames: " .. t:output() end)

      t.stdin:write("q")

      assert.equal(0, t:wait())
      assert.matches("\27[?1049l", t:output(), 1, true)
      for line in t:output():gmatch("[^\r\n]+") do
        assert.is_true(#line:gsub("\27%[[?%d]*%a", "") <= 60, line)
      end
    end)
  end)
end)
