-- What a service manager (systemd) hears: ready, alive, stopping.

local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local process = require "spec.support.process"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:route("GET /hang", function() while true do end end, { public = true })
return app
]]

-- Debian's perl-base reads the datagrams, for Lua has no Unix datagram sockets.
local MANAGER = [[
use IO::Socket::UNIX; $| = 1;
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die $!;
print "listens\n";
while (1) { $socket->recv(my $text, 100); print "$text\n"; }
]]

local function manager()
  local path = os.tmpname()
  os.remove(path)
  local program = process.spawn("/usr/bin/perl", { args = { "-e", MANAGER, path } })
  loop.eventually(function() return program.out[1] end, nil, "a manager")
  function program:heard(text)
    local n = 0
    for _, line in ipairs(self.out) do if line == text then n = n + 1 end end
    return n
  end
  function program:close()
    self:send_signal("sigkill")
    self:wait()
    os.remove(path)
  end
  program.path = path
  return program
end

describe("a service manager", function()
  local systemd, s

  before_each(function()
    systemd = manager()
    s = stage.open { app = APP, schema = fixtures.schema,
      log = { "does not answer", "computed for longer than script_budget_ms" },
      env = { NOTIFY_SOCKET = systemd.path, WATCHDOG_USEC = 150000, LEAT_SCRIPT_BUDGET_MS = 1000,
        LEAT_WORKERS = 2 } }
  end)
  after_each(function()
    s:close()
    systemd:close()
  end)

  it("hears when the server is ready, that it lives, and when it stops", function()
    loop.eventually(function() return systemd:heard("READY=1") == 1 end, nil, "ready")
    loop.eventually(function() return systemd:heard("WATCHDOG=1") >= 5 end, nil, "a living server")
    assert.equal(0, systemd:heard("STOPPING=1"))

    s.server:send_signal("sigterm")

    loop.eventually(function() return systemd:heard("STOPPING=1") == 1 end, nil, "a stopping server")
    assert.equal(0, s.server.process:wait())
  end)

  it("is not told that a server lives whose worker does not turn", function()
    loop.eventually(function() return systemd:heard("WATCHDOG=1") >= 2 end, nil, "a living server")
    local conn = tcp.connect(s.server.port)
    conn:write(http.text { path = "/hang" })

    s.server:await_log("a worker does not answer; the watchdog is not fed")
    local heard = systemd:heard("WATCHDOG=1")
    assert.equal(500, http.read_answer(conn, "GET").status)
    conn:close()

    loop.eventually(function() return systemd:heard("WATCHDOG=1") > heard end, nil, "a server that lives again")
  end)
end)
