-- What a WebSocket server must do, case by case, in the order of RFC 6455; then RFC 7692. Each case: the section; what
-- it shows; the bytes that a client sends; and what must come back from a server that echoes.
--
-- answer.messages: the echoes, in order; answer.pongs likewise; answer.close: the code of the server's close frame.
-- Where there is none, the connection is still good, and is closed in order. A case with `offer` is one of a connection
-- that offers permessage-deflate so, else none is offered.

local frame = require "spec.support.frame"
local utf8_cases = require "spec.conformance.utf8"
local zlib = require "zlib"

local CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
local DEFLATE = "permessage-deflate"

local M = {}

local function add(section, name, frames, answer, offer)
  local bytes = {}
  for i, f in ipairs(frames) do
    bytes[i] = type(f) == "string" and f or frame.encode(f)
  end
  M[#M + 1] = { section = section, name = name, bytes = table.concat(bytes), offer = offer, answer = {
    messages = answer.messages or {}, pongs = answer.pongs or {}, close = answer.close } }
end

local function f(op, payload, more)
  local one = { op = op, payload = payload or "" }
  for key, value in pairs(more or {}) do one[key] = value end
  return one
end

local OPEN = { fin = false }
local function text(payload) return { TEXT, payload } end
local function binary(payload) return { BINARY, payload } end

-- 5.1 and 5.2: framing ------------------------------------------------------------------------------------

for _, size in ipairs { 0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 200000 } do
  add("5.2", "a text of " .. size .. " bytes", { f(TEXT, ("*"):rep(size)) }, { messages = { text(("*"):rep(size)) } })
  add("5.2", size .. " bytes", { f(BINARY, ("\xfe"):rep(size)) }, { messages = { binary(("\xfe"):rep(size)) } })
end
add("5.1", "a frame without a mask", { f(TEXT, "hello", { mask = false }) }, { close = 1002 })
add("5.1", "a ping without a mask", { f(PING, "", { mask = false }) }, { close = 1002 })
for _, key in ipairs { "\0\0\0\0", "\255\255\255\255", "\0\0\0\1", "abcd" } do
  add("5.3", ("the mask %02x%02x%02x%02x"):format(key:byte(1, 4)), { f(TEXT, "masked text", { key = key }) },
    { messages = { text "masked text" } })
end
for _, n in ipairs { 0, 5, 125, 126, 65535 } do
  add("5.2", "a length of " .. n .. " that is not in its shortest form",
    { f(BINARY, ("x"):rep(n), { long_length = true }) }, { close = 1002 })
end
add("5.2", "a length of 5 in 16 bits", { "\x81\xfe\0\5\0\0\0\0hello" }, { close = 1002 })
add("5.2", "a length with its highest bit set", { "\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0" }, { close = 1002 })
add("10.4", "a length that nobody may send", { "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0" }, { close = 1009 })
add("10.4", "a message over the limit", { f(BINARY, ("x"):rep(300001)) }, { close = 1009 })
add("10.4", "fragments over the limit", { f(BINARY, ("x"):rep(200000), OPEN), f(CONTINUATION, ("x"):rep(100001)) },
  { close = 1009 })

-- Reserved bits, reserved opcodes ----------------------------------------------------------------------

for rsv = 1, 7 do
  for _, op in ipairs { TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG } do
    add("5.2", ("reserved bits %d with opcode %d"):format(rsv, op),
      { f(TEXT, "before"), f(op, op == CLOSE and "\3\232" or "x", { rsv = rsv }), f(PING, "after") },
      { messages = { text "before" }, close = 1002 })
  end
end
for _, op in ipairs { 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 } do
  add("5.2", "the reserved opcode " .. op, { f(op) }, { close = 1002 })
  add("5.2", "the reserved opcode " .. op .. " with a payload, between messages",
    { f(TEXT, "before"), f(op, "payload"), f(TEXT, "after") }, { messages = { text "before" }, close = 1002 })
  add("5.2", "the reserved opcode " .. op .. " in a message", { f(TEXT, "a", OPEN), f(op), f(CONTINUATION, "b") },
    { close = 1002 })
