-- Mistakes that every_interleaving finds by what commits do to each other, by entries of Leat's own in the topic, or
-- beside other viewers. Each is one change of an auction that is exact.

local files = require "spec.support.files"
local kit = require "leat.spec"

local SCHEMA = [[
  create table people (id bigint primary key, name text not null, token text not null unique);
  create table lots (id bigint primary key, title text not null, state text not null default 'open',
    price int not null default 10);
  create table bids (id bigint generated always as identity primary key, lot_id bigint not null, who text not null,
    amount int not null);
  create table bidders (lot_id bigint, person_id bigint, primary key (lot_id, person_id));
  insert into people values (1, 'Ann', 'ann'), (2, 'Ben', 'ben');
  insert into lots (id, title) values (7, 'clock');
  insert into bidders values (7, 1), (7, 2);
  insert into bids (lot_id, who, amount) values (7, 'Ann', 11), (7, 'Ben', 12), (7, 'Ann', 13);
]]

local TRIGGER = [[
  create function tell() returns trigger language plpgsql as $$ begin
    perform leat.publish('lot:' || new.id, jsonb_build_object('state', new.state));
    return null;
  end $$;
  create trigger tell after update of state on lots for each row execute function tell();
]]

local APP = [[
local leat = require "leat"
local app = leat.app()
local seen = {}

app:connect(function(ctx, request)
  return ctx.db:one("select id, name from people where token = $1", request.token)
end)

local LOT = "select l.* from lots l join bidders b on b.lot_id = l.id where l.id = $1 and b.person_id = $2"

app:topic("lot:{id:int}", {
  subscribe = function(ctx, args)
    local lot = ctx.db:one(LOT, args.id, ctx.user.id)
    if not lot then return leat.deny "forbidden" end
    return leat.subscribe_authorized(ctx, lot, {
      --[=[SHARE]=]
      refresh = function(db) return db:one(LOT, args.id, ctx.user.id) or leat.deny "forbidden" end,
      snapshot = function(db, fresh)
        return {
          title = fresh.title, state = fresh.state, price = fresh.price,
          bids = db:rows("select id, who, amount from bids where lot_id = $1 and amount >= $2 order by id",
            fresh.id, ctx.params and ctx.params.least or 0),
        }
      end,
    })
  end,
  publish = function(ctx, args, data)
    return ctx.db:transaction(function(db)
      db:one("select from lots where id = $1 for update", args.id)
      local bid = db:one("insert into bids (lot_id, who, amount) values ($1, $2, $3) returning id, who, amount",
        args.id, ctx.user.name, data.amount)
      db:exec("select leat.publish($1, $2)", ctx.topic, { bid = bid })
    end)
  end,
})

return app
]]

local function bid(token, amount)
  return { token = token, publish = "lot:7", data = { amount = amount } }
end

local function change(sql, event)
  return function(db)
    db:exec(sql)
    if event then db:publish("lot:7", event) end
  end
end

local function apply(state, event)
  local data = event.data
  if data.bid then table.insert(state.bids, data.bid) end
  state.state, state.price = data.state or state.state, data.price or state.price
end

local function truth(db)
  local lot = db:one "select title, state, price from lots where id = 7"
  lot.bids = db:rows "select id, who, amount from bids where lot_id = 7 order by id"
  return lot
end

local function serve(changes, schema)
  local text, folder = APP, files.folder()
  for from, to in pairs(changes or {}) do
    local first, last = text:find(from, 1, true)
    assert(first, "no such text: " .. from)
    text = text:sub(1, first - 1) .. to .. text:sub(last + 1)
  end
  files.write(folder .. "/app.lua", text)
  local server = kit.serve { app = folder .. "/app.lua", schema = SCHEMA .. (schema or "") }
  teardown(function() files.remove(folder) end)
  return server
end

local function try(server, changes)
  local options = { subscribe = { topic = "lot:7", token = "ann" }, commits = { bid("ben", 20), bid("ann", 21) },
    apply = apply, truth = truth, limit = 20, seed = 1 }
  for key, value in pairs(changes or {}) do options[key] = value end
  return pcall(server.every_interleaving, server, options)
