-- An HTTP/1.1 server on luv, for pages and small requests. A connection has one request. What is not strictly
-- RFC 9112 is refused, and so is a body of unknown length.

local uv = require "luv"

local M = {}

local MAX_HEAD, MAX_BODY = 16384, 65536
local LIMIT_MS = 10000 -- for all of it: a client that is slower is cut

local REASONS = {
  [200] = "OK", [201] = "Created", [400] = "Bad Request", [401] = "Unauthorized", [404] = "Not Found",
  [405] = "Method Not Allowed", [411] = "Length Required", [413] = "Content Too Large",
  [415] = "Unsupported Media Type", [431] = "Request Header Fields Too Large", [500] = "Internal Server Error",
  [503] = "Service Unavailable",
}

--- The request whose head is at the beginning of the bytes: method, path, query, headers, head_size, body_size. Nil, if
--- the head is not whole yet; nil and a status, if it is refused.
function M.parse(bytes)
  local _, head_size = bytes:find("\r\n\r\n", 1, true)
  if (head_size or #bytes) > MAX_HEAD then return nil, 431 end
  if not head_size then return nil end
  local method, path, query, lines = bytes:sub(1, head_size - 2)
    :match "^(%u+) (/[!->@-~]*)%??([!-~]*) HTTP/1%.1\r\n(.*)$"
  if not method then return nil, 400 end
  local headers = {}
  for line in lines:gmatch "([^\n]*)\n" do
    local name, value = line:match "^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.-)[ \t]*\r$"
    if not name or value:find "[\0\r]" then return nil, 400 end
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  local length = headers["content-length"] or "0"
  if headers["transfer-encoding"] then return nil, 411 end
  if not headers.host or not length:find "^%d+$" then return nil, 400 end
  if #length > 9 or tonumber(length) > MAX_BODY then return nil, 413 end
  return { method = method, path = path, query = query, headers = headers, head_size = head_size,
    body_size = tonumber(length) }
end

local function compose(answer)
  local lines = {
    ("HTTP/1.1 %d %s"):format(answer.status, REASONS[answer.status]),
    "Connection: close",
    "Content-Length: " .. #(answer.body or ""),
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
  }
  for name, value in pairs(answer.headers or {}) do lines[#lines + 1] = name .. ": " .. value end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (answer.body or "")
end

-- One connection, from its first byte to its end. It is read until the client closes, because a socket that is closed
-- with bytes unread takes the answer with it.
local function converse(socket, options)
  local bytes, request, over = "", nil, false
  local deadline = uv.new_timer()

  local function close()
    over = true
    if not deadline:is_closing() then deadline:close() end
    if not socket:is_closing() then socket:close() end
  end

  local function answer(what)
    over = true
    if socket:is_closing() then return end
    socket:write(compose(what))
    socket:shutdown()
  end

  local function respond()
    local ok, what = xpcall(options.respond, debug.traceback, request)
    if not ok then io.stderr:write(what, "\n") end
    answer(ok and what or { status = 500 })
  end

  local function take(chunk)
    bytes = bytes .. chunk
    local refused
    if not request then
      request, refused = M.parse(bytes)
      if refused then return answer { status = refused } end
      if not request then return end
      if options.hand_over(request, socket, bytes) then return close() end
    end
    if #bytes < request.head_size + request.body_size then return end
    over = true
    request.body = bytes:sub(request.head_size + 1, request.head_size + request.body_size)
    coroutine.wrap(respond)()
  end

  deadline:start(LIMIT_MS, 0, close)
  socket:read_start(function(err, chunk)
    if err or not chunk then return close() end
    if not over then take(chunk) end
  end)
end

--- Listens there. options: respond(request), which returns { status, body, headers } and may yield;
--- hand_over(request, socket, bytes), which returns true if it has given the connection to somebody else.
--- Returns the address: port 0 means one that the system picks.
function M.listen(address, options)
  local ip, port = address:match "^(.*):(%d+)$"
  local listener = uv.new_tcp()
  assert(listener:bind(ip, tonumber(port)))
  assert(listener:listen(128, function(err)
    if err then return end
    local socket = uv.new_tcp()
    if listener:accept(socket) then converse(socket, options) else socket:close() end
  end))
  return ("%s:%d"):format(ip, listener:getsockname().port)
end

return M
