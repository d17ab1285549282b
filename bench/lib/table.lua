-- Figures as lines of a terminal.
local M = {}

--- Three digits that count, without more zeros than needed.
function M.number(x)
  if not x then
    return "-"
  end
  local size = math.abs(x)
  if size >= 100 or size == 0 then
    return ("%.0f"):format(x)
  end
  return (size >= 10 and "%.1f" or "%.2f"):format(x)
end

-- Characters, not bytes.
local function width(text)
  return utf8.len(text) or #text
end

local function pad(text, wanted, left)
  local space = (" "):rep(wanted - width(text))
  return left and text .. space or space .. text
end

--- Rows of cells, the first row being the heads. The first column is flush left.
function M.lines(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, width(cell))
    end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      cells[i] = pad(cell, widths[i], i == 1)
    end
    lines[#lines + 1] = "  " .. table.concat(cells, "  ")
  end
  return lines
end

return M
