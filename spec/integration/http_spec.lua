-- Health, metrics, static files.

local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"
local uv = require "luv"

describe("the HTTP side", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, public = {
      ["index.html"] = "<!doctype html>hello",
      ["js/main.js"] = "export {}",
      ["style.css"] = "body {}",
      ["picture.svg"] = "<svg/>",
      ["data.json"] = "{}",
      ["empty.txt"] = "",
      ["large.bin"] = ("0123456789abcdef"):rep(65536),
      [".secret"] = "not for you",
      ["a b.txt"] = "spaces",
    } }
    files.write(s.folder .. "/outside.txt", "not for you")
    uv.fs_symlink(s.folder .. "/outside.txt", s.folder .. "/public/link.txt")
    uv.fs_symlink("style.css", s.folder .. "/public/inner.css")
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() metrics.settled(s.server) end)

  local function get(path, headers)
    return http.request(s.server, { path = path, headers = headers })
  end

  it("says that it lives, and that it is ready once the listener is up and the history confirmed", function()
    assert.same({ 200, "ok\n" }, { get("/healthz").status, get("/healthz").body })
    loop.eventually(function() return get("/readyz").status == 200 end)
    assert.equal("ok\n", get("/readyz").body)
    assert.equal("no-store", get("/readyz").headers["cache-control"])
  end)

  it("has every metric that others rely on", function()
    local _, text = metrics.read(s.server)

    for _, name in ipairs { "leat_connections", "leat_subscriptions", "leat_topics", "leat_pg_pool_connections",
      "leat_pg_pool_waiters", "leat_listener_connected", "leat_listener_reconnects_total", "leat_handshakes_total",
      "leat_handshake_seconds", "leat_query_seconds", "leat_snapshot_reads_total", "leat_events_total",
      "leat_deliveries_total", "leat_gaps_repaired_total", "leat_resyncs_total", "leat_slow_clients_closed_total",
      "leat_ring_bytes", "leat_send_buffer_bytes" } do
      assert.matches("# TYPE " .. name .. " %l+\n", text)
      assert.matches("# HELP " .. name .. " [^\n]+\n", text)
    end
    for _, state in ipairs { "idle", "busy", "connecting" } do
      assert.matches('leat_pg_pool_connections{state="' .. state .. '"} %d+\n', text)
    end
    assert.matches("text/plain", get("/metrics").headers["content-type"], 1, true)
  end)

  it("counts handshakes, reads, events and deliveries", function()
    local before = s:metrics()
    local client = s:connect { token = "alice" }
    client:subscribe("room:1")
    s.session:publish("room:1", "1")
    client:expect("event")
    local after = s:metrics()

    for _, name in ipairs { 'leat_handshakes_total{outcome="ok"}', "leat_snapshot_reads_total", "leat_events_total",
      "leat_deliveries_total", "leat_handshake_seconds_count" } do
      assert.equal(before[name] + 1, after[name], name)
    end
    assert.equal(1, after.leat_connections)
    assert.equal(1, after['leat_subscriptions{state="live"}'])
    assert.is_true(after.leat_ring_bytes > 0)
    client:close()
  end)

  it("answers only GET and HEAD on its own paths", function()
    for _, path in ipairs { "/healthz", "/readyz", "/metrics" } do
      local answer = http.request(s.server, { method = "POST", path = path, body = "x" })

      assert.same({ 405, "GET, HEAD" }, { answer.status, answer.headers.allow })
    end
  end)

  it("keeps a connection for many requests", function()
    local conn = tcp.connect(s.server.port)
    for _, path in ipairs { "/healthz", "/", "/nothing", "/js/main.js", "/healthz" } do
      conn:write(http.text { path = path })
      local answer = http.read_answer(conn)
      assert.equal(path == "/nothing" and 404 or 200, answer.status)
    end
    conn:close()
  end)

  context("static files", function()
    it("have their types", function()
      for path, kind in pairs { ["/"] = "text/html", ["/index.html"] = "text/html", ["/js/main.js"] = "text/javascript",
        ["/style.css"] = "text/css", ["/picture.svg"] = "image/svg+xml", ["/data.json"] = "application/json",
        ["/empty.txt"] = "text/plain", ["/large.bin"] = "application/octet-stream" } do
        local answer = get(path)

        assert.equal(200, answer.status, path)
        assert.equal(kind, answer.headers["content-type"]:match("^[^;]+"), path)
        assert.equal("nosniff", answer.headers["x-content-type-options"])
      end
    end)

    it("are sent whole, whatever their size", function()
      assert.is_true(get("/large.bin").body == ("0123456789abcdef"):rep(65536))
      assert.equal("", get("/empty.txt").body)
      assert.equal("spaces", get("/a%20b.txt").body)
      assert.equal("body {}", get("/inner.css").body)
    end)

    it("are not sent again to who has them", function()
      local first = get("/style.css")

      local again = get("/style.css", { ["If-None-Match"] = first.headers.etag })
      local since = get("/style.css", { ["If-Modified-Since"] = first.headers["last-modified"] })
      local other = get("/style.css", { ["If-None-Match"] = '"another"' })

      assert.same({ 304, "" }, { again.status, again.body })
      assert.equal(first.headers.etag, again.headers.etag)
      assert.equal(304, since.status)
      assert.equal(200, other.status)
      assert.is_not_nil(first.headers["cache-control"])
    end)

    it("are not sent to who wants another version only", function()
      local tag = get("/style.css").headers.etag

      assert.equal(200, get("/style.css", { ["If-Match"] = tag }).status)
      assert.equal(412, get("/style.css", { ["If-Match"] = '"another"' }).status)
      assert.equal(412, get("/style.css", { ["If-Unmodified-Since"] = "Sun, 06 Nov 1994 08:49:37 GMT" }).status)
    end)

    it("answer HEAD without a body", function()
      local answer = http.request(s.server, { method = "HEAD", path = "/style.css" })

      assert.same({ 200, "7" }, { answer.status, answer.headers["content-length"] })
    end)

    it("answer no other method", function()
      assert.equal(405, http.request(s.server, { method = "DELETE", path = "/style.css" }).status)
    end)

    it("lead a folder's name to the folder", function()
      local answer = get("/js")

      assert.same({ 308, "/js/" }, { answer.status, answer.headers.location })
    end)

    it("let nobody out of their folder", function()
      for _, path in ipairs { "/../outside.txt", "/js/../../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt",
        "/js/%2e%2e/%2e%2e/outside.txt", "/..\\outside.txt", "/%2e%2e%5coutside.txt", "/link.txt", "/.secret",
        "/%2esecret", "//outside.txt", "/./../outside.txt", "/style.css%00.txt", "/%c0%ae%c0%ae/outside.txt",
        "/../../../../../../../../etc/passwd", "//etc/passwd", "/%2fetc%2fpasswd", "/app.lua", "/../app.lua" } do
        local answer = get(path)

        assert.is_true(answer.status == 404 or answer.status == 400, path .. " answered " .. answer.status)
        assert.is_nil(answer.body:find("not for you", 1, true), path)
        assert.is_nil(answer.body:find("root:", 1, true), path)
      end
    end)

    it("have the JavaScript client beside them, with the same headers", function()
      local first = get("/leat/client.js")
      local again = get("/leat/client.js", { ["If-None-Match"] = first.headers.etag })

      assert.equal(files.read(env.root() .. "/clients/js/src/client.js"), first.body)
      assert.same({ "text/javascript; charset=utf-8", "no-cache", "nosniff" },
        { first.headers["content-type"], first.headers["cache-control"], first.headers["x-content-type-options"] })
      assert.same({ 304, "" }, { again.status, again.body })
    end)

    it("let nobody out of the JavaScript client's folder", function()
      for _, path in ipairs { "/leat/../package.json", "/leat/%2e%2e/package.json", "/leat//client.js", "/leat/",
        "/leat", "/leat/.npmrc", "/leat/nothing.js", "/leat/style.css" } do
        local answer = get(path)

        assert.is_true(answer.status == 404 or answer.status == 400, path .. " answered " .. answer.status)
      end
    end)

    it("that are not there are 404", function()
      assert.equal(404, get("/nothing.html").status)
      assert.equal(404, get("/style.css/more").status)
    end)

    it("are let go when the client leaves in the middle", function()
      for _ = 1, 10 do
        local conn = tcp.connect(s.server.port)
        conn:read_stop()
        conn:write(http.text { path = "/large.bin" })
        conn:abort()
      end
    end)
  end)
end)