end

local function finds(pattern, server, changes)
  local ok, err = try(server, changes)
  assert(not ok, "nothing was found")
  assert.matches(pattern, (tostring(err)))
end

describe("every_interleaving", function()
  context("of an auction that is exact", function()
    local server = serve()

    it("finds nothing", function()
      assert(try(server, { limit = 40 }))
    end)

    it("finds a value that is computed from a row that nobody has locked", function()
      local function raise(db)
        local price = db:one("select price from lots where id = 7").price + 1
        db:exec "update lots set price = price + 1 where id = 7"
        db:publish("lot:7", { price = price })
      end

      finds("is not the truth, at %.price", server, { commits = { raise, raise } })
    end)

    it("finds an event that comes before its change", function()
      finds("is not the truth, at %.state", server, {
        commits = { change("select 1", { state = "shut" }), change "update lots set state = 'shut'" },
      })
    end)

    it("finds a client that expects no other entries between events", function()
      local at

      finds("is not the truth, at %.bids", server, {
        start = function(data)
          at = nil
          return data
        end,
        apply = function(state, event)
          if not at or event.seq == at + 1 then
            at = event.seq
            apply(state, event)
          end
        end,
      })
    end)

    it("finds a client that does not replace its state when a snapshot comes again", function()
      local first

      finds("is not the truth", server, {
        start = function(data)
          if not first or first.over then first = data else first.over = true end
          return first
        end,
      })
    end)

    it("finds a subject that is not the user's id", function()
      finds("one that subscribes now is refused: forbidden", server, {
        commits = { change("delete from bidders where person_id = 1; select leat.revoke('lot:7', 'Ann')") },
      })
    end)
  end)

  context("of bids that do not lock their lot", function()
    local server = serve { [" for update"] = "" }

    it("finds events in another order than their ids", function()
      finds("is not the truth, at %.bids", server)
    end)
  end)

  context("of a snapshot with a limit", function()
    local server = serve { ["bids = db:rows(\"select id"] = "bids = db:rows(\"select * from (select id",
      [" order by id\""] = " order by id desc limit 4) b order by id\"" }

    it("finds that the client keeps more", function()
      finds("the client has something else than one that subscribes now, at %.bids", server)
    end)
  end)

  context("of a right that is remembered", function()
    local server = serve {
      ["local lot = ctx.db:one(LOT"] = "local key = args.id .. ':' .. ctx.user.id\n"
        .. "local lot = seen[key] or ctx.db:one(LOT",
      ["    return leat.subscribe_authorized"] = "seen[key] = lot return leat.subscribe_authorized",
      ["db:one(LOT, args.id, ctx.user.id) or leat.deny \"forbidden\" end,"] =
        "db:one('select * from lots where id = $1', args.id) end,",
    }

    it("finds who keeps it", function()
      finds("by the truth it has no right to", server, {
        commits = { change "delete from bidders where person_id = 1; select leat.revoke('lot:7', '1')" },
        truth = function(db)
          return db:one "select from bidders where lot_id = 7 and person_id = 1" and truth(db)
        end,
      })
    end)
  end)

  context("of a trigger for some columns", function()
    local server = serve({}, TRIGGER)

    it("finds the others", function()
      finds("is not the truth, at %.title", server, {
        commits = { change "update lots set state = 'shut'", change "update lots set title = 'old clock'" },
      })
    end)
  end)

  context("of a key in share that forgets the params", function()
    local server = serve { ["--[=[SHARE]=]"] = "share = 'lot:' .. args.id," }

    it("finds who gets what is not for them", function()
      finds("beside another viewer, ann with params {\"least\":12} gets what is not for it", server, {
        subscribe = { topic = "lot:7", token = "ann", params = { least = 12 } },
        truth = function(db)
          local lot = truth(db)
          table.remove(lot.bids, 1)
          return lot
        end,
      })
    end)
  end)
end)
