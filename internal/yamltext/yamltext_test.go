package yamltext

import (
	"strings"
	"testing"
)

func TestUnparsable(t *testing.T) {
	tests := map[string]struct {
		content  string
		line     int
		wantLine int
		wantText string
	}{
		"Git LFS":          {"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n", 0, 1, "Git LFS pointer"},
		"LFS after a mark": {"\ufeffversion https://git-lfs.github.com/spec/v1\n", 0, 1, "Git LFS pointer"},
		"conflict":         {"a: b\n<<<<<<< HEAD\nc: d\n=======\nc: e\n>>>>>>> x\n", 4, 2, "merge conflict"},
		"half a conflict":  {"a: b\nc: e\n>>>>>>> x\n", 3, 3, "merge conflict"},
		"tab":              {"a:\n\tb: c\n", 2, 2, "indented with a tab"},
		"tab after spaces": {"a:\n  \tb: c\n", 1, 2, "indented with a tab"},
		"template":         {"a: {{ .Values.a }}\n", 1, 1, "the template {{ .Values.a }}"},
		"template line":    {"a: b\n{{- if .x }}\nc: d\n{{- end }}\n", 0, 2, "the template {{- if .x }}"},
		"jinja":            {"a: b\n{% if x %}\n", 0, 2, "the template {% if x %}"},
		"variable":         {"a: ${NAME}\nb: [", 1, 1, "${NAME}"},
		"directive":        {"%YAML 1.2\n---\na: b\n", 0, 1, "the directive %YAML 1.2"},
		"UTF-16":           {"\xff\xfea\x00", 0, 0, "UTF-16"},
		"web page":         {"<!DOCTYPE html>\n", 0, 1, "web page"},
		"old Git LFS":      {"version https://hawser.github.com/spec/v1\noid sha256:4d\nsize 1\n", 0, 1, "Git LFS pointer"},
		"git-annex":        {"/annex/objects/SHA256E-s3--4d\n", 0, 1, "git-annex"},
		"age":              {"age-encryption.org/v1\n-> X25519 abc\n", 0, 1, "age"},
		"SOPS":             {"kind: Environment\nspec: ENC[AES256_GCM,data:4d,type:str]\nsops:\n  mac: x\n", 0, 3, "SOPS"},
		"vault":            {"$ANSIBLE_VAULT;1.1;AES256\n6162\n", 0, 1, "Ansible Vault"},
		"invisible":        {"a: b\n\u200bc: [\n", 2, 2, "U+200B (zero width space) at column 1"},
		"unknown":          {"a: [", 1, 0, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Unparsable([]byte(tt.content), tt.line)
			switch {
			case got == nil && tt.wantText != "":
				t.Fatal("nothing is found")
			case got != nil && (got.Line != tt.wantLine || tt.wantText == "" || !strings.Contains(got.Message, tt.wantText)):
				t.Errorf("%d: %s", got.Line, got.Message)
			}
		})
	}
}

func TestForeignLeavesYAMLAlone(t *testing.T) {
	for _, content := range []string{"", "a: b", "\ufeffa: b", "a: |\n  <<<<<<< HEAD\n  >>>>>>> x\n", "version: https://git-lfs.github.com/spec/v1", "a: '{{ x }}'"} {
		if got := Foreign([]byte(content)); got != nil {
			t.Errorf("%q: %s", content, got.Message)
		}
	}
}

func TestHidden(t *testing.T) {
	tests := map[string]struct{ value, want string }{
		"plain":                  {"alpha", ""},
		"zero width":             {"al\u200bpha", "U+200B (zero width space) at character 3"},
		"byte order mark":        {"\ufeffalpha", "U+FEFF (byte order mark) at character 1"},
		"no-break space":         {"alpha\u00a0", "U+00A0 (no-break space) at character 6"},
		"space in a name":        {"a\u00a0b", "U+00A0"},
		"prose":                  {"10\u00a0km in an hour", ""},
		"override":               {"a\u202eb c", "U+202E (right-to-left override)"},
		"isolate":                {"a\u2066b", "U+2066"},
		"emoji":                  {"👩\u200d💻", ""},
		"joiner in ASCII":        {"a\u200db", "U+200D"},
		"Persian":                {"می\u200cخواهم", ""},
		"Hebrew":                 {"א\u200fב", ""},
		"mark in ASCII":          {"a\u200fb", "U+200F"},
		"letters of all scripts": {"Größe 你好 привет", ""},
		"filler":                 {"a\u3164b", "U+3164 (Hangul filler)"},
		"tag":                    {"a\U000e0041b", "U+E0041"},
		"control":                {"a\u0085b", "U+0085"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Hidden(tt.value)
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("Hidden = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestHint(t *testing.T) {
	for line, want := range map[string]string{
		"  name: al\u200bpha": "U+200B (zero width space) at column 11",
		"name: {{ .x }}":      "the template {{ .x }}",
		"name: alpha":         "",
	} {
		if got := Hint(line); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("Hint(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestChanged(t *testing.T) {
	for plain, want := range map[string]string{
		"1.20": "1.2", "NO": "false", "no": "false", "on": "true", "off": "false", "Yes": "true", "y": "true", "n": "false", "0123": "83", "1e3": "1000", "1_000": "1000",
		"+5": "5", "0x1F": "31", "0b11": "3", ".5": "0.5", "1.0": "1", "~": "nothing", "null": "nothing", "True": "true",
		"1234567890123456789012345678901234567890": "1.2345678901234568e+39",
		"5":  "5",
		"-5": "-5", "1.5": "1.5", "true": "true", "false": "false", "12:30": "12:30", "2024-12-24": "2024-12-24", "2024-12-24T17:00:00Z": "2024-12-24T17:00:00Z",
		"v1.20": "v1.20", "1.2.3": "1.2.3", "none": "none", "": "", "100m": "100m", "0": "0", "-": "-", "...": "...", "12345678": "12345678", "0.1": "0.1",
	} {
		becomes, changed := Changed(plain)
		if becomes != want || changed != (want != plain) {
			t.Errorf("Changed(%q) = %q, %v; want %q", plain, becomes, changed, want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"1.20", "a\u200bb", "{{ x }}", "<<<<<<< a", "\t a", "%YAML 1.2", "\xff\xfe"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		Changed(text)
		Unparsable([]byte(text), len(text)%7)
		if Hidden(text) == "" && !strings.ContainsFunc(text, IsInvisible) && Show(text) != text {
			t.Errorf("Show(%q) = %q", text, Show(text))
		}
		if strings.ContainsFunc(Show(text), IsInvisible) {
			t.Errorf("Show(%q) shows it as it is", text)
		}
	})
}
