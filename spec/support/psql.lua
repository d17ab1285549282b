-- psql as a session beside this process: what it runs may wait for locks, and it tells announcements.

local env = require "spec.support.env"
local process = require "spec.support.process"

local M = {}

--- Publishes 1, 2, 3, … to room:1 until the table `enough` has a row.
M.PUBLISH = [[
  do $$
  declare n int := 0;
  begin
    while not exists (select from enough) loop
      n := n + 1;
      perform leat.publish('room:1', to_jsonb(n));
      commit;
      perform pg_sleep(0.002);
    end loop;
  end $$;
]]

--- Starts psql with a script on its standard input; it stops at the first error.
function M.start(url, script)
  return process.spawn(env.pg_program("psql"), {
    args = { "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url },
    input = script .. "\n",
  })
end

--- Runs a script to its end. Returns its output; an error if it failed.
function M.run(url, script)
  local p = M.start(url, script)
  local code = p:wait()
  if code ~= 0 then error(table.concat(p.err, "\n"), 2) end
  return table.concat(p.out, "\n")
end

local function parse(payload, pid)
  local mac, kind, epoch, seq, at, topic, data = payload:match("^" .. ("([^\n]*)\n"):rep(6) .. "(.*)$")
  assert(mac, "not seven fields: " .. payload)
  return {
    mac = mac, kind = kind, epoch = epoch, seq = tonumber(seq), at = tonumber(at), topic = topic, data = data,
    bytes = #payload, signed = payload:sub(#mac + 2), pid = pid,
  }
end

--- Runs a script in a session that listens. Returns the announcements that it got, in order.
function M.announcements(url, script)
  local out = M.run(url, "listen leat;\n" .. script .. ";\nselect;")
  local list = {}
  local pattern = 'Asynchronous notification "leat" with payload "(.-)" received from server process with PID (%d+)'
  for payload, pid in out:gmatch(pattern) do list[#list + 1] = parse(payload, pid) end
  return list
end

return M
