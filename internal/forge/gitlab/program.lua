local headers, body = tab(event.headers), tab(event.body)
local attributes, mr = tab(body.object_attributes), body.merge_request

local function header(name)
  return text(tab(headers[name])[1], 256)
end

local kinds = {
  ["Push Hook"] = "push_events",
  ["Tag Push Hook"] = "tag_push_events",
  ["Merge Request Hook"] = "merge_requests_events",
  ["Issue Hook"] = "issues_events",
  ["Confidential Issue Hook"] = "confidential_issues_events",
  ["Note Hook"] = "note_events",
  ["Confidential Note Hook"] = "confidential_note_events",
  ["Job Hook"] = "job_events",
  ["Pipeline Hook"] = "pipeline_events",
  ["Release Hook"] = "releases_events",
  ["Deployment Hook"] = "deployment_events",
  ["Wiki Page Hook"] = "wiki_page_events"
}
local kind = kinds[header("X-Gitlab-Event")] or ""
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

local function full(v, tag)
  v = name(v)
  if v == "" or sub(v, 1, 11) == "refs/heads/" or sub(v, 1, 10) == "refs/tags/" then return v end
  -- The code of a merge request may be that of a fork.
  never(sub(v, 1, 5) == "refs/")
  if tag then return "refs/tags/" .. v end
  return "refs/heads/" .. v
end

local ref, commit, source, target, title, labels, state = "", "", "", "", "", "", ""

-- The code of a fork is not the product's.
local function own(m)
  never(type(m.source_project_id) ~= "number" or m.source_project_id ~= m.target_project_id)
end

local function request(m)
  own(m)
  source, target = name(m.source_branch), name(m.target_branch)
  if source ~= "" then ref = "refs/heads/" .. source end
  commit = sha(tab(m.last_commit).id)
  title, state = cut(m.title), text(m.state, 64)
  local all = tab(m.labels)
  if #all == 0 then all = tab(body.labels) end
  for i = 1, #all do
    if #labels < 4096 then
      if i > 1 then labels = labels .. "," end
      labels = labels .. cut(tab(all[i]).title)
    end
  end
  labels = cut(labels)
end

if kind == "push_events" or kind == "tag_push_events" then
  ref, commit = name(body.ref), sha(body.checkout_sha)
  if commit == "" then commit = sha(body.after) end
  never(find(text(body.after, 64), "^0+$"))
elseif kind == "merge_requests_events" then
  request(attributes)
elseif kind == "note_events" or kind == "confidential_note_events" then
  if type(mr) == "table" or attributes.noteable_type == "MergeRequest" then request(tab(mr)) end
elseif kind == "job_events" then
  ref, commit = full(body.ref, body.tag == true), sha(body.sha)
elseif kind == "pipeline_events" then
  ref, commit = full(attributes.ref, attributes.tag == true), sha(attributes.sha)
  if type(mr) == "table" or attributes.source == "merge_request_event" then own(tab(mr)) end
elseif kind == "releases_events" then
  local tag = name(body.tag)
  if tag ~= "" then ref = "refs/tags/" .. tag end
  commit = sha(tab(body.commit).id)
  never(body.action == "delete")
elseif kind == "deployment_events" then
  -- Whoever may deploy can say any commit with any ref, so only the ref counts.
  ref = full(body.ref, false)
end

-- The same delivery has the same key, and two deliveries have two.
local function hash(s, factor)
  local h = #s
  for i = 1, #s do h = (h * factor + byte(s, i)) % 4294967291 end
  return format("%08x", h)
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

local function key()
  local id = lower(header("Idempotency-Key"))
  if #id == 36 and find(id, "^%x+%-%x+%-%x+%-%x+%-%x+$") then return id end
  local content = kind .. "\0" .. ref .. "\0" .. commit
    .. said(body, { "before", "after", "checkout_sha", "build_id", "build_status", "deployment_id", "status", "action", "id", "tag", "created_at" })
    .. said(attributes, { "id", "iid", "action", "status", "oldrev", "created_at", "updated_at", "slug", "version_id" })
  id = lower(header("X-Gitlab-Event-Uuid"))
  if #id == 36 and find(id, "^%x+%-%x+%-%x+%-%x+%-%x+$") then
    -- Hooks that follow from other hooks share it.
    return id .. "-" .. hash(content, 65599)
  end
  return "x" .. hash(content, 131) .. hash(content, 65599)
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

local payload = object({
  "event", kind, "ref", ref, "commit", commit, "source_branch", source, "target_branch", target,
  "title", title, "labels", labels, "state", state
})
-- An argument of a program is shorter than 128 KiB.
never(#payload > 128000)
if kind == "" then return { event = "", what = "" } end
local what = kind
if kind == "merge_requests_events" then
  local action = text(attributes.action, 32)
  -- GitLab names the commit before only if there are new commits.
  if action == "update" and sha(attributes.oldrev) ~= "" then action = "push" end
  what = kind .. ":" .. action
elseif kind == "deployment_events" then
  what = kind .. ":" .. text(body.status, 32)
end
return { event = kind, what = what, ref = ref, commit = commit, payload = payload, key = key(), refText = plain(ref) }
