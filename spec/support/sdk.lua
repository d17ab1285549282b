-- The SDKs of Centrifuge, each in a program of its own (spec/sdk) that is driven line by line.
--
-- A line is a JSON object. To the program:
--   {"do":"connect","url":…,"token":…,"protobuf":true}   {"do":"token","token":…}: what the next request for one gets
--   {"do":"subscribe","channel":…,"ticket":…}: a token of the subscription
--   {"do":"ticket","channel":…,"ticket":…}: what the next request for one gets
--   {"do":"unsubscribe","channel":…}   {"do":"disconnect"}
--   {"do":"publish","id":1,"channel":…,"data":…}   {"do":"rpc","id":2,"method":…,"data":…}
--   {"do":"history","id":3,"channel":…,"limit":…,"since":{"offset":…,"epoch":…},"reverse":true}
-- From the program, what the SDK tells an application:
--   {"on":"connecting"|"disconnected","code":…,"reason":…}   {"on":"connected","data":…}   {"on":"token_asked"}
--   {"on":"ticket_asked","channel":…}
--   {"on":"subscribing"|"unsubscribed","channel":…,"code":…,"reason":…}
--   {"on":"subscribed","channel":…,"data":…,"recovered":…,"was_recovering":…}
--   {"on":"publication","channel":…,"data":…,"offset":…}   ("server_…": subscriptions that the server makes)
--   {"on":"answer","id":1,"data":…}   {"on":"error","id":1,"code":…,"message":…}   {"on":"sub_error","channel":…}

local cjson = require "cjson"
local loop = require "spec.support.loop"
local process = require "spec.support.process"

local M = {}

--- The SDKs that scripts/test has prepared: a list of { name, command, args, protobuf }, and the names of the others
--- with the reason. Each variable holds the words of a command.
function M.all()
  local list, missing = {}, {}
  local function add(name, variable, protobuf)
    local words = {}
    for word in (os.getenv(variable) or ""):gmatch("%S+") do words[#words + 1] = word end
    if words[1] then
      list[#list + 1] = { name = name, command = table.remove(words, 1), args = words, protobuf = protobuf }
    else
      local reason = os.getenv(variable .. "_REASON") or variable .. " is not set"
      missing[#missing + 1] = name .. " is not at hand: " .. reason
    end
  end
  add("centrifuge-js, JSON", "LEAT_SDK_JS", false)
  add("centrifuge-js, protobuf", "LEAT_SDK_JS", true)
  add("centrifuge-python, JSON", "LEAT_SDK_PYTHON", false)
  add("centrifuge-python, protobuf", "LEAT_SDK_PYTHON", true)
  add("centrifuge-go, JSON", "LEAT_SDK_GO", false)
  add("centrifuge-go, protobuf", "LEAT_SDK_GO", true)
  add("centrifuge-java, protobuf", "LEAT_SDK_JAVA", true)
  return list, missing
end

local Sdk = {}
Sdk.__index = Sdk

-- A view of a channel, as an application would keep it: the snapshot, and what has come after it.
local function view_of(self, channel)
  if not self.views[channel] then self.views[channel] = { list = {}, signals = {}, history = {}, snapshots = 0 } end
  return self.views[channel]
end

local on = {}

function on:subscribed(event)
  local view = view_of(self, event.channel)
  view.is_live = true
  view.recovered = event.recovered
  if event.was_recovering and event.recovered then return end
  view.snapshots = view.snapshots + 1
  view.list = {}
  for _, item in ipairs(type(event.data) == "table" and event.data or {}) do table.insert(view.list, item.body) end
end

-- A subscription that the server has made: with recovered, it goes on.
function on:server_subscribed(event)
  event.was_recovering = event.recovered
  on.subscribed(self, event)
end

function on:publication(event)
  local view = view_of(self, event.channel)
  -- A signal is a publication without offset.
  if not event.offset or event.offset == 0 or event.offset == cjson.null then
    table.insert(view.signals, event.data)
  else
    table.insert(view.list, event.data.body)
  end
end

on.server_publication = on.publication

function on:subscribing(event)
  view_of(self, event.channel).is_live = false
end

function on:unsubscribed(event)
  local view = view_of(self, event.channel)
  view.is_live = false
  view.ended = event
end

-- Takes the lines that have come since the last time.
local function pump(self)
  while self.process.out[self.read + 1] do
    self.read = self.read + 1
    local event = cjson.decode(self.process.out[self.read])
    self.events[#self.events + 1] = event
    if on[event.on] then on[event.on](self, event) end
  end
end

--- Starts an SDK and lets it connect. options: token.
function M.start(sdk, url, options)
  local self = setmetatable({ events = {}, views = {}, read = 0, asked = 0 }, Sdk)
  self.process = process.spawn(sdk.command, { args = sdk.args, pipe = true })
  self:send { ["do"] = "connect", url = url, protobuf = sdk.protobuf, token = options and options.token }
  return self
end

function Sdk:send(step)
  self.process.stdin:write(cjson.encode(step) .. "\n")
end

--- Waits until fn() is true.
function Sdk:eventually(fn, what, limit_ms)
  return loop.eventually(function()
    pump(self)
    return fn()
  end, limit_ms or 20000, function()
    return ("%s; it wrote:\n%s"):format(what, self.process:output():sub(-4000))
  end)
end

--- The first event of that kind, from number first on, for which fn(event) is true; and its number.
function Sdk:await(kind, fn, first, limit_ms)
  local found, number
  self:eventually(function()
    for i = first or 1, #self.events do
      if self.events[i].on == kind and (not fn or fn(self.events[i])) then
        found, number = self.events[i], i
        return true
      end
    end
  end, kind, limit_ms)
  return found, number
end

--- How many events of that kind have come.
function Sdk:count(kind)
  pump(self)
  local n = 0
  for _, event in ipairs(self.events) do
    if event.on == kind then n = n + 1 end
  end
  return n
end

function Sdk:view(channel)
  pump(self)
  return view_of(self, channel)
end

function Sdk:subscribe(channel, ticket)
  self:send { ["do"] = "subscribe", channel = channel, ticket = ticket }
  self:eventually(function() return view_of(self, channel).is_live end, "a subscription to " .. channel)
end

--- Asks, and returns the answer or the error.
function Sdk:ask(step)
  self.asked = self.asked + 1
  step.id = self.asked
  self:send(step)
  local found
  self:eventually(function()
    for _, event in ipairs(self.events) do
      if (event.on == "answer" or event.on == "error") and event.id == step.id then found = event end
    end
    return found
  end, "an answer to " .. step["do"])
  return found
end

--- Waits until the view of a channel is this list, which it must stay.
function Sdk:shows(channel, list)
  local wanted = table.concat(list, " ")
  local view = view_of(self, channel)
  self:eventually(function() return table.concat(view.list, " ") == wanted end,
    ("%s to be «%s», it is «%s»"):format(channel, wanted, table.concat(view.list, " ")))
end

--- Ends the program.
function Sdk:stop()
  self.process.stdin:shutdown(function() self.process.stdin:close() end)
  self.process:wait()
end

return M
