-- scripts/bench: that it works, with tiny sizes. What it measures is never tested here.

local cjson = require "cjson"
local env = require "spec.support.env"
local files = require "spec.support.files"
local loop = require "spec.support.loop"
local process = require "spec.support.process"

local LIMIT_MS = 240000
local LOAD = "/build/release/bench/bench_load"

-- The release build, whichever one the specs run with.
local function bench_release(...)
  return process.spawn("env", { args = { "-u", "LEAT_BIN", env.root() .. "/scripts/bench", ... } })
end

local function bench(...)
  return process.spawn(env.root() .. "/scripts/bench", { args = { ... } })
end

local function finished(run)
  local code = run:wait(LIMIT_MS)
  return code, run:output()
end

-- Of this checkout: others may be measured on the same machine. The pattern begins with a letter in brackets, so that
-- it does not match the shell that looks for it.
local function pids_of(program)
  local path = env.root():sub(2) .. program
  local pattern = "/[" .. path:sub(1, 1) .. "]" .. path:sub(2):gsub("[%.%+]", "\\%0")
  local pipe = assert(io.popen("pgrep -f '" .. pattern .. "'"))
  local pids = pipe:read("a")
  pipe:close()
  return pids
end

describe("scripts/bench", function()
  local dir

  before_each(function()
    dir = files.folder()
  end)
  after_each(function()
    files.remove(dir)
  end)

  it("measures each kind of scenario, and writes figures and pictures", function()
    local names = { "fanout-1000", "topics-saturated", "handshake-reads", "resume", "comeback", "latency", "stampede",
      "rates", "compression", "protocols" }
    local json = dir .. "/figures.json"

    local code, output = finished(bench("--quick", "--json", json, "--pictures", dir, table.unpack(names)))

    assert.equal(0, code, output)
    local all = cjson.decode(files.read(json))
    assert.equal(#names, #all.scenarios)
    for i, scenario in ipairs(all.scenarios) do
      assert.equal(names[i], scenario.name)
      for _, point in ipairs(scenario.points) do
        for _, server in ipairs(scenario.servers) do
          assert.is_true(point.summary[server].figure.median > 0, scenario.name .. " of " .. server)
        end
      end
    end
    local fanout = all.scenarios[1].points[1].rounds.leat[1].events
    assert.equal(10 * 20, fanout.deliveries)
    assert.is_not_nil(files.read(dir .. "/rates.svg"):find("<polyline", 1, true))
  end)

  it("says which scenario it does not know", function()
    local code, output = finished(bench("--quick", "fan"))

    assert.equal(1, code)
    assert.is_not_nil(output:find("no such scenario: fan", 1, true), output)
  end)

  -- Counts, not times. Who adds to them changes these numbers, and those of docs/performance.md.
  it("counts what a handshake asks of the system and of the allocator: no more than its budget", function()
    local json = dir .. "/figures.json"

    local code, output = finished(bench_release("inside", "--json", json))

    assert.equal(0, code, output)
    local handshake = cjson.decode(files.read(json)).scenarios[1].points[1].summary.leat
    local counts = {}
    for name, value in pairs(handshake.beside) do counts[name] = value.median end
    assert.is_true(handshake.figure.median < 11, output)
    assert.is_true(counts.send < 3.1 and counts.recv < 3.1 and counts.epoll_ctl < 2.1, output)
    assert.equal(0, counts.setsockopt, output)
    assert.is_true(counts.allocations < 8.5, output)
  end)

  it("says which option it does not know", function()
    local code, output = finished(bench("--fast"))

    assert.equal(2, code)
    assert.is_not_nil(output:find("no such option: --fast", 1, true), output)
  end)

  it("stops all that it started when it is interrupted", function()
    local place = env.root() .. "/build/bench"
    local run = bench("churn")
    loop.eventually(function()
      return not run:running() or pids_of(LOAD) ~= ""
    end, LIMIT_MS, "the load")

    run:send_signal("sigint")
    local code, output = finished(run)

    assert.equal(130, code, output)
    assert.equal("", pids_of(LOAD))
    assert.equal("", pids_of("/bench/app.lua"))
    assert.is_false(files.exists(place .. "/cluster/pg/postmaster.pid"))
  end)
end)
