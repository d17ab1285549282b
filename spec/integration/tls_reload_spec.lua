-- Certificates that change while they are served, and what `leat check` says of them.

local uv = require "luv"
local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local process = require "spec.support.process"
local stage = require "spec.support.stage"
local tls = require "spec.support.tls"
local ws = require "spec.support.ws"

local OK, FAILED = 'leat_tls_reloads_total{outcome="ok"}', 'leat_tls_reloads_total{outcome="failed"}'

local function subject(port)
  return tls.ask(port):match("\nsubject=CN ?= ?(%S+)")
end

local function replace(from, to)
  assert(uv.fs_copyfile(from, to .. ".new"))
  assert(uv.fs_rename(to .. ".new", to))
end

-- In one step: the server sees no half of it.
local function write(to, text)
  files.write(to .. ".new", text)
  assert(uv.fs_rename(to .. ".new", to))
end

describe("a certificate that is replaced", function()
  local s, folder, live, port
  local old, fresh

  before_each(function()
    folder = files.folder()
    old, fresh = tls.certificate(folder, "old"), tls.certificate(folder, "fresh")
    live = { certificate = folder .. "/live.pem", key = folder .. "/live.key" }
    replace(old.certificate, live.certificate)
    replace(old.key, live.key)
  end)
  after_each(function()
    s:close()
    files.remove(folder)
  end)

  local function open(interval_ms)
    local variables = tls.variables(live)
    variables.LEAT_TLS_CHECK_INTERVAL_MS = interval_ms
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = variables,
      log = { "certificate not reloaded, the old one stays" } }
    port = tls.port(s.server)
  end

  -- It may be loaded twice: a look at the files that has begun before they change can end after that.
  local function await_reload() metrics.await_growth(s.server, OK, 0) end

  it("is taken when both files are there, and not before", function()
    open(20)
    replace(fresh.certificate, live.certificate)
    metrics.await(s.server, FAILED, 1)
    s.server:await_log("certificate not reloaded, the old one stays err=.*live%.key.*does not fit.*live%.pem")
    assert.equal("old", subject(port))
    local function told() return http.request(s.server, "/readyz?verbose").body end
    assert.matches("\ncertificate: not reloaded, the old one stays: [^\n]*does not fit", told())

    replace(fresh.key, live.key)
    await_reload()
    assert.matches("\nreload: ok\n", told())
    assert.equal("fresh", subject(port))
    assert.equal(1, metrics.value(s.server, FAILED))
  end)

  it("is told of while it is served, if it expires soon or has expired", function()
    local soon = tls.certificate(folder, "soon", { days = 3 })
    local expired = tls.certificate(folder, "expired", { expired = true })
    open(20)
    s.server:expect_log "certificate expire[sd]"
    local function told() return http.request(s.server, "/readyz?verbose").body end
    local function serve(pair)
      replace(pair.key, live.key)
      replace(pair.certificate, live.certificate)
    end
    assert.is_nil(told():find("certificate", 1, true))

    serve(soon)
    s.server:await_log "WARN tls certificate expires soon problem=.*live%.pem expires on .*, in [23] days"
    assert.matches("\ncertificate: the certificate in [^\n]*live%.pem expires on [^\n]*, in [23] days\n", told())

    serve(expired)
    s.server:await_log "ERROR tls certificate expired, clients refuse it problem=.*live%.pem has expired on "
    assert.matches("\ncertificate: the certificate in [^\n]*live%.pem has expired on ", told())

    serve(fresh)
    loop.eventually(function() return not told():find("certificate", 1, true) end, nil, told)
    assert.equal(1, s.server:count_log "certificate expires soon")
  end)

  it("is taken when a symbolic link leads elsewhere", function()
    for _, kind in ipairs { "certificate", "key" } do
      os.remove(live[kind])
      assert(uv.fs_symlink(old[kind], live[kind]))
    end
    open(20)
    for _, kind in ipairs { "certificate", "key" } do
      assert(uv.fs_symlink(fresh[kind], live[kind] .. ".new"))
      assert(uv.fs_rename(live[kind] .. ".new", live[kind]))
    end
    await_reload()
    assert.equal("fresh", subject(port))
  end)

  it("is taken at once on SIGHUP", function()
    open(86400000)
    replace(fresh.key, live.key)
    replace(fresh.certificate, live.certificate)
    assert.equal("old", subject(port))
    s.server:send_signal("sighup")
    s.server:await_log("certificate reloaded file=")
    assert.equal("fresh", subject(port))
  end)

  it("stays in use while a file is missing or broken", function()
    open(20)
    os.remove(live.key)
    metrics.await(s.server, FAILED, 1)
    write(live.key, "-----BEGIN PRIVATE KEY-----\nSECRETSECRET\n-----END PRIVATE KEY-----\n")
    metrics.await(s.server, FAILED, 2)
    assert.equal("old", subject(port))
    assert.is_nil((s.server:find_log("SECRET")))
    replace(old.key, live.key)
    await_reload()
  end)

  it("drops no connection, and loses no event", function()
    open(10)
    local tunnel = tls.tunnel(port)
    local by_tls = { port = tunnel.port }
    local clients = {}
    for i = 1, 6 do
      clients[i] = ws.connect(by_tls, { token = i % 2 == 0 and "alice" or "bob" })
      clients[i].seq = clients[i]:subscribe("room:1").seq
    end
    for round = 1, 10 do
      local pair = round % 2 == 1 and fresh or old
      replace(pair.certificate, live.certificate)
      replace(pair.key, live.key)
      s.session:run("select leat.publish('room:1', to_jsonb(i)) from generate_series(1, 20) i")
      metrics.await_growth(s.server, OK, round - 1)
      local newcomer = ws.connect(by_tls, { token = "alice" })
      newcomer:subscribe("room:1")
      newcomer:close()
      for _, client in ipairs(clients) do client:waiting() end -- answers pings
    end
    for _, client in ipairs(clients) do
      for n = 1, 200 do assert.equal(client.seq + n, client:expect("event").seq) end
      client:close()
    end
    assert.equal("old", subject(port))
    tunnel:close()
  end)
