-- Requests that try to be read in two ways (RFC 9112, RFC 9110), by section: { section, name, bytes, statuses of all
-- answers that come, in order }. After the last of them the connection is closed, unless `open` says otherwise. Behind
-- each request follows another one, which may be answered only where the first one's end is beyond doubt.

local M = {}

local HOST = "Host: x\r\n"
local NEXT = "GET /smuggled HTTP/1.1\r\n" .. HOST .. "\r\n"

local function add(section, name, bytes, statuses, more)
  M[#M + 1] = { section = section, name = name, bytes = bytes, statuses = statuses, open = more and more.open }
end

--- The request is malformed: it is answered so, and what follows is nobody's.
local function bad(section, name, head, status)
  add(section, name, head .. NEXT, { status or 400 })
end

--- A head line by line, with its end.
local function request(line, ...)
  return line .. "\r\n" .. HOST .. table.concat({ ... }, "\r\n") .. (select("#", ...) > 0 and "\r\n" or "") .. "\r\n"
end

local function post(...) return request("POST /echo HTTP/1.1", ...) end

-- Lines ------------------------------------------------------------------------------------------------

bad("9112/2.2", "a LF without CR behind the request line", "GET /ok HTTP/1.1\n" .. HOST .. "\r\n")
bad("9112/2.2", "a LF without CR behind a header", "GET /ok HTTP/1.1\r\nHost: x\nA: b\r\n\r\n")
bad("9112/2.2", "an end of LF alone", "GET /ok HTTP/1.1\r\n" .. HOST .. "\n")
bad("9112/2.2", "a CR without LF in a value", request("GET /ok HTTP/1.1", "A: b\rC: d"))
bad("9112/2.2", "a CR without LF in the request line", request("GET /ok\r HTTP/1.1"))
bad("9112/2.2", "two CRs", "GET /ok HTTP/1.1\r\r\n" .. HOST .. "\r\n")
bad("9112/2.2", "white space before the first header", "GET /ok HTTP/1.1\r\n " .. HOST .. "\r\n")
bad("9112/2.2", "white space before the request line", " " .. request("GET /ok HTTP/1.1"))
bad("9112/2.2", "three empty lines", "\r\n\r\n\r\n" .. request("GET /ok HTTP/1.1"))
add("9112/2.2", "two empty lines", "\r\n\r\n" .. request("GET /ok HTTP/1.1") .. NEXT, { 200, 200 }, { open = true })

-- The request line -------------------------------------------------------------------------------------

for name, line in pairs {
  ["a tab"] = "GET\t/ok HTTP/1.1",
  ["two spaces"] = "GET  /ok HTTP/1.1", ["two spaces at the end"] = "GET /ok  HTTP/1.1",
  ["a space at the end"] = "GET /ok HTTP/1.1 ", ["no version"] = "GET /ok", ["no target"] = "GET HTTP/1.1",
  ["a lower-case protocol"] = "GET /ok http/1.1", ["a version of one digit"] = "GET /ok HTTP/1",
  ["a version of many digits"] = "GET /ok HTTP/1.11", ["a method that is no token"] = "G@T /ok HTTP/1.1",
  ["no method"] = " /ok HTTP/1.1", ["a NUL in the target"] = "GET /o\0k HTTP/1.1",
  ["a byte above ASCII in the target"] = "GET /\xc3\xa9 HTTP/1.1", ["a fragment"] = "GET /ok#a HTTP/1.1",
  ["a control character in the target"] = "GET /o\1k HTTP/1.1", ["no slash"] = "GET ok HTTP/1.1",
  ["an authority alone"] = "GET x:80 HTTP/1.1", ["a proxy's CONNECT"] = "CONNECT x:80 HTTP/1.1",
  ["a CONNECT with a path"] = "CONNECT /ok HTTP/1.1", ["another scheme"] = "GET ftp://x/ok HTTP/1.1",
  ["an empty host"] = "GET http:///ok HTTP/1.1", ["an asterisk"] = "GET * HTTP/1.1",
} do
  bad("9112/3", name, request(line))
end
bad("9112/2.3", "HTTP/2.0", request "GET /ok HTTP/2.0", 505)
bad("9112/2.3", "HTTP/1.2", request "GET /ok HTTP/1.2", 505)
add("9110/9.1", "a method of another protocol", request "M-SEARCH /ok HTTP/1.1" .. NEXT, { 405, 200 }, { open = true })
bad("9110/9.1", "a method that nobody knows", request "DANCE /ok HTTP/1.1", 501)
bad("9110/9.1", "a method in lower case", request "get /ok HTTP/1.1", 501)
add("9110/9.3.8", "TRACE shows nothing", request("TRACE /ok HTTP/1.1", "Cookie: secret") .. NEXT, { 405, 200 },
  { open = true })
add("9112/3.2.2", "an absolute target", request("GET http://other/ok HTTP/1.1") .. NEXT, { 200, 200 }, { open = true })

-- Host -------------------------------------------------------------------------------------------------

bad("9112/3.2", "no Host", "GET /ok HTTP/1.1\r\nA: b\r\n\r\n")
bad("9112/3.2", "two equal Hosts", request("GET /ok HTTP/1.1", "Host: x"))
bad("9112/3.2", "two Hosts", request("GET /ok HTTP/1.1", "hOST: y"))
for _, host in ipairs { "a b", "a/b", "user@a", "a\"b", "a\\b", "a?b", "a#b", "a\tb", "<a>", "a:b", "a:-1", "a:1:2",
  "::1", "[::1", "::1]", "[]", "[::1]a", "[::1]:a", "a[::1]" } do
  bad("9110/7.2", "the Host " .. host:gsub("%c", "?"), "GET /ok HTTP/1.1\r\nHost: " .. host .. "\r\n\r\n")
end

-- A name of the URI syntax that no host of this machine has is misdirected.
for status, hosts in pairs { [200] = { "", "a:", "a:80", "[::1]", "[::1]:80" }, [421] = { "*", "a,b", "%41" } } do
  for _, host in ipairs(hosts) do
    add("9110/7.2", "the Host '" .. host .. "'", "GET /ok HTTP/1.1\r\nHost: " .. host .. "\r\n\r\n" .. NEXT,
      { status, 200 }, { open = true })
  end
end

-- Headers ----------------------------------------------------------------------------------------------

for name, line in pairs {
  ["a space before the colon"] = "A : b", ["a tab before the colon"] = "A\t: b", ["no colon"] = "nothing",
  ["no name"] = ": b", ["a space in the name"] = "A B: c", ["a NUL in the name"] = "A\0: b",
  ["a slash in the name"] = "A/B: c", ["a byte above ASCII in the name"] = "\xc3\xa9: b",
  ["a NUL in the value"] = "A: b\0c", ["a control character in the value"] = "A: b\1c",
  ["DEL in the value"] = "A: b\127c",
  ["a folded line"] = "A: b\r\n c", ["a line folded by a tab"] = "A: b\r\n\tc", ["a folded empty line"] = "A: b\r\n ",
  ["a framing header after a fold"] = "A: b\r\n Content-Length: 5",
} do
  bad("9112/5", name, request("GET /ok HTTP/1.1", line))
end
add("9110/5.5", "bytes above ASCII in a value", request("GET /ok HTTP/1.1", "A: \xe9\xff") .. NEXT, { 200, 200 },
  { open = true })

-- Where the body ends ----------------------------------------------------------------------------------

bad("9112/6.1", "a length and chunks", post("Content-Length: 5", "Transfer-Encoding: chunked") .. "0\r\n\r\n")
bad("9112/6.1", "chunks and a length", post("Transfer-Encoding: chunked", "Content-Length: 5") .. "0\r\n\r\n")
bad("9112/6.1", "chunks in HTTP/1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
for _, coding in ipairs { "xchunked", "chunkedx", "identity", "chunked, identity", "chunked;q=1", "\"chunked\"", "",
  "\x0bchunked", "chunked\x0c", "chunked, gzip" } do
  bad("9112/6.1", ("the coding %q"):format(coding), post("Transfer-Encoding: " .. coding) .. "0\r\n\r\n")
end
for _, coding in ipairs { "gzip, chunked", "chunked, chunked", "identity, chunked", ", chunked" } do
  bad("9112/6.1", ("the codings %q"):format(coding), post("Transfer-Encoding: " .. coding) .. "0\r\n\r\n", 501)
end
bad("9112/6.1", "two lines of codings", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") .. "0\r\n\r\n")
bad("9112/6.1", "codings beside others",
  post("Transfer-Encoding: identity", "transfer-encoding: chunked") .. "0\r\n\r\n")
add("9112/6.1", "chunked in any case, with spaces", post("Transfer-Encoding:   ChunkeD ")
  .. "3\r\nabc\r\n0\r\n\r\n" .. NEXT, { 200, 200 }, { open = true })
add("9112/6.1", "chunked before a tab", post("Transfer-Encoding:\tchunked \t")
  .. "3\r\nabc\r\n0\r\n\r\n" .. NEXT, { 200, 200 }, { open = true })
add("9112/6.2", "a length before a tab", post("Content-Length:\t3 \t") .. "abc" .. NEXT, { 200, 200 }, { open = true })
for _, length in ipairs { "+3", "-3", "3,3", "3, 3", "3 3", "0x3", "3.0", "", "three", "3;", "\x0b3", "３" } do
  bad("9112/6.2", ("the length %q"):format(length), post("Content-Length: " .. length) .. "abc")
end
bad("9112/6.2", "two equal lengths", post("Content-Length: 3", "Content-Length: 3") .. "abc")
bad("9112/6.2", "two lengths", post("Content-Length: 3", "content-length: 4") .. "abc")
for _, length in ipairs { "18446744073709551616", "99999999999999999999999999", "9223372036854775808", "4294967296" } do
  bad("9112/6.2", "the length " .. length, post("Content-Length: " .. length) .. "abc", 413)
end
add("9112/6.2", "leading zeros", post "Content-Length: 0003" .. "abc" .. NEXT, { 200, 200 }, { open = true })
add("9112/6.3", "a POST without a body", post() .. NEXT, { 200, 200 }, { open = true })
add("9110/9.3.1", "a GET with a body", request("GET /ok HTTP/1.1", "Content-Length: 3") .. "abc" .. NEXT, { 200, 200 },
  { open = true })

-- Chunks -----------------------------------------------------------------------------------------------

local function chunked(section, name, body, status)
  bad(section, name, post "Transfer-Encoding: chunked" .. body, status)
end
for _, size in ipairs { "0x3", "-3", "+3", " 3", "g", "", "3g", "3 x", "\t3" } do
  chunked("9112/7.1", ("the chunk size %q"):format(size), size .. "\r\nabc\r\n0\r\n\r\n")
end
for _, size in ipairs { "ffffffffffffffff", "fffffffffffffff0", "7fffffffffffffff", "100000" } do
  chunked("9112/7.1", "the chunk size " .. size, size .. "\r\nabc\r\n0\r\n\r\n", 413)
end
chunked("9112/7.1", "a chunk size of 17 digits", "10000000000000003\r\nabc\r\n0\r\n\r\n")
chunked("9112/7.1", "a chunk longer than its size", "3\r\nabcd\r\n0\r\n\r\n")
chunked("9112/7.1", "a chunk that ends with LF", "3\r\nabc\n0\r\n\r\n")
chunked("9112/7.1", "a chunk size that ends with LF", "3\nabc\r\n0\r\n\r\n")
chunked("9112/7.1", "a last chunk that ends with LF", "3\r\nabc\r\n0\n\r\n")
chunked("9112/7.1.1", "an extension with LF", "3;a=b\nabc\r\n0\r\n\r\n")
chunked("9112/7.1.1", "an extension with NUL", "3;a=\0\r\nabc\r\n0\r\n\r\n")
chunked("9112/7.1.1", "an extension with CR", "3;a\rb\r\nabc\r\n0\r\n\r\n")
for _, extension in ipairs { ";a", ";a=b", ";a=\"b\"", ";a;b", ";a=b;c=d", ";a=\"x;y\\\"z\";b", " ;\ta = b\t; c",
  ";a=\"\"" } do
  add("9112/7.1.1", "the extension " .. extension .. " is passed over", post "Transfer-Encoding: chunked"
    .. "3" .. extension .. "\r\nabc\r\n0" .. extension .. "\r\n\r\n" .. NEXT, { 200, 200 }, { open = true })
end
for _, extension in ipairs { ";", ";;a", ";a=", ";a=\"b", ";a=\"b\\\"", ";a=b c", ";a b", "; ", " ",
  ";=b", ";a=\"b\"c" } do
  chunked("9112/7.1.1", ("the extension %q"):format(extension), "3" .. extension .. "\r\nabc\r\n0\r\n\r\n")
end
add("9112/7.1.2", "trailers are passed over", post "Transfer-Encoding: chunked"
  .. "3\r\nabc\r\n0\r\nA: b\r\nContent-Length: 500\r\nTransfer-Encoding: gzip\r\n\r\n" .. NEXT, { 200, 200 },
  { open = true })
for name, line in pairs { ["no colon"] = "nothing", ["a space before the colon"] = "A : b", ["a fold"] = "A: b\r\n c",
  ["LF"] = "A: b\nB: c", ["a NUL"] = "A: \0" } do
  chunked("9112/7.1.2", "a trailer with " .. name, "3\r\nabc\r\n0\r\n" .. line .. "\r\n\r\n")
end

-- Connections and expectations -------------------------------------------------------------------------

add("9112/9.3", "close", request("GET /ok HTTP/1.1", "Connection: close") .. NEXT, { 200 })
add("9112/9.3", "close among others", request("GET /ok HTTP/1.1", "Connection: foo, CLOSE", "Connection: keep-alive")
  .. NEXT, { 200 })
add("9112/9.3", "HTTP/1.0", "GET /ok HTTP/1.0\r\n\r\n" .. NEXT, { 200 })
add("9112/9.3", "HTTP/1.0 that asks for more", "GET /ok HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" .. NEXT,
  { 200, 200 }, { open = true })
add("9112/9.3.2", "pipelined", (request "GET /ok HTTP/1.1"):rep(5) .. NEXT, { 200, 200, 200, 200, 200, 200 },
  { open = true })
add("9110/7.8", "an upgrade to something else", request("GET /ok HTTP/1.1", "Connection: Upgrade, HTTP2-Settings",
  "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA") .. NEXT, { 200 })
bad("9110/10.1.1", "an expectation that nobody knows", post("Content-Length: 3", "Expect: 200-ok") .. "abc", 417)
add("9110/10.1.1", "an expectation whose body is here", post("Content-Length: 3", "Expect: 100-continue") .. "abc"
  .. NEXT, { 200, 200 }, { open = true })
add("9110/10.1.1", "an expectation of HTTP/1.0", "POST /echo HTTP/1.0\r\nContent-Length: 3\r\n"
  .. "Expect: 100-continue\r\n\r\nabc" .. NEXT, { 200 })

-- Paths ------------------------------------------------------------------------------------------------

for _, path in ipairs { "/%", "/%2", "/%g1", "/%00", "/ok%00", "/../secret", "/%2e%2e/secret", "/..%2fsecret",
  "/.%2e/secret",
  "/%2e/ok", "//ok", "/ok/", "/OK", "/public/../../secret", "/%252e%252e/secret", "/\\..\\secret", "/.git/config",
  "/%c0%ae%c0%ae/secret" } do
  add("9110/4.2", "the path " .. path, request("GET " .. path .. " HTTP/1.1") .. NEXT, { 404, 200 }, { open = true })
end

return M
