-- One reading of every request, or none (spec/conformance/http_cases.lua): each sent whole, byte by byte, and cut
-- anywhere. What follows a request whose end is in doubt is never answered, and never runs.

local cases = require "spec.conformance.http_cases"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local parts = require "spec.conformance.parts"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"

local APP = [[
local leat = require "leat"
local app = leat.app()
local smuggled = 0
app:route("GET /ok", function() return { body = "ok" } end, { public = true })
app:route("POST /echo", function(ctx, request) return { body = request.body } end, { public = true })
app:route("GET /smuggled", function() smuggled = smuggled + 1 return { body = "next" } end, { public = true })
app:route("GET /count", function() return { body = smuggled } end, { public = true })
return app
]]

describe("a request that could be read in two ways", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = "select 1",
      env = { LEAT_MAX_BODY_BYTES = 1000, LEAT_HEADER_TIMEOUT_MS = 60000 },
      public = { ["secret"] = "not for you" } }
    os.rename(s.folder .. "/public/secret", s.folder .. "/secret")
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() metrics.settled(s.server) end)

  local function count() return tonumber(http.request(s.server, "/count").body) end

  -- The statuses of all answers, and whether the connection ended by itself.
  local function send(case, pieces)
    local conn, statuses = tcp.connect(s.server.port), {}
    for _, piece in ipairs(pieces) do
      conn:write(piece)
      loop.poll(function() return true end)
    end
    while true do
      local expected = #statuses < #case.statuses or not case.open
      if not expected then break end
      local answer = http.read_answer(conn)
      if not answer then break end
      -- 100 comes only if the body was not here yet.
      if answer.status ~= 100 then statuses[#statuses + 1] = answer.status end
    end
    if case.open then assert.equal("", conn:bytes()) end
    local ended = conn.ended
    conn:close()
    return statuses, ended
  end

  for _, case in ipairs(cases) do
    it(("%s %s is answered %s"):format(case.section, case.name, table.concat(case.statuses, ", ")), function()
      for _, cut in ipairs { parts.whole, parts.every_byte, parts.anywhere } do
        local before = count()

        local statuses, ended = send(case, cut(case.bytes))

        assert.same(case.statuses, statuses)
        assert.equal(not case.open, ended)
        assert.equal(before + (case.open and 1 or 0), count())
      end
    end)
  end
end)