end)

describe("leat check", function()
  local folder, good
  lazy_setup(function()
    folder = files.folder()
    good = tls.certificate(folder, "good")
  end)
  lazy_teardown(function() files.remove(folder) end)

  -- Without a database: what it says of certificates comes before.
  local function check(variables)
    variables.LEAT_TLS_LISTEN = variables.LEAT_TLS_LISTEN or "127.0.0.1:0"
    variables.LEAT_DATABASE_URL = "postgresql://127.0.0.1:1/none"
    local code, out, err = process.run(env.binary(), { args = { "check" }, env = variables })
    return out .. err, code
  end

  local function pair(certificate, key)
    return { LEAT_TLS_CERTIFICATE = certificate, LEAT_TLS_KEY = key }
  end

  it("names a good certificate and its end", function()
    assert.truthy(check(tls.variables(good)):find("tls: ok %(.*good%.pem, expires %d%d%d%d%-"))
  end)

  it("names what is wrong, with key and file", function()
    local other = tls.certificate(folder, "other")
    local text = check(pair(good.certificate, other.key))
    assert.truthy(text:find('error: tls_key = ".*other%.key": does not fit the certificate of tls_certificate = '
      .. '".*good%.pem"'), text)
    text = check(pair(folder .. "/none.pem", good.key))
    assert.truthy(text:find('error: tls_certificate = ".*none%.pem": No such file'), text)
    text = check(pair(good.certificate, good.certificate))
    assert.truthy(text:find('error: tls_key = ".*good%.pem": there is none in this PEM file'), text)
    local locked = folder .. "/locked.key"
    assert(process.run("openssl", { args = { "ec", "-in", good.key, "-aes128", "-passout", "pass:x", "-out", locked } })
      == 0)
    text = check(pair(good.certificate, locked))
    assert.truthy(text:find('locked%.key": it needs a passphrase'), text)
    text = check(pair("", ""))
    assert.truthy(text:find("error: tls_certificate is empty", 1, true), text)
    text = check(pair(good.certificate, good.key .. "," .. good.key))
    assert.truthy(text:find("error: tls_key has 2 files and tls_certificate has 1", 1, true), text)
  end)

  it("warns of one that expires soon, and of a key that everybody may read", function()
    local soon = tls.certificate(folder, "soon", { days = 3 })
    assert(uv.fs_chmod(soon.key, tonumber("644", 8)))
    local text = check(tls.variables(soon))
    assert.truthy(text:find("warning: the certificate in .*soon%.pem expires on .*, in [23] days"), text)
    assert.truthy(text:find("warning: the key in .*soon%.key is open to every user"), text)
  end)

  it("refuses to go without any address", function()
    local text, code = check { LEAT_LISTEN = "none", LEAT_TLS_LISTEN = "" }
    assert.equal(2, code)
    assert.truthy(text:find('listen = "none": expected an address there or in tls_listen', 1, true), text)
  end)
end)

describe("a server whose certificate cannot be loaded", function()
  it("does not start, and says why", function()
    local code, out, err = process.run(env.binary(), { args = { "serve" }, env = {
      LEAT_DATABASE_URL = "postgresql://127.0.0.1:1/none", LEAT_TLS_LISTEN = "127.0.0.1:0",
      LEAT_TLS_CERTIFICATE = "/none.pem" } })
    assert.equal(1, code)
    assert.truthy((out .. err):find('tls_certificate = "/none.pem": No such file', 1, true), out .. err)
  end)
end)
