-- Centrifuge's SDKs, unmodified, against the server: what each shows is what was committed, nothing missed and nothing
-- twice. All of them live through each fault together, since faults take time.

local loop = require "spec.support.loop"
local relay = require "spec.support.relay"
local sdk = require "spec.support.sdk"
local stage = require "spec.support.stage"
local vectors = require "spec.support.vectors"

local SDKS, MISSING = sdk.all()

describe("the SDKs of Centrifuge", function()
  local s, wire, clients
  local topics = 0

  lazy_setup(function()
    s = stage.open { app = vectors.app, schema = vectors.schema, log = { "listener lost" } }
    wire = relay.start(function() return s.server and s.server.port end)
  end)
  lazy_teardown(function()
    wire:close()
    s:close()
  end)
  before_each(function()
    clients = {}
    wire:let_up()
  end)
  after_each(function()
    for _, client in ipairs(clients) do client:stop() end
    s:settle()
  end)

  -- Starts every SDK, connected as `token` (a function makes it of the list's name), each with a list of its own
  -- (.topic).
  local function start_all(token)
    for _, one in ipairs(SDKS) do
      topics = topics + 1
      local own = type(token) == "function" and token(("s%d"):format(topics)) or token
      local client = sdk.start(one, ("ws://127.0.0.1:%d/connection/websocket"):format(wire.port), { token = own })
      client.list, client.name, client.truth = ("s%d"):format(topics), one.name, {}
      client.topic = "list:" .. client.list
      clients[#clients + 1] = client
    end
  end

  -- Does fn for each client, and says whose it was that failed.
  local function each(fn)
    local failed = {}
    for _, client in ipairs(clients) do
      local ok, err = pcall(fn, client)
      if not ok then failed[#failed + 1] = client.name .. ": " .. tostring(err) end
    end
    if failed[1] then error(table.concat(failed, "\n\n"), 2) end
  end

  -- Commits so many items to the client's list, past the server.
  local function commit(client, n)
    for _ = 1, n do
      local body = ("%d"):format(#client.truth + 1)
      client.truth[#client.truth + 1] = body
      s.session:run(("select %s('%s', '%s')"):format(client.add or "add_item", client.list, body))
    end
  end

  -- From here on, the client's list is the one that is read with a ticket.
  local function take_ticketed(client)
    client.add, client.topic = "add_ticketed", "ticket:" .. client.list
  end

  local function subscribe_all(ticket)
    each(function(client)
      client:await("connected")
      if ticket then take_ticketed(client) end
      commit(client, 2)
      client:subscribe(client.topic, ticket)
      commit(client, 2)
      client:shows(client.topic, client.truth)
      assert.equal(1, client:view(client.topic).snapshots)
    end)
  end

  -- What is committed from here on is shown as well, and nothing has come twice.
  local function assert_exact()
    each(function(client)
      client:eventually(function() return client:view(client.topic).is_live end, "a subscription that is live")
      commit(client, 2)
      client:shows(client.topic, client.truth)
    end)
  end

  for _, reason in ipairs(MISSING) do pending(reason, function() end) end
  if not SDKS[1] then return end

  it("get a snapshot and every event, and publish", function()
    start_all("alice")
    subscribe_all()

    each(function(client)
      table.insert(client.truth, "mine")
      local answer = client:ask { ["do"] = "publish", channel = client.topic, data = { body = "mine" } }
      assert.equal("answer", answer.on)
    end)

    assert_exact()
  end)

  it("call methods, and are told why a request is refused", function()
    start_all("alice")
    each(function(client)
      client:await("connected")
      assert.same({ 1, "two" }, client:ask({ ["do"] = "rpc", method = "echo", data = { 1, "two" } }).data)
      local codes = {}
      for _, method in ipairs { "refuse", "unheard" } do
        codes[method] = client:ask({ ["do"] = "rpc", method = method, data = 1 }).code
      end
      local bad = client:ask { ["do"] = "publish", channel = client.topic, data = { text = 5 } }
      codes.publish = bad.code
      assert.same({ refuse = 103, unheard = 104, publish = 107 }, codes)
    end)
  end)

  it("are told that a topic is not theirs, once and for all", function()
    start_all("alice")
    each(function(client)
      client:await("connected")
      s.session:run(("insert into banned values ('%s', 'alice')"):format(client.list))
      client:send { ["do"] = "subscribe", channel = client.topic }
      assert.equal(103, client:await("unsubscribed").code)
    end)
  end)

  it("are guests without a token, and are refused with a bad one", function()
    start_all(nil)
    each(function(client)
      client:await("connected")
      assert.equal("guest", client:ask({ ["do"] = "rpc", method = "me", data = 0 }).data)
    end)
    for _, client in ipairs(clients) do client:stop() end
    clients = {}

    start_all("nobody")
    each(function(client)
      local code = client:await("disconnected").code
      assert.is_true(code == 101 or code >= 3500, "closed with " .. code)
      assert.equal(0, client:count("connected"))
    end)
  end)

  it("recover after a cut", function()
    start_all("alice")
    subscribe_all()

    wire:cut()
    each(function(client) commit(client, 3) end)
    wire:let_up()

    assert_exact()
    each(function(client)
      local view = client:view(client.topic)
      assert.same({ true, 1 }, { view.recovered, view.snapshots })
    end)
  end)

  it("recover after a restart of the server", function()
    start_all("alice")
    subscribe_all()

    s:stop()
    each(function(client) commit(client, 3) end)
    s:serve()

    assert_exact()
    each(function(client)
      local view = client:view(client.topic)
      assert.same({ true, 1 }, { view.recovered, view.snapshots })
    end)
  end)

  it("recover after a crash of the server", function()
    start_all("alice")
    subscribe_all()

    s.server:kill()
    s.server = nil
    each(function(client) commit(client, 3) end)
    s:serve()

    assert_exact()
  end)

  it("get a fresh snapshot where the outbox was trimmed meanwhile", function()
    start_all("alice")
    subscribe_all()

    s:stop()
    each(function(client) commit(client, 3) end)
    s.session:run("delete from leat.event")
    s:serve()

    assert_exact()
    each(function(client)
      local view = client:view(client.topic)
      assert.same({ false, 2 }, { view.recovered, view.snapshots })
    end)
  end)

  it("get a fresh snapshot where a topic was reset meanwhile", function()
    start_all("alice")
    subscribe_all()

    wire:cut()
    each(function(client)
      s.session:run(("begin; delete from item where list = '%s'; delete from leat.topic where name = '%s'; commit")
        :format(client.list, client.topic))
      client.truth = {}
      commit(client, 2)
    end)
    wire:let_up()

    assert_exact()
  end)

  it("go on where somebody else's right was taken, and after a resync", function()
    start_all("alice")
    subscribe_all()

    each(function(client)
      s.session:run(("select ban('%s', 'somebody else')"):format(client.list))
      commit(client, 1)
      client:shows(client.topic, client.truth)
      table.insert(client.truth, "silent")
      s.session:run(("begin; insert into item (list, body) values ('%s', 'silent'); select leat.resync('%s'); commit")
        :format(client.list, client.topic))
      client:shows(client.topic, client.truth)
    end)

    assert_exact()
    wire:cut()
    each(function(client) commit(client, 2) end)
    wire:let_up()
    assert_exact()
  end)

  it("lose a topic with the right to it, and keep the others", function()
    start_all("alice")
    subscribe_all()
    each(function(client) client:subscribe("list:kept-" .. client.list) end)

    each(function(client)
      s.session:run(("select ban('%s', 'alice')"):format(client.list))
      s.session:run(("select add_item('%s', 'unseen')"):format(client.list))
      s.session:run(("select add_item('kept-%s', 'seen')"):format(client.list))

      client:shows("list:kept-" .. client.list, { "seen" })
      local ended = client:await("unsubscribed")
      assert.is_true(ended.code >= 2000 and ended.code < 2500, "unsubscribed with " .. ended.code)
      client:shows(client.topic, client.truth)
      assert.equal(1, client:count("connected"))
    end)
  end)

  it("get signals, which move no position", function()
    start_all("alice")
    subscribe_all()

    each(function(client)
      s.session:run(("select leat.signal('%s', '{\"typing\": true}')"):format(client.topic))
      client:eventually(function() return client:view(client.topic).signals[1] end, "a signal")
      assert.same({ typing = true }, client:view(client.topic).signals[1])
    end)
    wire:cut()
    each(function(client) commit(client, 1) end)
    wire:let_up()

    assert_exact()
    each(function(client) assert.equal(1, client:view(client.topic).snapshots) end)
  end)

  it("read the recent events of a topic", function()
    start_all("alice")
    subscribe_all()

    each(function(client)
      local function ask(options)
        options["do"], options.channel = "history", client.topic
        local answer = client:ask(options)
        local shown = {}
        for _, one in ipairs(answer.data or {}) do shown[#shown + 1] = ("%d:%s"):format(one.offset, one.data.body) end
        return table.concat(shown, " "), answer
      end

      local all, answer = ask { limit = 10 }
      assert.equal("1:1 2:2 3:3 4:4", all)
      local since = { offset = 3, epoch = answer.epoch }
      assert.equal("4:4", (ask { limit = 10, since = since }))
      assert.equal("2:2 1:1", (ask { limit = 10, since = since, reverse = true }))
      assert.equal("4:4 3:3", (ask { limit = 2, reverse = true }))
      local position
      all, position = ask { limit = 0 }
      assert.same({ "", 4, answer.epoch }, { all, position.offset, position.epoch })
      local _, lost = ask { limit = 1, since = { offset = 3, epoch = "another" } }
      assert.equal(112, lost.code)
    end)
  end)

  it("have subscriptions that the server makes, which recover", function()
    start_all(function(list)
      s.session:run(("insert into follow values ('of %s', '%s')"):format(list, list))
      return "of " .. list
    end)
    each(function(client)
      client:await("server_subscribed")
      commit(client, 2)
      client:shows(client.topic, client.truth)
      assert.equal(1, client:view(client.topic).snapshots)
      s.session:run(("select leat.resync('%s')"):format(client.topic))
      client:eventually(function() return client:view(client.topic).snapshots == 2 end, "a fresh snapshot")
    end)

    wire:cut()
    each(function(client) commit(client, 3) end)
    wire:let_up()

    assert_exact()
    each(function(client) assert.equal(2, client:view(client.topic).snapshots) end)
  end)

  it("unsubscribe and subscribe again", function()
    start_all("alice")
    subscribe_all()
    each(function(client)
      client:send { ["do"] = "unsubscribe", channel = client.topic }
      client:await("unsubscribed")
      -- The answer tells that the server knows it, too. Until then events come, which not every SDK keeps to itself.
      client:ask { ["do"] = "rpc", method = "echo", data = 0 }
      commit(client, 2)
      client:subscribe(client.topic)
    end)
    assert_exact()
  end)

  it("show a new token before the old one expires, on the same connection", function()
    start_all("alice-4")
    each(function(client)
      client:send { ["do"] = "token", token = "bob-60" }
      client:await("token_asked")
      client:eventually(function()
        return client:ask({ ["do"] = "rpc", method = "me", data = 0 }).data == "bob"
      end, "to be bob")
      assert.same({ 1, 1 }, { client:count("connected"), client:count("connecting") })
    end)
    subscribe_all()
  end)

  it("are disconnected where the new token is refused", function()
    start_all("alice-4")
    each(function(client)
      client:send { ["do"] = "token", token = "nobody" }
      local code = client:await("disconnected").code
      assert.is_true(code == 1 or code == 101 or code >= 3500, "closed with " .. code)
    end)
  end)

  -- What each gets that asks for a token of its subscription from here on.
  local function hand_out(ticket)
    each(function(client) client:send { ["do"] = "ticket", channel = client.topic, ticket = ticket } end)
  end

  -- The SDK of that name, if there is one, takes no further part: fn tells why.
  local function leave_out(name, fn)
    for i = #clients, 1, -1 do
      if clients[i].name == name then
        fn(clients[i])
        table.remove(clients, i):stop()
      end
    end
  end

  it("show a new token of a subscription before the old one expires, and miss nothing", function()
    start_all("alice")
    subscribe_all("4")
    hand_out("6")
    each(function(client)
      client:eventually(function() return client:count("ticket_asked") >= 2 end, "to be asked twice")
    end)
    hand_out("600")

    assert_exact()
    each(function(client)
      local counts = { client:count("unsubscribed"), client:count("subscribing"), client:count("subscribed") }
      assert.same({ 0, 1, 1 }, counts)
    end)
  end)

  it("ask for another token of a subscription as long as theirs has expired", function()
    start_all("alice")
    each(function(client)
      client:await("connected")
      take_ticketed(client)
      client:send { ["do"] = "subscribe", channel = client.topic, ticket = "late" }
    end)
    -- centrifuge-java 0.4.1 goes on to end a subscription after it has asked for another token (subscribeError).
    leave_out("centrifuge-java, protobuf", function(client)
      assert.equal(109, client:await("unsubscribed").code)
    end)
    each(function(client)
      client:await("ticket_asked")
      assert.equal(0, client:count("unsubscribed"))
    end)
    hand_out("4")
    assert_exact()

    hand_out("late")
    each(function(client)
      -- This push comes before the answer to the renewal.
      client:await("subscribing", function(event) return event.code == 2501 end)
      commit(client, 2)
    end)
    hand_out("600")

    assert_exact()
    each(function(client) assert.same({ 0, 1 }, { client:count("unsubscribed"), client:count("connected") }) end)
  end)

  it("end a subscription whose new token is refused", function()
    start_all("alice")
    subscribe_all("4")
    hand_out("forged")
    each(function(client)
      local code = client:await("unsubscribed").code
      assert.is_true(code >= 2000 and code < 2500, "unsubscribed with " .. code)
    end)
  end)

  it("leave a server that drains for the next one", function()
    start_all("alice")
    subscribe_all()

    s.server:send_signal("sigterm")
    each(function(client) client:await("connecting", nil, 3) end)
    loop.eventually(function() return not s.server:running() end, 30000, "the end of the server")
    s:stop()
    each(function(client) commit(client, 2) end)
    s:serve()

    assert_exact()
    each(function(client) assert.equal(1, client:view(client.topic).snapshots) end)
  end)
end)
