-- TLS for specs: certificates, and clients by OpenSSL's own program.

local uv = require "luv"
local files = require "spec.support.files"
local loop = require "spec.support.loop"
local process = require "spec.support.process"

local M = {}

local OPENSSL = "openssl"

-- The most that a tunnel keeps for a client that does not read.
local QUEUE_BYTES = 65536

local function openssl(args)
  local code, out, err = process.run(OPENSSL, { args = args, env = { OPENSSL_CONF = "/dev/null" } })
  assert(code == 0, "openssl " .. table.concat(args, " ") .. ":\n" .. out .. err)
  return out
end

-- Signs once more what was made: a certificate that has expired, which `openssl req` makes none of.
local function let_expire(folder, pair)
  local place = folder .. "/expiring"
  assert(uv.fs_mkdir(place, tonumber("700", 8)))
  files.write(place .. "/index", "")
  files.write(place .. "/cnf", ("[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index\nnew_certs_dir=%s\ndefault_md=sha256\n"
    .. "policy=p\nrand_serial=yes\n[p]\ncommonName=supplied\n"):format(place, place))
  openssl { "x509", "-x509toreq", "-in", pair.certificate, "-signkey", pair.key, "-out", place .. "/request" }
  local function utc(s) return os.date("!%Y%m%d%H%M%SZ", os.time() + s) end
  openssl { "ca", "-batch", "-config", place .. "/cnf", "-selfsign", "-keyfile", pair.key, "-in", place .. "/request",
    "-startdate", utc(-7200), "-enddate", utc(-3600), "-notext", "-out", pair.certificate }
end

--- Makes NAME.pem and NAME.key in a folder. options: names (of hosts), days, expired, subject,
--- ca (what an earlier call returned: it signs), kind ("rsa"), is_ca. Returns { certificate, key }.
function M.certificate(folder, name, options)
  options = options or {}
  local pair = { certificate = folder .. "/" .. name .. ".pem", key = folder .. "/" .. name .. ".key" }
  local hosts = {}
  for _, host in ipairs(options.names or { name }) do hosts[#hosts + 1] = "DNS:" .. host end
  local config = folder .. "/" .. name .. ".cnf"
  files.write(config, table.concat({ "[req]", "distinguished_name=dn", "[dn]", "[ext]",
    "subjectAltName=" .. table.concat(hosts, ","),
    "basicConstraints=critical,CA:" .. (options.is_ca and "TRUE" or "FALSE"), "" }, "\n"))
  local args = { "req", "-new", "-x509", "-nodes", "-utf8", "-config", config, "-extensions", "ext",
    "-subj", options.subject or ("/CN=" .. name), "-keyout", pair.key, "-out", pair.certificate,
    "-days", tostring(options.days or 30), "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256" }
  if options.kind == "rsa" then
    for _ = 1, 4 do args[#args] = nil end
    args[#args + 1], args[#args + 2] = "-newkey", "rsa:2048"
  end
  if options.ca then
    for _, arg in ipairs { "-CA", options.ca.certificate, "-CAkey", options.ca.key } do args[#args + 1] = arg end
  end
  openssl(args)
  if options.expired then let_expire(folder, pair) end
  openssl { "x509", "-in", pair.certificate, "-noout" }
  return pair
end

--- The variables of a server that serves these certificates.
function M.variables(...)
  local certificates, keys = {}, {}
  for i, pair in ipairs { ... } do certificates[i], keys[i] = pair.certificate, pair.key end
  return {
    LEAT_TLS_LISTEN = "127.0.0.1:0",
    LEAT_TLS_CERTIFICATE = table.concat(certificates, ","),
    LEAT_TLS_KEY = table.concat(keys, ","),
  }
end

--- The port on which a server speaks TLS.
function M.port(server)
  return tonumber((server:await_log("listening with TLS address=%S+:(%d+)")))
end

local function client_args(port, args)
  local all = { "s_client", "-connect", "127.0.0.1:" .. port }
  for _, arg in ipairs(args or {}) do all[#all + 1] = arg end
  return all
end

--- Runs `openssl s_client`, gives it the text, and returns all that it wrote, and its exit code.
function M.ask(port, args, text)
  local code, out, err = process.run(OPENSSL, { args = client_args(port, args), input = text or "" })
  return out .. err, code
end

-- Passes bytes on, and stops reading while too many of them wait.
local function relay(from, to, on_end)
  local function on_read(_, chunk)
    if not chunk then
      on_end()
    elseif not to:is_closing() then
      to:write(chunk, function()
        if not from:is_closing() and to:get_write_queue_size() < QUEUE_BYTES and not from:is_active() then
          from:read_start(on_read)
        end
      end)
      if to:get_write_queue_size() >= QUEUE_BYTES then from:read_stop() end
    end
  end
  from:read_start(on_read)
  return on_read
end

-- A program that has ended while bytes are on their way to it must not end the specs.
local broken_pipes
local function ignore_broken_pipes()
  if broken_pipes then return end
  broken_pipes = uv.new_signal()
  broken_pipes:start("sigpipe", function() end)
  broken_pipes:unref()
end

local function close(handle)
  if not handle:is_closing() then handle:close() end
end

--- Listens on a port of its own, whose connections are passed on to the server's by TLS: for clients that speak none.
--- args: of s_client. Returns an object with .port, .output (what s_client said), and close().
function M.tunnel(port, args)
  local tunnel = { output = {}, links = {} }
  ignore_broken_pipes()
  local listener = uv.new_tcp()
  assert(listener:bind("127.0.0.1", 0))
  listener:listen(128, function()
    local client, stdin, stdout, stderr = uv.new_tcp(), uv.new_pipe(false), uv.new_pipe(false), uv.new_pipe(false)
    listener:accept(client)
    local all = client_args(port, args)
    all[#all + 1] = "-quiet"
    local link = { client, stdin, stdout, stderr }
    local child
    child = uv.spawn(OPENSSL, { args = all, stdio = { stdin, stdout, stderr } }, function()
      tunnel.links[link] = nil
      close(child)
    end)
    link.child = child
    tunnel.links[link] = true
    local function hang_up()
      if not child:is_closing() then child:kill("sigkill") end
      for _, handle in ipairs(link) do close(handle) end
    end
    relay(client, stdin, hang_up)
    relay(stdout, client, function()
      if not client:is_closing() then client:shutdown(hang_up) end
    end)
    stderr:read_start(function(_, chunk) tunnel.output[#tunnel.output + 1] = chunk end)
  end)
  tunnel.port = listener:getsockname().port
  function tunnel:close()
    close(listener)
    for link in pairs(self.links) do
      if not link.child:is_closing() then link.child:kill("sigkill") end
      for _, handle in ipairs(link) do close(handle) end
    end
    loop.poll(function() return next(self.links) == nil end)
  end
  return tunnel
end

return M
