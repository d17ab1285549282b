-- every_interleaving: a subscribe is exact, whatever commits when. docs/testing.md tells what it finds.
--
-- A second server of the application (twin) stops between the steps of the handshake. Each way of letting commits fall
-- between them is a trial. After each one the client's state is compared with what the application says (truth), and
-- with what a client gets that subscribes now. Some mistakes show only beside another viewer, or when the row that
-- `refresh` reads is locked: those have trials of their own.

local compare = require "leat.spec.compare"
local db = require "leat.spec.db"
local loop = require "leat.spec.loop"
local pg = require "leat.spec.pg"
local relations = require "leat.spec.relations"
local trial = require "leat.spec.trial"
local twin = require "leat.spec.twin"
local ways = require "leat.spec.ways"

local M = {}

local LIMIT_MS = 10000
local MAX_VIEWERS = 4

-- A handler may decide so before a commit that gives the right, and the subscribe is then over.
local DECISIONS = { forbidden = true, not_found = true, unauthenticated = true }

local Run = {}
Run.__index = Run

local function check_options(options)
  local subscribe = options.subscribe
  if type(subscribe) ~= "table" or type(subscribe.topic) ~= "string" then
    error("every_interleaving needs subscribe = { topic = …, token = … }", 3)
  end
  for _, name in ipairs { "apply", "truth" } do
    if type(options[name]) ~= "function" then error("every_interleaving needs " .. name .. ", a function", 3) end
  end
end

local function wants_app(commits)
  for _, what in ipairs(commits) do
    if type(what) == "table" then return true end
  end
  return false
end

-- The servers stay for the next every_interleaving of the same application.
local function servers(served, commits)
  if not served.twin then
    local main, writer = twin.new(served, true), nil
    served.twin = {
      main = function() return main end,
      writer = function()
        writer = writer or twin.new(served, false)
        return writer
      end,
      settle = function()
        main:settle()
        if writer then writer:settle() end
      end,
      close = function()
        main:close()
        if writer then writer:close() end
      end,
    }
  end
  if wants_app(commits) then served.twin.writer() end
  return served.twin
end

local function new_run(served, options)
  local commits = options.commits or {}
  local self = setmetatable({
    served = served,
    options = options,
    seed = options.seed or os.time(),
    tried = 0,
    servers = servers(served, commits),
    control = pg.connect(served.database.url),
    reads = { subscribe = {}, refresh = {}, snapshot = {} },
  }, Run)
  self.env = {
    twin = self.servers.main(),
    url = served.database.url,
    control = self.control,
    subscribe = options.subscribe,
    commits = commits,
    apply = options.apply,
    start = options.start or function(data) return data end,
    writer = function(token)
      local writer = self.servers.writer()
      return writer, writer:client_of(token)
    end,
  }
  return self
end

-- What is wrong --------------------------------------------------------------------------------------

local function differs(what, found, has, should)
  return ("%s, at %s:\n  %-24s %s\n  %-24s %s"):format(what, found.path, has, found.a, should, found.b)
end

-- What a client gets that subscribes now, at the ordinary server: its data; nil and a code if it is refused.
local function subscribe_now(self, token)
  local subscribe = self.options.subscribe
  local client = self.served:client { token = token, headers = token == subscribe.token and subscribe.headers or nil }
  local ok, refusal = client:try_connect()
  if not ok then return nil, refusal.code end
  local _, id = client:begin(subscribe.topic, { params = subscribe.params })
  local answer = client:await(function() return client.answers[id] end, "answer to a subscribe")
  client:close()
  if answer.op == "error" then return nil, answer.code end
  return answer.data
end

local function truth_of(self)
  local session = pg.connect(self.served.database.url)
  local ok, truth = pcall(self.options.truth, db.new(session))
  session:close()
  if not ok then error("truth failed: " .. tostring(truth), 0) end
  return truth
end

local function judge_refused(self, outcome, truth, has_commits)
  if not DECISIONS[outcome] and outcome ~= "revoked" then return "the subscribe ends with " .. outcome end
  if truth ~= nil and not has_commits then
    local _, code = subscribe_now(self, self.options.subscribe.token)
    return not code and "the subscribe is refused: " .. outcome or nil
  end
  return nil
end

-- Compares a client that follows with the truth and with one that subscribes now.
local function judge_live(self, state, truth)
  local now, code = subscribe_now(self, self.options.subscribe.token)
  if code then
    return ("the client follows the topic, but one that subscribes now is refused: %s.\n"
      .. "The handler decided by something that neither `refresh` nor `snapshot` reads again, and no leat.revoke\n"
      .. "was committed together with the change."):format(code)
  end
  if truth == nil then return "the client follows the topic, but by the truth it has no right to" end
  local found = compare.difference(state, truth)
  if found then return differs("the client's state is not the truth", found, "the client has", "the truth is") end
  found = compare.difference(state, self.env.start(compare.copy(now)))
  if not found then return nil end
  return differs("the client has something else than one that subscribes now", found, "the client has",
    "one that subscribes now")
