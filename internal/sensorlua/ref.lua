-- A pattern can take long, the longer the ref the more: patterns are made for 512
-- bytes, as luapattern.MaxText says. Whoever runs this sets pattern before.
local ref = event.ref
if type(ref) ~= "string" or ref == "" or #ref > 512 then return false end
local ok, at = pcall(string.find, ref, pattern)
return ok and at ~= nil
