// Package hostile lists texts that an attacker with the right to push could put
// into a branch, a title or a label to make a program misbehave. It guarantees
// that every test of the project uses the same list.
package hostile

import (
	"fmt"
	"strings"
)

// Values returns the texts, each once and always in the same order; at least
// 200 of them. Some are not UTF-8, some are larger than 10 kB.
func Values() []string {
	var values []string
	for _, list := range [][]string{shell(), tekton(), yaml(), lua(), jsons(), git(), paths(), controls(), unicodes(), sizes()} {
		values = append(values, list...)
	}
	seen := map[string]bool{}
	unique := values[:0]
	for _, value := range values {
		if !seen[value] {
			seen[value] = true
			unique = append(unique, value)
		}
	}
	return unique
}

// Canary is a file that several of the texts would make, were one of them run.
const Canary = "/tmp/nautes-hostile-canary"

func each(format string, words ...string) []string {
	out := make([]string, 0, len(words))
	for _, word := range words {
		out = append(out, fmt.Sprintf(format, word))
	}
	return out
}

// shell are commands in every disguise that a shell undoes.
func shell() []string {
	touch := "touch " + Canary
	values := []string{
		"; " + touch, "& " + touch + " &", "&& " + touch, "|| " + touch, "| " + touch, "\n" + touch + "\n",
		"`" + touch + "`", "$(" + touch + ")", "$(touch${IFS}" + Canary + ")", "'; " + touch + "; '", `"; ` + touch + `; "`,
		"'$(" + touch + ")'", `"$(` + touch + `)"`, "${IFS}" + touch, "<(" + touch + ")", "> " + Canary, ">> " + Canary,
		"< /etc/passwd", "<<EOF\n" + touch + "\nEOF", "$((1+1))", "${PATH}", "$PATH", "$0", "$@", "$$", "$!", "!!", "!$",
		"~root", "*", "?", "[a-z]*", "{a,b}", "{1..100000}", `\`, `\\`, `\'`, `\"`, "'", `"`, "''", `""`, "'\\''", "# comment",
		"a b", " leading", "trailing ", "-", "--", "-rf /", "--help", "--upload-pack=" + touch, "--config={}", "-c alias.x=!" + touch,
		"$'\\x24(" + touch + ")'", "%s%n%x", "%00", "%0a" + touch, "eval " + touch, "exec " + touch,
		"() { :;}; " + touch, ":(){ :|:& };:", "refs/heads/a;" + touch, "refs/heads/$(id)", "refs/heads/`id`",
	}
	return append(values, each("refs/heads/x%sy", ";", "&", "|", "`", "$", "(", ")", "<", ">", "'", `"`, "\\", "#", "%", "!", "{", "}")...)
}

// tekton are the variables of Tekton and of Kubernetes, whole and in parts.
func tekton() []string {
	values := each("$(%s)",
		"params.ref", `params["ref"]`, "params['ref']", "params.list[*]", "params.object.key", "context.pipelineRun.name",
		"context.pipelineRun.namespace", "context.pipeline.name", "context.taskRun.name", "context.taskRun.uid", "context.pipelineTask.retries",
		"tasks.pre.results.out", "tasks.nautes-launch.results.run", "tasks.status", "tasks.nautes-launch.status", "tasks.nautes-launch.reason",
		"finally.x.results.y", "workspaces.source.path", "workspaces.source.bound", "workspaces.source.claim", "results.run.path",
		"steps.launch.results.run", "steps.step-launch.exitCode.path", "step.results.run.path", "credentials.path", "inputs.params.ref",
		"inputs.resources.git.path", "outputs.resources.image.url", "resources.inputs.git.url", "stepResults.a.b", "HOME", "PATH", "KUBERNETES_SERVICE_HOST",
		"TOKEN", "", " params.ref ", "params.ref\n", "$(params.ref)")
	return append(values, "$(params.ref", "$params.ref)", "$$(params.ref)", "$$(HOME)", "$( params.ref)", "$(params", "$((params.ref))",
		"refs/heads/$(params.ref)", "x$(context.pipelineRun.name)y", "$(tasks.a.results.b)$(tasks.c.results.d)", "$(workspaces.source.path)/../../x",
		"$${params.ref}", "${params.ref}", "{{inputs.parameters.ref}}", "{{ .Input.body }}", "{{=sprig.env('HOME')}}", "{{workflow.name}}")
}

// yaml are texts that end a scalar, begin a document, or mean something else
// than themselves.
func yaml() []string {
	return []string{
		"a: b", "- a", "---\nkind: Secret", "...\n---\n", "a\nspec:\n  serviceAccountName: admin", "x\n  serviceAccountName: cluster-admin",
		`"}, "serviceAccountName": "admin", "x": {"`, "&anchor a", "*anchor", "<<: *a", "!!python/object/apply:os.system [id]", "!!binary aGk=",
		"|\n  a", ">\n  a", "? a", "@a", "%YAML 1.2", "yes", "no", "on", "off", "true", "false", "null", "~", "0", "1", "-1", "1.5", "1e3", "0x10", "0o17",
		"010", ".inf", ".nan", "2001-01-01", "2001-12-14t21:59:43.10-05:00", "1:30", "[]", "{}", "[a, b]", "{a: b}", "'", "a: 'b", "\t", "a\tb", "a #b",
		"a:\n- b", "\n\nkind: ClusterRoleBinding\n", "apiVersion: v1\nkind: Pod", "=", "a\\nb", `"\x41"`,
	}
}

// lua are texts that end a literal of Lua, and its patterns.
func lua() []string {
	return []string{
		`" .. os.execute("touch ` + Canary + `") .. "`, `' .. os.exit() .. '`, "]] os.exit() --[[", "]=] os.exit() --[=[", `"] = os.exit()`,
		"--", "--[[", "]]", "\" return true --", "') or true --", "\\\" return true --", "\\", "\\\\\"", "\\z", "\\x41", "\\65", "\\065", "\\u{41}",
		"%", "%%", "%d+", "%b()", "%f[%a]", "(", ")", "()", "(.-)", "[", "]", "[^", "[]", "[%", "^", "$", ".*", ".-", "a*a*a*a*a*a*a*b",
		"function() end", "_G", "_ENV", "require('os')", "load('x')()", "string.rep('x', 1e9)", "error('x')", "setmetatable({}, {})", "nil",
	}
}

// jsons are texts that end a string of JSON, and texts on which decoders disagree.
func jsons() []string {
	return []string{
		`"`, `\`, `\"`, `","ref":"refs/heads/main`, `"}`, `"}]}`, `{"event":"push_events"}`, `\u0022`, `\u0024(params.ref)`, `\u0000`, `\ud800`, `\udc00x`,
		`\ud83d\ude00`, "</script>", "<!--", "]]>", "<![CDATA[", "/*", "*/", "//", `{"__proto__":{}}`, `{"$ref":"#"}`, "NaN", "Infinity", "\u2028", "\u2029",
	}
}

