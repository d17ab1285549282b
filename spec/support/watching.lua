-- What leat.watch has made of a table's changes. Its tables have columns id and v.

local cjson = require "cjson"

local M = {}

local Watched = {}
Watched.__index = Watched

--- In that session's database.
function M.of(session)
  return setmetatable({ session = session }, Watched)
end

function Watched:watch(relation, template)
  local s = self.session
  s:run(("select leat.watch(%s, %s)"):format(s:quote(relation), s:quote(template)))
end

function Watched:unwatch(relation, template)
  local s = self.session
  s:run(("select leat.unwatch(%s, %s)"):format(s:quote(relation), s:quote(template)))
end

--- The data of a topic's events.
function Watched:events(topic)
  local list = {}
  for _, row in ipairs(self.session:rows(
    "select kind, data from leat.event where topic = " .. self.session:quote(topic) .. " order by seq")) do
    list[#list + 1] = row.kind == "event" and cjson.decode(row.data) or { action = row.kind }
  end
  return list
end

--- A topic's events in short: "update 1:a 1:b", for the rows (1, a) and (1, b).
function Watched:log(topic)
  local lines = {}
  for _, event in ipairs(self:events(topic)) do
    local line = event.action
    if event.old then line = ("%s %d:%s"):format(line, event.old.id, event.old.v) end
    if event.row then line = ("%s %d:%s"):format(line, event.row.id, event.row.v) end
    lines[#lines + 1] = line
  end
  return lines
end

--- The error of a statement, which must fail.
function Watched:refusal(sql)
  local ok, err = pcall(self.session.run, self.session, sql)
  if ok then error("not refused: " .. sql, 2) end
  return err
end

return M
