package v1alpha1

// JSON is any JSON value. It mirrors the type of the same name in apiextensions,
// whose module a client of this API does not need.
type JSON struct {
	// Raw is the value as it was written, for example `{"a":1}`.
	Raw []byte `json:"-"`
}

// MarshalJSON returns the value as it was written, and null for an empty one.
func (j JSON) MarshalJSON() ([]byte, error) {
	if len(j.Raw) == 0 {
		return []byte("null"), nil
	}
	return j.Raw, nil
}

// UnmarshalJSON keeps the value as it is written.
func (j *JSON) UnmarshalJSON(data []byte) error {
	j.Raw = append(j.Raw[:0], data...)
	return nil
}
