-- Texts that are UTF-8 and texts that are not (RFC 3629): { name, bytes, valid }. fails_at: with which byte it is
-- certain that the text is not valid, whatever follows; absent if only its end shows it.

local M = {}

local function valid(name, bytes) M[#M + 1] = { name = name, bytes = bytes, valid = true } end
local function invalid(name, bytes, fails_at) M[#M + 1] = { name = name, bytes = bytes, fails_at = fails_at } end

valid("nothing", "")
valid("ASCII", "Hello, world! \0\1\31\127")
valid("Greek", "κόσμε")
valid("all lengths", "a\u{e9}\u{20ac}\u{1f600}")
for _, c in ipairs { 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xcfff, 0xd000, 0xd7ff, 0xe000, 0xfffd, 0xfffe, 0xffff,
  0x10000, 0x1fffe, 0x1ffff, 0x3ffff, 0x40000, 0xfffff, 0x100000, 0x10fffe, 0x10ffff } do
  valid(("U+%04X"):format(c), utf8.char(c))
end

-- Bytes that may never stand anywhere, or not there.
for _, byte in ipairs { 0x80, 0xbf, 0xc0, 0xc1, 0xf5, 0xf8, 0xfc, 0xfe, 0xff } do
  invalid(("the byte %02x"):format(byte), string.char(byte), 1)
  invalid(("the byte %02x after text"):format(byte), "κ" .. string.char(byte) .. "x", 3)
end

-- Too long for what they say.
invalid("a slash in two bytes", "\xc0\xaf", 1)
invalid("a slash in three bytes", "\xe0\x80\xaf", 2)
invalid("a slash in four bytes", "\xf0\x80\x80\xaf", 2)
invalid("U+007F in two bytes", "\xc1\xbf", 1)
invalid("U+07FF in three bytes", "\xe0\x9f\xbf", 2)
invalid("U+FFFF in four bytes", "\xf0\x8f\xbf\xbf", 2)
invalid("NUL in two bytes", "\xc0\x80", 1)
invalid("five bytes", "\xf8\x88\x80\x80\x80", 1)
invalid("six bytes", "\xfc\x84\x80\x80\x80\x80", 1)

-- Surrogates, and what lies behind the last character.
for _, bytes in ipairs { "\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80",
  "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80" } do
  invalid(("the surrogate %02x%02x%02x of %d bytes"):format(bytes:byte(1), bytes:byte(2), bytes:byte(3), #bytes),
    bytes, 2)
end
invalid("U+110000", "\xf4\x90\x80\x80", 2)
invalid("a surrogate in the middle of Greek", "κόσμε\xed\xa0\x80edited", 12)

-- A character that is cut off by another one, or by the end.
for _, bytes in ipairs { "\xc3", "\xe2", "\xe2\x82", "\xf0", "\xf0\x9f", "\xf0\x9f\x98" } do
  local name = (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
  invalid("the end after " .. name, "x" .. bytes)
  invalid("a letter after " .. name, bytes .. "x", #bytes + 1)
  invalid("another beginning after " .. name, bytes .. "\xc3\xa9", #bytes + 1)
end

return M
