-- Programs that embed Leat use all of leat.h in order and at random, and start and stop it often. EMBED_ROUNDS=1000
-- does so at length; `scripts/test sanitizers` runs this spec with the thread sanitizer, and with EMBED_UNDER=valgrind.

local env = require "spec.support.env"
local installed = require "spec.support.installed"
local postgres = require "spec.support.postgres"

local ROUNDS = tonumber(os.getenv "EMBED_ROUNDS") or 20
local UNDER = os.getenv "EMBED_UNDER" or ""

describe("a program that embeds Leat", function()
  local db, tree

  lazy_setup(function()
    db = postgres.database()
    tree = installed.install { DATABASE_URL = db.url }
    for _, name in ipairs { "host", "storm" } do
      tree:run(("cc -Wall -Wextra -Werror -o %s %s/spec/embed/%s.c $(pkg-config --cflags --libs leat) -pthread")
        :format(name, env.root(), name), 0)
    end
  end)
  lazy_teardown(function()
    tree:remove()
    db:drop()
  end)

  local function run(arguments)
    return tree:run(("exec %s ./%s"):format(UNDER, arguments), 0, ROUNDS * 6000 + 300000)
  end

  it("publishes, subscribes, is slow, is revoked", function()
    local p = run "host talk"

    assert.equal(24, select(2, p:output():gsub("ok %- ", "")), p:output())
  end)

  it("is called back on a thread of Leat's if it asks for that", function()
    run "host own"
  end)

  it("leaves nothing behind when servers start and stop", function()
    local p = run("host life " .. ROUNDS)

    assert.equal(3, select(2, p:output():gsub("ok %- ", "")), p:output())
  end)

  it("may call everything at any time, from any thread, and end in the middle", function()
    local p = run("storm 1 " .. math.max(ROUNDS // 2, 2))

    local rounds, fds, fds_now, threads, threads_now =
      p:output():match("rounds (%d+) fds (%d+) %-> (%d+) threads (%d+) %-> (%d+)")
    assert.truthy(rounds, p:output())
    assert.equal(fds, fds_now)
    assert.equal(threads, threads_now)
  end)
end)
