-- What a spec does in the database: statements with parameters, and rows as JSON has them.

local cjson = require "cjson"
local pg = require "leat.spec.pg"

local M = {}

local Db = {}
Db.__index = Db

--- on_statement(sql), if given, is called after each statement: it may yield.
function M.new(session, on_statement)
  return setmetatable({ session = session, on_statement = on_statement, log = {} }, Db)
end

function M.connect(url)
  local session = pg.connect(url)
  session:run("set client_min_messages = warning")
  return M.new(session)
end

-- A value as an SQL literal. A table becomes JSON.
local function literal(session, value)
  if value == nil or value == cjson.null then return "null" end
  if math.type(value) == "integer" then return ("%d"):format(value) end
  if type(value) == "number" then return ("%.17g"):format(value) end
  if type(value) == "boolean" then return tostring(value) end
  return session:quote(type(value) == "table" and cjson.encode(value) or tostring(value))
end

-- Puts the parameters in place of $1, $2 …; text in quotes is left as it is.
local function bind(session, sql, ...)
  local values = table.pack(...)
  if values.n == 0 then return sql end
  local parts, at = {}, 1
  while at <= #sql do
    local from, to = sql:find("'[^']*'", at)
    local plain = sql:sub(at, (from or #sql + 1) - 1)
    parts[#parts + 1] = plain:gsub("%$(%d+)", function(n) return literal(session, values[tonumber(n)]) end)
    parts[#parts + 1] = from and sql:sub(from, to) or ""
    at = (to or #sql) + 1
  end
  return table.concat(parts)
end

local function ran(self, sql)
  self.log[#self.log + 1] = sql
  if self.on_statement then self.on_statement(sql) end
end

--- Runs a statement. Returns the number of rows that it changed.
function Db:exec(sql, ...)
  local bound = bind(self.session, sql, ...)
  local n = self.session:run(bound)
  ran(self, bound)
  return n
end

-- NULL reads as nil, as in a handler.
local function without_nulls(value)
  if value == cjson.null then return nil end
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, v in pairs(value) do copy[key] = without_nulls(v) end
  return copy
end

-- Where the parenthesis that opens at `from` closes. Those in quotes do not count.
local function closing(sql, from)
  local depth, at = 0, from
  while true do
    at = sql:find("[()'\"]", at)
    if not at then return nil end
    local character = sql:sub(at, at)
    if character == "(" then
      depth = depth + 1
    elseif character == ")" then
      depth = depth - 1
      if depth == 0 then return at end
    else
      at = sql:find(character, at + 1, true) or #sql
    end
    at = at + 1
  end
end

-- The statement that writes its rows as JSON. A statement that changes data is allowed in a `with` at the top only: so
-- the list of a `with` stays there, and the rest becomes one more item of it.
local function as_json(sql)
  local list_end = sql:match("^%s*[Ww][Ii][Tt][Hh]%s()")
  while list_end do
    local opening = sql:match("^[^(]*[Aa][Ss]%s[^(]*()%(", list_end) or sql:match("^[^(]*%b()[^(]*[Aa][Ss]%s[^(]*()%(",
      list_end)
    local at = opening and closing(sql, opening)
    if not at then break end
    list_end = at + 1
    local comma = sql:match("^%s*,()", list_end)
    if not comma then break end
    list_end = comma
  end
  local list, main = "with ", sql
  if list_end then list, main = sql:sub(1, list_end - 1) .. ", ", sql:sub(list_end) end
  return list .. "leat_spec_q as (" .. main .. ") select to_jsonb(leat_spec_q)::text as json from leat_spec_q"
end

--- The rows, each value as JSON has it.
function Db:rows(sql, ...)
  local bound = bind(self.session, sql, ...):gsub("[%s;]+$", "")
  local rows = {}
  for i, row in ipairs(self.session:rows(as_json(bound))) do
    rows[i] = without_nulls(cjson.decode(row.json))
  end
  ran(self, bound)
  return rows
end

--- The first row, or nil.
function Db:one(sql, ...)
  return self:rows(sql, ...)[1]
end

--- Publishes an event to a topic.
function Db:publish(topic, data)
  return self:exec("select leat.publish($1, $2)", topic, data)
end

function Db:close()
  self.session:close()
end

return M
