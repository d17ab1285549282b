-- Curves as SVG: one picture for each scenario that has a `picture`, written by hand so that the repository needs no
-- drawing library.
local statistics = require "bench.lib.statistics"
local text = require "bench.lib.table"

local M = {}

local WIDTH, HEIGHT = 640, 360
local LEFT, RIGHT, TOP, BOTTOM = 64, 96, 40, 48
local COLOURS = { "#1864ab", "#868e96", "#e67700", "#2b8a3e", "#862e9c", "#c92a2a", "#0b7285", "#5f3dc4" }

local STYLE = [[
<style>
  text { font: 12px system-ui, sans-serif; fill: #343a40; }
  .title { font-weight: 600; font-size: 13px; }
  .grid { stroke: #dee2e6; stroke-width: 1; }
  .curve { fill: none; stroke-width: 2; }
</style>
<rect width="100%" height="100%" fill="#ffffff"/>]]

local function escape(words)
  return (words:gsub("[<>&]", { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;" }))
end

-- A value's place between 0 and 1. On a logarithmic axis, zero stands where the least value does.
local function axis(least, greatest, is_log)
  if greatest <= least then
    greatest = least + 1
  end
  return function(value)
    if is_log then
      return (math.log(math.max(value, least)) - math.log(least)) / (math.log(greatest) - math.log(least))
    end
    return (value - least) / (greatest - least)
  end
end

-- 1, 2 and 5 times a power of ten: about five of them up to the greatest value.
local function steps(greatest)
  local step = 10 ^ math.floor(math.log(greatest / 4, 10))
  for _, factor in ipairs { 5, 2 } do
    if greatest / (step * factor) >= 3 then
      step = step * factor
      break
    end
  end
  local list = {}
  for value = 0, greatest, step do
    list[#list + 1] = value
  end
  return list
end

local function curves_of(outcome)
  local curves, scale = {}, outcome.picture.scale or 1
  for i, server in ipairs(outcome.servers) do
    local curve = { server = server, colour = COLOURS[i] or "#000000", points = {} }
    for _, point in ipairs(outcome.points) do
      local figure = statistics.at(point.summary, server .. ".figure.median")
      if figure then
        curve.points[#curve.points + 1] = { x = point.x, y = figure * scale }
      end
    end
    curves[#curves + 1] = curve
  end
  return curves
end

local function bounds(curves)
  local least, greatest, top
  for _, curve in ipairs(curves) do
    for _, point in ipairs(curve.points) do
      least, greatest = math.min(least or point.x, point.x), math.max(greatest or point.x, point.x)
      top = math.max(top or 0, point.y)
    end
  end
  return least, greatest, top
end

local function draw_axes(out, outcome, at_x, at_y, top)
  for _, value in ipairs(steps(top)) do
    local y = at_y(value)
    out[#out + 1] = ('<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>'):format(LEFT, WIDTH - RIGHT, y, y)
    out[#out + 1] = ('<text x="%d" y="%.1f" text-anchor="end">%s</text>'):format(LEFT - 6, y + 4, text.number(value))
  end
  for _, point in ipairs(outcome.points) do
    out[#out + 1] = ('<text x="%.1f" y="%d" text-anchor="middle">%s</text>'):format(at_x(point.x),
      HEIGHT - BOTTOM + 16, ("%g"):format(point.x))
  end
  out[#out + 1] = ('<text x="%d" y="%d" text-anchor="middle">%s</text>'):format((LEFT + WIDTH - RIGHT) // 2,
    HEIGHT - 10, escape(outcome.picture.x))
  out[#out + 1] = ('<text class="title" x="12" y="20">%s</text>'):format(escape(outcome.picture.y))
end

local function draw_curve(out, curve, at_x, at_y)
  local last, places = curve.points[#curve.points], {}
  for i, point in ipairs(curve.points) do
    places[i] = ("%.1f,%.1f"):format(at_x(point.x), at_y(point.y))
    out[#out + 1] = ('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>'):format(at_x(point.x), at_y(point.y),
      curve.colour)
  end
  out[#out + 1] = ('<polyline class="curve" stroke="%s" points="%s"/>'):format(curve.colour, table.concat(places, " "))
  return { y = at_y(last.y), server = curve.server, colour = curve.colour }
end

-- The names stand at the curves' ends, none on top of another.
local function draw_names(out, names)
  table.sort(names, function(a, b)
    return a.y < b.y
  end)
  local free = TOP
  for _, name in ipairs(names) do
    local y = math.max(name.y + 4, free)
    out[#out + 1] = ('<text x="%d" y="%.1f" style="fill:%s">%s</text>'):format(WIDTH - RIGHT + 8, y, name.colour,
      name.server)
    free = y + 15
  end
end

--- The picture of one scenario's outcome, as text; nil if nothing was measured.
function M.draw(outcome)
  local curves = curves_of(outcome)
  local least, greatest, top = bounds(curves)
  if not top or top == 0 then
    return nil
  end
  local is_log = outcome.picture.log
  local along = axis(is_log and math.max(least, 1) or least, greatest, is_log)
  local function at_x(x)
    return LEFT + along(x) * (WIDTH - LEFT - RIGHT)
  end
  local function at_y(y)
    return HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)
  end
  local out = { ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">'):format(WIDTH, HEIGHT),
    "<title>" .. escape(outcome.title) .. "</title>", STYLE }
  draw_axes(out, outcome, at_x, at_y, top)
  local names = {}
  for i, curve in ipairs(curves) do
    if #curve.points > 0 then
      names[#names + 1] = draw_curve(out, curves[i], at_x, at_y)
    end
  end
  draw_names(out, names)
  out[#out + 1] = "</svg>\n"
  return table.concat(out, "\n")
end

--- Writes DIR/NAME.svg for each outcome that has a picture.
function M.draw_all(all, dir)
  for _, outcome in ipairs(all.scenarios) do
    local svg = outcome.picture and M.draw(outcome)
    if svg then
      local file = assert(io.open(("%s/%s.svg"):format(dir, outcome.name), "w"))
      file:write(svg)
      file:close()
    end
  end
end

return M
