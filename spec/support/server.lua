-- The kit has this module (lua/leat/spec): our own specs use the same.

return require "leat.spec.server"
