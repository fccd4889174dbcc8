package launch

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Encode returns v as JSON that is inert: it holds no dollar sign, which Tekton
// takes for the beginning of a variable and Kubernetes for an escape, and only
// ASCII characters that can be printed. Decoding JSON gives v back.
func Encode(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return escape(string(raw)), nil
}

// escape replaces what is not inert in a JSON text by \u escapes, which stand
// for the same characters: outside of strings, JSON holds none of them.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '$', r < 0x20, r == 0x7f, r >= 0x80 && r < 0x10000:
			writeUnit(&b, r)
		case r >= 0x10000:
			r -= 0x10000
			writeUnit(&b, 0xd800+r>>10)
			writeUnit(&b, 0xdc00+r&0x3ff)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

const hexDigits = "0123456789abcdef"

func writeUnit(b *strings.Builder, unit rune) {
	b.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		b.WriteByte(hexDigits[unit>>shift&0xf])
	}
}

// Decode reads what Encode wrote, and refuses keys that it does not know and
// whatever comes behind the value.
func Decode(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more than one value")
	}
	return nil
}
