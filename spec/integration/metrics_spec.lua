-- /metrics as Prometheus reads it: what it says of the process, and the conventions for names.

local env = require "spec.support.env"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local process = require "spec.support.process"
local stage = require "spec.support.stage"

describe("/metrics", function()
  local s, text

  setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema }
    s:connect({ token = "alice" }):subscribe("room:1")
    text = http.request(s.server, "/metrics").body
  end)

  teardown(function() s:close() end)

  local function value(name)
    return tonumber(("\n" .. text):match("\n" .. name .. " (%S+)"))
  end

  it("tells which Leat it is", function()
    local _, version = process.run(env.binary(), { args = { "version" } })
    assert.matches(('leat_build_info{version="%s"} 1\n'):format(version:match("^leat (%S+)")), text, 1, true)
  end)

  it("tells what the process uses", function()
    local file = assert(io.open(("/proc/%d/statm"):format(s.server.process.pid)))
    local pages = file:read("n", "n")
    file:close()
    local total = pages * 4096

    assert.is_true(value("process_resident_memory_bytes") > 1e6)
    assert.is_true(math.abs(value("process_virtual_memory_bytes") - total) < total / 2)
    assert.is_true(value("process_cpu_seconds_total") > 0)
    assert.is_true(value("process_max_fds") > 100)
    assert.is_true(value("process_open_fds") == nil or value("process_open_fds") > 5)
  end)

  it("tells when the process began", function()
    local age = os.time() - value("process_start_time_seconds")

    assert.is_true(age >= -2 and age < 120, "the process is " .. age .. " s old")
  end)

  it("names each metric as promtool wants it", function()
    if not os.execute("command -v promtool >/dev/null") then
      pending("promtool is not installed (Debian's package prometheus)")
      return
    end
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    local pipe = assert(io.popen("promtool check metrics <" .. path .. " 2>&1"))
    local complaints = pipe:read("a")
    local ok = pipe:close()
    os.remove(path)

    assert.equal("", complaints)
    assert.is_true(ok)
  end)
end)
