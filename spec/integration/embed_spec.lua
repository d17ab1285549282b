-- libleat: programs that are built with what `cmake --install` installs, and with nothing else.

local cjson = require "cjson"
local env = require "spec.support.env"
local files = require "spec.support.files"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local markdown = require "spec.support.markdown"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local installed = require "spec.support.installed"
local ws = require "spec.support.ws"

local PAGE = env.root() .. "/docs/embedding.md"
local LIMIT_MS = 60000

describe("libleat", function()
  local db, folder, variables, tree

  local function run(command, expected)
    return tree:run(command, expected)
  end

  local function host(arguments, expected)
    return run("exec ./host " .. arguments, expected)
  end

  lazy_setup(function()
    db = postgres.database()
    variables = { DATABASE_URL = db.url }
    tree = installed.install(variables)
    folder = tree.folder
    run("cc -Wall -Wextra -Werror -o host " .. env.root() .. "/spec/embed/host.c "
      .. "$(pkg-config --cflags --libs leat) -pthread", 0)
  end)
  lazy_teardown(function()
    tree:remove()
    db:drop()
  end)

  -- The header's comments name some functions with their arguments, too: each declared one is a function.
  local function declared()
    local names = {}
    for name in files.read(env.root() .. "/csrc/embed/leat.h"):gmatch("[%s%*](leat_[%w_]+)%([^*]") do
      if not name:find("_fn$") then names[name] = true end
    end
    return names
  end

  it("shows only the functions of leat.h", function()
    local shared, static = {}, {}
    for name in table.concat(run("nm -D --defined-only tree/lib/libleat.so", 0).out, "\n"):gmatch(" T ([%w_]+)") do
      shared[name] = true
    end
    for name in table.concat(run("nm -g --defined-only tree/lib/libleat.a", 0).out, "\n"):gmatch(" [TDBR] ([%w_]+)") do
      static[name] = true
    end
    assert.same(declared(), shared)
    assert.same(declared(), static)
  end)

  -- What a program has compiled into itself must stay: symbols and their version, values, sizes, places of members.
  it("keeps its ABI", function()
    local function at(struct, ...)
      local line = '    printf("%%s %%zu\\n", "%s", %s(%s));\n'
      local lines = { line:format(struct, "sizeof", struct) }
      for _, member in ipairs { ... } do
        lines[#lines + 1] = line:format(struct .. "." .. member, "offsetof", struct .. ", " .. member)
      end
      return table.concat(lines)
    end
    files.write(folder .. "/abi.c", "#include <leat.h>\n#include <stdio.h>\nint main(void)\n{\n"
      .. '    printf("%d\\n%s\\n%s\\n%s\\n%s\\n", LEAT_API_VERSION, LEAT_SQL_PUBLISH, LEAT_SQL_SIGNAL, '
      .. "LEAT_SQL_REVOKE, LEAT_SQL_RESYNC);\n"
      .. at("leat_error", "code", "message", "retry_after_ms")
      .. at("leat_at", "epoch", "seq")
      .. at("leat_subscriber_callbacks", "size", "snapshot", "resumed", "event", "skip", "signal", "closed")
      .. at("leat_subscribe_options", "size", "topic", "user", "params", "since_epoch", "since_seq", "timeout_ms",
        "window_bytes")
      .. "    return 0;\n}\n")
    local p = run("cc -o abi abi.c $(pkg-config --cflags leat) && ./abi && "
      .. "objdump -T tree/lib/libleat.so | awk '$NF ~ /^leat_/ { print $NF, $(NF - 1) }' | LC_ALL=C sort && "
      .. "objdump -p tree/lib/libleat.so | awk '/SONAME/ { print $2 }'", 0)

    assert.equal(files.read(env.root() .. "/spec/embed/abi.txt"), table.concat(p.out, "\n") .. "\n")
  end)

  it("has a manual page that names every function", function()
    local page = run("zcat tree/share/man/man3/leat.h.3.gz", 0):output()

    for name in pairs(declared()) do assert.truthy(page:find("\n.Fn " .. name .. " ", 1, true), name) end
  end)

  it("has no function without a word on threads", function()
    files.write(folder .. "/mute.h", (files.read(env.root() .. "/csrc/embed/leat.h")
      :gsub("\n %* Threads: any. In callbacks: yes. %*/\nvoid leat_reload", " */\nvoid leat_reload")))
    local p = run("lua5.4 " .. env.root() .. "/scripts/make_header_man.lua mute.h")

    assert.equal(1, p.code)
    assert.matches("leat_reload: its comment does not say on which threads", p:output())
  end)

  it("ends a process that breaks a rule", function()
    for name, says in pairs {
      nested = "leat: leat_dispatch: not from a callback",
      free = "leat: leat_server_free: not from a callback",
      set = "leat: leat_set: only before leat_start",
      thread = "leat: leat_dispatch: only on the thread that called leat_start",
    } do
      assert.truthy(host("rule " .. name):output():find(says, 1, true), name)
    end
  end)

  describe("with clients", function()
    local served, input, port, own

    lazy_setup(function()
      served = process.spawn("/bin/sh", { args = { "-c", "mkfifo input; exec ./host serve < input" },
        env = variables, cwd = folder })
      loop.eventually(function() return files.exists(folder .. "/input") end, LIMIT_MS, "a pipe")
      input = assert(io.open(folder .. "/input", "w"))
      loop.eventually(function()
        port, own = served:output():match("address 127.0.0.1:(%d+) own (%d+)")
        return own or not served:running()
      end, LIMIT_MS, function() return served:output() end)
    end)
    lazy_teardown(function()
      input:write("end\n")
      input:close()
      loop.eventually(function() return not served:running() end, LIMIT_MS, "the end of the program")
    end)

    local function client(at)
      return ws.connect { port = tonumber(at or port) }
    end

    local function call(c, id, method, params)
      c:send { op = "call", id = id, method = method, params = params }
      return (c:recv(LIMIT_MS))
    end

    it("answers methods in C, and those of the app", function()
      local c = client()

      assert.same({ echo = { a = 1 }, user = "" }, call(c, 1, "echo", { a = 1 }).data)
      assert.equal("forbidden", call(c, 2, "refuse").code)
      assert.same({ thread = "another" }, call(c, 3, "elsewhere").data)
      assert.same({ lua = { b = 2 } }, call(c, 4, "lua", { b = 2 }).data)
      c.tcp:close()
    end)

    it("gives up a program that does not answer", function()
      local c = client()

      assert.equal("deadline_exceeded", call(c, 1, "late").code)
      c.tcp:close()
    end)

    it("takes sockets over", function()
      local c = client(own)

      assert.same({ echo = cjson.null, user = "" }, call(c, 1, "echo").data)
      c.tcp:close()
    end)

    it("answers one request only on a socket that it has taken over", function()
      local answer, closed = http.raw({ port = tonumber(own) }, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")

      assert.equal(200, answer.status)
      assert.equal("close", answer.headers.connection)
      assert.is_true(closed)
    end)
  end)

  -- Builds and runs it in a new database, as the page says.
  local function assert_room(program)
    files.write(folder .. "/room.c", program)
    local fresh = postgres.database()
    local p = run("DATABASE_URL='" .. fresh.url .. "' && " .. markdown.block(PAGE, "sh build"):gsub("\n", " && "), 0)
    fresh:drop()

    assert.equal(markdown.block(PAGE, "text output"), table.concat(p.out, "\n"))
  end

  it("runs the program of docs/embedding.md", function()
    assert_room(markdown.block(PAGE, "c room.c"))
  end)

  it("runs it in the other loops of that page", function()
    for _, name in ipairs { "c tick", "c epoll" } do
      local include, loop_text = markdown.block(PAGE, name):match("^(#include [^\n]+\n)(.*)$")
      local program = markdown.block(PAGE, "c room.c")
      local first, last = program:find("    struct pollfd leat.-\n    }\n")

      assert_room(include .. program:sub(1, first - 1) .. loop_text .. "\n" .. program:sub(last + 1))
    end
  end)

  describe("leat.host", function()
    local prefix

    -- Stock Lua knows nothing of the sanitizers with which the library may be built.
    lazy_setup(function()
      local sanitized = run("nm -D tree/lib/libleat.so | grep -q __asan", nil).code == 0
      local format = "LUA_PATH='%s/share/lua/5.4/?.lua;;' LUA_CPATH='%s/lib/lua/5.4/?.so;;' %s lua5.4 "
      prefix = format:format(tree.prefix, tree.prefix,
        sanitized and "ASAN_OPTIONS=detect_leaks=0 "
          .. "LD_PRELOAD=$(cc -print-file-name=libasan.so):$(cc -print-file-name=libubsan.so)"
          or "")
    end)

    local function lua(text, expected)
      local fresh = postgres.database()
      files.write(folder .. "/program.lua", text)
      local p = run("DATABASE_URL='" .. fresh.url .. "' " .. prefix .. "program.lua", expected)
      fresh:drop()
      return p
    end

    it("runs the program of docs/embedding.md", function()
      local p = lua(markdown.block(PAGE, "lua room.lua"), 0)

      assert.equal(markdown.block(PAGE, "text lua output"), table.concat(p.out, "\n"))
    end)

    it("runs on luv's loop if that is loaded", function()
      local text = "local uv = require 'luv'\n" .. markdown.block(PAGE, "lua room.lua")
        :gsub("while not over do[^\n]+", "while not over do uv.run('once') end")

      assert.equal(markdown.block(PAGE, "text lua output"), table.concat(lua(text, 0).out, "\n"))
    end)

    -- Offline, so without the rocks that it depends on.
    it("is made by luarocks", function()
      if run("command -v luarocks", nil).code ~= 0 then return pending("luarocks is not installed") end
      local rockspec = run("ls " .. env.root() .. "/packaging/*.rockspec", 0).out[1]
      run("luarocks lint " .. rockspec, 0)
      run("mkdir -p rock/csrc && cp -r " .. env.root() .. "/csrc/host rock/csrc/ && cp " .. rockspec .. " rock/", 0)

      run("cd rock && luarocks --lua-version 5.4 --tree=tree make --deps-mode=none *.rockspec LEAT_DIR="
        .. tree.prefix, 0)

      files.write(folder .. "/version.lua",
        "print(require('leat.host').version, package.searchpath('leat.host', package.path))")
      local rocks = prefix:gsub(tree.prefix:gsub("%p", "%%%0") .. "/", folder .. "/rock/tree/")
      local version, path = run(rocks .. "version.lua", 0).out[1]:match "^(%S+)\t(%S+)$"
      assert.equal(folder .. "/rock/tree/share/lua/5.4/leat/host.lua", path)
      assert.matches("/leat%-" .. version:gsub("%p", "%%%0") .. "%-%d+%.rockspec$", rockspec)
    end)

    it("says what is wrong", function()
      local p = lua([[
local host = require "leat.host"
print(host.start { database = os.getenv "DATABASE_URL", no_such_key = 1 })
print(host.start { database = os.getenv "DATABASE_URL", app_source = "return 1", listen = "none" })
local server = host.start { database = os.getenv "DATABASE_URL", listen = "none", app_source =
  "local leat = require 'leat' return leat.app()" }
print(server:publish("", 1))
server:publish("t", 1, function(err) error("from a callback " .. tostring(err)) end)
print(pcall(server.dispatch, server, -1))
server:stop()
]], 0)

      assert.matches("^nil\tunknown key no_such_key.*\tconfig$", p.out[1])
      assert.matches("^nil\tapp_source.*\tstart$", p.out[2])
      assert.matches("^nil\tmalformed topic.*\tbad_request$", p.out[3])
      assert.matches("^false\t.*from a callback nil", p.out[4])
    end)
  end)
end)
