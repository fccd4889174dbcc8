local headers, body, kind = tab(event.headers), tab(event.body), ""

local function header(name)
  return text(tab(headers[name])[1], 256)
end

-- An event that runs nothing loses its kind.
local function never(really)
  if really then kind = "" end
end

-- Names of branches and tags are taken as they are, or the event runs nothing.
local function name(v)
  never(type(v) == "string" and #v > 32768)
  return text(v, 32768)
end

local function sha(v)
  v = text(v, 64)
  if (#v == 40 or #v == 64) and find(v, "^%x+$") and not find(v, "^0+$") then return lower(v) end
  return ""
end

-- Cuts between two characters.
local function cut(v)
  if type(v) ~= "string" then return "" end
  if #v > 4096 then
    local last = 4096
    while last > 4092 and byte(v, last + 1) >= 128 and byte(v, last + 1) < 192 do last = last - 1 end
    v = sub(v, 1, last)
  end
  return v
end

-- The fields of some tables, with commas.
local function joined(all, field)
  local out = ""
  for i = 1, #all do
    if #out < 4096 then
      if i > 1 then out = out .. "," end
      out = out .. cut(tab(all[i])[field])
    end
  end
  return cut(out)
end

local function full(v, tag)
  v = name(v)
  if v == "" or sub(v, 1, 11) == "refs/heads/" or sub(v, 1, 10) == "refs/tags/" then return v end
  -- The code of a merge request may be that of a fork.
  never(sub(v, 1, 5) == "refs/")
  if tag then return "refs/tags/" .. v end
  return "refs/heads/" .. v
end

-- The same delivery has the same key, and two deliveries have two.
local function hash(s, factor)
  local h = #s
  for i = 1, #s do h = (h * factor + byte(s, i)) % 4294967291 end
  return format("%08x", h)
end

local function uuid(id)
  return #id == 36 and find(id, "^%x+%-%x+%-%x+%-%x+%-%x+$")
end

local function said(from, names)
  local out = ""
  for i = 1, #names do
    local v = from[names[i]]
    if type(v) == "number" or type(v) == "boolean" then v = tostring(v) end
    out = out .. "\0" .. text(v, 256)
  end
  return out
end

-- Tekton may look at a parameter: only characters that mean nothing to it.
local safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/@+-"
local function plain(s)
  local out = writer()
  for i = 1, #s do
    local c = sub(s, i, i)
    if not find(safe, c, 1, true) then c = format("%%%02X", byte(c)) end
    out(c)
  end
  return out()
end

