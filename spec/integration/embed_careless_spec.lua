-- A program that embeds Leat and uses it carelessly is refused, with a message, and nothing else happens.

local env = require "spec.support.env"
local installed = require "spec.support.installed"
local postgres = require "spec.support.postgres"

describe("a careless program that embeds Leat", function()
  local db, tree

  lazy_setup(function()
    db = postgres.database()
    tree = installed.install { DATABASE_URL = db.url }
    tree:run(("cc -Wall -Wextra -Werror -o careless %s/spec/embed/careless.c $(pkg-config --cflags --libs leat) "
      .. "-pthread -ldl"):format(env.root()), 0)
  end)
  lazy_teardown(function()
    tree:remove()
    db:drop()
  end)

  it("is refused, and goes on", function()
    local p = tree:run("exec ./careless", 0)

    assert.equal(9, select(2, p:output():gsub("ok %- ", "")), p:output())
  end)

  it("may end while its server runs", function()
    local p = tree:run("exec ./careless exit", 0)

    assert.matches("ok - a server serves until the process has gone", p:output(), 1, true)
  end)
end)
