-- Lua 5.4 everywhere: the example, configuration, benchmarks and specs.
std = "lua54"
max_line_length = 120
self = false
-- Handlers have the arguments that they are called with, used or not.
unused_args = false

exclude_files = { "spec/browser/node_modules" }

files["spec"] = { std = "lua54+busted" }
