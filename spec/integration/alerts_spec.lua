-- The alerts of packaging/prometheus: each is provoked once, at a real server that a real Prometheus watches. Those
-- that take hours are provoked with made-up series.

local cjson = require "cjson"
local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local gate = require "spec.support.gate"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local process = require "spec.support.process"
local stage = require "spec.support.stage"
local tls = require "spec.support.tls"

local ROOT = env.root()
local RULES = files.read(ROOT .. "/packaging/prometheus/leat.rules.yml")

local function has(program)
  return (os.execute("command -v " .. program .. " >/dev/null"))
end

local function alerts_of(text)
  local names = {}
  for name in text:gmatch("%- alert: (%w+)") do names[#names + 1] = name end
  return names
end

describe("the runbook", function()
  it("has a paragraph for each alert, and for nothing else", function()
    local titles = {}
    for title in files.read(ROOT .. "/docs/runbook.md"):gmatch("\n## (%w+)\n") do titles[#titles + 1] = title end

    assert.same(alerts_of(RULES), titles)
    for _, name in ipairs(titles) do
      assert.is_not_nil(RULES:find("runbook: docs/runbook.md#" .. name:lower() .. "\n", 1, true), name)
    end
  end)
end)

describe("the alerts", function()
  if not has "prometheus" or not has "promtool" then
    pending "Prometheus is not installed (Debian's package prometheus)"
    return
  end

  local s, folder, role, prometheus, address

  local function start_prometheus(port)
    files.write(folder .. "/leat.rules.yml", (RULES:gsub("for: %w+", "for: 0s")))
    files.write(folder .. "/prometheus.yml", ([[
global: { scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms }
rule_files: [leat.rules.yml]
scrape_configs:
  - job_name: leat
    static_configs: [{ targets: ["127.0.0.1:%d"] }]
]]):format(port))
    prometheus = process.spawn("prometheus", { args = { "--config.file=" .. folder .. "/prometheus.yml",
      "--storage.tsdb.path=" .. folder .. "/data", "--web.listen-address=127.0.0.1:0", "--log.level=info" } })
    address = { port = tonumber(loop.eventually(function()
      return prometheus:output():match("Listening on.-address=127%.0%.0%.1:(%d+)")
    end, 20000, function() return "Prometheus that listens:\n" .. prometheus:output() end)) }
  end

  local function is_firing(name)
    local query = ('count(ALERTS{alertname="%s",alertstate="firing"})'):format(name)
    local answer = http.request(address, "/api/v1/query?query=" .. query:gsub('[{}"=,]', function(c)
      return ("%%%02X"):format(c:byte())
    end))
    return answer.status == 200 and #cjson.decode(answer.body).data.result > 0
  end

  local function fires(name)
    loop.eventually(function() return is_firing(name) end, 30000, "alert " .. name)
  end

  lazy_setup(function()
    folder = files.folder()
    local pair = tls.certificate(folder, "soon", { days = 2 })
    local variables = tls.variables(pair)
    for name, value in pairs { LEAT_WORKERS = 1, LEAT_POOL_SIZE = 2, LEAT_MAX_CONNECTIONS = 40,
      LEAT_COMPARE_INTERVAL_MS = 200, LEAT_SLOW_CLIENT_TIMEOUT_MS = 500,
      LEAT_MAX_SEND_BUFFER_BYTES = 4096 } do variables[name] = value end
    s = stage.open { app = fixtures.app:gsub("return app%s*$", [[
      app:method("boom", function() error "boom" end)
      return app]]), schema = fixtures.schema, log = { "WARN", "ERROR" } }
    s:stop()
    role = s.db.name .. "_server"
    s.session:run("create role " .. role .. " login; select leat_internal.grant_server('" .. role .. "')")
    s.session:run("grant select, insert on all tables in schema public to " .. role)
    s.db.url = s.db.url:gsub("//[^@/]*@", "//" .. role .. "@")
    s:serve(variables)
    start_prometheus(s.server.port)
    loop.eventually(function() return http.request(s.server, "/readyz").status == 200 end, 20000, "readiness")
  end)
  lazy_teardown(function()
    if prometheus then
      prometheus:send_signal("sigkill")
      prometheus:wait()
    end
    if s.server then s:stop() end
    s.session:run("drop owned by " .. role .. "; drop role " .. role)
    s:close()
    files.remove(folder)
  end)
  after_each(function()
    if s.server then s:settle() end
  end)

  it("are rules that Prometheus takes", function()
    local code, out, err = process.run("promtool",
      { args = { "check", "rules", ROOT .. "/packaging/prometheus/leat.rules.yml" } })

    assert.equal(0, code, out .. err)
  end)

  it("and the dashboard name metrics that there are", function()
    s:connect({ token = "alice" }):subscribe "room:1" -- a handler has run
    local _, text = metrics.read(s.server)
    local dashboard = files.read(ROOT .. "/packaging/grafana/leat.json")
    assert.is_table(cjson.decode(dashboard).panels)
    local count = 0
    for name in (RULES:gsub("#[^\n]*", "") .. dashboard):gmatch("%f[%w_](leat_[%l_]+)%f[^%l_]") do
      count = count + 1
      assert.is_not_nil(text:find("\n" .. name .. "[ {]"), name)
    end
    assert.is_true(count > 50)
  end)

  it("tell of a certificate that expires", function()
    fires "LeatCertificateExpires"
  end)

  it("tell of events that come late", function()
    local client = s:connect { token = "alice" }
    client:subscribe "room:1"
    s.session:run [[begin; select leat.publish('room:1', '1'); set constraints all immediate;
      select pg_sleep(1.5); commit]]
    client:expect "event"

    fires "LeatEventsLate"
  end)

  it("tell of a script that fails", function()
    s:connect({ token = "alice" }):ask({ op = "call", id = 1, method = "boom" }, "error")

    fires "LeatScriptErrors"
  end)

  it("tell of a reload that failed", function()
    local app = files.read(s.app)
    files.write(s.app, "this is no Lua")
    s.server:send_signal("sighup")

    fires "LeatReloadFailed"
    files.write(s.app, app)
    s.server:send_signal("sighup")
    s.server:await_log("scripts reloaded")
  end)

  it("tell of requests that a database which refuses to write makes fail", function()
    local client = s:connect { token = "alice" }
    local database = s.session:value "select current_database()"
    local function refuse_writes(setting)
      s.session:run(("alter role %s in database %s %s"):format(role, database, setting))
      s.session:run("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'leat worker%'"
        .. " and datname = current_database()")
    end
    refuse_writes "set default_transaction_read_only = on"
    local id = 0

    loop.eventually(function()
      id = id + 1
      local answer = client:ask({ op = "publish", id = id, topic = "room:1", data = { body = "hello" } }, "error")
      assert.equal("unavailable", answer.code)
      return is_firing "LeatRequestsFail"
    end, 20000, "alert LeatRequestsFail")
    refuse_writes "reset default_transaction_read_only"
  end)

  it("tell of a pool that is used up, and of handshakes that fail", function()
    local client = s:connect { token = "alice" }
    local shut = gate.shut(s.db, gate.AUTHORIZE)
    local function subscribe(room)
      client:send { op = "subscribe", id = room, topic = "room:" .. room, timeout_ms = 3000 }
    end
    for room = 1, 4 do subscribe(room) end

    loop.eventually(function()
      while client:waiting() > 0 do subscribe(client:expect("error").id) end -- whose time is over comes back
      return is_firing "LeatPoolExhausted"
    end, 30000, "alert LeatPoolExhausted")
    fires "LeatHandshakesFail"
    shut:open()
  end)

  it("tell of snapshots of what was authorised", function()
    local client = s:connect { token = "alice" }
    local shut = gate.shut(s.db, gate.REFRESH)
    client:send { op = "subscribe", id = 1, topic = "room:1", timeout_ms = 2000 }

    fires "LeatStaleSnapshots"
    shut:open()
  end)

  it("tell of connections near the limit", function()
    for _ = 1, 37 do s:connect { token = "alice" } end -- Prometheus has one, too, or two

    fires "LeatConnectionsNearLimit"
  end)

  it("tell of clients that do not read", function()
    local client = s:connect { token = "alice" }
    client:subscribe "room:1"
    client.tcp:read_stop()
    local enough = false
    loop.eventually(function()
      if not enough then
        s.session:run "select leat.publish('room:1', to_jsonb(repeat('x', 100000))) from generate_series(1, 20)"
      end
      enough = s:metrics().leat_slow_clients_closed_total > 0
      return enough
    end, 30000, "a slow client that is closed")

    fires "LeatSlowClients"
  end)

  it("tell of somebody who writes on the channel", function()
    s.session:run "notify leat, 'anything'"

    fires "LeatForgedAnnouncements"
  end)

  it("tell of a schema that is not as it should be", function()
    s.session:run "select leat.watch('notes', 'room:{room_id}'); alter table notes disable trigger all"

    fires "LeatSchemaProblems"
    s.session:run "alter table notes enable trigger all; select leat.unwatch('notes')"
  end)

  it("tell of a schema that needs a newer server", function()
    s.session:run "insert into leat_internal.migration values (9000, '9000_future.sql', default, 9000)"

    fires "LeatSchemaTooNew"
    s.session:run "update leat_internal.migration set oldest_server = 1 where version = 9000"
    loop.eventually(function() return http.request(s.server, "/readyz").status == 200 end, 20000, "readiness")
  end)

  it("tell of an outbox that cannot be read", function()
    s:connect({ token = "alice" }):subscribe "room:1"
    s.session:run("revoke select on leat.event from " .. role)
    s.session:run "select leat.publish('room:1', to_jsonb(repeat('x', 30000)))"

    fires "LeatTopicsUnreadable"
    s.session:run("grant select on leat.event to " .. role)
  end)

  it("tell of a listener that cannot come back", function()
    s.session:run("alter role " .. role .. " nologin; select pg_terminate_backend(pid) from pg_stat_activity"
      .. " where application_name = 'leat listener' and datname = current_database()")

    fires "LeatListenerDown"
    s.session:run("alter role " .. role .. " login")
    loop.eventually(function() return http.request(s.server, "/readyz").status == 200 end, 20000, "readiness")
  end)

  it("tell of a server that is down", function()
    s:stop()

    fires "LeatDown"
  end)

  it("tell of what takes hours, or other machines", function()
    files.write(folder .. "/slow_test.yml", ([[
rule_files: [%s/packaging/prometheus/leat.rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - { series: 'leat_trim_backlog_seconds{instance="a"}', values: '0+120x90' }
      - { series: 'leat_jwks_age_seconds{instance="a"}', values: '0+60x90' }
      - { series: 'leat_log_lines_dropped_total{instance="a",reason="full"}', values: '0x60 5x30' }
      - { series: 'leat_early_events_total{instance="a"}', values: '0x20 1+1x20 21x50' }
      - { series: 'process_open_fds{instance="a",job="leat"}', values: '100x70 950x20' }
      - { series: 'process_max_fds{instance="a",job="leat"}', values: '1000x90' }
      - { series: 'leat_workers_left_behind_total{instance="a"}', values: '0x66 1+1x30' }
    promql_expr_test:
      - { expr: 'count(ALERTS{alertstate="firing"}) by (alertname)', eval_time: 20m, exp_samples: [] }
      - expr: 'count(ALERTS{alertstate="firing"}) by (alertname)'
        eval_time: 35m
        exp_samples:
          - { labels: '{alertname="LeatClocksApart"}', value: 1 }
      - expr: 'count(ALERTS{alertstate="firing"}) by (alertname)'
        eval_time: 61m
        exp_samples:
          - { labels: '{alertname="LeatTrimBehind"}', value: 1 }
          - { labels: '{alertname="LeatLogLost"}', value: 1 }
      - expr: 'count(ALERTS{alertstate="firing"}) by (alertname)'
        eval_time: 75m
        exp_samples:
          - { labels: '{alertname="LeatTrimBehind"}', value: 1 }
          - { labels: '{alertname="LeatKeysStale"}', value: 1 }
          - { labels: '{alertname="LeatWorkersBehind"}', value: 1 }
          - { labels: '{alertname="LeatFilesNearLimit"}', value: 1 }
]]):format(ROOT))

    local code, out, err = process.run("promtool", { args = { "test", "rules", folder .. "/slow_test.yml" } })

    assert.equal(0, code, out .. err)
  end)
end)
