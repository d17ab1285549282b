-- The release build gives up the rights that a server does not need, and goes on as before.

local files = require "spec.support.files"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local server = require "spec.support.server"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:route("GET /version", function(ctx)
  return { body = VERSION .. ctx.db:one("select 1 as n").n }
end, { public = true })
return app
]]

local function built()
  local path = os.getenv("LEAT_RELEASE_BIN")
  return path and path ~= "" and path or nil
end

local function app(version)
  return (APP:gsub("VERSION", ("%q"):format(version)))
end

-- What the kernel says of each thread: by the thread's name, the fields of its status.
local function threads(pid)
  local found = {}
  local _, list = process.run("/bin/ls", { args = { ("/proc/%d/task"):format(pid) } })
  for id in list:gmatch("%d+") do
    local status = {}
    for line in io.lines(("/proc/%d/task/%s/status"):format(pid, id)) do
      local key, value = line:match("^(%w+):%s*(.*)$")
      if key then status[key] = value end
    end
    found[status.Name] = status
  end
  return found
end

local function can_confine()
  local _, out = process.run("/bin/sh", { args = { "-c", "grep -c ^Seccomp_filters /proc/self/status" } })
  return out:find("1", 1, true) ~= nil
end

describe("a confined server", function()
  if not built() then return pending("needs LEAT_RELEASE_BIN, a release build") end
  if not can_confine() then return pending("needs a kernel with seccomp") end

  local db, folder, running

  lazy_setup(function() db = postgres.database("select 1") end)
  lazy_teardown(function() db:drop() end)
  before_each(function() folder = files.folder() end)
  after_each(function()
    if running then running:stop() end
    running = nil
    files.remove(folder)
  end)

  local function start(path, env, options)
    options = options or {}
    running = server.start { binary = built(), url = db.url, app = path, env = env, log = options.log }
    return running
  end

  it("says at the start, in the log and in a metric, what it has given up", function()
    files.write(folder .. "/app.lua", app("a"))
    local s = start(folder .. "/app.lua")

    s:await_log("INFO server confined landlock=%d+ seccomp=yes")
    assert.equal(1, metrics.read(s)['leat_confined{by="seccomp"}'])
    assert.equal(0, metrics.read(s).leat_system_calls_refused_total)
  end)

  it("has given it up in each of its threads, which have names", function()
    files.write(folder .. "/app.lua", app("a"))
    local s = start(folder .. "/app.lua", { LEAT_WORKERS = 2 })
    http.request(s, { path = "/version" })

    local found = threads(s.process.pid)
    for _, name in ipairs { "leat", "leat-hub", "leat-log", "leat-w0", "leat-w1", "leat-watchdog" } do
      assert.is_table(found[name], name)
      assert.same({ "2", "1" }, { found[name].Seccomp, found[name].NoNewPrivs }, name)
    end
  end)

  it("serves static files and reloads the application", function()
    files.write(folder .. "/app.lua", app("first"))
    files.write_all(folder .. "/public", { ["page.html"] = "<p>" })
    local s = start(folder .. "/app.lua")
    assert.equal("<p>", http.request(s, { path = "/page.html" }).body)
    assert.equal(200, http.request(s, { path = "/leat/client.js" }).status)

    files.write(folder .. "/app.lua", app("second"))
    s:send_signal("sighup")

    loop.eventually(function() return http.request(s, { path = "/version" }).body == "second1" end)
    assert.equal(0, metrics.read(s).leat_system_calls_refused_total)
  end)

  it("follows a link to the application's folder to where a deployment puts it", function()
    process.run("/bin/mkdir", { args = { folder .. "/releases" } })
    files.write_all(folder .. "/releases/1", { ["app.lua"] = app("one") })
    files.write_all(folder .. "/releases/2", { ["app.lua"] = app("two") })
    local function link(version)
      process.run("/bin/ln", { args = { "-sfn", "releases/" .. version, folder .. "/current" } })
    end
    link(1)
    local s = start(folder .. "/current/app.lua")
    assert.equal("one1", http.request(s, { path = "/version" }).body)

    link(2)
    s:send_signal("sighup")

    loop.eventually(function() return http.request(s, { path = "/version" }).body == "two1" end)
  end)

  it("keeps its rights if it is told to", function()
    files.write(folder .. "/app.lua", app("a"))
    local s = start(folder .. "/app.lua", { LEAT_CONFINE = "off" })

    s:await_log("INFO server confined landlock=0 seccomp=no")
    assert.equal("0", threads(s.process.pid)["leat-w0"].Seccomp)
  end)

  it("is asked for by a word that the configuration knows", function()
    local code, _, err = process.run(built(), { args = { "serve" }, env = { LEAT_CONFINE = "yes" } })

    assert.equal(2, code)
    assert.matches('LEAT_CONFINE: confine = "yes": expected "auto", "on" or "off"', err, 1, true)
  end)
end)
