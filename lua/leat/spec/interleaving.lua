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

-- How many servers run the handlers of commits. Two: one may stand with the commit that is open, while the other one
-- runs the later commits.
local function count_writers(commits)
  local n = 0
  for _, what in ipairs(commits) do
    if type(what) == "table" then n = n + 1 end
  end
  return math.min(n, 2)
end

-- The servers stay for the next every_interleaving of the same application.
local function servers(served, commits)
  if not served.twin then
    local main, writers = twin.new(served, true), {}
    -- Each of them, also after one that fails.
    local function all(what)
      local failure
      for _, one in ipairs { main, table.unpack(writers) } do
        local ok, err = pcall(one[what], one)
        if not ok then failure = failure or err end
      end
      if failure then error(failure, 0) end
    end
    served.twin = {
      main = main,
      writers = writers,
      settle = function() all "settle" end,
      close = function() all "close" end,
    }
  end
  local writers = served.twin.writers
  while #writers < count_writers(commits) do writers[#writers + 1] = twin.new(served, false) end
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
    twin = self.servers.main,
    url = served.database.url,
    control = self.control,
    subscribe = options.subscribe,
    commits = commits,
    apply = options.apply,
    start = options.start or function(data) return data end,
    writer = function(token)
      for _, writer in ipairs(self.servers.writers) do
        if not writer.busy then return writer, writer:client_of(token) end
      end
    end,
  }
  return self
end

-- What is wrong --------------------------------------------------------------------------------------

local function differs(what, found, has, should)
  return ("%s, at %s:\n  %-24s %s\n  %-24s %s"):format(what, found.path, has, found.a, should, found.b)
end

-- What a client gets that subscribes now, at the ordinary server: its data; nil and a code if it is refused.
local function subscribe_now(self, who)
  local client = self.served:client { token = who.token, headers = who.headers }
  local ok, refusal = client:try_connect()
  if not ok then return nil, refusal.code end
  local _, id = client:begin(self.options.subscribe.topic, { params = who.params })
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
    local _, code = subscribe_now(self, self.options.subscribe)
    return not code and "the subscribe is refused: " .. outcome or nil
  end
  return nil
end

-- Compares a client that follows with the truth and with one that subscribes now.
local function judge_live(self, state, truth)
  local now, code = subscribe_now(self, self.options.subscribe)
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
    if relay and relay.modes[way.fault] then
      relay.mode = way.fault
      t:note("fault", "announcements: " .. way.fault:gsub("_", " the "))
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
  self.n_positions = t.n_stops + 1
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

-- Locks the tables once the topic is armed, until the read that waits for them is cancelled.
local function locker(self, t, names)
  return function(stop)
    if stop.point ~= "STARTING" or t.locked then return end
    t.locked = true
    local gates, session = self.env.twin.gates, pg.connect(self.served.database.url)
    session:run(("set lock_timeout = %d; begin; lock table %s in access exclusive mode"):format(LIMIT_MS,
      table.concat(names, ", ")))
    t:note("fault", "locks " .. table.concat(names, ", "))
    gates:want(nil)
    gates:pass()
    local waited = loop.poll(function() return cancel_waiting(self) end, LIMIT_MS)
    t:note("fault", waited and "the read is cancelled, and the lock is given back" or "nobody waits for the lock")
    gates:want(t.wanted)
    session:close()
  end
end

local function try_locked(self, way)
  local names, has_commits = relations.without(self.reads.refresh, {}), next(way) ~= nil
  if #names == 0 then return end
  try(self, function(t)
    local ok, err = pcall(t.subscribe, t, way, locker(self, t, names))
    if not ok then return err end
    if has_commits then return judge(self, t, true) end
    return judge_locked(self, t)
  end)
end

-- Other viewers --------------------------------------------------------------------------------------