end

-- 5.4: fragments ---------------------------------------------------------------------------------------

for _, size in ipairs { 1, 2, 3, 7 } do
  local frames, whole = {}, "fragments of any size make one message"
  for at = 1, #whole, size do
    local fin = at + size > #whole
    frames[#frames + 1] = f(at == 1 and TEXT or CONTINUATION, whole:sub(at, at + size - 1), { fin = fin })
  end
  add("5.4", "fragments of " .. size, frames, { messages = { text(whole) } })
end
add("5.4", "empty fragments", { f(TEXT, "", OPEN), f(CONTINUATION, "", OPEN), f(CONTINUATION, "") },
  { messages = { text "" } })
add("5.4", "an empty fragment in the middle", { f(TEXT, "a", OPEN), f(CONTINUATION, "", OPEN), f(CONTINUATION, "b") },
  { messages = { text "ab" } })
add("5.4", "pings between fragments", { f(BINARY, "a", OPEN), f(PING, "1"), f(CONTINUATION, "b", OPEN), f(PING, "2"),
  f(PONG, "nobody asked"), f(CONTINUATION, "c") }, { messages = { binary "abc" }, pongs = { "1", "2" } })
add("5.4", "a continuation of nothing", { f(CONTINUATION, "x") }, { close = 1002 })
add("5.4", "a first fragment that is a continuation", { f(CONTINUATION, "x", OPEN), f(CONTINUATION, "y") },
  { close = 1002 })
add("5.4", "a continuation after the end", { f(TEXT, "a", OPEN), f(CONTINUATION, "b"), f(CONTINUATION, "c") },
  { messages = { text "ab" }, close = 1002 })
for _, op in ipairs { TEXT, BINARY } do
  add("5.4", "another message within one, opcode " .. op, { f(TEXT, "a", OPEN), f(op, "b") }, { close = 1002 })
  add("5.4", "another message's fragment within one, opcode " .. op, { f(BINARY, "a", OPEN), f(op, "b", OPEN) },
    { close = 1002 })
end
add("5.4", "a close within a message", { f(TEXT, "a", OPEN), f(CLOSE, "\3\232"), f(CONTINUATION, "b") },
  { close = 1000 })

-- 5.5: control frames ----------------------------------------------------------------------------------

for _, payload in ipairs { "", "hello", "\0\xff\xfe\xfd", ("p"):rep(124), ("p"):rep(125) } do
  add("5.5.2", "a ping of " .. #payload .. " bytes", { f(PING, payload) }, { pongs = { payload } })
  add("5.5.3", "a pong of " .. #payload .. " bytes that nobody asked for", { f(PONG, payload) }, {})
end
local many, pongs = {}, {}
for i = 1, 10 do many[i], pongs[i] = f(PING, "ping " .. i), "ping " .. i end
add("5.5.2", "ten pings", many, { pongs = pongs })
for _, op in ipairs { PING, PONG, CLOSE } do
  local code = op == CLOSE and "\3\232" or ""
  add("5.5", "opcode " .. op .. " with 126 bytes", { f(op, code .. ("x"):rep(126 - #code)) }, { close = 1002 })
  add("5.5", "opcode " .. op .. " as a fragment", { f(op, code, OPEN), f(CONTINUATION, "") }, { close = 1002 })
end

-- 5.5.1 and 7.4: closing -------------------------------------------------------------------------------

local function code_bytes(code, reason) return string.pack(">I2", code) .. (reason or "") end

add("5.5.1", "a close without a code", { f(CLOSE) }, { close = 1005 })
add("5.5.1", "a close of one byte", { f(CLOSE, "x") }, { close = 1002 })
add("5.5.1", "a close with a reason", { f(CLOSE, code_bytes(1000, "bye, bye")) }, { close = 1000 })
add("5.5.1", "a close with the longest reason", { f(CLOSE, code_bytes(1000, ("r"):rep(123))) }, { close = 1000 })
add("5.5.1", "a close whose reason is not UTF-8", { f(CLOSE, code_bytes(1000, "\xce\xba\xe1\xbd\xb9\xed\xa0\x80")) },
  { close = 1007 })
add("5.5.1", "a close whose reason is cut off", { f(CLOSE, code_bytes(1000, "\xe2\x82")) }, { close = 1007 })
add("7.1.2", "nothing after a close", { f(CLOSE, code_bytes(1000)), f(TEXT, "late"), f(PING, "late") },
  { close = 1000 })
add("7.1.2", "two closes", { f(CLOSE, code_bytes(1000)), f(CLOSE, code_bytes(1001)) }, { close = 1000 })
add("7.1.2", "a message before a close", { f(TEXT, "last"), f(CLOSE, code_bytes(1000)) },
  { messages = { text "last" }, close = 1000 })
for _, code in ipairs { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
  4999 } do
  add("7.4", "the code " .. code, { f(CLOSE, code_bytes(code)) }, { close = code })
end
for _, code in ipairs { 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535 } do
  add("7.4", "the code " .. code .. ", which nobody may send", { f(CLOSE, code_bytes(code)) }, { close = 1002 })
end

-- 8.1: UTF-8 -------------------------------------------------------------------------------------------

for _, case in ipairs(utf8_cases) do
  local answer = case.valid and { messages = { text(case.bytes) } } or { close = 1007 }
  local one_by_one = { f(TEXT, "", OPEN) }
  for at = 1, #case.bytes do one_by_one[at + 1] = f(CONTINUATION, case.bytes:sub(at, at), OPEN) end
  one_by_one[#one_by_one + 1] = f(CONTINUATION, "")
  add("8.1", case.name, { f(TEXT, case.bytes) }, answer)
  add("8.1", case.name .. ", a byte a fragment", one_by_one, answer)
  add("5.6", case.name .. ", as bytes", { f(BINARY, case.bytes) }, { messages = { binary(case.bytes) } })
  if case.fails_at then
    -- The server must not wait for the rest of the frame, or of the message.
    local head = frame.encode(f(TEXT, case.bytes .. ("x"):rep(100), { key = "\0\0\0\0" }))
    add("8.1", case.name .. ", seen as soon as it comes", { head:sub(1, 6 + case.fails_at) }, { close = 1007 })
    add("8.1", case.name .. ", seen in the first fragment", { f(TEXT, case.bytes:sub(1, case.fails_at), OPEN) },
      { close = 1007 })
  end
end

-- RFC 7692 ---------------------------------------------------------------------------------------------

--- Compressed, without the tail that is left out.
local function pack(payload, level)
  return (zlib.deflate(level or 9, -15)(payload, "sync")):sub(1, -5)
end

local function packed(payload, op) return f(op or TEXT, pack(payload), { rsv = 4 }) end

local function deflate(section, name, frames, answer) add("7692/" .. section, name, frames, answer, DEFLATE) end

local function from_hex(hex)
  return (hex:gsub("%s", ""):gsub("..", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function raw(hex, more)
  return f(TEXT, from_hex(hex), { rsv = 4, fin = more and more.fin })
end

deflate("7.2.3.1", "one block", { raw "f248cdc9c90700" }, { messages = { text "Hello" } })
deflate("7.2.3.1", "one block in two fragments", { raw("f248cd", OPEN), f(CONTINUATION, from_hex "c9c90700") },
  { messages = { text "Hello" } })
deflate("7.2.3.2", "a second message without a context is good", { raw "f248cdc9c90700", raw "f248cdc9c90700" },
  { messages = { text "Hello", text "Hello" } })
deflate("7.1.1.2", "a second message that refers to the first is not", { raw "f248cdc9c90700", raw "f200110000" },
  { messages = { text "Hello" }, close = 1007 })
deflate("7.2.3.3", "a stored block", { raw "000500faff48656c6c6f00" }, { messages = { text "Hello" } })
deflate("7.2.3.4", "a block that is marked as the last", { raw "f348cdc9c9070000" }, { messages = { text "Hello" } })
deflate("7.2.3.5", "two blocks", { raw "f2480500 0000ffff cac9c90700" }, { messages = { text "Hello" } })
deflate("7.2.3.6", "an empty message", { raw "00" }, { messages = { text "" } })
deflate("7.2.3.6", "an empty message in fragments", { raw("", OPEN), f(CONTINUATION, "\0") },
  { messages = { text "" } })
deflate("7.2.3.4", "an empty message by a last block of its own", { raw "030000" }, { messages = { text "" } })
for level = 0, 9 do
  local payload = ("level %d, "):format(level):rep(500)
  deflate("7.2.1", "level " .. level, { f(TEXT, pack(payload, level), { rsv = 4 }) }, { messages = { text(payload) } })
end
for _, size in ipairs { 1, 125, 126, 255, 256, 257, 32767, 32768, 32769, 65536, 200000 } do
  local payload = ("0123456789abcdef"):rep(size // 16 + 1):sub(1, size)
  deflate("7.2", size .. " bytes", { packed(payload, BINARY) }, { messages = { binary(payload) } })
end
for _, size in ipairs { 1, 2, 5 } do
  local bytes, frames, payload = pack(("any cut "):rep(30)), {}, ("any cut "):rep(30)
  for at = 1, #bytes, size do
    frames[#frames + 1] = f(at == 1 and TEXT or CONTINUATION, bytes:sub(at, at + size - 1),
      { fin = at + size > #bytes, rsv = at == 1 and 4 or 0 })
    frames[#frames + 1] = at + size <= #bytes and f(PING, "between") or nil
  end
  local answered = {}
  for i = 1, (#frames - 1) // 2 do answered[i] = "between" end
  deflate("6.1", "fragments of " .. size .. " with pings between", frames,
    { messages = { text(payload) }, pongs = answered })
end
deflate("6", "a message that is not compressed", { f(TEXT, "plain"), packed "packed", f(BINARY, "plain") },
  { messages = { text "plain", text "packed", binary "plain" } })
deflate("6.1", "the bit on a continuation", { packed "x", f(TEXT, "a", OPEN), f(CONTINUATION, "b", { rsv = 4 }) },
  { messages = { text "x" }, close = 1002 })
for _, op in ipairs { PING, PONG, CLOSE } do
  deflate("6.1", "the bit on opcode " .. op, { f(op, op == CLOSE and "\3\232" or "", { rsv = 4 }) }, { close = 1002 })
end
for rsv = 1, 7 do
  if rsv ~= 4 then deflate("6", "reserved bits " .. rsv, { f(TEXT, pack "x", { rsv = rsv }) }, { close = 1002 }) end
end
for name, hex in pairs {
  ["a block of no kind"] = "06", ["a code that nobody uses"] = "ffffffff",
  ["a stored block with a wrong length"] = "000500000048",
  ["a distance before the beginning"] = "f200110000", ["garbage behind the last block"] = "f348cdc9c90700ffffff",
  ["a last block without the byte that has to follow it"] = "0300", ["a message that is cut off"] = "f248cd",
  ["a stored block that is cut off"] = "000500faff4865",
} do
  deflate("7.2.2", name, { raw(hex) }, { close = 1007 })
end
deflate("7.2.2", "text that is not UTF-8", { packed "\xc0\xaf" }, { close = 1007 })
deflate("7.2.2", "text that ends in the middle of a character", { packed "abc\xe2\x82" }, { close = 1007 })
deflate("7.2.2", "bytes that are not UTF-8", { packed("\xc0\xaf", BINARY) }, { messages = { binary "\xc0\xaf" } })
deflate("8", "a bomb", { packed(("\0"):rep(50000000), BINARY) }, { close = 1009 })
deflate("8", "a bomb of stored blocks",
  { f(BINARY, ("\0\0\0\xff\xff"):rep(59999) .. "\0", { rsv = 4 }), f(TEXT, "after") },
  { messages = { binary "", text "after" } })
deflate("8", "one byte over the limit", { packed(("x"):rep(300001), BINARY) }, { close = 1009 })
deflate("8", "just at the limit", { packed(("x"):rep(300000), BINARY) }, { messages = { binary(("x"):rep(300000)) } })

return M
