package launch

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Encode returns v as inert JSON: printable ASCII characters without the dollar sign,
// which begins a variable in Tekton and in Kubernetes. Decode returns v from it.
func Encode(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return escape(string(raw)), nil
}

// escape replaces the characters of a JSON text that are not inert by \u escapes.
// JSON has such characters in strings only, where an escape means the same.
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

// Decode reads a text made by Encode into v. It returns an error for an unknown key
// and for text after the value.
func Decode(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is text after the value")
	}
	return nil
}
