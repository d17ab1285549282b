-- RFC 6455 and RFC 7692, case by case (spec/conformance/cases.lua): each sent whole, byte by byte, and cut anywhere.

local cases = require "spec.conformance.cases"
local env = require "spec.support.env"
local files = require "spec.support.files"
local frame = require "spec.support.frame"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local parts = require "spec.conformance.parts"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"
local ws = require "spec.support.ws"

local LIMIT = 300000
-- Longer ones are not sent byte by byte: what is in the middle of a payload is the same.
local LONG = 2000

-- What the server has sent so far, in the form of a case's answer.
local function pump(conn, got, deflate)
  local bytes, at = conn:bytes(), 1
  while true do
    local f, next_at = frame.decode(bytes, at, deflate)
    if not f then break end
    assert(f.fin, "this server sends no fragments")
    assert(not got.close, "a frame after the close")
    at = next_at
    if f.op == frame.PONG then
      got.pongs[#got.pongs + 1] = f.payload
    elseif f.op == frame.CLOSE then
      got.close = #f.payload >= 2 and string.unpack(">I2", f.payload) or 1005
    elseif f.op ~= frame.PING then
      got.messages[#got.messages + 1] = { f.op, f.payload }
    end
  end
  if at > 1 then conn:take(at - 1) end
end

local function open(server, offer)
  local conn = tcp.connect(server.port)
  conn:write(http.text { path = "/echo", headers = ws.headers { ["Sec-WebSocket-Extensions"] = offer } })
  local status, headers
  loop.eventually(function()
    status, headers = http.take_head(conn)
    return status
  end, nil, "an answer to the upgrade")
  assert.equal(101, status)
  return conn, headers["sec-websocket-extensions"] ~= nil
end

-- Sends the parts, each in a turn of its own, and returns the answer.
local function run(server, case, pieces)
  local conn, deflate = open(server, case.offer)
  assert.equal(case.offer ~= nil, deflate)
  local got = { messages = {}, pongs = {} }
  for _, piece in ipairs(pieces) do
    conn:write(piece)
    loop.poll(function() return true end)
    pump(conn, got, deflate)
  end
  local wanted = case.answer
  if not wanted.close then
    loop.eventually(function()
      pump(conn, got, deflate)
      return #got.messages >= #wanted.messages and #got.pongs >= #wanted.pongs or got.close or conn.ended
    end, nil, "the echoes")
    if not got.close then conn:write(frame.encode { op = frame.CLOSE, payload = frame.close_payload(1000) }) end
  end
  loop.eventually(function()
    pump(conn, got, deflate)
    return got.close
  end, nil, "a close frame")
  loop.eventually(function() return conn.ended end, nil, "the end of the connection")
  conn:close()
  if not wanted.close then
    assert.equal(1000, got.close)
    got.close = nil
  end
  return got
end

local function assert_case(server, case, pieces)
  local got = run(server, case, pieces)
  -- Long payloads do not help anybody who reads the failure.
  assert.equal(case.answer.close, got.close)
  assert.same(case.answer.pongs, got.pongs)
  assert.equal(#case.answer.messages, #got.messages)
  for i, message in ipairs(case.answer.messages) do
    assert.equal(message[1], got.messages[i][1])
    assert.is_true(message[2] == got.messages[i][2], "echo " .. i .. " differs")
  end
end

describe("conformance", function()
  local s

  lazy_setup(function()
    s = stage.open { app = files.read(env.root() .. "/spec/conformance/echo.lua"), schema = "select 1",
      env = { LEAT_MAX_MESSAGE_BYTES = LIMIT } }
  end)
  lazy_teardown(function()
    s:settle()
    s:close()
  end)

  for i, case in ipairs(cases) do
    it(("%s %s (%d)"):format(case.section, case.name, i), function()
      assert_case(s.server, case, parts.whole(case.bytes))
      if #case.bytes <= LONG then assert_case(s.server, case, parts.every_byte(case.bytes)) end
      assert_case(s.server, case, parts.anywhere(case.bytes))
    end)
  end
end)
