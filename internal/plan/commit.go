package plan

// Commit is the Git commit that desired state comes from. It is zero if the
// commit is unknown.
type Commit struct {
	// Revision in hexadecimal, and Author as "name <address>".
	Revision, Author string
}

// shortRevision is the number of digits of a revision in messages.
const shortRevision = 12

// String returns the commit for messages, for example "revision 1a2b3c4d5e6f by
// Ada <ada@example.com>", or an empty string if it is unknown.
func (c Commit) String() string {
	if c.Revision == "" {
		return ""
	}
	s := "revision " + c.Revision[:min(len(c.Revision), shortRevision)]
	if c.Author != "" {
		s += " by " + c.Author
	}
	return s
}
