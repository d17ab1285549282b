-- Programs that embed Leat start and stop it, and use all of leat.h at random. EMBED_ROUNDS=1000 does so at length;
-- `scripts/test sanitizers` has the same programs under the thread sanitizer and valgrind.

local env = require "spec.support.env"
local installed = require "spec.support.installed"
local postgres = require "spec.support.postgres"

local ROUNDS = tonumber(os.getenv "EMBED_ROUNDS") or 20

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

  it("leaves nothing behind when servers start and stop", function()
    local p = tree:run("exec ./host life " .. ROUNDS, 0, ROUNDS * 6000 + 60000)

    assert.equal(3, select(2, p:output():gsub("ok %- ", "")), p:output())
  end)

  it("may call everything at any time, from any thread, and end in the middle", function()
    local p = tree:run("exec ./storm 1 " .. ROUNDS // 2, 0, ROUNDS * 6000 + 60000)

    local rounds, fds, fds_now, threads, threads_now =
      p:output():match("rounds (%d+) fds (%d+) %-> (%d+) threads (%d+) %-> (%d+)")
    assert.equal(tostring(ROUNDS // 2), rounds, p:output())
    assert.equal(fds, fds_now)
    assert.equal(threads, threads_now)
  end)
end)
