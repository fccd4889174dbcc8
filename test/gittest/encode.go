package gittest

import (
	"encoding/pem"
	"fmt"
	"io"
	"strings"
)

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// quote writes a path as fast-import reads it, with any bytes.
func quote(path string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(path) {
		if c < ' ' || c == '"' || c == '\\' || c > '~' {
			fmt.Fprintf(&b, `\%03o`, c)
			continue
		}
		b.WriteByte(c)
	}
	b.WriteByte('"')
	return b.String()
}

func copyAndClose(to io.WriteCloser, from io.Reader) (int64, error) {
	defer func() { _ = to.Close() }()
	return io.Copy(to, from)
}
