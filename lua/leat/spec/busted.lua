-- busted, in the interpreter that leat test runs in.

require "busted.runner" { standalone = false }
