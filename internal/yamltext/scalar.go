package yamltext

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// likeOther matches the texts that YAML 1.1 may read as something other than text.
var likeOther = regexp.MustCompile(`^([-+.~0-9]|[yYnNtTfFoO][A-Za-z]{0,4}$)`)

// Changed returns the text to which YAML 1.1 changes an unquoted scalar where a text
// is wanted: 1.20 becomes 1.2 and NO becomes false. changed is false if the text
// stays.
func Changed(plain string) (becomes string, changed bool) {
	if !likeOther.MatchString(plain) {
		return plain, false
	}
	if strings.ContainsAny(plain, "#:\n") {
		// Such a text is a part of a larger one, a time, or a date.
		return plain, false
	}
	var value any
	if err := yaml.Unmarshal([]byte(plain), &value, useNumber); err != nil {
		return plain, false
	}
	switch v := value.(type) {
	case string:
		return v, v != plain
	case nil:
		return "nothing", true
	case bool:
		becomes = strconv.FormatBool(v)
	case json.Number:
		becomes = v.String()
	default:
		return plain, false
	}
	return becomes, becomes != plain
}

func useNumber(d *json.Decoder) *json.Decoder {
	d.UseNumber()
	return d
}

// IsText reports whether YAML 1.1 reads an unquoted scalar as a text.
func IsText(plain string) bool {
	if !likeOther.MatchString(plain) || strings.ContainsAny(plain, "#:\n") {
		return true
	}
	var value any
	err := yaml.Unmarshal([]byte(plain), &value, useNumber)
	_, isText := value.(string)
	return err != nil || isText
}

// Quote returns the message about an unquoted scalar that YAML changes.
func Quote(plain, becomes string) string {
	return fmt.Sprintf("%s without quotes is read as %s: put it in quotes", shown(plain), becomes)
}
