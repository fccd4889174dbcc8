local attributes, mr = tab(body.object_attributes), body.merge_request

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
kind = kinds[header("X-Gitlab-Event")] or ""

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
  labels = joined(all, "title")
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

local function key()
  local id = lower(header("Idempotency-Key"))
  if uuid(id) then return id end
  local content = kind .. "\0" .. ref .. "\0" .. commit
    .. said(body, { "before", "after", "checkout_sha", "build_id", "build_status", "deployment_id", "status", "action", "id", "tag", "created_at" })
    .. said(attributes, { "id", "iid", "action", "status", "oldrev", "created_at", "updated_at", "slug", "version_id" })
  id = lower(header("X-Gitlab-Event-Uuid"))
  if uuid(id) then
    -- Hooks that follow from other hooks share it.
    return id .. "-" .. hash(content, 65599)
  end
  return "x" .. hash(content, 131) .. hash(content, 65599)
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
