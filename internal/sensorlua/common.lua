local sub, byte, find, format, lower = string.sub, string.byte, string.find, string.format, string.lower

-- What is no string, or a longer one, counts as none.
local function text(v, most)
  if type(v) == "string" and #v <= most then return v end
  return ""
end

local function tab(v)
  if type(v) == "table" then return v end
  return {}
end

-- Collects parts of a text. The engine can join only so many at once.
local function writer()
  local done, parts, n = "", {}, 0
  return function(part)
    if part then
      n = n + 1
      parts[n] = part
    end
    if n == 200 or not part then
      done = done .. table.concat(parts)
      parts, n = {}, 0
    end
    return done
  end
end

local short = {
  ["\8"] = "\\b", ["\9"] = "\\t", ["\10"] = "\\n", ["\12"] = "\\f", ["\13"] = "\\r",
  ["\34"] = "\\\34", ["\92"] = "\\\92"
}

local function unit(n)
  return format("\\u%04x", n)
end

-- The code point that begins at s[i] in UTF-8 and its length, or U+FFFD and 1.
local function rune(s, i)
  local b, c, d, e = byte(s, i), byte(s, i + 1) or 0, byte(s, i + 2) or 0, byte(s, i + 3) or 0
  local function tail(x) return x >= 128 and x < 192 end
  local n, size = 65533, 1
  if b >= 194 and b < 224 and tail(c) then
    n, size = (b - 192) * 64 + c - 128, 2
  elseif b >= 224 and b < 240 and tail(c) and tail(d) then
    n, size = ((b - 224) * 64 + c - 128) * 64 + d - 128, 3
    if n < 2048 or n >= 55296 and n < 57344 then n, size = 65533, 1 end
  elseif b >= 240 and b < 245 and tail(c) and tail(d) and tail(e) then
    n, size = (((b - 240) * 64 + c - 128) * 64 + d - 128) * 64 + e - 128, 4
    if n < 65536 or n > 1114111 then n, size = 65533, 1 end
  end
  return n, size
end

-- A string of JSON of printable ASCII characters without a dollar sign.
local function json(s)
  local out, i, last = writer(), 1, #s
  out("\34")
  while i <= last do
    local b, size = byte(s, i), 1
    if b >= 128 then
      local n
      n, size = rune(s, i)
      if n < 65536 then
        out(unit(n))
      else
        n = n - 65536
        out(unit(55296 + math.floor(n / 1024)) .. unit(56320 + n % 1024))
      end
    else
      local c = sub(s, i, i)
      if short[c] then
        out(short[c])
      elseif b < 32 or b == 127 or c == "$" or c == "<" or c == ">" or c == "&" then
        out(unit(b))
      else
        out(c)
      end
    end
    i = i + size
  end
  out("\34")
  return out()
end

-- An object of JSON with those of some names and values that are not empty.
local function object(fields)
  local out = ""
  for i = 1, #fields, 2 do
    if fields[i + 1] ~= "" then
      if out ~= "" then out = out .. "," end
      out = out .. json(fields[i]) .. ":" .. json(fields[i + 1])
    end
  end
  return "{" .. out .. "}"
end
