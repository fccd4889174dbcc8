-- Whoever runs this sets excluded before: pairs of the first second of a time and of
-- the first one after it.
local at = tonumber(event.seconds)
if not at then return false end
for i = 1, #excluded, 2 do
  if at >= excluded[i] and at < excluded[i + 1] then return false end
end
return true