-- Tokens in columns of that name.
local function stored_tokens(self)
  local found = {}
  for _, row in ipairs(self.control:rows([[select format('select %I as token from %I.%I order by 1 limit 4', a.attname,
      n.nspname, c.relname) as sql from pg_attribute a join pg_class c on c.oid = a.attrelid
      join pg_namespace n on n.oid = c.relnamespace
      where a.attname = 'token' and c.relkind = 'r' and n.nspname !~ '^(pg_|leat|information_schema)']])) do
    for _, stored in ipairs(self.control:rows(row.sql)) do found[#found + 1] = stored.token end
  end
  return found
end

-- Who else may follow: { token, headers, params }. If the spec does not say: those whose tokens it has used, or which
-- are stored; and, where the client has params, the same one without.
local function viewers(self)
  local own, seen, list = self.options.subscribe, {}, {}
  local function add(token)
    if token ~= own.token and not seen[token] and #list < MAX_VIEWERS then
      seen[token] = true
      list[#list + 1] = { token = token, params = own.params }
    end
  end
  for _, viewer in ipairs(self.options.viewers or {}) do
    if type(viewer) == "table" then list[#list + 1] = viewer else add(viewer) end
  end
  if self.options.viewers then return list end
  if own.params then list[1] = { token = own.token, headers = own.headers } end
  local used = {}
  for token in pairs(self.served.tokens) do used[#used + 1] = token end
  table.sort(used)
  for _, token in ipairs(used) do add(token) end
  for _, token in ipairs(stored_tokens(self)) do add(token) end
  return list
end

local function name_of(who)
  local params = who.params and " with params " .. trial.show(who.params) or ""
  return (who.token or "one without a token") .. params
end

local function open_at_twin(self, t, who)
  local client = self.env.twin:client { token = who.token, headers = who.headers }
  if not client:try_connect() then return nil end
  client.on_line = function(direction, text) t:note(name_of(who), direction .. " " .. text) end
  local _, id = client:begin(self.options.subscribe.topic, { params = who.params })
  local answer = client:await(function() return client.answers[id] end, "answer to a subscribe")
  return answer.op ~= "error" and answer or nil
end

local function judge_beside(self, answer, who)
  local now = subscribe_now(self, who)
  local found = compare.difference(answer.data, now)
  return found and differs("beside another viewer, " .. name_of(who) .. " gets what is not for it.\n"
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

-- The simple ways come first. With a limit, each kind of ways loses the same part, but for the few that show what
-- commits do to each other.
local function plan(self)
  local n, p, seed, list, total = #self.env.commits, self.n_positions, self.seed, {}, 0
  if n == 0 then return list end
  local overlapping, limit = ways.overlapping(self.steps, p), self.options.limit or math.huge
  local kinds = { ways.whole(n, p), ways.open(self.steps, p), ways.locked(n, p) }
  for _, kind in ipairs(kinds) do ways.shuffle(kind, seed) end
  local faults = ways.faults(n, self.steps, p, seed, self.env.twin.relay ~= nil)
  table.move(faults, 1, #faults, #kinds + 1, kinds)
  for _, kind in ipairs(kinds) do total = total + #kind end
  local part = math.min(1, math.max(0, limit - #overlapping) / total)
  table.move(overlapping, 1, math.min(#overlapping, limit), 1, list)
  for _, kind in ipairs(kinds) do table.move(kind, 1, math.ceil(#kind * part), #list + 1, list) end
  return list
end

local function run_all(self)
  learn_steps(self)
  check_refresh(self)
  learn_commits(self)
  self.learnt = true
  try_locked(self, {})
  local own = self.options.subscribe
  for _, viewer in ipairs(viewers(self)) do
    try_beside(self, viewer, own)
    try_beside(self, own, viewer)
  end
  for _, way in ipairs(plan(self)) do (way.locked and try_locked or try_way)(self, way) end
end

--- options: subscribe { topic, token, headers, params }, commits, apply(state, event), truth(db); optional
--- start(data) (the state from a snapshot), viewers (tokens of others, or { token, headers, params }), refresh_reads
--- (tables that `refresh` may read besides), limit (of the number of ways), seed, way. Returns { tried, seed }; fails
--- at the first way that is not exact.
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
