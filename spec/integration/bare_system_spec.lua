-- The server needs next to nothing of a system: no place to write, no home, no user by name, no shell.

local files = require "spec.support.files"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:route("GET /one", function(ctx) return { body = tostring(ctx.db:one("select 1 as n").n) } end, { public = true })
return app
]]

-- In name spaces of its own: everything is read-only, /tmp is empty and closed, and so are the homes. No user
-- has an entry in /etc/passwd. The rest of the arguments is run, as another user where root asks for it.
local BARE = [[
set -e
mount --make-rprivate /
awk '{print $2}' /proc/self/mounts | sort -r | while read -r at; do
  case $at in /proc* | /sys* | /dev*) continue ;; esac
  mount -o remount,bind,ro "$at" 2>/dev/null || true
done
for folder in /tmp /home /root /var/tmp; do
  [ ! -d "$folder" ] || case $KEEP in "$folder"/*) ;; *) mount -t tmpfs -o ro,mode=000 none "$folder" ;; esac
done
mount --bind /dev/null /etc/passwd
! touch /etc/leat-can-write 2>/dev/null || exit 77
exec "$@" <&-
]]

local function built()
  local path = os.getenv("LEAT_RELEASE_BIN")
  return path and path ~= "" and path or nil
end

local function is_root()
  local _, out = process.run("/usr/bin/id", { args = { "-u" } })
  return out:match("%d+") == "0"
end

-- Who may reach the spec's own Postgres: the owner of the folder with its socket.
local function owner_of_socket(url)
  local folder = url:match("host=([^&]+)"):gsub("%%2F", "/")
  local _, out = process.run("/usr/bin/stat", { args = { "-c", "%u", folder } })
  return assert(out:match("%d+"))
end

local function bare(user, command, variables)
  local args = is_root() and { "--mount" } or { "--map-root-user", "--mount" }
  for _, word in ipairs { "/bin/sh", "-c", BARE, "bare" } do args[#args + 1] = word end
  if is_root() then
    for _, word in ipairs { "/usr/bin/setpriv", "--reuid=" .. user, "--regid=54321", "--clear-groups" } do
      args[#args + 1] = word
    end
  end
  for _, word in ipairs(command) do args[#args + 1] = word end
  variables.KEEP = os.getenv("LEAT_ROOT") .. "/"
  return "/usr/bin/unshare", { args = args, env = variables }
end

describe("a system where nothing can be written", function()
  if not built() then return pending("needs LEAT_RELEASE_BIN, a release build") end
  local code = process.run(bare("54321", { built(), "version" }, {}))
  if code ~= 0 then return pending("needs mount name spaces, and the build readable for everybody") end

  it("is enough to serve, without a home, a shell, an entry in /etc/passwd, or a standard input", function()
    local db = postgres.database("select 1")
    local folder = files.folder(os.getenv("LEAT_TEST_DIR"))
    files.write(folder .. "/app.lua", APP)
    process.run("/bin/chmod", { args = { "-R", "a+rX", folder } })

    local running = process.spawn(bare(owner_of_socket(db.url), { built(), "serve" }, {
      HOME = "/nonexistent", LEAT_DATABASE_URL = db.url,
      LEAT_APP = folder .. "/app.lua", LEAT_LISTEN = "127.0.0.1:0", LEAT_DRAIN_MS = "0", LEAT_CONFINE = "auto" }))
    local function port()
      for _, line in ipairs(running.err) do
        local found = line:match("listening address=127.0.0.1:(%d+)")
        if found then return tonumber(found) end
      end
    end
    loop.eventually(function() return port() or not running:running() end, 20000,
      function() return "a server that listens:\n" .. running:output() end)

    assert.is_true(running:running(), running:output())
    assert.equal("1", http.request({ port = port() }, { path = "/one" }).body)
    running:send_signal("sigterm")
    assert.equal(0, running:wait(20000))
    assert.is_nil(running:output():match("WARN[^\n]*"))
    db:drop()
    files.remove(folder)
  end)
end)
