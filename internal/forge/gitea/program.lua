local kinds = { push = "push", pull_request = "pull_request", release = "release" }
kind = kinds[header("X-Gitea-Event")] or ""

local ref, commit, source, target, title, labels, state = "", "", "", "", "", "", ""
local pr, published = tab(body.pull_request), tab(body.release)

if kind == "push" then
  ref, commit = full(body.ref, false), sha(body.after)
  never(find(text(body.after, 64), "^0+$"))
elseif kind == "pull_request" then
  local head, base = tab(pr.head), tab(pr.base)
  -- The code of a fork is not the product's.
  never(type(head.repo_id) ~= "number" or head.repo_id ~= base.repo_id)
  source, target = name(head.ref), name(base.ref)
  -- The head of a pull request without a branch is of whoever may read.
  never(sub(source, 1, 5) == "refs/")
  if source ~= "" then ref = "refs/heads/" .. source end
  commit = sha(head.sha)
  title, state, labels = cut(pr.title), text(pr.state, 64), joined(tab(pr.labels), "name")
elseif kind == "release" then
  local tag = name(published.tag_name)
  if tag ~= "" then ref = "refs/tags/" .. tag end
  title = cut(published.name)
end

local function key()
  local id = lower(header("X-Gitea-Delivery"))
  if uuid(id) then return id end
  local content = kind .. "\0" .. ref .. "\0" .. commit
    .. said(body, { "before", "after", "action", "number" })
    .. said(pr, { "id", "updated_at" }) .. said(published, { "id", "created_at", "published_at" })
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
if kind ~= "push" then what = kind .. ":" .. text(body.action, 32) end
return { event = kind, what = what, ref = ref, commit = commit, payload = payload, key = key(), refText = plain(ref) }