end

local function judge(self, t, has_commits)
  local wrong = t:settle()
  if wrong then return wrong end
  local outcome, truth = t:outcome(), truth_of(self)
  if outcome ~= "live" then return judge_refused(self, outcome, truth, has_commits) end
  return judge_live(self, t.state, truth)
end

-- One trial ------------------------------------------------------------------------------------------

local function reset_all(self)
  self.servers.settle()
  self.served:reset()
end

local function fail(self, t, wrong)
  local lines = {
    ("every_interleaving of %s: way %d fails, those before it were exact."):format(self.options.subscribe.topic,
      self.tried),
    "", wrong, "", t:timeline(), "",
    ("to repeat it alone: seed = %d, way = %d"):format(self.seed, self.tried),
  }
  error(table.concat(lines, "\n"), 0)
end

-- Runs fn(trial), which returns what is wrong, from data that is as the schema has put it.
local function try(self, fn)
  self.tried = self.tried + 1
  if self.options.way and self.options.way ~= self.tried and self.learnt then return nil end
  reset_all(self)
  local t = trial.new(self.env)
  local ok, wrong = pcall(fn, t)
  t:close()
  if not ok or wrong then fail(self, t, tostring(wrong)) end
  return t
end

local function try_way(self, way)
  local relay = self.env.twin.relay
  return try(self, function(t)
    if way.fault and way.fault ~= "cut" then
      relay.mode = way.fault
      t:note("fault", "announcements: " .. way.fault)
    end
    local ok, err = pcall(t.subscribe, t, way)
    local wrong = ok and judge(self, t, next(way) ~= nil) or not ok and err
    if relay then relay.mode = "pass" end
    return wrong or nil
  end)
end

-- What is learnt first -------------------------------------------------------------------------------

-- Without commits: where the server stops, and what is read there.
local function learn_steps(self)
  local t = try_way(self, {})
  for _, stop in ipairs(t.stops) do
    local set = self.reads[stop.point]
    if set then relations.of(self.control, stop.detail, set) end
  end
  self.n_positions = #t.stops + 1
end

-- All commits after the answer: how many statements each one has.
local function learn_commits(self)
  local way = {}
  for c = 1, #self.env.commits do
    way[self.n_positions] = way[self.n_positions] or {}
    table.insert(way[self.n_positions], { act = "begin", commit = c })
  end
  self.steps = try_way(self, way):steps()
end

-- If `refresh` cannot read, the row that the handler has read is used. So it should need no other tables.
local function check_refresh(self)
  local more = relations.without(self.reads.refresh, self.reads.subscribe)
  local allowed = {}
  for _, name in ipairs(self.options.refresh_reads or {}) do allowed[name] = true end
  for _, name in ipairs(more) do
    if not allowed[name] and not allowed[name:gsub("^public%.", "")] then
      try(self, function()
        return ("`refresh` reads too much: %s, which the handler does not read.\n"
          .. "When that cannot be read, the row of the handler is used, and it has nothing of it: what only the\n"
          .. "snapshot shows is for `snapshot` to read."):format(name)
      end)
    end
  end
end

-- The row that refresh reads is locked ---------------------------------------------------------------

-- The backends of the servers that wait for a lock.
local function cancel_waiting(self)
  return tonumber(self.control:value([[select count(pg_cancel_backend(pid)) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and application_name like 'leat worker%']])) > 0
end

local function judge_locked(self, t)
  if t.answer.op == "error" then
    return "the row that `refresh` reads is locked, and the subscribe is refused: " .. t.answer.code
      .. ".\nThe snapshot needs something that only `refresh` reads."
  end
  local truth = truth_of(self)
  local found = truth and compare.difference(self.env.start(compare.copy(t.answer.data)), truth)
  if found then
    return differs("the row that `refresh` reads is locked, so the snapshot is composed from the row of the handler.\n"
      .. "Nothing has changed, and yet it is not the truth: it shows something that only `refresh` reads", found,
      "the client has", "the truth is")
  end
  return judge(self, t, false)
end

