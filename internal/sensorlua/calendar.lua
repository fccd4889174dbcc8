-- As Go prints a time: 2024-01-02 17:00:00.000123 +0100 CET m=+0.1
local find, sub, gsub, time = string.find, string.sub, string.gsub, event.eventTime
if type(time) ~= "string" or #time > 128 then return { event = "" } end
local _, _, day, clock, zone = find(time, "^(%d+%-%d+%-%d+) (%d+:%d+:%d+)[.%d]* ([+-]%d+)")
if not zone or #day ~= 10 or #clock ~= 8 or #zone ~= 5 then return { event = "" } end
local sign = "p"
if sub(zone, 1, 1) == "-" then sign = "m" end
-- Events of one calendar are a second apart.
local key = gsub(day, "%-", "") .. "t" .. gsub(clock, ":", "") .. sign .. sub(zone, 2)
time = day .. "T" .. clock .. sub(zone, 1, 3) .. ":" .. sub(zone, 4)
local payload = '{"event":"calendar","time":"' .. time .. '"}'
return { event = "calendar", ref = "", commit = "", payload = payload, key = key, refText = "" }
