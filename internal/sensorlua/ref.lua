local ref = event.ref
if type(ref) ~= "string" or ref == "" then return false end
local ok, at = pcall(string.find, ref, pattern)
return ok and at ~= nil
