package luapattern

import "strings"

// Name returns the branch, the tag or the full name of a ref that a pattern names, or
// "" if it is a pattern for more than one. The anchors ^ and $ may be there or not. A
// dot and a dash between other characters count as themselves, since names have them.
func Name(pattern string) string {
	name := strings.TrimPrefix(pattern, "^")
	if cut, anchored := strings.CutSuffix(name, "$"); anchored && !strings.HasSuffix(cut, "%") {
		name = cut
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch char := name[i]; {
		case char == '%':
			i++
			if i == len(name) || isAlphanumeric(name[i]) {
				return ""
			}
			b.WriteByte(name[i])
		case char == '.' || char == '-':
			if i == 0 || i == len(name)-1 || !isPart(name[i-1]) || !isPart(name[i+1]) {
				return ""
			}
			b.WriteByte(char)
		case strings.IndexByte("^$()[]*+?", char) >= 0:
			return ""
		default:
			b.WriteByte(char)
		}
	}
	name = b.String()
	if name == "" || !isPart(name[len(name)-1]) {
		// Such a pattern is the beginning of several names.
		return ""
	}
	for _, prefix := range []string{"heads/", "tags/"} {
		if strings.HasPrefix(strings.TrimPrefix(name, "/"), prefix) {
			return "refs/" + strings.TrimPrefix(name, "/")
		}
	}
	if strings.HasPrefix(name, "/") {
		return ""
	}
	return name
}

func isAlphanumeric(char byte) bool {
	return '0' <= char && char <= '9' || 'a' <= char && char <= 'z' || 'A' <= char && char <= 'Z'
}

// isPart reports whether a character can stand beside a dash that is a part of a name.
func isPart(char byte) bool { return isAlphanumeric(char) || char == '_' || char >= 0x80 }