// git are names that no ref may have, and those that git takes for more than a name.
func git() []string {
	return []string{
		"", "HEAD", "@", "@{-1}", "HEAD~1", "HEAD^{tree}", "main@{1 day ago}", ":/fix", "main:secret.yaml", "refs/heads/../../config", "refs/heads/.lock",
		"refs/heads/a.lock", "refs/heads/a..b", "refs/heads//a", "/refs/heads/a", "refs/heads/a/", "refs/heads/a.", "refs/heads/ a", "refs/heads/a~", "refs/heads/a^",
		"refs/heads/a:b", "refs/heads/a:refs/heads/main", "+refs/heads/*:refs/heads/*", "refs/heads/*", "refs/heads/?", "refs/heads/[a]", "refs/heads/a\\b", "refs/heads/-",
		"-u", "--exec=id", "ext::sh -c id", "refs/heads/main\nrefs/heads/other", "refs/tags/v1^{}", "refs/keep-around/x", "refs/heads/a@{0}",
		"0000000000000000000000000000000000000000", "ffffffffffffffffffffffffffffffffffffffff",
	}
}

// paths are texts that lead out of a directory, or to another host.
func paths() []string {
	return []string{
		"../../etc/passwd", "/etc/passwd", "..", ".", "/", "//", "a/../../b", "..\\..\\windows", "%2e%2e%2f", "file:///etc/passwd",
		"https://user:secret@evil.example/x", "//evil.example/x", "javascript:alert(1)", "<img src=x onerror=alert(1)>", "' OR 1=1 --", "a?b=c&d=e#f",
	}
}

// controls are characters that cannot be seen.
func controls() []string {
	values := []string{"a\x00b", "\x00", "a\r\nb", "a\nb", "a\rb", "\r\nX-Header: y", "a\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x08\x08\x08x", "\x7f", "\x85", "\xa0"}
	for c := byte(1); c < 0x20; c++ {
		values = append(values, "refs/heads/c"+string(rune(c))+"d")
	}
	return values
}

// unicodes are texts of many forms, and bytes that are no text.
func unicodes() []string {
	return []string{
		"ü", "日本語", "😀", "refs/heads/功能-1", "e\u0301", "\u00e9", "\u202etxt.exe", "\u200b", "\ufeff", "\uff04\uff08params.ref\uff09", "\uffff", "\ufffd", "\u0000x",
		"\xff", "\xfe\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xffb", "\xe2\x82", "$\xff(params.ref)", "\xc0\xa4(params.ref)",
	}
}

// sizes are texts that are longer than expected.
func sizes() []string {
	const large = 10 << 10
	return []string{
		"refs/heads/" + strings.Repeat("x", large), strings.Repeat("$", large), strings.Repeat("'", large), strings.Repeat(`"`, large), strings.Repeat(`\`, large),
		strings.Repeat("\n", large), strings.Repeat("\x00", large), strings.Repeat("ü", large), strings.Repeat("\xff", large), strings.Repeat("../", large/3),
		strings.Repeat("[", large), strings.Repeat("{", large), strings.Repeat("$(", large/2), strings.Repeat("%", large), "refs/heads/" + strings.Repeat("a/", large/2) + "b",
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 253), strings.Repeat("a", 256),
	}
}
