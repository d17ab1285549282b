-- libleat as it is installed: found by pkg-config, by CMake, from C++, and in a tree that was moved.

local env = require "spec.support.env"
local files = require "spec.support.files"
local postgres = require "spec.support.postgres"
local installed = require "spec.support.installed"

local SMALL = env.root() .. "/spec/embed/small.c"
local PLAIN_APP = [["local leat = require 'leat' return leat.app()"]]
local HOME_APP = [["require 'marker' local leat = require 'leat' return leat.app()"]]

describe("an installed libleat", function()
  local db, tree

  lazy_setup(function()
    db = postgres.database()
    tree = installed.install { DATABASE_URL = db.url }
  end)
  lazy_teardown(function()
    tree:remove()
    db:drop()
  end)

  local function assert_ready(command)
    local p = tree:run(command, 0)
    assert.equal("ready", p.out[#p.out], p:output())
  end

  describe("with pkg-config", function()
    it("is linked as a shared library, and names nothing else", function()
      assert.equal("-lleat", tree:run("pkg-config --libs-only-l leat", 0).out[1]:match("^%s*(.-)%s*$"))
      tree:run("cc -o shared " .. SMALL .. " $(pkg-config --cflags --libs leat)", 0)

      assert_ready("./shared " .. PLAIN_APP)
      assert.matches("libleat%.so%.0 => " .. tree.prefix, tree:run("ldd ./shared", 0):output())
    end)

    it("is linked as a static library", function()
      tree:run("cc -o static " .. SMALL .. " $(pkg-config --cflags --libs leat-static)", 0)

      assert_ready("./static " .. PLAIN_APP)
      assert.is_nil(tree:run("ldd ./static", 0):output():find("libleat", 1, true))
    end)
  end)

  describe("with CMake", function()
    local project = [[
cmake_minimum_required(VERSION 3.13)
project(small C)
find_package(leat %s REQUIRED)
add_executable(small ]] .. SMALL .. [[)
target_link_libraries(small PRIVATE %s)
message(STATUS "home ${leat_HOME}")
]]

    local function build(target, version)
      local folder = "cmake_" .. target:match("%w+$")
      local command = "cd %s && cmake -DCMAKE_PREFIX_PATH=%s . && cmake --build ."
      tree:run("mkdir " .. folder, 0)
      files.write(tree.folder .. "/" .. folder .. "/CMakeLists.txt", project:format(version or "", target))
      return tree:run(command:format(folder, tree.prefix)), folder
    end

    it("is found as leat::leat", function()
      local p, folder = build("leat::leat", "0.1")

      assert.equal(0, p.code, p:output())
      assert_ready(folder .. "/small " .. PLAIN_APP)
      assert.truthy(tree:run("ldd " .. folder .. "/small", 0):output():find("libleat.so.0", 1, true))
      assert.truthy(p:output():find("home " .. tree.prefix .. "/share/leat", 1, true), p:output())
    end)

    it("is found as leat::static", function()
      local p, folder = build("leat::static")

      assert.equal(0, p.code, p:output())
      assert_ready(folder .. "/small " .. PLAIN_APP)
      assert.is_nil(tree:run("ldd " .. folder .. "/small", 0):output():find("libleat", 1, true))
    end)

    it("is not found as a version that it is not", function()
      local p = build("leat::other", "99.0")

      assert.not_equal(0, p.code)
      assert.matches("compatible", p:output())
    end)
  end)

  it("is used from C++", function()
    tree:run("c++ -x c++ -std=c++11 -Wall -Wextra -pedantic -Werror -o small_cpp " .. SMALL
      .. " $(pkg-config --cflags --libs leat)", 0)

    assert_ready("./small_cpp " .. PLAIN_APP)
  end)

  it("is strict C11 without extensions", function()
    tree:run("cc -std=c11 -Wall -Wextra -pedantic -Werror -c -o small.o " .. SMALL .. " $(pkg-config --cflags leat)", 0)
  end)

  describe("in a tree that was moved", function()
    lazy_setup(function()
      tree:run("mkdir empty moved && mv tree moved/", 0)
      tree:place(tree.folder .. "/moved/tree")
      files.write(tree.prefix .. "/share/leat/lua/marker.lua", "return {}\n")
    end)
    lazy_teardown(function()
      tree:run("mv moved/tree . && rm tree/share/leat/lua/marker.lua", 0)
      tree:place(tree.folder .. "/tree")
    end)

    it("finds its files by itself, wherever the program lies", function()
      tree:run("cc -o empty/shared " .. SMALL .. " $(pkg-config --cflags --libs leat)", 0)

      assert_ready("empty/shared " .. HOME_APP)
      assert_ready("cd empty && PATH=. shared " .. HOME_APP)
    end)

    it("finds them from a plugin that has it in itself", function()
      tree:run("cc -shared -fPIC -Dmain=small -o moved/tree/lib/plugin.so " .. SMALL
        .. " $(pkg-config --cflags --libs leat-static)", 0)
      files.write(tree.folder .. "/empty/main.c",
        "int small(int, char **);\nint main(int n, char **v) { return small(n, v); }\n")
      tree:run("cc -o empty/plugged empty/main.c moved/tree/lib/plugin.so $(pkg-config --cflags --libs leat)", 0)

      assert_ready("empty/plugged " .. HOME_APP)
    end)

    it("is told them by a program that is linked statically", function()
      tree:run("cc -o empty/static " .. SMALL .. " $(pkg-config --cflags --libs leat-static)", 0)

      assert_ready("empty/static " .. HOME_APP .. " $(pkg-config --variable=home leat-static)")
    end)
  end)
end)
