-- docs/lua-api.md, "Tokens and signatures": every example lets in whom it should, and nobody else.

local cjson = require "cjson"
local env = require "spec.support.env"
local files = require "spec.support.files"
local http = require "spec.support.http"
local jose = require "spec.support.jose"
local loop = require "spec.support.loop"
local markdown = require "spec.support.markdown"
local stage = require "spec.support.stage"
local web = require "spec.support.web"
local ws = require "spec.support.ws"

local function example(name) return markdown.block(env.root() .. "/docs/lua-api.md", "lua " .. name) end

local s

local function status(options)
  local attempt = ws.attempt(s.server, options)
  attempt:close()
  return attempt.status, attempt.body
end

local function with_cookie(cookie) return { headers = { Cookie = cookie } } end

local function whoami(options)
  return s:connect(options):ask({ op = "call", id = 1, method = "whoami" }, "ok").data
end

describe("docs/lua-api.md", function()
  after_each(function()
    s:settle()
    s:close()
  end)

  it("has the signed cookie of an application of its own", function()
    s = stage.open { app = example "cookie" }
    local answer = http.request(s.server, { method = "POST", path = "/login" })
    local cookie = answer.headers["set-cookie"]:match("^(session=[^;]+)")

    assert.equal("17", whoami(with_cookie(cookie)))
    assert.equal(401, status(with_cookie((cookie:gsub("=17", "=18")))))
    assert.equal(401, status(with_cookie(cookie .. "A")))
    assert.equal(401, status(with_cookie("session=17")))
    assert.equal(401, (status()))
  end)

  it("has a session cookie that is checked against a table", function()
    s = stage.open { app = example "session", schema = [[
      create table sessions (id_hash text primary key, user_id bigint not null, expires_at timestamptz not null);
      insert into sessions values
        (encode(sha256('good'), 'hex'), 17, now() + interval '1 hour'),
        (encode(sha256('old'), 'hex'), 17, now() - interval '1 second');
    ]] }

    assert.equal(17, whoami(with_cookie "theme=dark; session=good"))
    for _, cookie in ipairs { "session=old", "session=other", "session=", "theme=good" } do
      assert.equal(401, status(with_cookie(cookie)))
    end
  end)

  it("has a ticket that is good once, however many use it at the same time", function()
    s = stage.open { app = example "ticket", schema = [[
      create table tickets (number_hash text primary key, user_id bigint not null, expires_at timestamptz not null);
      insert into tickets select encode(sha256(('ticket' || i)::bytea), 'hex'), i, now() + interval '1 minute'
        from generate_series(1, 20) i;
      insert into tickets values (encode(sha256('old'), 'hex'), 17, now() - interval '1 second');
    ]] }

    for i = 1, 20 do
      local attempts, let_in = {}, 0
      for k = 1, 8 do attempts[k] = ws.attempt(s.server, { token = "ticket" .. i, pipelined = true }) end
      for _, attempt in ipairs(attempts) do
        local got = loop.eventually(function() return (http.take_head(attempt.tcp)) end)
        assert.is_true(got == 101 or got == 401)
        if got == 101 then let_in = let_in + 1 end
        attempt:close()
      end
      assert.equal(1, let_in)
    end
    assert.equal(401, status { token = "old" })
    assert.equal(401, status { token = "ticket1" })
    assert.equal(401, (status()))
    assert.equal("1", tostring(s.session:value("select count(*) from tickets")))
  end)

  it("has the cookie of Express", function()
    s = stage.open { app = example "express" }

    -- The value and the signature of the tests of the package cookie-signature.
    assert.equal("hello", whoami(with_cookie "connect.sid=s%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI"))
    assert.equal(401, status(with_cookie "connect.sid=s%3Ahullo.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI"))
    assert.equal(401, status(with_cookie "connect.sid=hello"))
    assert.equal(401, (status()))
  end)

  describe("a provider's tokens", function()
    local folder, provider, published, old_key, new_key

    local function publish(...) published = cjson.encode { keys = { ... } } end

    local function token(key, kid, changes)
      local claims = { iss = "https://id.example.org/", sub = "auth0|17",
        aud = { "https://chat.example.org", "https://id.example.org/userinfo" },
        name = "Alice", azp = "client", scope = "openid profile", iat = os.time(), exp = os.time() + 600 }
      for name, value in pairs(changes or {}) do claims[name] = value end
      return jose.sign(key, { alg = "RS256", typ = "JWT", kid = kid }, claims)
    end

    before_each(function()
      folder = files.folder()
      old_key, new_key = jose.key(folder, "RSA"), jose.key(folder, "RSA")
      publish(old_key:jwk { kid = "2026-01", use = "sig", alg = "RS256" })
      provider = web.serve(function() return 200, published end)
      -- The example's URL is nobody's: the spec's own server takes its place.
      local app, n = example("jwt"):gsub('url = "https://id%.example%.org(/[^"]+)"',
        ('url = "%s%%1", allow_http = true'):format(provider.url))
      assert.equal(1, n)
      s = stage.open { app = app, env = { LEAT_JWKS_MIN_INTERVAL_MS = "100" } }
    end)
    after_each(function()
      provider:close()
      files.remove(folder)
    end)

    it("let their owner in, also after the provider has changed its key", function()
      assert.same({ id = "auth0|17", name = "Alice" }, whoami { token = token(old_key, "2026-01") })
      publish(old_key:jwk { kid = "2026-01", use = "sig", alg = "RS256" },
        new_key:jwk { kid = "2026-02", use = "sig", alg = "RS256" })

      loop.eventually(function() return status { token = token(new_key, "2026-02") } == 101 end)
      assert.same({ id = "auth0|17", name = "Alice" }, whoami { token = token(new_key, "2026-02") })
      assert.same({ "/.well-known/jwks.json" }, { provider.requests[1] })
    end)

    it("say what is wrong with them, and end the connection with them", function()
      local function refusal(changes)
        local code, body = status { token = token(old_key, "2026-01", changes) }
        assert.equal(401, code)
        return body
      end
      assert.matches("expired", refusal { exp = os.time() - 1 }, 1, true)
      assert.matches("issuer", refusal { iss = "https://id.example.com/" }, 1, true)
      assert.matches("audience", refusal { aud = "https://other.example.org" }, 1, true)

      local client = s:connect { token = token(old_key, "2026-01", { exp = os.time() + 4 }) }
      assert.equal(4401, (client:closed()))
    end)
  end)
end)
