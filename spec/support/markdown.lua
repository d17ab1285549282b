-- What a Markdown file holds besides prose: fenced blocks, links, names in backticks.

local files = require "spec.support.files"

local M = {}

--- The fenced blocks: a list of { info, text }.
function M.blocks(path)
  local blocks = {}
  for info, text in ("\n" .. files.read(path)):gmatch("\n```([^\n]*)\n(.-)\n```") do
    blocks[#blocks + 1] = { info = info, text = text }
  end
  return blocks
end

--- The one block with that info string.
function M.block(path, info)
  local found
  for _, block in ipairs(M.blocks(path)) do
    if block.info == info then
      assert(not found, path .. " has two blocks " .. info)
      found = block.text
    end
  end
  return assert(found, path .. " has no block " .. info)
end

local function prose(path)
  return (("\n" .. files.read(path)):gsub("\n```.-\n```", "\n"))
end

--- Where its links and pictures lead.
function M.links(path)
  local links = {}
  for target in prose(path):gmatch("%]%(([^)]+)%)") do links[#links + 1] = target end
  return links
end

--- All that stands in backticks.
function M.code_spans(path)
  local spans = {}
  for span in prose(path):gmatch("`([^`\n]+)`") do spans[#spans + 1] = span end
  return spans
end

return M
