-- Sessions of a spec's own in the database: to write, to look, to hold locks and transactions open.
-- They block: what waits in them must not wait for this process.

local driver = require "luasql.postgres"

local M = {}

local Session = {}
Session.__index = Session

local environment

--- Opens a session.
function M.connect(url)
  environment = environment or driver.postgres()
  local conn, err = environment:connect(url)
  if not conn then error("cannot connect to " .. url .. ": " .. tostring(err), 2) end
  return setmetatable({ conn = conn, url = url }, Session)
end

--- Runs one statement, or several that return nothing. Returns the number of rows that it changed.
function Session:run(sql)
  local result, err = self.conn:execute(sql)
  if not result then error(tostring(err) .. " in: " .. sql:sub(1, 200), 2) end
  if type(result) == "number" then return result end
  result:close()
  return 0
end

--- The rows, as tables by column; NULL is nil, everything else is text.
function Session:rows(sql)
  local cursor, err = self.conn:execute(sql)
  if not cursor then error(tostring(err) .. " in: " .. sql:sub(1, 200), 2) end
  local rows = {}
  local row = cursor:fetch({}, "a")
  while row do
    rows[#rows + 1] = row
    row = cursor:fetch({}, "a")
  end
  cursor:close()
  return rows
end

--- The first column of the first row, as text.
function Session:value(sql)
  local cursor, err = self.conn:execute(sql)
  if not cursor then error(tostring(err) .. " in: " .. sql:sub(1, 200), 2) end
  local value = cursor:fetch()
  cursor:close()
  return value
end

--- Text as an SQL literal.
function Session:quote(text)
  return "'" .. self.conn:escape(text) .. "'"
end

--- Publishes to a topic; data is JSON.
function Session:publish(topic, data)
  self:run(("select leat.publish(%s, %s)"):format(self:quote(topic), self:quote(data)))
end

function Session:pid()
  return tonumber(self:value("select pg_backend_pid()"))
end

function Session:close()
  if self.conn then
    self.conn:close()
    self.conn = nil
  end
end

return M