local function try_locked(self)
  local names = relations.without(self.reads.refresh, {})
  if #names == 0 then return end
  try(self, function(t)
    local locker
    local function on_stop(stop)
      if stop.point ~= "STARTING" or locker then return end
      locker = pg.connect(self.served.database.url)
      locker:run("begin; lock table " .. table.concat(names, ", ") .. " in access exclusive mode")
      t:note("fault", "locks " .. table.concat(names, ", "))
      self.env.twin.gates:want(nil)
      self.env.twin.gates:pass()
      local waited = loop.poll(function() return cancel_waiting(self) end, LIMIT_MS)
      t:note("fault", waited and "the read is cancelled, and the lock is given back" or "nobody waits for the lock")
      locker:close()
    end
    local ok, err = pcall(t.subscribe, t, {}, on_stop)
    if locker then locker:close() end
    if not ok then return err end
    return judge_locked(self, t)
  end)
end

-- Other viewers --------------------------------------------------------------------------------------

-- Tokens that the spec has used, and those in columns of that name.
local function viewers(self)
  local own, seen, list = self.options.subscribe.token, {}, {}
  local function add(token)
    if token ~= own and not seen[token] and #list < MAX_VIEWERS then
      seen[token] = true
      list[#list + 1] = token
    end
  end
  for _, token in ipairs(self.options.viewers or {}) do add(token) end
  if self.options.viewers then return list end
  local used = {}
  for token in pairs(self.served.tokens) do used[#used + 1] = token end
  table.sort(used)
  for _, token in ipairs(used) do add(token) end
  for _, row in ipairs(self.control:rows([[select format('select %I as token from %I.%I order by 1 limit 4', a.attname,
      n.nspname, c.relname) as sql from pg_attribute a join pg_class c on c.oid = a.attrelid
      join pg_namespace n on n.oid = c.relnamespace
      where a.attname = 'token' and c.relkind = 'r' and n.nspname !~ '^(pg_|leat|information_schema)']])) do
    for _, found in ipairs(self.control:rows(row.sql)) do add(found.token) end
  end
  return list
end

local function open_at_twin(self, t, token)
  local subscribe = self.options.subscribe
  local client = self.env.twin:client { token = token, headers = token == subscribe.token and subscribe.headers or nil }
  if not client:try_connect() then return nil end
  client.on_line = function(direction, text) t:note(token, direction .. " " .. text) end
  local _, id = client:begin(subscribe.topic, { params = subscribe.params })
  local answer = client:await(function() return client.answers[id] end, "answer to a subscribe")
  return answer.op ~= "error" and answer or nil
end

local function judge_beside(self, answer, token)
  local now = subscribe_now(self, token)
  local found = compare.difference(answer.data, now)
  return found and differs("beside another viewer, " .. token .. " gets what is not for it.\n"
    .. "The snapshot depends on the viewer, and the key in `share` does not", found, "it gets", "alone, it gets") or nil
end

-- One of them subscribes while the other one follows.
local function try_beside(self, first, second)
  try(self, function(t)
    if not open_at_twin(self, t, first) then return nil end
    local answer = open_at_twin(self, t, second)
    return answer and judge_beside(self, answer, second)
  end)
end

-- All of it ------------------------------------------------------------------------------------------

-- The simple ways come first. With a limit, each kind of ways loses the same part.
local function plan(self)
  local n, list, total = #self.env.commits, {}, 0
  if n == 0 then return list end
  local kinds = { ways.whole(n, self.n_positions), ways.open(self.steps, self.n_positions) }
  if self.env.twin.relay then table.insert(kinds, 2, ways.faults(n, self.n_positions)) end
  for _, kind in ipairs(kinds) do total = total + #kind end
  local part = math.min(1, (self.options.limit or total) / total)
  for _, kind in ipairs(kinds) do
    ways.shuffle(kind, self.seed)
    for i = 1, math.ceil(#kind * part) do list[#list + 1] = kind[i] end
  end
  return list
end

local function run_all(self)
  learn_steps(self)
  check_refresh(self)
  learn_commits(self)
  self.learnt = true
  try_locked(self)
  local own = self.options.subscribe.token
  if own then
    for _, token in ipairs(viewers(self)) do
      try_beside(self, token, own)
      try_beside(self, own, token)
    end
  end
  for _, way in ipairs(plan(self)) do try_way(self, way) end
end

--- options: subscribe { topic, token, headers, params }, commits, apply(state, event), truth(db); optional
--- start(data) (the state from a snapshot), viewers (tokens of others), refresh_reads (tables that `refresh` may read
--- besides), limit (of the number of ways), seed, way. Returns { tried, seed }; fails at the first way that is not
--- exact.
function M.run(served, options)
  check_options(options)
  local self = new_run(served, options)
  local ok, err = pcall(run_all, self)
  self.control:close()
  if not ok then
    pcall(self.servers.settle)
    error(err, 0)
  end
  reset_all(self)
  print(("# every_interleaving of %s: %d ways, all exact (seed %d)"):format(options.subscribe.topic, self.tried,
    self.seed))
  return { tried = self.tried, seed = self.seed }
end

return M
