-- As Go prints a time: 2024-01-02 17:00:00.000123 +0100 CET m=+0.1
local find, sub, gsub, time = string.find, string.sub, string.gsub, event.eventTime
if type(time) ~= "string" or #time > 128 then return { event = "", what = "" } end
local _, _, day, clock, zone = find(time, "^(%d%d%d%d%-%d%d%-%d%d) (%d%d:%d%d:%d%d)[.%d]* ([+-]%d+)")
if not zone or #zone ~= 5 then return { event = "", what = "" } end
local sign = "p"
if sub(zone, 1, 1) == "-" then sign = "m" end
-- Events of one calendar are a second apart.
local key = gsub(day, "%-", "") .. "t" .. gsub(clock, ":", "") .. sign .. sub(zone, 2)
local when = day .. "T" .. clock .. sub(zone, 1, 3) .. ":" .. sub(zone, 4)
-- The seconds since 1970, by the days since then. The year begins in March.
local y, m, d = tonumber(sub(day, 1, 4)), tonumber(sub(day, 6, 7)), tonumber(sub(day, 9, 10))
if m <= 2 then y, m = y - 1, m + 12 end
local days = 365 * y + math.floor(y / 4) - math.floor(y / 100) + math.floor(y / 400) + math.floor((153 * (m - 3) + 2) / 5) + d - 719469
local shift = tonumber(sub(zone, 2, 3)) * 3600 + tonumber(sub(zone, 4, 5)) * 60
if sign == "m" then shift = -shift end
local seconds = days * 86400 + tonumber(sub(clock, 1, 2)) * 3600 + tonumber(sub(clock, 4, 5)) * 60 + tonumber(sub(clock, 7, 8)) - shift
local payload = '{"event":"calendar","time":"' .. when .. '"}'
return { event = "calendar", what = "calendar", seconds = string.format("%d", seconds), ref = "", commit = "", payload = payload, key = key, refText = "" }
