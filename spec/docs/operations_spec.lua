-- docs/operations/configure.md: its grants let the roles do what it says.

local env = require "spec.support.env"
local markdown = require "spec.support.markdown"
local postgres = require "spec.support.postgres"

describe("docs/operations/configure.md", function()
  local db

  lazy_setup(function()
    db = postgres.database()
    db.session:run "create role app; create role leat_server"
    db.session:run(markdown.block(env.root() .. "/docs/operations/configure.md", "sql"))
  end)
  lazy_teardown(function()
    db.session:run "reset role"
    db.session:run "drop owned by app, leat_server"
    db.session:run "drop role app, leat_server"
    db:drop()
  end)

  it("has the grants of who publishes", function()
    db.session:run "set role app"
    db.session:run "select leat.publish('t', '1'), leat.revoke('t'), leat.resync('t'), leat.signal('t', '1')"
    local reads = pcall(db.session.run, db.session, "select from leat.event")

    assert.is_false(reads)
  end)

  it("says in SQL what they are", function()
    local function rights()
      return db.session:value [[
        select string_agg(x.privilege_type || ' ' || p.oid::regprocedure, ', ' order by p.oid)
               || case when has_schema_privilege('app', 'leat', 'usage') then ', USAGE' end
          from pg_proc p cross join aclexplode(p.proacl) x where x.grantee = 'app'::regrole]]
    end
    db.session:run "reset role"
    local granted = rights()
    db.session:run "drop owned by app"
    local none = rights()
    db.session:run(markdown.block(env.root() .. "/docs/operations/configure.md", "sql grants"))

    assert.is_nil(none)
    assert.equal(granted, rights())
  end)

  it("has the grants of the server's role", function()
    db.session:run "set role leat_server"

    assert.equal("3", db.session:value "select seq from leat_internal.position('t')")
    assert.equal("3", db.session:value "select count(*) from leat.event")
    assert.equal("3", db.session:value "select leat_internal.trim('0 s', null, 10)")
  end)
end)
