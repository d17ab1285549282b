-- Loaded once, before busted gives each file modules of its own: C libraries do not like to be loaded twice.

require "luv"
require "cjson"
require "luasql.postgres"
require "zlib"
