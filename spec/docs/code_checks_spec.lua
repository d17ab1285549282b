-- The scripts that scripts/test runs on the sources find what they are there to find.

local tree = require "spec.support.tree"

local function function_of(name, lines)
  return "int " .. name .. "(int n)\n{\n" .. ("    n++;\n"):rep(lines - 4) .. "    return n;\n}\n"
end

describe("the measure of the code", function()
  it("prints the number of functions and how long they are", function()
    local printed = tree.run("measure_code.lua", {
      ["csrc/base/a.c"] = function_of("leat_a", 5) .. function_of("leat_b", 9),
      ["csrc/base/b.c"] = "/* int not_a_function(void)\n{\n}\n */\n" .. function_of("leat_c", 30),
    })

    assert.equal("3 functions: median 9 lines, 90th percentile 30, longest 30 (leat_c in csrc/base/b.c)\n", printed)
  end)

  it("reports a function of over 70 lines", function()
    local sources = { ["csrc/base/a.c"] = function_of("leat_a", 5):rep(20) .. "\n" .. function_of("leat_b", 71) }

    local printed, content = tree.run("measure_code.lua", sources, "--check %s")

    assert.equal("csrc/base/a.c:102: leat_b has 71 lines, over 70\n", printed)
    assert.is_false(content)
  end)

  it("reports a median of over 12 lines and a 90th percentile of over 35", function()
    local sources = { ["csrc/base/a.c"] = function_of("leat_a", 13):rep(2) .. function_of("leat_b", 36) }

    local printed = tree.run("measure_code.lua", sources, "--check %s")

    assert.matches("the median function has 13 lines, over 12", printed, 1, true)
    assert.matches("the 90th percentile of the functions' lengths is 36 lines, over 35", printed, 1, true)
  end)

  it("reports a struct with more than three booleans", function()
    local sources = {
      ["csrc/base/a.c"] = function_of("leat_a", 5)
        .. "struct calm {\n    bool a, b;\n    bool c; /* bool d; */\n    int n;\n};\n"
        .. "struct nest {\n    bool a;\n    struct {\n        bool b;\n        bool c, d;\n    } in;\n};\n"
        .. "typedef struct {\n    bool a;\n    bool b : 1;\n    bool c[2];\n    bool d;\n} wild;\n",
    }

    local printed, content = tree.run("measure_code.lua", sources, "--check %s")

    assert.equal("csrc/base/a.c: struct wild has 4 booleans, over 3\n", printed)
    assert.is_false(content)
  end)
end)

describe("the check of names", function()
  it("accepts functions that are used and comments that name what exists", function()
    local printed, content = tree.run("check_names.lua", {
      ["csrc/base/a.h"] = "/* a.h - see b.c. */\nint leat_a(int n);\n",
      ["csrc/base/a.c"] = function_of("leat_a", 5),
      ["csrc/base/b.c"] = "/* Calls leat_a, as all of leat_* and the functions take_ do. */\nint b = leat_a(1);\n",
    })

    assert.equal("", printed)
    assert.is_true(content)
  end)

  it("reports a function that only its own file uses, and one that nothing defines", function()
    local printed, content = tree.run("check_names.lua", {
      ["csrc/base/a.h"] = "int leat_a(int n);\nint leat_gone(void);\n",
      ["csrc/base/a.c"] = function_of("leat_a", 5),
    })

    assert.matches("csrc/base/a.h: leat_a is declared, but only csrc/base/a.c uses it", printed, 1, true)
    assert.matches("csrc/base/a.h: leat_gone is declared, but nothing defines it", printed, 1, true)
    assert.is_false(content)
  end)

  it("reports a comment that names a file or a function that is not there", function()
    local printed = tree.run("check_names.lua", {
      ["csrc/base/a.c"] = "int a;\n/* As in gone.c: after on_gone. */\n",
    })

    assert.matches("csrc/base/a.c:2: the comment names the file gone.c, which does not exist", printed, 1, true)
    assert.matches("csrc/base/a.c:2: the comment names on_gone, which no code contains", printed, 1, true)
  end)
end)

describe("the script that breaks a server on purpose", function()
  local function breakage(edit)
    return ("return { symptom = 'it breaks', edits = { { %s, insert = '    n = 0;\\n' } } }"):format(edit)
  end

  it("edits the function's line, in whatever file it is", function()
    local sources = {
      ["csrc/base/a.c"] = "/* a */\n" .. function_of("leat_a", 5),
      ["csrc/net/b.c"] = "int leat_a(int n)\n{\n    m++;\n    return n;\n}\n",
      ["spec/torture/broken/zero.lua"] = breakage("func = 'leat_a', before = 'n++;'"),
    }

    local printed = tree.run("break_server.lua", sources, "%s zero %s/copy && cat %s/copy/csrc/base/a.c")

    assert.equal("it breaks\n/* a */\nint leat_a(int n)\n{\n    n = 0;\n    n++;\n    return n;\n}\n", printed)
  end)

  for edit, reason in pairs {
    ["func = 'leat_b', at_start = true"] = "`{` in a function `leat_b` is to be found once, but is found 0 times",
    ["func = 'leat_a', after = 'm++;'"] = "`m++;` in a function `leat_a` is to be found once, but is found 0 times",
    ["func = 'leat_a', after = 'n++;'"] = "`n++;` in a function `leat_a` is to be found once, but is found 2 times",
  } do
    it("says so if a breakage does not apply: " .. edit, function()
      local sources = {
        ["csrc/base/a.c"] = "/* a */\n" .. function_of("leat_a", 6),
        ["spec/torture/broken/zero.lua"] = breakage(edit),
      }

      local printed, content = tree.run("break_server.lua", sources, "%s --check")

      assert.matches("spec/torture/broken/zero.lua does not apply to csrc: " .. reason, printed, 1, true)
      assert.is_false(content)
    end)
  end
end)
