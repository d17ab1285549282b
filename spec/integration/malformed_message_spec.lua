-- Messages that are none: each is answered, and the connection goes on.

local fixtures = require "spec.support.fixtures"
local frame = require "spec.support.frame"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"

describe("a malformed message", function()
  local s, client

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_MAX_MESSAGE_BYTES = 65536, LEAT_MESSAGE_BURST_PER_CLIENT = 10000, LEAT_CLOSE_TIMEOUT_MS = 500 } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() client = s:connect { token = "alice" } end)
  after_each(function() s:settle() end)

  local function assert_alive()
    assert.equal("open", client:subscribe("room:1").data.status)
  end

  local CASES = {
    { "", "JSON" }, { " ", "JSON" }, { "hello", "JSON" }, { "{", "JSON" }, { '{"op":"subscribe"', "JSON" },
    { '{"op":"subscribe",}', "JSON" }, { "{'op':1}", "JSON" }, { '{"op":"call"} x', "JSON" }, { "\u{feff}{}", "JSON" },
    { '{"a":01}', "JSON" }, { '{"a":NaN}', "JSON" }, { '{"a":"\\x"}', "JSON" }, { '{"a":"\\ud800"}', "JSON" },
    { '{"a":"\1"}', "JSON" }, { '{"a":1e}', "JSON" }, { ("["):rep(5000), "JSON" },
    { "[]", "object" }, { "null", "object" }, { "1", "object" }, { '"op"', "object" },
    { "{}", "op" }, { '{"op":1}', "op" }, { '{"op":"dance"}', "dance" },
    { '{"op":"Subscribe","topic":"room:1"}', "op" },
    { '{"op":"subscribe"}', "topic" }, { '{"op":"subscribe","topic":5}', "topic" },
    { '{"op":"subscribe","topic":""}', "topic" }, { '{"op":"subscribe","topic":"a\\u0000b"}', "topic" },
    { '{"op":"subscribe","topic":"room:1","timeout_ms":0}', "timeout_ms" },
    { '{"op":"subscribe","topic":"room:1","timeout_ms":-1}', "timeout_ms" },
    { '{"op":"subscribe","topic":"room:1","timeout_ms":"5"}', "timeout_ms" },
    { '{"op":"subscribe","topic":"room:1","timeout_ms":1e400}', "timeout_ms" },
    { '{"op":"subscribe","topic":"room:1","since":5}', "since" },
    { '{"op":"subscribe","topic":"room:1","since":{"epoch":"x"}}', "since" },
    { '{"op":"subscribe","topic":"room:1","since":{"epoch":"x","seq":-1}}', "since" },
    { '{"op":"subscribe","topic":"room:1","since":{"epoch":"x","seq":9007199254740992}}', "since" },
    { '{"op":"publish","topic":"room:1"}', "data" }, { '{"op":"call"}', "method" },
    { '{"op":"call","method":""}', "method" }, { '{"op":"authenticate"}', "token" },
    { '{"op":"subscribe","op":"call","topic":"room:1"}', "twice" },
    { '{"op":"call","method":"x","id":1.5}', "id" }, { '{"op":"call","method":"x","id":{}}', "id" },
    { '{"op":"call","method":"x","id":"' .. ("i"):rep(500) .. '"}', "id" },
  }

  it("is answered with bad_request and what was wrong", function()
    local before = s:metrics().leat_bad_requests_total
    for _, case in ipairs(CASES) do
      client:send_text(case[1])

      local answer = client:expect("error")
      assert.equal("bad_request", answer.code, case[1]:sub(1, 100))
      assert.is_not_nil(answer.message:find(case[2], 1, true), case[1]:sub(1, 100) .. ": " .. answer.message)
    end

    assert.equal(before + #CASES, s:metrics().leat_bad_requests_total)
    assert_alive()
  end)

  it("has its id echoed where it could be read", function()
    client:send_text '{"op":"dance","id":17}'
    assert.equal(17, client:expect("error").id)
    client:send_text '{"id":"late","op":7}'
    assert.equal("late", client:expect("error").id)
    client:send_text '{"op":"subscribe","topic":5,"id":18}'
    assert.equal(18, client:expect("error").id)
    assert_alive()
  end)

  it("of many levels is refused, of fewer it is not", function()
    client:send_text('{"op":"call","id":1,"method":"x","params":' .. ("["):rep(10000) .. ("]"):rep(10000) .. "}")
    assert.equal("bad_request", client:expect("error").code)
    client:send_text('{"op":"call","id":2,"method":"x","params":' .. ("["):rep(20) .. ("]"):rep(20) .. "}")
    assert.equal("not_found", client:expect("error", 2).code)
  end)

  it("with members that nobody knows is taken all the same", function()
    client:send_text '{"op":"subscribe","id":1,"topic":"room:1","later":{"a":[1,2]}}'

    client:expect("snapshot", 1)
  end)

  it("comes in any number and order, and the connection lives", function()
    math.randomseed(1)
    for _ = 1, 2000 do
      local case = CASES[math.random(#CASES)][1]
      client:send_text(case:sub(1, math.random(0, #case)):gsub("[\x80-\xff]", "?"))
    end

    client:drain()
    assert_alive()
  end)

  context("that breaks RFC 6455", function()
    -- What is sent, and the code that the connection is closed with.
    local FRAMES = {
      ["a binary message"] = { 1003, { op = 2, payload = "{}" } },
      ["no mask"] = { 1002, { op = 1, payload = "{}", mask = false } },
      ["a reserved bit"] = { 1002, { op = 1, payload = "{}", rsv = 4 } },
      ["another reserved bit"] = { 1002, { op = 1, payload = "{}", rsv = 1 } },
      ["a reserved opcode"] = { 1002, { op = 3, payload = "{}" } },
      ["a reserved control opcode"] = { 1002, { op = 11, payload = "" } },
      ["a continuation of nothing"] = { 1002, { op = 0, payload = "{}" } },
      ["a new message inside another"] = { 1002, { op = 1, fin = false, payload = "{" }, { op = 1, payload = "}" } },
      ["a fragmented ping"] = { 1002, { op = 9, fin = false, payload = "x" } },
      ["a fragmented close"] = { 1002, { op = 8, fin = false, payload = "" } },
      ["a ping of 126 bytes"] = { 1002, { op = 9, payload = ("x"):rep(126) } },
      ["a length that is not in its shortest form"] = { 1002, { op = 1, payload = "{}", long_length = true } },
      ["bad UTF-8"] = { 1007, { op = 1, payload = '{"op":"\xff"}' } },
      ["overlong UTF-8"] = { 1007, { op = 1, payload = "\xc0\xaf" } },
      ["a surrogate in UTF-8"] = { 1007, { op = 1, payload = "\xed\xa0\x80" } },
      ["UTF-8 cut short"] = { 1007, { op = 1, payload = "\xf0\x9f\x90" } },
      ["bad UTF-8 in a first fragment"] = { 1007, { op = 1, fin = false, payload = "\xff" } },
      ["a message over the limit"] = { 1009, { op = 1, payload = ("x"):rep(65537) } },
      ["fragments over the limit"] = { 1009, { op = 1, fin = false, payload = ("x"):rep(40000) },
        { op = 0, fin = false, payload = ("x"):rep(40000) } },
      ["a close of one byte"] = { 1002, { op = 8, payload = "\3" } },
      ["a close code that may not be sent"] = { 1002, { op = 8, payload = frame.close_payload(1005) } },
      ["an unknown close code"] = { 1002, { op = 8, payload = frame.close_payload(2999) } },
      ["a close reason that is not UTF-8"] = { 1007, { op = 8, payload = frame.close_payload(1000, "\xff") } },
      ["an ordinary close"] = { 1000, { op = 8, payload = frame.close_payload(1000, "bye") } },
      ["a close of our own code"] = { 4999, { op = 8, payload = frame.close_payload(4999) } },
      ["a close without a code"] = { 1005, { op = 8 } },
    }

    for name, case in pairs(FRAMES) do
      it("by " .. name .. " closes with " .. case[1], function()
        for i = 2, #case do client:send_frame(case[i]) end

        assert.equal(case[1], (client:closed()))
        metrics.await(s.server, "leat_connections", 0)
      end)
    end

    it("by a length that nobody can send closes before the bytes have come", function()
      client:send_bytes("\x81\xff" .. string.pack(">I8", 2 ^ 62 // 1) .. "\0\0\0\0")

      assert.equal(1009, (client:closed()))
    end)

    it("by a length with its highest bit set closes with 1002", function()
      client:send_bytes("\x81\xff" .. ("\xff"):rep(8) .. "\0\0\0\0")

      local code = client:closed()
      assert.is_true(code == 1002 or code == 1009, "closed with " .. code)
    end)
  end)

  it("may come in fragments, with pings in between, byte by byte", function()
    local bytes = frame.encode { op = 1, fin = false, payload = '{"op":"subscribe","id":1,' }
      .. frame.encode { op = 9, payload = "now" }
      .. frame.encode { op = 0, fin = false, payload = "" }
      .. frame.encode { op = 0, payload = '"topic":"room:1"}' }
    for i = 1, #bytes do client:send_bytes(bytes:sub(i, i)) end

    client:expect("snapshot", 1)
    client:drain()
    assert.is_true(client.pongs.now)
  end)

  it("of exactly the limit is taken", function()
    local head, tail = '{"op":"call","id":1,"method":"x","params":"', '"}'
    client:send_text(head .. ("x"):rep(65536 - #head - #tail) .. tail)

    assert.equal("not_found", client:expect("error", 1).code)
  end)
end)
