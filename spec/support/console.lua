-- The console of a server under test: requests to it, with a token or a session, and its streams.

local http = require "spec.support.http"
local json = require "cjson"

local M = {}

M.TOKEN = "a-token-of-a-spec-0123456789"

--- The variables of a server with a console, and more.
function M.variables(more)
  local all = { LEAT_CONSOLE_LISTEN = "127.0.0.1:0", LEAT_CONSOLE_TOKEN = M.TOKEN, LEAT_WORKERS = 2 }
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

local Console = {}
Console.__index = Console

--- Of a server that was started with LEAT_CONSOLE_LISTEN = "127.0.0.1:0".
function M.of(server)
  local port = tonumber((server:await_log("console open address=%S+:(%d+)")))
  return setmetatable({ server = { port = port }, port = port }, Console)
end

--- request: as of spec.support.http; headers are a table. token: NULL leaves the Authorization header out.
function Console:request(request, token)
  request.headers = request.headers or {}
  request.headers.Host = request.headers.Host or "127.0.0.1:" .. self.port
  if token then request.headers.Authorization = "Bearer " .. token end
  return http.request(self.server, request)
end

--- A question, answered as a table; and the status.
function Console:ask(question)
  local answer = self:request({ path = "/console/api/" .. question }, M.TOKEN)
  return json.decode(answer.body), answer.status
end

--- An action, as the page asks for it.
function Console:act(question, headers)
  local all = { ["Leat-Console"] = "1", Origin = "http://127.0.0.1:" .. self.port }
  for name, value in pairs(headers or {}) do all[name] = value or nil end
  return self:request({ method = "POST", path = "/console/api/" .. question, headers = all }, M.TOKEN)
end

--- Logs in by the form. Returns the answer, and the cookie as a browser sends it back.
function Console:log_in(token, headers)
  headers = headers or { Origin = "http://127.0.0.1:" .. self.port }
  headers["Content-Type"] = "application/x-www-form-urlencoded"
  local answer = self:request { method = "POST", path = "/console/login", headers = headers, body = "token=" .. token }
  return answer, (answer.headers["set-cookie"] or ""):match("^[^;]+")
end

--- A stream of Server-Sent Events.
function Console:stream(path)
  return http.sse(self.server, "/console/api/" .. path, { Authorization = "Bearer " .. M.TOKEN })
end

return M
